"""Results by name or path: experiments, and cells of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ember_bench.errors import ConfigError, UnknownNameError, did_you_mean
from ember_bench.running.places import RESPONSES, TRIALS

if TYPE_CHECKING:
    from ember_bench.experiment.results.cell_data import StoredCells
    from ember_bench.experiment.results.cell_results import CellResults
    from ember_bench.experiment.results.description import CellDescription
    from ember_bench.experiment.results.pairing import Group
    from ember_bench.experiment.results.rows import StoredTrials


def find_results(name: str, results: Path) -> Path | None:
    """Return the trial store of an experiment: by name in `results`, by folder or by file."""
    for folder in (results / name, Path(name).expanduser()):
        if folder.name == TRIALS and folder.is_file():
            return folder
        if (folder / TRIALS).is_file():
            return folder / TRIALS
    return None


@dataclass(frozen=True, slots=True)
class Named:
    """What `EXPERIMENT` or `EXPERIMENT/CELL` stands for.

    Attributes:
        experiment: The first part, as given.
        rows: Its trial store, open.
        cells: Those named, in grid order.
    """

    experiment: str
    rows: StoredTrials
    cells: Sequence[CellDescription]


class ResultsReader:
    """Finds cells among the results of experiments, and reads them.

    Args:
        results: The folder in which experiments are looked for by name.
    """

    def __init__(self, results: Path) -> None:
        self.results = results
        self._open: dict[Path, StoredTrials] = {}
        self._cells: dict[Path, StoredCells] = {}
        self._read: dict[tuple[Path, str], CellResults] = {}
        self._stack = ExitStack()

    def __enter__(self) -> ResultsReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def find(self, name: str) -> Named | None:
        """Return what `EXPERIMENT` or `EXPERIMENT/CELL` names; None if no such experiment.

        A cell goes by its name, its label, either without the dataset, or the dataset alone, which
        stands for all cells on it.

        Raises:
            UnknownNameError: if the experiment has no such cell.
            StoreError: if its trial store cannot be read.
        """
        for experiment, rest in _splits(name):
            path = find_results(experiment, self.results) if experiment else None
            if path is not None:
                rows = self._rows(path)
                cells = rows.description.cells
                return Named(experiment, rows, _cells(cells, rest) if rest else cells)
        return None

    def get(self, name: str) -> Named:
        """Return the same.

        Raises:
            ConfigError: if there is no such experiment; lists near matches.
        """
        if (found := self.find(name)) is None:
            raise ConfigError(self.missing(name))
        return found

    def group(self, name: str) -> Group | None:
        """Read the results of the cells that `name` stands for, and of their baselines."""
        from ember_bench.experiment.results.pairing import Group

        if (named := self.find(name)) is None:
            return None
        asked, path = named.rows.description, named.rows.path
        wanted = {cell.name for cell in named.cells}
        wanted |= {asked.baselines[c.dataset] for c in named.cells if c.dataset in asked.baselines}
        source = asked.name if path.parent == self.results / asked.name else named.experiment
        found = {
            cell.name: self._results(named.rows, cell, source)
            for cell in asked.cells
            if cell.name in wanted
        }
        return Group(
            name,
            [found[cell.name] for cell in named.cells],
            {data: found[cell] for data, cell in asked.baselines.items() if cell in found},
        )

    def missing(self, name: str) -> str:
        """Say that there are no results of this name."""
        known = [path.parent.name for path in self.results.glob(f"*/{TRIALS}")]
        if not known:
            return f"{name}: there are no results of it, nor of anything else in {self.results}"
        return f"{name}: there are no results of it{did_you_mean(name, known)}"

    def _results(self, rows: StoredTrials, cell: CellDescription, source: str) -> CellResults:
        """Read a cell, the same one only once."""
        from ember_bench.experiment.results.cell_results import stored_results

        key = rows.path, cell.name
        if key not in self._read:
            self._read[key] = stored_results(self._cells[rows.path], cell, source)
        return self._read[key]

    def _rows(self, path: Path) -> StoredTrials:
        from ember_bench.experiment.results.cell_data import StoredCells
        from ember_bench.experiment.results.rows import StoredTrials

        if path not in self._open:
            self._open[path] = StoredTrials(path)
            self._cells[path] = StoredCells(self._open[path])
            self._stack.callback(self._open[path].close)
        return self._open[path]


def grid_of(rows: StoredTrials) -> Path:
    """Return the grid of an experiment's results: where it was, or by the experiment's name.

    Raises:
        ConfigError: if it is not there.
    """
    from ember_bench.experiment.spec import read_spec
    from ember_bench.running.find_grids import grids

    name = rows.description.name
    for path in (Path(rows.description.grid), *grids().values()):
        try:
            if path.is_file() and read_spec(path)[0].name == name:
                return path
        except ConfigError:
            continue
    raise ConfigError(
        f"{name}: there are results, but this takes their grid too, and it is not where it was"
        f" ({rows.description.grid})"
    )


def answered(name: str, results: Path) -> Path:
    """Return the trial store of an experiment, whose answers must be there as well.

    Raises:
        ConfigError: if one of them is not there.
    """
    if (trials := find_results(name, results)) is None:
        raise ConfigError(ResultsReader(results).missing(name))
    if not (results / RESPONSES).is_file():
        raise ConfigError(
            f"{results / RESPONSES}: is not there; what the models answered is needed to score it"
        )
    return trials


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Yield all ways to part a name into an experiment and a cell, the longest experiment first."""
    yield name, ""
    for index in range(len(name) - 1, 0, -1):
        if name[index] == "/":
            yield name[:index], name[index + 1 :]


def _cells(cells: Sequence[CellDescription], name: str) -> list[CellDescription]:
    """Return the cells that `name` stands for.

    Raises:
        UnknownNameError: if there is none.
    """
    found = [cell for cell in cells if name in _names(cell)]
    if not found:
        raise UnknownNameError("cell", name, [cell.name for cell in cells])
    return found


def _names(cell: CellDescription) -> tuple[str, ...]:
    without = cell.name.removeprefix(f"{cell.dataset}/")
    return cell.name, without, cell.label, f"{cell.dataset}/{cell.label}", cell.dataset
