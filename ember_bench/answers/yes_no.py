"""Reads yes or no out of a text."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from ember_bench.answers.choices import ENDS, WRAPPER, ends
from ember_bench.answers.claims import Claim
from ember_bench.answers.endings import unfinished
from ember_bench.answers.statements import IGNORED, Parsed, Reading, answer_alone, final_statement

_WORDS: Final = {"yes": "yes", "no": "no", "true": "yes", "false": "no"}
_YES: Final = "是 是的 对 對 はい 네 예 sí si sì oui ja sim tak да так evet ya vâng نعم हाँ हां ใช่"
_NO: Final = (
    "否 不是 不 不对 不對 いいえ 아니요 아니오 non nein não nee nej nie нет ні hay\u0131r tidak "
    "không لا नहीं ไม่"
)
_FOREIGN: Final = dict.fromkeys(_YES.split(), "yes") | dict.fromkeys(_NO.split(), "no")
_FIRST_WORD = re.compile(
    r"[\s*_\"'`(\[\u201c\u300c\uff08]*([^\s.,;:!?()\[\]*\"'\u3002\uff0c\uff01\u201d\u300d\uff09]+)"
    r"(?=$|[.,;:!?)\]*\"'\n\u3002\uff0c\uff01\u201d\u300d\uff09]|\s*$)"
)
_BRACKETED = re.compile(r"\[\s?\**(yes|no|true|false)\**\s?\]", re.IGNORECASE)
_PAIR = re.compile(
    r"\b(?:yes|no|true|false)\b[\"'`*\]]{0,3}\s?(?:/|\bor\b|\band\b)\s?[\"'`*\[]{0,3}"
    r"(?:yes|no|true|false)\b",
    re.IGNORECASE,
)
_LEADING_WORD = re.compile(r"[\W_]{0,12}(yes|no|true|false)\b(?!['\u2019-]\w)", re.IGNORECASE)
_VERDICT = re.compile(r"[\W_]{0,12}(?:yes|no|true|false)\b[\s*\"']*[.,;:!\n]", re.IGNORECASE)
_LAST_WORD = re.compile(r"(?<![\w'\u2019-])(yes|no)[\W_]{0,8}$", re.IGNORECASE)
_LONE_WORD = re.compile(
    r"(?<![\w'\u2019-])(yes|no)(?=[\s*\"'\u201d]*(?:[.,;:!?)\]\n\u2014\u2013]|$))", re.IGNORECASE
)
_DETERMINED = re.compile(
    r"\s+(?!because|since|as|it|this|they|there|he|she|we|you|i\b)[a-z]", re.IGNORECASE
)
# A sentence of its own: "I doubt that it is true" and "it is not true" say something else.
_CALLED_TRUE = re.compile(
    r"(?:^|[.!?;:]\s)[\s*_\"'`]{0,8}(?:(?:so|thus|therefore|hence|overall),?\s+)?(?:(?:the|this|that)\s+)?"
    r"(?:answer|assertion|claim|conclusion|hypothesis|proposition|sentence|statement|it|this|that)"
    r"(?:\s+is|['\u2019]s|\s+must\s+be)\s+(?:(?:actually|clearly|indeed|therefore)\s+)?"
    r"[\W_]{0,4}(true|false)[\W_]{0,8}$",
    re.IGNORECASE,
)


def parse_yes_no(text: str) -> Parsed:
    """Return "yes" or "no": the last bracketed one, else the claimed one, else a lone word.

    "Yes or no" repeats the question, and the "no" of "no reason" is none. "True" is a yes and
    "False" a no, but a text that also says yes or no means that.
    """
    text = answer_alone(text)
    if "[" in text and (bracketed := _bracketed(text)):
        return Parsed(bracketed, stated=True)
    statement = final_statement(text, _read_yes_no, grows=False)
    if statement.decided:
        return Parsed(statement.answer, stated=True)
    rest = _PAIR.sub("", ends(text[statement.floor :].strip())).strip()
    leading = _leading_word(rest)
    if unfinished(text):
        # A verdict that is explained below, not a word out of the line that has no end.
        answer = _WORDS[leading] if leading and _VERDICT.match(rest) else None
    else:
        answer = _from_ends(rest, leading)
    if answer in statement.denied:
        return Parsed(None)
    return Parsed(answer, stated=answer is not None and leading is not None)


def _from_ends(rest: str, first: str | None) -> str | None:
    """Return the one word that a text's first word, its last line or a lone word say."""
    leading = {first, _leading_word(rest.rpartition("\n")[2])} - {None}
    said = {word for word in leading if word in ("yes", "no")}
    if ending := _LAST_WORD.search(rest[-20:]):
        said.add(ending[1].lower())
    if not said:
        said = {match[1].lower() for match in _LONE_WORD.finditer(rest)}
    if not said:
        called = _CALLED_TRUE.search(rest.rpartition("\n")[2][-ENDS:])
        said = {_WORDS[word] for word in leading if word is not None}
        said |= {_WORDS[called[1].lower()]} if called else set()
    return said.pop() if len(said) == 1 else None


def _bracketed(text: str) -> str | None:
    """Return the last bracketed word that is not half of "[Yes] or [No]"."""
    found = list(_BRACKETED.finditer(text))
    paired = [
        text[one.end() : two.start()].strip(" \"'`*").lower() in ("or", "and", "/")
        for one, two in pairwise(found)
    ]
    alone = [
        match
        for match, before, after in zip(found, [False, *paired], [*paired, False], strict=True)
        if not (before or after)
    ] if found else []  # fmt: skip
    return _WORDS[alone[-1][1].lower()] if alone else None


def _read_yes_no(claim: Claim) -> Reading:
    fragment = WRAPPER.sub("", claim.fragment)
    word = None if _PAIR.match(fragment) else _leading_word(fragment)
    return _foreign(fragment) or IGNORED if word is None else _WORDS[word]


def _foreign(fragment: str) -> str | None:
    """Return what a claim says that begins with a yes or no of another language."""
    first = _FIRST_WORD.match(fragment)
    return None if first is None else _FOREIGN.get(first[1].casefold())


def _leading_word(text: str) -> str | None:
    match = _LEADING_WORD.match(text)
    if match is None:
        return None
    word = match[1].lower()
    # "No reason", "true positives".
    return None if word != "yes" and _DETERMINED.match(text, match.end()) else word
