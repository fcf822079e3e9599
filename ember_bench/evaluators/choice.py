"""Multiple choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ember_bench.evaluators.kinds import AnswerEvaluator, evaluator


@evaluator("multiple_choice", version=1)
@dataclass(frozen=True)
class MultipleChoice(AnswerEvaluator):
    """Right if the answer chooses the target's option, by its letter or by its text."""

    compared_as: ClassVar[str | None] = "choice"

    def agrees(self, answer: str, target: str) -> bool:
        """Compare letters."""
        return answer == target
