"""Results by name or path: experiments, and cells of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ember_bench.errors import ConfigError, UnknownNameError, did_you_mean
from ember_bench.experiment.edits import NO_EDITS, PILOT, Edits
from ember_bench.experiment.results.cells import StoredCells
from ember_bench.experiment.results.comparison import Group
from ember_bench.experiment.results.description import CellDescription
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.spec import read_spec
from ember_bench.running.find_grids import SUFFIXES, grids
from ember_bench.running.logged_evaluations import evaluated_group
from ember_bench.running.places import RESPONSES, TRIALS
from ember_bench.tracking.reading import read_runs
from ember_bench.tracking.uris import RUN_PREFIX, default_uri


def find_results(name: str, results: Path) -> Path | None:
    """Return the trial store of an experiment: by its name in `results`, its grid or its folder.

    Also the file itself is a name of it.
    """
    if (own := _name_in_grid(name)) is not None and (results / own / TRIALS).is_file():
        return results / own / TRIALS
    for folder in (results / name, Path(name).expanduser()):
        if folder.name == TRIALS and folder.is_file():
            return folder
        if (folder / TRIALS).is_file():
            return folder / TRIALS
    return None


def _name_in_grid(name: str) -> str | None:
    """Return the name of the experiment in a grid file; None if `name` is no such file."""
    path = Path(name).expanduser()
    if path.suffix not in SUFFIXES or not path.is_file():
        return None
    try:
        return read_spec(path)[0].name
    except ConfigError:
        return None


@dataclass(frozen=True, slots=True)
class Named:
    """The cells that `EXPERIMENT` or `EXPERIMENT/CELL` stands for.

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
        self._stack = ExitStack()

    def __enter__(self) -> ResultsReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def find(self, name: str) -> Named | None:
        """Return the cells that `EXPERIMENT` or `EXPERIMENT/CELL` names; None without such results.

        A cell goes by its name, its label, either without the dataset, or the dataset alone, which
        stands for all cells on it.

        Raises:
            UnknownNameError: if the experiment has no such cell.
            StoreError: if its trial store cannot be read.
        """
        for experiment, rest in _splits(name):
            path = find_results(experiment, self.results) if experiment else None
            if path is not None:
                rows = self._rows(path, experiment)
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
        """Return the results of the cells that `name` stands for, and of their baselines."""
        if (named := self.find(name)) is None:
            return None
        asked, cells = named.rows.description, self._cells[named.rows.path]
        return Group(
            name,
            [cells.results(cell.name) for cell in named.cells],
            {
                cell.dataset: cells.results(asked.baselines[cell.dataset])
                for cell in named.cells
                if cell.dataset in asked.baselines
            },
        )

    def missing(self, name: str) -> str:
        """Return a sentence that there are no results of this name."""
        known = [path.parent.name for path in self.results.glob(f"*/{TRIALS}")]
        if not known:
            return f"{name}: there are no results of it, nor of anything else in {self.results}"
        if (pilot := f"{_name_in_grid(name) or name}{PILOT}") in known:
            return f"{name}: there are no results of it, only of its pilot: {pilot}"
        return f"{name}: there are no results of it{did_you_mean(name, known)}"

    def _rows(self, path: Path, name: str) -> StoredTrials:
        """Open a trial store, the same one only once; `name` is the experiment's as given."""
        if path not in self._open:
            rows = self._open[path] = StoredTrials(path)
            self._stack.callback(rows.close)
            own = rows.description.name
            source = own if path.parent == self.results / own else name
            self._cells[path] = StoredCells(rows, source=source)
        return self._open[path]


def grid_of(rows: StoredTrials) -> tuple[Path, Edits]:
    """Return the grid of an experiment's results: at its old path, or by the experiment's name.

    With it come the edits that a pilot was run with.

    Raises:
        ConfigError: if it is not there.
    """
    name, edits = rows.description.name, rows.description.edits or NO_EDITS
    if not rows.description.grid:
        raise ConfigError(
            f"{name}: is a study that was run in Python, and this takes its graphs, which only"
            " Python has; run it from there"
        )
    for path in (Path(rows.description.grid), *grids().values()):
        try:
            if path.is_file() and read_spec(path, edits)[0].name == name:
                return path, edits
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
        known = dict.fromkeys(n for cell in cells for n in (cell.label, cell.name, cell.dataset))
        raise UnknownNameError("cell", name, known)
    return found


def _names(cell: CellDescription) -> tuple[str, ...]:
    without = cell.name.removeprefix(f"{cell.dataset}/")
    return cell.name, without, cell.label, f"{cell.dataset}/{cell.label}", cell.dataset


def find_group(name: str, reader: ResultsReader, tracking_uri: str | None) -> Group:
    """Return the cells that a name stands for: results in a folder, else runs in MLflow.

    Args:
        name: `EXPERIMENT`, `EXPERIMENT/CELL` or a run of MLflow.
        reader: Finds the results in folders.
        tracking_uri: The store of MLflow; by default `mlflow.db` in the folder of results.

    Raises:
        ConfigError: if the name stands for nothing.
    """
    if not name.startswith(RUN_PREFIX):
        if (found := reader.group(name)) is not None:
            return found
        if tracking_uri is None:
            raise ConfigError(reader.missing(name))
    run, uri = name.removeprefix(RUN_PREFIX), tracking_uri or default_uri(reader.results)
    return evaluated_group(run, uri) or read_runs(run, uri)
