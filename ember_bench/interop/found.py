"""What the logs of other tools have in common: items, and answers with their scores."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import orjson

from ember_bench.errors import ConfigError, Location, Problem, UnknownNameError


@dataclass(frozen=True, slots=True)
class FoundItem:
    """A question of a log; `target` is "" if the log has none."""

    id: str
    question: str
    target: str
    category: str | None = None


@dataclass(frozen=True, slots=True)
class FoundAnswer:
    """What a model answered to an item; None is unknown.

    Attributes:
        sample: Its place among the model's answers to the item.
        score: The source's own score.
        latency: Seconds.
        cost: US dollars.
    """

    model: str
    item: str
    sample: int
    answer: str | None
    score: float | None = None
    latency: float | None = None
    cost: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass
class Found:
    """The items and answers of one or several logs.

    Attributes:
        source: Name of the tool, and what was read, for the cards' purpose.
        notes: What a person should know, as sentences.
    """

    source: str
    items: dict[str, FoundItem] = field(default_factory=dict)
    answers: list[FoundAnswer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_item(self, item: FoundItem, place: Location | None = None) -> None:
        """Add an item; several logs, or rows, may have it.

        Raises:
            ConfigError: if another item has its id.
        """
        known = self.items.setdefault(item.id, item)
        if (known.question, known.target) != (item.question, item.target):
            message = (
                f"item {item.id!r} is not the same everywhere: {_short(known.question)} "
                f"(target {known.target!r}) and {_short(item.question)} (target {item.target!r})"
            )
            raise ConfigError(Problem(message, place))

    @property
    def models(self) -> list[str]:
        """The models, in the order of the logs."""
        return list(dict.fromkeys(answer.model for answer in self.answers))


def as_number(value: Any) -> float | None:
    """Return a finite number, or a truth as 1 or 0; None for anything else."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        try:
            return as_number(float(value))
        except ValueError:
            return {"true": 1.0, "false": 0.0}.get(value.strip().lower())
    return None


def as_count(value: Any) -> int | None:
    """Return a number of tokens; None for anything else."""
    number = as_number(value)
    return None if number is None or number < 0 else int(number)


def files_of(paths: Sequence[Path], *patterns: str) -> list[Path]:
    """Return files as they are, and those in folders that match one of the patterns, sorted."""
    found: list[Path] = []
    for path in paths:
        inside = {file for pattern in patterns for file in path.rglob(pattern)}
        found += [path] if path.is_file() else sorted(inside)
    return list(dict.fromkeys(found))


def chosen_scorer(scorer: str | None, known: Iterable[str], place: Location | None) -> str | None:
    """Return the name of the scorer whose scores count: the one that is asked for, else the first.

    Raises:
        UnknownNameError: if none has the name; lists near matches.
    """
    names = list(dict.fromkeys(known))
    if scorer is not None and scorer not in names:
        raise UnknownNameError("scorer", scorer, names, place)
    return scorer if scorer is not None or not names else names[0]


def last_message(text: str) -> str:
    """Return the last message of a chat that is written as JSON; any other text as it is."""
    try:
        messages = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        content = messages[-1].get("content")
        return content if isinstance(content, str) else text
    return text


def text_of(value: Any) -> str:
    """Return a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_json(file: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        ConfigError: if it cannot be read.
    """
    try:
        return orjson.loads(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise ConfigError(Problem(f"not JSON: {error.msg}", Location(file, error.lineno))) from None


def check_shape(record: object, shape: type, place: Location, name: str = "") -> None:
    """See that a record of a log is as its tool writes it, as far as it is read.

    Args:
        record: The record, of JSON.
        shape: A `TypedDict` of the fields that are read; others may be there.
        place: The record's file, and its line if it is one.
        name: The record's name in the file, for the message.

    Raises:
        ConfigError: if a field is missing, or has another type.
    """
    try:
        msgspec.convert(record, shape)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at ")
        where = "".join((name, path.strip("`").removeprefix("$"))).removeprefix(".")
        message = f"{where}: {reason[:1].lower()}{reason[1:]}" if where else str(reason)
        raise ConfigError(Problem(message, place)) from None


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
