"""Letters that stand for the options of a question, in other forms and other scripts."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Letters of other scripts that number options in their language, in order. Of the Cyrillic ones
# the letter Ve is left out, which is the third there and looks like the second of A, B, C.
_ORDERS: Final = (
    "\u0623\u0628\u062c\u062f\u0647\u0648\u0632\u062d",  # Arabic, by the abjad
    "\u0627\u0628\u062c\u062f\u0647\u0648\u0632\u062d",
    "\u05d0\u05d1\u05d2\u05d3\u05d4\u05d5\u05d6\u05d7",  # Hebrew
    "\u0391\u0392\u0393\u0394\u0395\u03a3\u0396\u0397",  # Greek
    "\u0410\u0411 \u0413\u0414",  # Cyrillic
    "\u0915\u0916\u0917\u0918\u0919",  # Devanagari
    "\u0995\u0996\u0997\u0998\u0999",  # Bengali
    "\u0e01\u0e02\u0e04\u0e07\u0e08",  # Thai
    "\uac00\ub098\ub2e4\ub77c\ub9c8",  # Hangul
    "\u30a2\u30a4\u30a6\u30a8\u30aa",  # Katakana
    "\u7532\u4e59\u4e19\u4e01\u620a",  # Chinese stems
)
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BY_NATIVE: Final = {
    native: letter
    for order in _ORDERS
    for native, letter in zip(order, _LETTERS, strict=False)
    if native != " "
} | {"\u0421": "C"}  # in no order of options, but it looks like the Latin one
NATIVE: Final = "".join(_BY_NATIVE)

_LEADING_NATIVE = re.compile(
    rf"([\s(\[\uff08\u3010\"'*$]{{0,9}})([{NATIVE}])\u0640?(?=[\s)\]\uff09\u3011.,:;*\"'\u3001\u3002\u060c$]|$)"
)
# Full-width forms, and letters in circles, brackets and squares, each a single character.
_PLAIN: Final = {
    code: plain
    for first, last in ((0x2474, 0x2500), (0xFF01, 0xFF5F), (0x1F110, 0x1F18A), (0x1D400, 0x1D6A4))
    for code in range(first, last)
    if len(plain := unicodedata.normalize("NFKC", chr(code)).strip("()")) == 1 and plain.isascii()
} | {
    **{0x1F150 + i: letter for i, letter in enumerate(_LETTERS)},
    **{0x1F170 + i: letter for i, letter in enumerate(_LETTERS)},
    0x3000: " ",
}


def plain_letters(text: str) -> str:
    """Return `text` with full-width, circled and mathematical characters as plain ones."""
    return text if text.isascii() else type(text)(text.translate(_PLAIN))


def leading_letter(text: str) -> str:
    """Return `text` with the native letter that it begins with, if it does, as that of A, B, C."""
    if text.isascii() or (match := _LEADING_NATIVE.match(text)) is None:
        return text
    return f"{match[1]}{_BY_NATIVE[match[2]]}{text[match.end() :]}"
