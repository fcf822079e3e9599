"""What simulated models may know of the item that they are asked about."""

from __future__ import annotations

from collections.abc import Sequence

from ember_bench.datasets import Item
from ember_bench.evaluators.base import Evaluator, scored, without_models


class ItemSubject:
    """An item as simulated and recorded models see it (`models.types.Subject`)."""

    __slots__ = ("_evaluator", "_item", "digest")

    def __init__(self, item: Item, evaluator: Evaluator) -> None:
        self._item = item
        self._evaluator = evaluator
        # Whether a candidate is right depends on the evaluator as much as on the item.
        self.digest = f"{item.digest}/{evaluator.identity}"

    @property
    def id(self) -> str:
        """The item's id."""
        return self._item.id

    @property
    def target(self) -> str:
        """The right answer."""
        return self._item.target

    @property
    def answer_format(self) -> str:
        """How answers are written."""
        return self._item.answer_format

    @property
    def choices(self) -> Sequence[str]:
        """The options, if any."""
        return self._item.choices

    @property
    def difficulty(self) -> float | None:
        """In [0, 1], where known."""
        return self._item.difficulty

    def accepts(self, text: str) -> bool:
        """Whether the evaluator gives `text` full marks, as far as can be told without a model."""
        return scored(without_models(self._evaluator), self._item, text).value >= 1.0
