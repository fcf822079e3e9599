"""Reads the target of an item: strictly, since what is beside an answer in it is a mistake.

A model's text is searched for an answer; a target has to be one, wholly.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTER = re.compile(r"[(\[]?([A-Za-z])[)\].:]?")
_WORDS: Final = {"yes": "yes", "no": "no", "true": "yes", "false": "no"}
_WORD = re.compile(r"\[?(yes|no|true|false)\]?\.?", re.IGNORECASE)


def target_text(text: str) -> str | None:
    """Return `text` without the whitespace around it: no word in it marks an answer."""
    return text.strip() or None


def target_choice(text: str, choices: Sequence[str]) -> str | None:
    """Return the letter that `text` is, or that of the one option it is the text of."""
    bare = text.strip()
    letters = _LETTERS[: len(choices)] if choices else _LETTERS
    letter = _LETTER.fullmatch(bare)
    if letter is not None and bare != letter[1].lower() and letter[1].upper() in letters:
        return letter[1].upper()
    wanted = _folded(bare)
    found = [at for at, choice in zip(letters, choices, strict=False) if _folded(choice) == wanted]
    if len(found) == 1:
        return found[0]
    return bare.upper() if letter is not None and not found and bare.upper() in letters else None


def target_yes_no(text: str) -> str | None:
    """Return "yes" or "no" for the word that `text` is; true is a yes."""
    word = _WORD.fullmatch(text.strip())
    return _WORDS[word[1].lower()] if word is not None else None


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
