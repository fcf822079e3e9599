"""Reads a Python program out of a text; nothing of it is parsed, let alone run.

Python's own parser is no help here: on text made for it, it ends the process.
"""

from __future__ import annotations

import re
from typing import Final

_FENCE = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n`]*$")
_PYTHON: Final = ("", "python", "python3", "py")
# A line that a program may begin with, and prose does not.
_BEGINNING = re.compile(
    r"(?:async[ \t]+def|def|class)[ \t]+\w+[ \t]*[(:\[]"
    r"|import[ \t]+[\w.]+[ \t]*(?:,|as\b|;|#|(?=\n)|\Z)"
    r"|from[ \t]+[\w.]+[ \t]+import\b|@\w|#!|raise[ \t]+\w+[ \t]*\(|\w+[ \t]*(?::[^=\n]+)?=[^=]"
    r"|[ \t]+\S"
)
_DEFINITION = re.compile(r"^[ \t]*(?:async[ \t]+def|def|class)[ \t]", re.MULTILINE)
_ANSWER = re.compile(r"[ \t*_#]{0,9}answer[*_]{0,4}:[*_]{0,4}[ \t]*\n?", re.IGNORECASE)


def parse_program(text: str) -> str | None:
    """Return the program in the text, or None.

    That is the last block in fences that defines something, else the last one; a block that is
    tagged as another language is none. Without a block it is the whole text, less an "Answer:"
    before it, if it begins as programs do. Indentation is kept, since an answer may go on where
    the question's program stopped.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    whole = text.lstrip("\n")
    if marker := _ANSWER.match(whole):
        whole = whole[marker.end() :].lstrip("\n")
    if _BEGINNING.match(whole):
        return whole.rstrip() or None
    blocks = [block for block in _blocks(text) if block.strip()]
    defining = [block for block in blocks if _DEFINITION.search(block)]
    chosen = (defining or blocks)[-1:]
    return chosen[0].strip("\n").rstrip() if chosen else None


def _blocks(text: str) -> list[str]:
    """Return the blocks in fences; the last one may have no end, as where a model was cut off."""
    blocks: list[str] = []
    fence, wanted, lines = "", False, list[str]()
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if not fence:
            if match:
                fence, wanted, lines = match[1], match[2].lower() in _PYTHON, []
        elif match and match[1].startswith(fence) and not match[2]:
            if wanted:
                blocks.append("\n".join(lines))
            fence = ""
        else:
            lines.append(line)
    if fence and wanted:
        blocks.append("\n".join(lines))
    return blocks
