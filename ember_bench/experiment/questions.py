"""The questions of an experiment: a dataset's items, in order, and what scores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ember_bench.datasets import Dataset, Item
from ember_bench.datasets.examples import Examples
from ember_bench.evaluators.base import Evaluator
from ember_bench.experiment.cells import Cell


@dataclass(frozen=True)
class Questions:
    """A dataset as the experiment uses it.

    Attributes:
        items: In the experiment's seeded order.
        evaluator: Scores them.
        identity: Changes with any item, and with the order.
        labels: Name of the further evaluator that has the labels of people; None for none.
        calibration: Name of the dataset on whose labels the evaluator is checked; None for none.
        metrics: Names of the figures over all items that are wanted.
        baseline: The cell whose outputs its evaluators compare others with; None if they do not.
    """

    dataset: Dataset
    items: Sequence[Item]
    evaluator: Evaluator
    identity: str
    labels: str | None = None
    calibration: str | None = None
    metrics: tuple[str, ...] = ()
    baseline: Cell | None = None


@dataclass(frozen=True, slots=True)
class FewShot:
    """Examples before the questions of a cell.

    Attributes:
        examples: The examples; None stands for none, which has no entry in a cell's name.
        settings: How they are chosen and shown, if the cell's architecture says so.
        own: Whether they are the architecture's and not the dataset's, which all cells share.
    """

    examples: Examples | None = None
    settings: str = ""
    own: bool = False

    @property
    def value(self) -> int | str | None:
        """The examples as a parameter of the cell."""
        if self.examples is None or not (self.settings and self.examples.k):
            return None if self.examples is None else self.examples.k
        return f"{self.examples.k}, {self.settings}"


@dataclass(frozen=True, slots=True)
class Shots:
    """The examples of a grid's cells, one entry for each cell of an architecture on a dataset.

    Attributes:
        of_dataset: By name.
        of_architecture: By the index of its entry and the name of a dataset.
    """

    of_dataset: Mapping[str, Sequence[FewShot]] = field(default_factory=dict)
    of_architecture: Mapping[tuple[int, str], Sequence[FewShot]] = field(default_factory=dict)

    def of(self, entry: int, dataset: str) -> Sequence[FewShot]:
        """Return the examples of the cells of an entry on a dataset."""
        usual = self.of_dataset.get(dataset, (FewShot(),))
        return self.of_architecture.get((entry, dataset), usual)
