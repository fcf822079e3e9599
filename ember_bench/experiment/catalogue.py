"""The things that a grid names: cards of the registries, and objects that a study brings along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ember_bench.datasets import Dataset, load_dataset
from ember_bench.errors import ConfigError, Location, Problem, UnknownNameError
from ember_bench.evaluators import load_evaluator
from ember_bench.evaluators.base import Evaluator
from ember_bench.experiment.spec import DatasetSpec
from ember_bench.graph.architecture import Architecture, load_architecture
from ember_bench.registry import Cards

Named = Literal["datasets", "evaluators"]


@dataclass(frozen=True)
class Catalogue:
    """Finds datasets, evaluators and architectures by name.

    Attributes:
        cards: The registries in force.
        datasets: Objects that come before cards of the same name.
        evaluators: The same.
        architectures: The same.
    """

    cards: Cards
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    evaluators: Mapping[str, Evaluator] = field(default_factory=dict)
    architectures: Mapping[str, Architecture] = field(default_factory=dict)

    def unknown(self, kind: Named, name: str, location: Location | None) -> list[Problem]:
        """Return the problem of a name that nothing has; an empty list if something has it."""
        own: Mapping[str, Any] = self.datasets if kind == "datasets" else self.evaluators
        if name in own:
            return []
        try:
            self.cards.get(kind, name)
        except UnknownNameError as error:
            return [Problem(problem.message, location) for problem in error.problems]
        return []

    def dataset(self, entry: DatasetSpec, data_dir: Path | None, at: Any) -> Dataset:
        """Return the dataset of an entry of a grid.

        Args:
            entry: The entry.
            data_dir: The folder of recorded data.
            at: Returns the location of an option of the entry, as in `load_dataset`.

        Raises:
            ConfigError: as `load_dataset`.
        """
        if (own := self.datasets.get(entry.name)) is None:
            return load_dataset(
                entry.name,
                self.cards,
                data_dir=data_dir,
                limit=entry.limit,
                parameters=entry.parameters,
                at=at,
            )
        if entry.parameters:
            message = f"dataset {entry.name!r} takes no parameters: its items are made already"
            raise ConfigError(Problem(message, at("parameters")))
        return own if entry.limit is None else own.sample(entry.limit)

    def place_of_evaluator(self, dataset: str, entry: Location) -> Location:
        """Return the location that names a dataset's own evaluator; `entry` if it has no card."""
        if dataset in self.datasets:
            return entry
        return self.cards.get("datasets", dataset).document.at("evaluator")

    def evaluator(self, name: str) -> Evaluator:
        """Return the evaluator of this name; raises as `load_evaluator`."""
        own = self.evaluators.get(name)
        return load_evaluator(name, self.cards) if own is None else own

    def architecture(self, name: str) -> Architecture:
        """Return the architecture of this name; raises as `load_architecture`."""
        own = self.architectures.get(name)
        return load_architecture(name, self.cards) if own is None else own
