"""Statements: what the claims of a text say together about its answer.

Every format reads the same statements in the same way; only what an answer looks like differs.
Markers are found from the end with `str.rfind`, so that a long text costs as little as a short one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from ember_bench.answers.claims import READERS, Claim
from ember_bench.answers.endings import own_part
from ember_bench.answers.foreign import READERS as FOREIGN
from ember_bench.answers.templates import is_template
from ember_bench.models.types import CutOff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_MARKERS: Final = 100
_HEAD: Final = 80  # characters


@dataclass(slots=True)
class Statement:
    """What the claims of a text say together.

    Attributes:
        decided: Whether some claim settles the matter.
        answer: The answer; None if it cannot be read or several differ.
        floor: Nothing before this place may be taken for the answer.
        denied: Answers that the text says are not right.
    """

    decided: bool = False
    answer: str | None = None
    floor: int = 0
    denied: set[str] = field(default_factory=set)


class Parsed(NamedTuple):
    """What a format reads out of a text.

    Attributes:
        answer: The canonical answer; None if there is none.
        stated: The text states it, or is nothing else. An answer that is not stated was guessed
            at from where answers tend to stand.
    """

    answer: str | None
    stated: bool = False


class Ignored:
    """The reading of a claim that says nothing about the answer, such as a heading."""


IGNORED: Final = Ignored()

Reading = str | Ignored | None

# What a base model that is shown "Answer:" goes on with.
_NOTHING_ELSE = re.compile(
    r"[\s(\[*$]{0,9}(?:[A-Za-z]|-?[0-9][0-9.,]{0,30}%?|yes|no|true|false)[\s)\].*$]{0,9}",
    re.IGNORECASE,
)
# Between two claims that name one answer each of several.
_AND = re.compile(r"[\s$.,;&*}]*(?:\b(?:and|or)\b|[,;&])?[\s$*\\(\[]*", re.IGNORECASE)


def claims(
    text: str, readers: Mapping[str, Callable[[str, int], Claim | None]] | None = None
) -> Iterator[Claim]:
    """Yield the claims of `text`, the last one first; those that repeat a template are none.

    Args:
        text: A model's text.
        readers: Marker -> what makes a claim of its place in a text; by default those that stand
            in a text of any language.
    """
    readers = READERS if readers is None else readers
    found = [(at, marker) for marker in readers if (at := text.rfind(marker)) >= 0]
    for _ in range(MAX_MARKERS):
        if not found:
            return
        latest = max(found)
        at, marker = latest
        claim = readers[marker](text, at)
        if claim is not None and not is_template(claim.fragment, closed=claim.closed):
            yield claim
        found.remove(latest)
        if (at := text.rfind(marker, 0, at)) >= 0:
            found.append((at, marker))


def final_statement(
    text: str, read: Callable[[Claim], Reading], *, grows: bool = True
) -> Statement:
    r"""Return what the last claims of `text` say, each understood by `read`.

    A later claim stands against an earlier one, as models correct themselves, unless both are one
    statement (`\boxed{1} and \boxed{2}`): then they must agree.

    Args:
        text: A model's text; what its model went on with as a new question does not count.
        read: Makes an answer of a claim.
        grows: An answer at the end of a text that was cut off may be the beginning of a longer one.
    """
    cut_off = isinstance(text, CutOff)
    text = before_next_question(text)
    if cut_off and grows:
        read = _up_to(len(text.rstrip()), read)
    statement = _said(text, claims(text), read)
    if statement.decided and text.isascii():
        return statement
    if text.isascii():
        return _merged(statement, _said(text, claims(text, FOREIGN), read))
    return _said(text, claims(text, {**READERS, **FOREIGN}), read)


def before_next_question(text: str) -> str:
    """Return `text` up to where its model, with an answer stated, goes on with a new question."""
    return own_part(text, _states)


def answer_alone(text: str) -> str:
    """Return the answer that is all of a text before a new question; any other text as it is."""
    head = text.lstrip()[:_HEAD].partition("\n")[0]
    return before_next_question(text) if "\n" in text and _NOTHING_ELSE.fullmatch(head) else text


def _states(part: str) -> bool:
    """Whether a text states an answer, or is nothing but a letter, a number, a yes or a no."""
    return _NOTHING_ELSE.fullmatch(part) is not None or next(_statements(part), None) is not None


def _statements(text: str) -> Iterator[Claim]:
    return (claim for claim in claims(text) if not claim.negated and claim.fragment)


def _merged(one: Statement, two: Statement) -> Statement:
    """Return what two kinds of claims say, of which the first decide nothing."""
    answer = None if two.answer in one.denied else two.answer
    floor = max(one.floor, two.floor)
    return Statement(two.decided, answer, floor, one.denied | two.denied)


def _said(text: str, found: Iterator[Claim], read: Callable[[Claim], Reading]) -> Statement:
    statement = Statement()
    last: Claim | None = None
    for claim in found:
        reading = read(claim)
        if claim.negated:
            statement.floor = max(statement.floor, claim.body + len(claim.fragment))
            if isinstance(reading, str):
                statement.denied.add(reading)
            continue
        if isinstance(reading, Ignored):
            continue
        if last is None:
            statement.decided, statement.answer = True, reading
        elif not _one_statement(text, claim, last):
            break
        elif reading != statement.answer:
            statement.answer = None
            break
        last = claim
    if statement.answer in statement.denied:
        statement.answer = None
    return statement


def _one_statement(text: str, earlier: Claim, later: Claim) -> bool:
    """Whether nothing stands between two boxes but what joins the answers of one sentence."""
    if earlier.style != later.style or earlier.style != "boxed" or later.start - earlier.body > 80:
        return False
    end = earlier.body + len(earlier.fragment) + 1
    between = text[end : later.start].removesuffix("\\")
    return "\n" not in between and bool(_AND.fullmatch(between)) and bool(between.strip(" .$"))


def _up_to(end: int, read: Callable[[Claim], Reading]) -> Callable[[Claim], Reading]:
    """Return `read` for a text that was cut off at `end`: what may go on there is not read."""

    def checked(claim: Claim) -> Reading:
        reading = read(claim)
        whole = claim.closed or claim.fragment.rstrip(" *_").endswith((".", "!", "\u3002"))
        if whole or claim.body + len(claim.fragment) < end:
            return reading
        # What stands before the last word does not depend on how that ends.
        shorter = claim.fragment.rstrip().rpartition(" ")[0]
        return reading if shorter and read(claim._replace(fragment=shorter)) == reading else IGNORED

    return checked
