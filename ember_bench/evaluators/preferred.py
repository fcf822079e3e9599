"""Pairwise preference: which of two outputs a judge finds better, asked in both orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ember_bench.errors import ConfigError
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.judged import JudgeCard
from ember_bench.evaluators.kinds import evaluator

if TYPE_CHECKING:
    from collections.abc import Callable

    from ember_bench.datasets.item import Item
    from ember_bench.operators.signature import Signature

TARGET: Final = "target"
_POINTS: Final[Mapping[str, float]] = {"first": 1.0, "second": 0.0, "tie": 0.5}
_TIES: Final[Mapping[str, tuple[float, float]]] = {
    "half": (0.5, 0.5),
    "none": (0.0, 0.0),
    "first": (1.0, 0.0),
}
"""The score of a tie where the output is shown first, and where it is shown second."""


@evaluator("preferred", version=1)
@dataclass(frozen=True)
class Preferred(JudgeCard):
    """A judge's preference for each output over a recorded one, as the mean over both orders.

    The prompt names the two as `first` and `second`.

    Attributes:
        against: Where the recorded output is: `target`, or a field of the item's metadata.
        ties: The score of a tie: `half`, `none`, or that of a win for the output shown `first`.
    """

    against: str = TARGET
    ties: Literal["half", "none", "first"] = "half"

    @property
    def points(self) -> Mapping[str, float | None]:
        """The score of each verdict for the output that is shown first, ties as a half."""
        return _POINTS

    def questions(
        self, item: Item, output: str, prompt: Signature, accepts: Callable[[str], bool]
    ) -> list[Item]:
        """Ask in both orders."""
        theirs = self._theirs(item)
        right = 0.5 + (accepts(output) - accepts(theirs)) / 2
        return [
            self.question(item, prompt, right, {"first": output, "second": theirs}),
            self.question(item, prompt, 1 - right, {"first": theirs, "second": output}),
        ]

    def score(self, verdicts: Sequence[str], answer: str) -> Score:
        """Return the mean over both orders."""
        shown_first, shown_second = verdicts
        ahead, behind = _TIES[self.ties]
        one = ahead if shown_first == "tie" else _POINTS[shown_first]
        two = behind if shown_second == "tie" else 1 - _POINTS[shown_second]
        said = f"shown first: {shown_first}; shown second: {shown_second}"
        return Score((one + two) / 2, answer, f"The judge prefers, with the output {said}.")

    def _theirs(self, item: Item) -> str:
        if self.against == TARGET:
            return item.target
        if not isinstance(found := item.metadata.get(self.against), str):
            raise ConfigError(
                f"evaluator {self.name!r}: item {item.id!r} has no text in the field"
                f" {self.against!r} of its metadata to compare with"
            )
        return found
