"""A cascade of evaluators: a cheap one first, and a judge for what it leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from ember_bench.errors import ConfigError
from ember_bench.evaluators.base import Evaluator, Judge, Score, judges_of
from ember_bench.evaluators.kinds import (
    evaluator,
    evaluator_identity,
    parameter_identity,
    shorten,
)

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item


@evaluator("cascade", version=1)
@dataclass(frozen=True)
class Cascade:
    """An evaluator that computes, and one that asks a judge about what the first leaves open.

    Attributes:
        name: The card's name.
        first: Name of the evaluator that computes.
        judge: Name of the evaluator that asks models.
        leaves_open: The outcomes of the first that the judge decides on.
    """

    name: str
    first: str
    judge: str
    leaves_open: Sequence[Literal["wrong", "partial", "unparsed"]] = (
        "wrong",
        "partial",
        "unparsed",
    )

    @property
    def identity(self) -> str:
        """The card alone; the evaluator's identity names those of both."""
        return parameter_identity(self, given=True)

    def evaluate(self, item: Item, output: str) -> Score:
        """Refuse: only an experiment has the models.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"evaluator {self.name!r} asks models: it scores item {item.id!r} in experiments only,"
            f" not the output {shorten(output)} by itself"
        )


@dataclass(frozen=True)
class CascadeOf:
    """A cascade whose evaluators are found.

    Attributes:
        card: What it is made of.
        first: The evaluator that computes.
        second: The evaluator that asks models.
    """

    card: Cascade
    first: Evaluator
    second: Evaluator

    @property
    def name(self) -> str:
        """The card's name."""
        return self.card.name

    @cached_property
    def identity(self) -> str:
        """The card, and both evaluators."""
        both = " | ".join(map(evaluator_identity, (self.first, self.second)))
        return f"{self.card.identity} {both}"

    @property
    def blocking(self) -> bool:
        """Whether the first takes its time."""
        return getattr(self.first, "blocking", False)

    @property
    def judges(self) -> Sequence[Judge]:
        """The judges of the second."""
        return judges_of(self.second)

    @property
    def without_models(self) -> Evaluator:
        """The first."""
        return self.first

    def normal(self, item: Item, answer: str) -> str:
        """Return the same text for all answers that the first takes for the same."""
        normal = getattr(self.first, "normal", None)
        return answer if normal is None else normal(item, answer)

    def evaluate(self, item: Item, output: str) -> Score:
        """Score `output`; ask the judge if that leaves it open."""
        score = self.first.evaluate(item, output)
        if score.outcome not in self.card.leaves_open:
            return score
        return self.second.evaluate(item, output)
