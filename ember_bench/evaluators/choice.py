"""Multiple choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ember_bench.answers.formats import parse_answer
from ember_bench.evaluators.kinds import AnswerEvaluator, evaluator

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item


@evaluator("multiple_choice", version=1)
@dataclass(frozen=True)
class MultipleChoice(AnswerEvaluator):
    """Right if the answer chooses the target's option, by its letter or by its text."""

    def read(self, text: str, item: Item) -> str | None:
        """Read the answer in its own format, and out of that the letter."""
        answer = super().read(text, item)
        if answer is None or (self.answer_format or item.answer_format) == "choice":
            return answer
        return parse_answer(answer, "choice", item.choices)

    def agrees(self, answer: str, target: str) -> bool:
        """Compare letters."""
        return answer == target
