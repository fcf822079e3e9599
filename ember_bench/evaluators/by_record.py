"""The evaluators of a mixed dataset, each for its own records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ember_bench.evaluators.base import (
    Evaluator,
    Judge,
    Normalises,
    RunsCode,
    Score,
    judges_of,
    without_models,
)
from ember_bench.evaluators.kinds import evaluator_identity

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item


@dataclass(frozen=True)
class ByRecord:
    """Scores each item with the evaluator that it names, and others with the dataset's.

    Attributes:
        default: The dataset's evaluator.
        named: The evaluators of items, by name.
    """

    default: Evaluator
    named: Mapping[str, Evaluator]

    @property
    def name(self) -> str:
        """The names of all evaluators."""
        return ", ".join(dict.fromkeys([self.default.name, *self.named]))

    @property
    def identity(self) -> str:
        """The identities of all evaluators."""
        named = [f"{name}={evaluator_identity(e)}" for name, e in sorted(self.named.items())]
        return "; ".join([f"by record@1 {evaluator_identity(self.default)}", *named])

    @property
    def blocking(self) -> bool:
        """Whether some evaluator takes its time."""
        return any(getattr(e, "blocking", False) for e in (self.default, *self.named.values()))

    @property
    def without_models(self) -> Evaluator:
        """The same with what stands in for those that ask models."""
        named = {name: without_models(e) for name, e in self.named.items()}
        return ByRecord(without_models(self.default), named)

    @property
    def judges(self) -> tuple[Judge, ...]:
        """The judges of all evaluators."""
        return tuple(j for e in (self.default, *self.named.values()) for j in judges_of(e))

    def evaluate(self, item: Item, output: str) -> Score:
        """Score `output` with the evaluator of the item."""
        return self.of(item).evaluate(item, output)

    def normal(self, item: Item, answer: str) -> str:
        """Return the same text for all answers that the item's evaluator takes for the same."""
        evaluator = self.of(item)
        return evaluator.normal(item, answer) if isinstance(evaluator, Normalises) else answer

    def confined(self, *, unsafe: bool) -> ByRecord:
        """Return the same with the sandboxes of evaluators that run code found."""
        named = {name: confined(e, unsafe=unsafe) for name, e in self.named.items()}
        return ByRecord(confined(self.default, unsafe=unsafe), named)

    def of(self, item: Item) -> Evaluator:
        """Return the evaluator of an item."""
        return self.default if item.evaluator is None else self.named[item.evaluator]


def confined(evaluator: Evaluator, *, unsafe: bool) -> Evaluator:
    """Return an evaluator with its sandbox found, if it runs code.

    Raises:
        ConfigError: if there is none, unless `unsafe`.
    """
    return evaluator.confined(unsafe=unsafe) if isinstance(evaluator, RunsCode) else evaluator
