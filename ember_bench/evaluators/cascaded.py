"""A cascade of evaluators: a cheap one first, and a judge for what it leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ember_bench.errors import ConfigError
from ember_bench.evaluators.base import Evaluator, Score, without_models
from ember_bench.evaluators.judged import needs_judge
from ember_bench.evaluators.kinds import evaluator
from ember_bench.evaluators.nested import NestedEvaluator

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item
    from ember_bench.documents import Document


@evaluator("cascade", version=1)
@dataclass(frozen=True)
class Cascade(NestedEvaluator):
    """An evaluator that computes, and one that asks a judge about what the first leaves open.

    Attributes:
        first: Name of the evaluator that computes.
        judge: Name of the evaluator that asks models.
        leaves_open: The outcomes of the first that the judge decides on.
    """

    first: str
    judge: str
    leaves_open: Sequence[Literal["wrong", "partial", "unparsed"]] = (
        "wrong",
        "partial",
        "unparsed",
    )

    def check_parts(self, document: Document) -> None:
        """Refuse a first evaluator that asks models, and a judge that asks none.

        Raises:
            ConfigError: at the field of the card.
        """
        if needs_judge(self.evaluators[self.first]):
            message = f"evaluator {self.name!r}: its `first` asks models, too"
            raise ConfigError(document.problem(message, "first"))
        if not needs_judge(self.evaluators[self.judge]):
            message = f"evaluator {self.name!r}: its `judge` asks no model"
            raise ConfigError(document.problem(message, "judge"))

    def named(self) -> Sequence[str]:
        """Return the names of both."""
        return [self.first, self.judge]

    @property
    def without_models(self) -> Evaluator:
        """The first."""
        return without_models(self.evaluators[self.first])

    def evaluate(self, item: Item, output: str) -> Score:
        """Score `output`; ask the judge if that leaves it open."""
        score = self.evaluators[self.first].evaluate(item, output)
        if score.outcome not in self.leaves_open:
            return score
        return self.evaluators[self.judge].evaluate(item, output)
