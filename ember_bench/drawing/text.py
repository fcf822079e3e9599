"""Text of models, datasets and cards, made fit for a terminal or a Markdown file."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Control characters move the cursor. These format characters reverse or hide text; joiners (U+200C,
# U+200D) are not among them, as some languages are written with them.
_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028\u2029\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# The characters of markup, and those that make a link of an address or a mention of a name.
_MARKDOWN: Final = re.compile(r"[\\`*_\[\]<>#|~$&@]|:(?=//)|(?<=www)\.")


def clean(text: str) -> str:
    """Return `text` with control characters written out; line breaks and tabs stay."""
    return _HIDDEN.sub(_written_out, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Return `text` in one line, with control characters written out."""
    return clean(" ".join(text.split()))


def clean_json(text: str) -> str:
    """Return JSON that is the same value, with characters that a terminal obeys written out."""
    return _HIDDEN.sub(_in_json, text)


def escape_markdown(text: str) -> str:
    """Return `text` in one line that Markdown shows as it is, in a table as well."""
    return _MARKDOWN.sub(r"\\\g<0>", one_line(text))


def width(text: str) -> int:
    """Return the number of columns of `text` in a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _in_json(match: re.Match[str]) -> str:
    """Return a character of a JSON text as JSON writes it out: in halves beyond U+FFFF."""
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
