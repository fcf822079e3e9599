"""How MMLU-Pro (github.com/TIGER-AI-Lab/MMLU-Pro) scores: without an answer, it guesses.

Where its expressions find no letter, the source draws one of ten at random. Here such an answer
scores a tenth, which is the mean of these draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ember_bench.evaluators import Score, evaluator
from ember_bench.operators import answer_format, parse_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ember_bench.datasets import Item

_LETTERS = "ABCDEFGHIJ"


@answer_format("mmlu_pro_letter", version=1)
def mmlu_pro_letter(text: str, _: Sequence[str]) -> str | None:
    """Return one of the ten letters; some questions have fewer choices, and a few have only one."""
    letter = text.strip()
    return letter if len(letter) == 1 and letter in _LETTERS else None


@evaluator("mmlu_pro_guessed", version=1)
@dataclass(frozen=True)
class MmluProGuessed:
    """Right if the letter is the target's; a tenth without a letter."""

    name: str

    @cached_property
    def identity(self) -> str:
        """Kind and version."""
        return "mmlu_pro_guessed@1"

    def check_item(self, item: Item) -> None:
        """Accept every item."""

    def evaluate(self, item: Item, output: str) -> Score:
        """Compare letters."""
        answer = parse_answer(output, "mmlu_pro_letter")
        if answer is None:
            return Score(1 / len(_LETTERS), None, "no letter: a guess among ten")
        right = answer == item.target
        return Score(float(right), answer, f"{answer}, expected {item.target}")
