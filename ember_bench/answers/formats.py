"""Reads an answer out of a model's text.

`parse_answer` gives the *canonical* answer: two texts that mean the same answer give the same
string, so votes can count them and evaluators can compare them, and reading a canonical answer
gives itself again. An answer that cannot be read is None, never a guess.

A format of one's own is a function in a `.py` file beside the cards:

    @answer_format("roman", version=1)
    def parse_roman(text: str, choices: Sequence[str]) -> str | None: ...

`read_target` reads the other side of the comparison, an item's target. There nothing is searched
for: a target that is not wholly an answer in its format is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ember_bench.answers.choices import parse_choice
from ember_bench.answers.integers import parse_integers, read_integers
from ember_bench.answers.numbers import parse_number, read_number
from ember_bench.answers.programs import parse_program
from ember_bench.answers.statements import Parsed
from ember_bench.answers.targets import target_choice, target_text, target_yes_no
from ember_bench.answers.texts import parse_text
from ember_bench.answers.yes_no import parse_yes_no
from ember_bench.code_identity import code_digest
from ember_bench.errors import ConfigError, Location, UnknownNameError
from ember_bench.models.thoughts import may_have_thoughts, split_thoughts
from ember_bench.models.types import CutOff

Parser = Callable[[str, Sequence[str]], str | Parsed | None]
TargetReader = Callable[[str, Sequence[str]], str | None]


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """A way to read an answer out of a text.

    Attributes:
        name: What items and cards call it.
        version: Bumped whenever some text may now give another answer.
        parse: (text, choices) -> canonical answer, or None; as a `Parsed` it also says whether
            the text states it. The text has no thoughts; it is a `CutOff` if its model's limit of
            tokens ended it.
        target: (text, choices) -> canonical answer that the text is, wholly, or None. Without it
            a target is read as a model's text is.
    """

    name: str
    version: int
    parse: Parser
    target: TargetReader | None = None

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
_NOTHING: Final = Parsed(None)


def answer_format(
    name: str, *, version: int = 1, target: TargetReader | None = None
) -> Callable[[Parser], Parser]:
    """Register a parser under `name`.

    Args:
        name: What items and cards call the format.
        version: To be raised whenever some text may now give another answer.
        target: Reads an item's target; by default the parser does.

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
        _FORMATS[name] = AnswerFormat(name, version, parse, target)
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
    return parse(text, answer_format, choices).answer


def parse(text: str, answer_format: str, choices: Sequence[str] = ()) -> Parsed:
    """Return the answer as `parse_answer` does, and whether `text` states it as the format wants.

    Raises:
        UnknownNameError: if no such format is registered; lists near matches.
    """
    known = _FORMATS.get(answer_format) or get_answer_format(answer_format)
    if len(text) > _SHORT:
        return _read(known.parse, text, choices)
    # A text that was cut off equals one that was not.
    return _read_short(known.parse, text, tuple(choices), type(text) is CutOff)


# A vote, an evaluator and a simulated model read the same few short texts again and again.
@lru_cache(maxsize=8192)
def _read_short(parse: Parser, text: str, choices: tuple[str, ...], _cut_off: bool) -> Parsed:
    return _read(parse, text, choices)


def _read(parse: Parser, text: str, choices: Sequence[str]) -> Parsed:
    if may_have_thoughts(text):
        _, answer, cut_off = split_thoughts(text)
        if answer != text:
            text = CutOff(answer) if cut_off or isinstance(text, CutOff) else answer
    read = parse(text, choices)
    if not isinstance(read, Parsed):
        read = Parsed(read, stated=read is not None)
    # An answer that is itself a thought would be read as none the next time.
    found = read.answer
    if found is None or (may_have_thoughts(found) and split_thoughts(found).answer != found):
        return _NOTHING
    return read


def read_target(text: str, answer_format: str, choices: Sequence[str] = ()) -> str | None:
    """Return the canonical answer that `text`, an item's target, is; None if it is not one wholly.

    Args:
        text: A target, or an answer that has been read already.
        answer_format: A registered format.
        choices: The options of a multiple-choice question, in the order shown.

    Raises:
        UnknownNameError: if no such format is registered; lists near matches.
    """
    known = _FORMATS.get(answer_format) or get_answer_format(answer_format)
    if known.target is None:
        return parse_answer(text, answer_format, choices)
    return _read_once(known.target, text, tuple(choices))


# The targets of an item are read once for each of its trials.
@lru_cache(maxsize=8192)
def _read_once(read: TargetReader, text: str, choices: tuple[str, ...]) -> str | None:
    return read(text, choices)


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


@answer_format("text", version=2, target=lambda text, _: target_text(text))
def _text(text: str, _: Sequence[str]) -> Parsed:
    return parse_text(text)


@answer_format("exact", version=2, target=lambda text, _: target_text(text))
def _exact(text: str, _: Sequence[str]) -> str | None:
    """The text as it is, without the whitespace around it."""
    return text.strip() or None


@answer_format("number", version=2, target=lambda text, _: read_number(text))
def _number(text: str, _: Sequence[str]) -> Parsed:
    return parse_number(text)


@answer_format("integers", version=2, target=lambda text, _: read_integers(text))
def _integers(text: str, _: Sequence[str]) -> Parsed:
    return parse_integers(text)


@answer_format("choice", version=2, target=target_choice)
def _choice(text: str, choices: Sequence[str]) -> Parsed:
    return parse_choice(text, choices)


@answer_format("yes_no", version=3, target=lambda text, _: target_yes_no(text))
def _yes_no(text: str, _: Sequence[str]) -> Parsed:
    return parse_yes_no(text)


BUILT_IN_FORMATS: Final = tuple(_FORMATS.values())


# Not among those that every identity names: with a new one there, every score ever stored would
# be of another evaluator. `python_tests` names it, and so does the fingerprint of a trial on an
# item of this format.
@answer_format("python", version=2)
def _python(text: str, _: Sequence[str]) -> str | None:
    return parse_program(text)
