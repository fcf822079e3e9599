"""Reads an answer out of a model's text.

`parse_answer` gives the *canonical* answer: two texts that mean the same answer give the same
string, so votes can count them and evaluators can compare them, and reading a canonical answer
gives itself again. An answer that cannot be read is None, never a guess.

A format of one's own is a function in a `.py` file beside the cards:

    @answer_format("roman", version=1)
    def parse_roman(text: str, choices: Sequence[str]) -> str | None: ...
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ember_bench.answers.choices import parse_choice, parse_yes_no
from ember_bench.answers.numbers import parse_integers, parse_number
from ember_bench.answers.programs import parse_program
from ember_bench.code_identity import code_digest
from ember_bench.errors import ConfigError, Location, UnknownNameError

Parser = Callable[[str, Sequence[str]], str | None]


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """A way to read an answer out of a text.

    Attributes:
        name: What items and cards call it.
        version: Bumped whenever some text may now give another answer.
        parse: (text, choices) -> canonical answer, or None.
    """

    name: str
    version: int
    parse: Parser

    @property
    def identity(self) -> str:
        """The name and version, such as `number@1`."""
        return f"{self.name}@{self.version}"

    @property
    def full_identity(self) -> str:
        """The identity, and of a user's format also the digest of its code."""
        code = code_digest(self.parse)
        return f"{self.identity}+{code}" if code else self.identity


_FORMATS: Final[dict[str, AnswerFormat]] = {}

_SHORT: Final = 200  # characters


def answer_format(name: str, *, version: int = 1) -> Callable[[Parser], Parser]:
    """Register a parser under `name`.

    Raises:
        ConfigError: if another file has registered that name already.
    """

    def register(parse: Parser) -> Parser:
        known = _FORMATS.get(name)
        if known is not None and _source(known.parse) != _source(parse):
            raise ConfigError(
                f"{_source(parse)}: answer format {name!r} is already registered by "
                f"{_source(known.parse)}"
            )
        _FORMATS[name] = AnswerFormat(name, version, parse)
        return parse

    return register


def parse_answer(text: str, answer_format: str, choices: Sequence[str] = ()) -> str | None:
    """Return the canonical answer that `text` gives, or None if none can be read.

    Args:
        text: A model's text, or an answer that has been read already.
        answer_format: A registered format: `text`, `exact`, `number`, `choice`, `yes_no`,
            `integers`, `python`, or one of the user's.
        choices: The options of a multiple-choice question, in the order shown.

    Raises:
        UnknownNameError: if no such format is registered; lists near matches.
    """
    known = _FORMATS.get(answer_format) or get_answer_format(answer_format)
    if len(text) > _SHORT:
        return known.parse(text, choices)
    return _read_short(known.parse, text, tuple(choices))


# A vote, an evaluator and a simulated model read the same few short texts again and again.
@lru_cache(maxsize=8192)
def _read_short(parse: Parser, text: str, choices: tuple[str, ...]) -> str | None:
    return parse(text, choices)


def get_answer_format(name: str, location: Location | None = None) -> AnswerFormat:
    """Return the format; an unknown one is reported at `location`, with near matches.

    Raises:
        UnknownNameError: if no such format is registered.
    """
    if (known := _FORMATS.get(name)) is None:
        raise UnknownNameError("answer format", name, _FORMATS, location)
    return known


def answer_format_names() -> tuple[str, ...]:
    """Return the names of all registered formats, sorted."""
    return tuple(sorted(_FORMATS))


def _source(parse: Parser) -> str:
    code = getattr(parse, "__code__", None)
    return code.co_filename if code else repr(parse)


_WRAPPING: Final = " \t\r\n\f\v*_`\"'"
_WRAPPED = re.compile(rf"[{_WRAPPING}]*+")
_ANSWER_LINE = re.compile(
    r"[ \t*_#>`\"'{]{0,20}(?:(?:the|my|so|final|correct)[ _]{1,3}){0,3}"
    r"answer[ *_\"'`]{0,9}[:\uff1a]",
    re.IGNORECASE,
)


@answer_format("text")
def _text(text: str, _: Sequence[str]) -> str | None:
    """The last line that begins with "Answer:", without that word; else the whole text."""
    at = max(text.rfind("nswer"), text.rfind("NSWER"))
    while at >= 0:
        start = text.rfind("\n", 0, at) + 1
        if marker := _ANSWER_LINE.match(text, start):
            return _after_markers(text, marker) or None
        at = max(text.rfind("nswer", 0, start), text.rfind("NSWER", 0, start))
    return text.strip() or None


def _after_markers(text: str, marker: re.Match[str] | None) -> str:
    """Return the line behind "Answer:", behind all of them in "Answer: Answer: x"."""
    at = 0
    while marker is not None:
        wrapped = _WRAPPED.match(text, marker.end())
        at = wrapped.end() if wrapped else marker.end()
        marker = _ANSWER_LINE.match(text, at)
    end = text.find("\n", at)
    return text[at : end if end >= 0 else len(text)].strip(_WRAPPING)


@answer_format("exact")
def _exact(text: str, _: Sequence[str]) -> str | None:
    """The text as it is, without the whitespace around it."""
    return text.strip() or None


@answer_format("number")
def _number(text: str, _: Sequence[str]) -> str | None:
    return parse_number(text)


@answer_format("integers")
def _integers(text: str, _: Sequence[str]) -> str | None:
    return parse_integers(text)


@answer_format("choice")
def _choice(text: str, choices: Sequence[str]) -> str | None:
    return parse_choice(text, choices)


@answer_format("yes_no", version=2)
def _yes_no(text: str, _: Sequence[str]) -> str | None:
    return parse_yes_no(text)


BUILT_IN_FORMATS: Final = tuple(_FORMATS.values())


# Not among those that every identity names: with a new one there, every score ever stored would
# be of another evaluator. `python_tests` names it, and so does the fingerprint of a trial on an
# item of this format.
@answer_format("python")
def _python(text: str, _: Sequence[str]) -> str | None:
    return parse_program(text)
