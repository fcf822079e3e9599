"""The suites of a grid, in place of which their datasets are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ember_bench.datasets.suites import Suite, load_suite
from ember_bench.errors import ConfigError, Problem

if TYPE_CHECKING:
    from ember_bench.documents import Document
    from ember_bench.experiment.spec import DatasetSpec, ExperimentSpec
    from ember_bench.registry import Cards


@dataclass(frozen=True, slots=True)
class WithoutSuites:
    """A grid with datasets alone.

    Attributes:
        spec: The grid.
        places: For each of its datasets the place of its entry in the file.
        suites: The suites that it named.
        problems: The mistakes in these.
    """

    spec: ExperimentSpec
    places: tuple[int, ...]
    suites: tuple[Suite, ...]
    problems: tuple[Problem, ...]


def without_suites(spec: ExperimentSpec, document: Document, cards: Cards) -> WithoutSuites:
    """Return a grid with the datasets of its suites in place of them.

    A dataset that has an entry of its own keeps it, with its limit; one of two suites has the
    entry of the first.
    """
    own = {entry.name for entry in spec.datasets if entry.suite is None}
    entries: list[tuple[int, DatasetSpec]] = []
    suites: list[Suite] = []
    problems: list[Problem] = []
    for index, entry in enumerate(spec.datasets):
        if entry.suite is None:
            entries.append((index, entry))
            continue
        at = document.at("datasets", index, "suite")
        try:
            card = cards.get("suites", entry.suite, at)
            suite = load_suite(card, cards)
        except ConfigError as error:
            problems += error.problems
            continue
        if suite in suites:
            problems.append(Problem(f"duplicate suite {suite.name!r}", at))
            continue
        suites.append(suite)
        new = [name for name in suite.datasets if name not in own]
        own.update(new)
        update = {"suite": None}
        entries += [(index, entry.model_copy(update={**update, "name": name})) for name in new]
    return WithoutSuites(
        spec.model_copy(update={"datasets": [entry for _, entry in entries]}),
        tuple(index for index, _ in entries),
        tuple(suites),
        tuple(problems),
    )
