"""The questions of an experiment: a dataset's items, in order, and what scores them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ember_bench.datasets import Dataset, Item
from ember_bench.datasets.examples import Examples
from ember_bench.evaluators.base import Evaluator


@dataclass(frozen=True)
class Questions:
    """A dataset as the experiment uses it.

    Attributes:
        items: In the experiment's seeded order.
        evaluator: Scores them.
        identity: Changes with any item, and with the order.
        few_shot: The examples of its cells, one for each number of examples; None stands for none,
            which has no entry in a cell's name.
    """

    dataset: Dataset
    items: Sequence[Item]
    evaluator: Evaluator
    identity: str
    few_shot: tuple[Examples | None, ...] = (None,)
