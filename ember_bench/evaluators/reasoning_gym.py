"""Scores of reasoning-gym's verifiers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ember_bench.datasets.reasoning_gym_tasks import reasoning_gym_entry
from ember_bench.errors import EmberBenchError
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.kinds import evaluator, parameter_identity, shorten
from ember_bench.evaluators.libraries import library_identity
from ember_bench.evaluators.outputs import without_thoughts

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item


@evaluator("reasoning_gym", version=1)
@dataclass(frozen=True)
class ReasoningGym:
    """Scores items of `source: {reasoning_gym: ...}` by their family's `score_answer`.

    The answer is what stands between the last `<answer>` tags; an output of one line without tags
    is an answer as a whole, such as one that an operator hands on. Families give part of the score
    to some answers that are not right.
    """

    name: str

    @cached_property
    def identity(self) -> str:
        """Kind, version, and the version of reasoning-gym."""
        package = library_identity("reasoning-gym", extra="reasoning-gym")
        return f"{parameter_identity(self)} {package}"

    def check_item(self, item: Item) -> None:
        """See that the item is one of reasoning-gym's.

        Raises:
            ConfigError: if it is not.
        """
        reasoning_gym_entry(item.metadata)

    def evaluate(self, item: Item, output: str) -> Score:
        """Score the answer in `output`.

        Raises:
            ConfigError: if the item is none of reasoning-gym's.
            EmberBenchError: if the verifier gives no share.
        """
        family, entry = reasoning_gym_entry(item.metadata)
        answer = _answer(output)
        value = float(family.score_answer(answer, entry))
        if not 0 <= value <= 1:
            raise EmberBenchError(f"{self.name}: the verifier gives {value:g}, not from 0 to 1")
        if answer is None:
            return Score(value, None, f"No answer in tags; the target is {shorten(item.target)}.")
        return Score(value, answer, f"The verifier gives {shorten(answer)} {value:g}.")

    def normal(self, item: Item, answer: str) -> str:
        """Return the answer in a text, so that a vote counts those together that are the same."""
        del item
        return _answer(answer) or answer


def _answer(output: str) -> str | None:
    from reasoning_gym.utils import extract_answer  # noqa: PLC0415 - an extra

    text = without_thoughts(output)
    found: str | None = extract_answer(text)
    if found is None and text.strip() and "\n" not in text.strip():
        return text.strip()
    return found
