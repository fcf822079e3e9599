"""How far the experiments of a results folder are, read beside the runs that write there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np

from ember_bench import host, stats
from ember_bench.errors import EmberBenchError
from ember_bench.experiment.lock import holder
from ember_bench.experiment.results.cells import StoredCells
from ember_bench.experiment.results.failures import FailureReason, commonest
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.results.run_totals import RunTotals
from ember_bench.running.live import LiveSummary, read_live
from ember_bench.running.places import TRIALS
from ember_bench.running.rate import Rate
from ember_bench.running.run_log import last_limits

State = Literal["running", "finished", "stopped"]

_NOTHING: Final = RunTotals(0.0, 0, 0)


@dataclass(frozen=True, slots=True)
class CellProgress:
    """How far a cell is.

    Attributes:
        label: Its label.
        dataset: Its dataset.
        simulated: Whether it asks simulated models.
        done: Trials that are stored.
        scheduled: Trials in the grid.
        failed: Trials that ended in an error.
        accuracy: Mean score so far, with its interval; None if there is none.
    """

    label: str
    dataset: str
    simulated: bool
    done: int
    scheduled: int
    failed: int
    accuracy: Quantity | None


@dataclass(frozen=True, slots=True)
class ExperimentProgress:
    """How far an experiment is.

    Attributes:
        name: Its name.
        shard: The part that is here; "" for all of it.
        state: Whether a process runs it now, or all trials are done, or neither.
        cells: Its cells, in grid order.
        totals: Requests and spending of all runs.
        run_usd: Spending of the last run, in US dollars, as far as it is known.
        budget_usd: The most that the last run may spend; None without a cap.
        calls_per_second: Requests a second over the last minute; None if unknown.
        seconds_left: Until all trials are done, at the rate of the last minute, with an interval of
            prediction; None if unknown.
        level: The level of its intervals.
        reasons: The commonest faults of failed trials.
        limits: What the limits of its models did last, by model, if it runs and they did
            anything.
        live: What it is doing now; None if that is not known.
        changed: When its files changed last, in seconds since 1970.
        problem: Why it cannot be read; "" if it can. Then the other fields have no meaning.
    """

    name: str
    shard: str = ""
    state: State = "stopped"
    cells: tuple[CellProgress, ...] = ()
    totals: RunTotals = _NOTHING
    run_usd: float = 0.0
    budget_usd: float | None = None
    calls_per_second: float | None = None
    seconds_left: Quantity | None = None
    level: float = 0.95
    reasons: tuple[FailureReason, ...] = ()
    limits: Mapping[str, str] = field(default_factory=dict)
    live: LiveSummary | None = None
    changed: float = 0.0
    problem: str = ""

    @property
    def done(self) -> int:
        """Trials that are stored."""
        return sum(cell.done for cell in self.cells)

    @property
    def scheduled(self) -> int:
        """Trials in the grid."""
        return sum(cell.scheduled for cell in self.cells)

    @property
    def failed(self) -> int:
        """Trials that ended in an error."""
        return sum(cell.failed for cell in self.cells)


class Watch:
    """Reads the progress of all experiments in a folder, each again only once its files changed.

    It takes no lock and writes nothing: a run is not held up.

    Args:
        results: The results folder.
        clock: Seconds; injected in tests.
    """

    def __init__(self, results: Path, clock: Callable[[], float] = time.time) -> None:
        self.results = results
        self._clock = clock
        self._read: dict[Path, tuple[object, ExperimentProgress]] = {}
        self._rates: dict[str, Rate] = {}

    def experiments(self) -> list[ExperimentProgress]:
        """Return all experiments: those that run first, then those that changed last."""
        found = [self._progress(path) for path in self.results.glob(f"*/{TRIALS}")]
        return sorted(found, key=lambda e: (e.state != "running", -e.changed, e.name))

    def _progress(self, path: Path) -> ExperimentProgress:
        name, now = path.parent.name, self._clock()
        version = _version(path)
        before = self._read.get(path)
        if before is not None and before[0] == version:
            found = before[1]
        else:
            try:
                found = _read(path, max(v[0] for v in version) if version else now)
            except EmberBenchError as error:
                return ExperimentProgress(name, problem=str(error))
            self._read[path] = version, found
        process = writer(path.parent)
        if process is None:
            self._rates.pop(name, None)
            return replace(found, state="finished") if found.done >= found.scheduled else found
        rate = self._rates.setdefault(name, Rate())
        rate.read(now, found.done, found.totals.calls_made)
        return replace(
            found,
            state="running",
            calls_per_second=rate.calls_per_second,
            seconds_left=rate.seconds_left(found.scheduled - found.done, found.level),
            limits=last_limits(path.parent),
            live=read_live(path.parent, process, LiveSummary),
        )


def _version(path: Path) -> tuple[tuple[float, int], ...]:
    """Return what changes with the content of a SQLite file."""
    found = []
    for name in (path.name, f"{path.name}-wal"):
        try:
            stat = path.with_name(name).stat()
        except FileNotFoundError:
            continue
        found.append((stat.st_mtime, stat.st_size))
    return tuple(found)


def writer(folder: Path) -> int | None:
    """Return the process of this machine that writes to an experiment's folder; None for none."""
    process = holder(folder)
    return process if process is not None and host.lives(process) else None


def _read(path: Path, changed: float) -> ExperimentProgress:
    with closing(StoredTrials(path)) as rows:
        asked = rows.description
        read = StoredCells(rows, keep=False)
        cells = tuple(_cell(rows, read, place) for place in range(len(asked.cells)))
        errors = _errors(rows, cells)
        totals, last = rows.all_totals(), rows.last_run()
        return ExperimentProgress(
            asked.name,
            asked.shard,
            "stopped",
            cells,
            totals,
            last.spend_usd,
            last.budget_usd,
            level=asked.level,
            reasons=tuple(commonest(errors)),
            changed=changed,
        )


def _cell(rows: StoredTrials, read: StoredCells, place: int) -> CellProgress:
    described = rows.description.cells[place]
    cell, _ = read.cell(place)
    scored = ~np.isnan(cell.scores)
    estimate = stats.mean_score(
        cell.scores[scored], clusters=cell.items.clusters(scored), level=rows.description.level
    )
    return CellProgress(
        described.label,
        described.dataset,
        described.simulated,
        len(cell.data.outcome),
        rows.description.scheduled(described),
        int(cell.data.failed.sum()),
        None if estimate is None or not cell.measured else Quantity.of(estimate),
    )


def _errors(rows: StoredTrials, cells: tuple[CellProgress, ...]) -> Iterator[str]:
    for place, cell in enumerate(cells):
        if cell.failed:
            yield from rows.errors(place)
