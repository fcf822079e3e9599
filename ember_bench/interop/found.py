"""What the logs of other tools have in common: items, and answers with their scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ember_bench.errors import ConfigError, Location, Problem


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


def first(record: Mapping[str, Any], *names: str) -> Any:
    """Return the first of these fields that has a value."""
    return next((record[name] for name in names if record.get(name) is not None), None)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
