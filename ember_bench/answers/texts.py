r"""Reads a free text: what is stated as the answer, else the whole text.

A line that begins with "Answer:" is taken as it is. Out of a sentence ("So the answer is Paris,
because ...") only the answer is taken, without the full stop of the sentence.
"""

from __future__ import annotations

import re
from typing import Final

from ember_bench.answers.claims import Claim
from ember_bench.answers.endings import unfinished
from ember_bench.answers.statements import (
    IGNORED,
    Parsed,
    Reading,
    before_next_question,
    final_statement,
)
from ember_bench.models.types import CutOff

_WRAPPING: Final = " \t\r\n\f\v*_`\"'\u201c\u201d\u300c\u300d"
# What may stand before "answer:" on its line: a few words, and no sentence.
_BEFORE_COLON = re.compile(r"[\s*_#>`\"'{(\[\u3010-]{0,20}(?:[^\W\d_]{1,14}[ ,_*]{0,3}){0,5}")
_SUPPOSED = re.compile(
    r"\b(?:if|whether|unless|suppose|assum\w+|when|check|verify|until)\b[^.!?\n]*$", re.IGNORECASE
)
# "The answer is wrong", "the answer is as follows": about an answer, or before it.
_ABOUT = re.compile(
    r"(?:not |in)?(?:correct|right|wrong|clear|obvious|simple|given|unique|below|here|unclear"
    r"|as follows|the following|found|based|provided|shown)\b"
    r"[^\n]{0,3}(?:$|[,.:;]|\s(?:by|in|on|at|that|because|if|when)\b)",
    re.IGNORECASE,
)
# The full stop of a sentence, and not that of "St. Louis" or of an initial.
_ABBREVIATED: Final = (
    r"(?<!\bSt)(?<!\bMt)(?<!\bFt)(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bJr)(?<!\bSr)(?<!\bvs)"
    r"(?<!\bNo)(?<!\bInc)(?<!\bLtd)(?<!\bProf)(?<!\b[A-Za-z])"
)
_STOP = re.compile(
    rf"{_ABBREVIATED}[.!?]+"
    r"(?=[*\"'\u201d)]*(?:\s|$))"
    r"|[\u3002\uff01\uff1f\u0964]"
)
_LAST_STOP = re.compile(r"(?<![.])\.$")
_MACRO = re.compile(r"\\(?:text(?:bf|it|rm|normal)?|math(?:rm|bf|sf|it)|emph|mbox)\s?\{([^{}]*)\}")
_DOLLARS = re.compile(r"\$([^$]*)\$")
_EMPTY = re.compile(
    r"(?:^|\n)[ \t*_#>]*(?:[A-Za-z]{1,8}[ _]){0,3}answer[ *_]*[:\uff1a][\s*_]*$", re.IGNORECASE
)
_SHORT: Final = 100  # characters
_LONG: Final = 300
_MOST_NESTED: Final = 10


def parse_text(text: str) -> Parsed:
    """Return the text that is stated as the answer, else all of it."""
    parsed = _once(text)
    for _ in range(_MOST_NESTED):
        # '{"answer": "The answer is Paris."}'
        if parsed.answer is None or (inner := _once(parsed.answer)).answer == parsed.answer:
            return parsed
        parsed = Parsed(inner.answer, parsed.stated or inner.stated)
    return Parsed(None)


def _once(text: str) -> Parsed:
    own = before_next_question(text)

    def read(claim: Claim) -> Reading:
        return _read_claim(claim, own)

    statement = final_statement(own, read)
    if statement.decided:
        return Parsed(statement.answer, stated=True)
    whole = own.strip()
    if not whole or isinstance(text, CutOff) or _breaks_off(whole):
        return Parsed(None)
    return Parsed(whole, stated=len(whole) <= _SHORT and "\n" not in whole)


def _breaks_off(whole: str) -> bool:
    """Whether a text ends in "Answer:", or is a long one that ends within a sentence."""
    return _EMPTY.search(whole[-_SHORT:]) is not None or (len(whole) > _LONG and unfinished(whole))


def _read_claim(claim: Claim, text: str) -> Reading:
    if claim.style == "field" and not claim.fragment:
        return None  # it says that there is no answer
    if claim.enclosed:
        return _plain(claim.fragment) or IGNORED
    return _unenclosed(claim, text) or IGNORED


def _unenclosed(claim: Claim, text: str) -> str:
    """Return what a claim without an end of its own says; nothing if it is about something else."""
    before = text[text.rfind("\n", 0, claim.start) + 1 : claim.start]
    if claim.style == "hashes":
        # In Markdown it is a heading, but for the last line of all.
        rest = text[claim.body + len(claim.fragment) :]
        return "" if rest.strip() else claim.fragment
    if claim.verb:
        supposed = _SUPPOSED.search(before) or _ABOUT.match(claim.fragment)
        return "" if supposed else _in_sentence(claim.fragment)
    states = claim.style == "answer" and _BEFORE_COLON.fullmatch(before) is not None
    return claim.fragment.strip(_WRAPPING) if states else ""


def _in_sentence(fragment: str) -> str:
    """Return what a sentence says that the answer is."""
    stop = _STOP.search(fragment)
    said = fragment[: stop.start()] if stop else fragment
    return _plain(_LAST_STOP.sub("", said.strip(_WRAPPING)))


def _plain(text: str) -> str:
    """Return a text without the LaTeX that only sets it in another type."""
    if "\\" in text:
        text = _MACRO.sub(r"\1", text)
    if text.count("$") == 2 and (maths := _DOLLARS.fullmatch(text.strip())):
        text = maths[1]
    return text.strip(_WRAPPING)
