"""Base of the evaluators that give partial credit for what an answer has in common with targets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ember_bench.evaluators.base import Score
from ember_bench.evaluators.kinds import AnswerEvaluator, shorten

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item


@dataclass(frozen=True)
class GradedEvaluator(AnswerEvaluator):
    """Reads one answer out of the output and grades it against the target and its alternatives."""

    @abstractmethod
    def grade(self, answer: str, targets: Sequence[str]) -> float:
        """Return how good an answer is, in [0, 1].

        Args:
            answer: As it was read.
            targets: The target and its alternatives.
        """

    def agrees(self, answer: str, target: str) -> bool:
        """Whether an answer has full marks."""
        return self.grade(answer, [target]) >= 1.0

    def evaluate(self, item: Item, output: str) -> Score:
        """Score the grade.

        Raises:
            ConfigError: if a target is not wholly an answer in its format.
        """
        answer = self.read(output, item)
        targets = [self._required(target, item) for target in (item.target, *item.alternatives)]
        if answer is None:
            unread = f"No answer could be read; the target is {shorten(targets[0])}."
            return Score(0.0, None, unread)
        value = min(1.0, max(0.0, self.grade(answer, targets)))
        several = f" and {len(targets) - 1} more" if len(targets) > 1 else ""
        said = f"{shorten(answer)} gets {value:.3g} against {shorten(targets[0])}{several}."
        return Score(value, answer, said)
