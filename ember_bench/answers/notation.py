r"""Writes LaTeX, typographic signs and digits of other scripts as plain ASCII mathematics.

`\tfrac{1}{2}`, the sign of one half and full-width digits become `1/2`; Persian digits and marks
become `1,234.5`; a raised six becomes `^{6}`. What has no plain form keeps its sign, such as that
of the root, or its macro, so that a reader sees a formula.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_SIGNS: Final = {
    "\u2212": "-", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\ufe63": "-",
    "\u2044": "/", "\u2215": "/", "\u2219": "\u00b7", "\u22c5": "\u00b7", "\u30fb": "\u00b7",
    "\u2217": "*", "\u2715": "\u00d7", "\u2716": "\u00d7", "\u2236": ":", "\u02d0": ":",
    "\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"',
    "\u066b": ".", "\u066c": ",", "\u060c": ", ", "\u061b": "; ", "\u066a": "%", "\u06d4": ". ",
    "\u3002": ". ", "\u3001": ", ", "\u0964": ". ", "\u301c": "~", "\u223c": "~",
    "\u2243": "\u2248", "\u2245": "\u2248", "\u21d2": "\u2192", "\u27f9": "\u2192",
    "\uff0c": "\uff0c", "\uff08": " (", "\u3010": " [", "\u3011": "]", "\u3014": " [",
    "\u3015": "]",
}  # fmt: skip
_CATEGORIES: Final = {"Zs": " ", "Zl": "\n", "Zp": "\n"}
_COMPATIBLE: Final = ("<wide>", "<narrow>", "<font>", "<square>", "<compat>", "<small>")


class _Characters(dict[int, str]):
    """The plain form of each character, found when it is first met."""

    def __missing__(self, code: int) -> str:
        plain = self[code] = _plain_character(chr(code))
        return plain


def _plain_character(char: str) -> str:
    if char in _SIGNS:
        return _SIGNS[char]
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.digit(char))
    return char if char.isascii() else _CATEGORIES.get(category) or _compatible(char)


def _compatible(char: str) -> str:
    """Return the plain form that Unicode decomposes a character to, if it is one of mathematics."""
    if unicodedata.category(char) == "Cf":
        return ""
    kind, _, form = unicodedata.decomposition(char).partition(" ")
    if kind == "<fraction>":
        parts = [chr(int(code, 16)) for code in form.split()]
        return " " + "".join(parts).replace("\u2044", "/") if parts[-1].isdigit() else char
    if kind in _COMPATIBLE:
        plain = unicodedata.normalize("NFKC", char)
        return plain.translate(_CHARACTERS) if plain != char else char
    return char


_CHARACTERS: Final = _Characters()

_RAISED = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207a\u207b]+")
_LOWERED = re.compile("[\u2080-\u208b]+")
_SHIFTED: Final = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b"
    "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089\u208a\u208b",
    "0123456789+-0123456789+-",
)
# The comma of Chinese and Japanese text separates clauses, unless digits are grouped by it.
_WIDE_COMMA = re.compile(r"(?<=[0-9])\uff0c(?=[0-9]{3}(?![0-9]))")

_MACROS: Final = {
    "times": "\u00d7", "cdot": "\u00b7", "ast": "*", "div": "\u00f7", "pm": "\u00b1",
    "mp": "\u00b1",
    "approx": "\u2248", "simeq": "\u2248", "cong": "\u2248", "sim": "~", "pi": "\u03c0",
    "infty": "\u221e", "sqrt": "\u221a", "degree": "\u00b0", "circ": "\u00b0",
    "le": "\u2264", "leq": "\u2264", "ge": "\u2265", "geq": "\u2265", "lt": "<", "gt": ">",
    "ne": "\u2260", "neq": "\u2260", "dots": "...", "ldots": "...", "cdots": "...",
    "to": "\u2192", "rightarrow": "\u2192", "implies": "\u2192", "Rightarrow": "\u2192",
    "quad": " ", "qquad": " ", "left": "", "right": "", "displaystyle": "", "textstyle": "",
    "big": "", "Big": "", "bigl": "", "bigr": "", "limits": "", "colon": ":", "mid": "|",
    "euro": "\u20ac", "pounds": "\u00a3", "yen": "\u00a5", "textdollar": "$", "textbackslash": "\\",
    "thinspace": " ", "percent": "%", "because": "because ",
}  # fmt: skip
_MACRO = re.compile(r"\\([A-Za-z]{2,20})(?![A-Za-z])")
_PRINTED: Final = (
    r"boxed|fbox|mbox|hbox|text[a-z]{0,6}|math(?:rm|bf|sf|it|tt|up|normal)|operatorname\*?|emph"
    r"|underline|bm|boldsymbol"
)
_WORDS = re.compile(rf"\\(?:{_PRINTED})\s?\{{([^{{}}\\]{{0,300}})\}}")
_OPENING = re.compile(rf"\\(?:{_PRINTED})\s?\{{?")
# Of JSON inside JSON.
_LINE_BREAK = re.compile(r"\\n(?![a-z])")
_SPACE = re.compile(r"\\[,;:> ()\[\]]|~(?=[A-Za-z\\])")


def _argument(name: str) -> str:
    """Return the pattern of a number as an argument of LaTeX, with or without braces."""
    return rf"(?:\{{\s?(?P<{name}>[-+]?[0-9][0-9.,]{{0,40}}+)\s?\}}|\s?(?P<{name}1>[0-9]))"


_FRACTION = re.compile(rf"\\[dtc]?frac\s?{_argument('a')}\s?{_argument('b')}")
_GROUP = re.compile(r"(?<![\^_A-Za-z}\]\\])(?<![0-9] )\{([0-9.,]{1,60})\}")
_DEGREES = re.compile(r"\^\s?(?:\{\s?\\(?:circ|degree)\s?\}|\\(?:circ|degree)(?![A-Za-z]))")

# "2:00 pm" is as good as "2 pm"; other times of the day are no numbers.
_WHOLE_HOUR = re.compile(r"(?<![0-9:])([0-9]{1,2}):00(?=\s?[AaPp]\.?[Mm]\b)")
_TAG = re.compile(
    r"</?(?:b|i|u|em|strong|span|p|br|code|mark|small|font|td|tr|li|div)(?:\s[^<>]{0,80})?/?>", re.I
)
_RAISED_TAG = re.compile(r"<(su[bp])>([^<>]{1,20})</su[bp]>", re.IGNORECASE)
_SPACES = re.compile(" {2,}")
# Emphasis of Markdown; `2**3` and `9 * 2` are arithmetic.
_EMPHASIS = re.compile(r"(?<![\w)\]}*])\*{1,3}(?=[^\s*])|(?<=[^\s*])\*{1,3}(?![\w(*])")


def plain(text: str) -> str:
    """Return `text` with LaTeX, signs, emphasis and digits written as plain characters."""
    if not text.isascii():
        text = _plain_signs(text)
    if "\\" in text or "{" in text:
        text = _plain_latex(text)
    if "</" in text or "/>" in text:
        text = _RAISED_TAG.sub(_plain_raised, text)
        text = _TAG.sub("", text)
    if ":00" in text:
        text = _WHOLE_HOUR.sub(r"\1", text)
    if "*" in text:
        text = _EMPHASIS.sub("", text).replace("**", "^")
    return _SPACES.sub(" ", text) if "  " in text else text


def _plain_signs(text: str) -> str:
    text = _RAISED.sub(lambda run: f"^{{{run[0].translate(_SHIFTED)}}}", text)
    text = _LOWERED.sub(lambda run: f"_{run[0].translate(_SHIFTED)}", text)
    text = text.translate(_CHARACTERS)
    return _WIDE_COMMA.sub(",", text).replace("\uff0c", ", ") if "\uff0c" in text else text


def _plain_latex(text: str) -> str:
    text = text.replace("{,}", ",").replace(r"\!", "")
    for sign in '$%#&"':
        text = text.replace(f"\\{sign}", sign)
    text = _LINE_BREAK.sub("\n", text)
    text = _SPACE.sub(" ", text)
    text = _DEGREES.sub("\u00b0", text)
    text = _FRACTION.sub(_plain_fraction, text)
    text = _WORDS.sub(_plain_words, text)
    text = _OPENING.sub(" ", text)
    text = _MACRO.sub(lambda macro: _MACROS.get(macro[1], macro[0]), text)
    return _GROUP.sub(r"\1", text)


def _plain_raised(match: re.Match[str]) -> str:
    return f"{'^' if match[1].lower() == 'sup' else '_'}{{{match[2]}}}"


def _plain_words(match: re.Match[str]) -> str:
    # "\text{cm}^2" keeps its exponent.
    return f" {match[1]}" if match.string.startswith(("^", "_"), match.end()) else f" {match[1]} "


def _plain_fraction(match: re.Match[str]) -> str:
    above, below = match["a"] or match["a1"], match["b"] or match["b1"]
    # "1\frac12" is one and a half, "x\frac12" a product that must not read as a name.
    apart = " " if match.string[match.start() - 1 : match.start()].isalnum() else ""
    if below.startswith("-"):
        below, above = below[1:], above[1:] if above.startswith("-") else f"-{above}"
    return f"{apart}{above}/{below}"
