"""Pairwise preference: which of two outputs a judge finds better, asked in both orders."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from ember_bench.errors import ConfigError
from ember_bench.evaluators.base import Evaluator, Score, baseline_output
from ember_bench.evaluators.judged import CHOICE, JudgeCard, JudgedBy
from ember_bench.evaluators.kinds import evaluator
from ember_bench.evaluators.nested import NestedEvaluator
from ember_bench.evaluators.several import Several

if TYPE_CHECKING:
    from collections.abc import Callable

    from ember_bench.datasets.item import Item
    from ember_bench.operators.signature import Signature

TARGET: Final = "target"
BASELINE: Final = "baseline"
_BOUND: Final = "#"
_EQUAL: Final = 0.5
"""The score of an output that is the other one, whatever ties are worth."""
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
    """A judge's preference for each output over another one, as the mean over both orders.

    The prompt names the two as `first` and `second`. Equal outputs of two systems tie, without a
    call.

    Attributes:
        against: The other output: that of the grid's `baseline` for the same item and epoch, the
            item's `target`, or a recorded one in a field of the item's metadata.
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
        if self.with_baseline and theirs.strip() == output.strip():
            return []
        right = 0.5 + (accepts(output) - accepts(theirs)) / 2
        return [
            self.question(item, prompt, right, {"first": output, "second": theirs}),
            self.question(item, prompt, 1 - right, {"first": theirs, "second": output}),
        ]

    def score(self, verdicts: Sequence[str], answer: str) -> Score:
        """Return the mean over both orders."""
        if not verdicts:
            return Score(_EQUAL, answer, "The baseline's output is the same.")
        shown_first, shown_second = verdicts
        ahead, behind = _TIES[self.ties]
        one = ahead if shown_first == "tie" else _POINTS[shown_first]
        two = behind if shown_second == "tie" else 1 - _POINTS[shown_second]
        said = f"shown first: {shown_first}; shown second: {shown_second}"
        return Score((one + two) / 2, answer, f"The judge prefers, with the output {said}.")

    @property
    def with_baseline(self) -> bool:
        """Whether outputs are compared with those of the grid's baseline."""
        return self.against.partition(_BOUND)[0] == BASELINE

    def bound(self, baseline: str) -> Preferred:
        """Return the same with the digest of the baseline, on which its verdicts depend."""
        return replace(self, against=f"{BASELINE}{_BOUND}{baseline}")

    def _theirs(self, item: Item) -> str:
        if self.against == TARGET:
            return item.target
        if self.with_baseline:
            if (output := baseline_output.get()) is None:
                raise ConfigError(f"evaluator {self.name!r} needs the baseline of an experiment")
            return output()
        if not isinstance(found := item.metadata.get(self.against), str):
            raise ConfigError(
                f"evaluator {self.name!r}: item {item.id!r} has no text in the field"
                f" {self.against!r} of its metadata to compare with"
            )
        return found


def pairwise_answers(evaluator: Evaluator) -> dict[str, str]:
    """Return the preference that each answer of its judge stands for; none of other kinds."""
    if not isinstance(evaluator, JudgedBy) or not isinstance(evaluator.card, Preferred):
        return {}
    labels = list(_POINTS)
    if evaluator.card.answer_format == CHOICE:
        return dict(zip(string.ascii_uppercase, labels, strict=False))
    return {label: label for label in labels}


def bound_to_baseline(evaluator: Evaluator, baseline: str) -> Evaluator:
    """Return an evaluator with the digest of the baseline, if it compares outputs with those of it.

    Raises:
        ConfigError: if only a part of it does.
    """
    if isinstance(evaluator, Several):
        further = {n: bound_to_baseline(e, baseline) for n, e in evaluator.further.items()}
        return Several(bound_to_baseline(evaluator.headline, baseline), further)
    if isinstance(evaluator, NestedEvaluator):
        for name, part in evaluator.evaluators.items():
            if bound_to_baseline(part, baseline) is not part:
                raise ConfigError(
                    f"evaluator {evaluator.name!r}: its part {name!r} compares with the baseline,"
                    " which only a dataset's own evaluator, or one of `also`, can do"
                )
    if not isinstance(evaluator, JudgedBy) or not isinstance(evaluator.card, Preferred):
        return evaluator
    card = evaluator.card
    return replace(evaluator, card=card.bound(baseline)) if card.with_baseline else evaluator
