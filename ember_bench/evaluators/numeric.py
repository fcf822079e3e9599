"""Numeric match."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, ClassVar

from pydantic import Field

from ember_bench.evaluators.kinds import AnswerEvaluator, evaluator

Tolerance = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


@evaluator("numeric_match", version=1)
@dataclass(frozen=True)
class NumericMatch(AnswerEvaluator):
    """Right if the answer is the target's number, or as near to it as is allowed.

    Numbers are compared exactly, as fractions, so that .1 + .2 is .3 and a tolerance of .1 allows
    just that. An answer is near enough if |answer - target| is at most the larger of
    `absolute_tolerance` and `relative_tolerance` times |target|.

    Attributes:
        absolute_tolerance: In the answer's unit.
        relative_tolerance: As a fraction of the target.
    """

    compared_as: ClassVar[str | None] = "number"

    absolute_tolerance: Tolerance = Decimal(0)
    relative_tolerance: Tolerance = Decimal(0)

    def agrees(self, answer: str, target: str) -> bool:
        """Compare as fractions."""
        if answer == target:
            return True
        if not (self.absolute_tolerance or self.relative_tolerance):
            return False  # canonical numbers are equal only if their texts are
        right = Fraction(target)
        allowed = max(
            Fraction(self.absolute_tolerance), Fraction(self.relative_tolerance) * abs(right)
        )
        return abs(Fraction(answer) - right) <= allowed
