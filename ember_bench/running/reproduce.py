"""A paper's grids run, and its published numbers beside what came out."""

from __future__ import annotations

import re
import runpy
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

from ember_bench.errors import ConfigError, EmberBenchError, Location, Problem, did_you_mean
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import (
    CellSummary,
    ExperimentSummary,
)
from ember_bench.report.problems_text import problems
from ember_bench.running.messages import say
from ember_bench.running.papers import DIFFERENCES, MEASURES, PUBLISHED, Difference, Paper
from ember_bench.running.papers import Published as Row
from ember_bench.running.progress import listener
from ember_bench.running.results import Results
from ember_bench.running.session import Options, open_experiment, run_experiment

Verdict = Literal["equal", "within", "different"]


class Measure(NamedTuple):
    """A quantity that `measures.py` of a paper computes, in the unit of the published table.

    Attributes:
        system: The system, as the published table names it.
        metric: The column of the published table.
        value: The quantity.
        low: Lower bound of its interval, if it has one.
        high: Upper bound.
        dataset: Its dataset, if the published table names datasets.
    """

    system: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """A published number beside ours.

    Attributes:
        row: The published number.
        ours: Ours in the same unit; None if it was not measured.
        verdict: `equal` at the printed precision; `within` our interval; else `different`.
        why: The reason of a difference that `differences.yaml` gives.
    """

    row: Row
    ours: Quantity | None
    verdict: Verdict
    why: str | None = None

    @property
    def unexplained(self) -> bool:
        """Whether it is different and nobody says why."""
        return self.verdict == "different" and self.why is None


@dataclass(frozen=True)
class Reproduction:
    """What came out of a paper's grids."""

    paper: Paper
    summaries: Sequence[ExperimentSummary]
    compared: Sequence[Compared]
    stale: Sequence[Difference] = field(default=())
    """Explanations of differences that are none any more."""

    @property
    def totals(self) -> Counter[Verdict]:
        """The number of cells of each verdict."""
        return Counter(found.verdict for found in self.compared)

    @property
    def holds(self) -> bool:
        """Whether every difference is explained."""
        return not any(found.unexplained for found in self.compared)


def stale_note(paper: Paper, known: Difference) -> str:
    """Return the remark on an explanation that is not needed."""
    systems = ", ".join(known.systems)
    return f"{paper.folder / DIFFERENCES}: {systems}: equal now, so delete the explanation"


def totals_line(totals: Mapping[Verdict, int]) -> str:
    """Return numbers of cells in words: `42 equal, 0 within, 2 different, of 44 cells`."""
    verdicts: tuple[Verdict, ...] = ("equal", "within", "different")
    parts = ", ".join(f"{totals.get(verdict, 0):,} {verdict}" for verdict in verdicts)
    return f"{parts}, of {sum(totals.values()):,} cells"


def reproduce(paper: Paper, results: Path, *, quiet: bool = False) -> Reproduction:
    """Run what is missing of a paper's grids, and compare.

    Args:
        paper: The paper.
        results: The results folder.
        quiet: Show no progress.

    Raises:
        ConfigError: if a file of the paper cannot be used.
        DataMissingError: if its recordings are not on this machine.
        RunStoppedError: if a run was told to stop.
    """
    rows, differences = paper.published, paper.differences
    if not paper.grids:
        raise ConfigError(f"{paper.folder}: there is no grid.yaml")
    paper.check_data()
    found = [_run(grid, results, quiet=quiet) for grid in paper.grids]
    measured = list(_measures(paper, found))
    _check_metrics(paper, rows, measured)
    summaries = [each.summary for each in found]
    compared = [_compare(row, _Ours(summaries, measured), differences) for row in rows]
    used = [known for known in differences if any(_used(known, each) for each in compared)]
    stale = [known for known in differences if known not in used]
    return Reproduction(paper, summaries, compared, stale)


def _run(grid: Path, results: Path, *, quiet: bool) -> Results:
    experiment = open_experiment(grid)
    if not quiet:
        for note in experiment.notes:
            say(f"warning: {note}")
    simulated = any(map(experiment.is_simulated, experiment.cells))
    told = listener(simulated=simulated, quiet=quiet)
    outcome = run_experiment(experiment, Options(results, mlflow=False, dedicated=True), told)
    if outcome.stopped:
        raise KeyboardInterrupt
    for problem in problems(outcome.summary):
        say(f"warning: {outcome.summary.name}: {problem}")
    return Results(outcome.folder, outcome.summary, reopen=lambda: open_experiment(grid))


def _measures(paper: Paper, found: Sequence[Results]) -> Iterator[Measure]:
    path = paper.folder / MEASURES
    if not path.is_file():
        return
    try:
        measures: Callable[[Sequence[Results]], Iterator[Measure]]
        measures = runpy.run_path(str(path))["measures"]
        yield from measures(found)
    except EmberBenchError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        message = f"{type(error).__name__}: {error}"
        raise ConfigError(Problem(message, Location(Path(last.filename), last.lineno))) from error


# --- one number beside another


@dataclass(frozen=True)
class _Ours:
    summaries: Sequence[ExperimentSummary]
    measured: Sequence[Measure]

    def of(self, row: Row) -> Quantity | None:
        """Return our number for a published one.

        Raises:
            ConfigError: if there is no such system, or several.
        """
        for found in self.measured:
            if (found.system, found.metric) == (row.system, row.metric) and (
                row.dataset in ("", found.dataset)
            ):
                return Quantity(found.value, found.low, found.high, "measured")
        cell = self._cell(row)
        if row.category:
            return _of_category(cell, row)
        return _METRICS[row.metric](cell) if row.metric in _METRICS else _pass_at(cell, row.metric)

    def _cell(self, row: Row) -> CellSummary:
        cells = [cell for summary in self.summaries for cell in summary.cells]
        found = [
            cell
            for cell in cells
            if row.system in _names(cell) and row.dataset in ("", cell.dataset)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            datasets = ", ".join(sorted({cell.dataset for cell in found}))
            raise row.problem(f"several systems are {row.system!r}: name the dataset ({datasets})")
        near = did_you_mean(row.system, [_names(cell)[-1] for cell in cells])
        raise row.problem(f"no grid of the paper has a system {row.system!r}{near}")


def _names(cell: CellSummary) -> tuple[str, ...]:
    bare = re.sub(r"^recorded:[^/]*/", "", cell.label)
    return (cell.name, cell.label, bare)


def _compare(row: Row, ours: _Ours, differences: Sequence[Difference]) -> Compared:
    found = ours.of(row)
    said = verdict(row, found)
    why = None
    if said != "equal":
        why = next((known.why for known in differences if _is_about(known, row)), None)
    return Compared(row, found, said, why)


def verdict(row: Row, ours: Quantity | None) -> Verdict:
    """Return how a published number stands to ours; a number that was not measured is different."""
    if ours is None:
        return "different"
    # Numbers halfway between two printed ones are rounded up by some and to even by others.
    slack = row.half_unit * (1 + 1e-6) + 1e-12 * abs(row.value)
    if abs(ours.value - row.value) <= slack:
        return "equal"
    if ours.low is None or ours.high is None:
        return "different"
    return "within" if ours.low - slack <= row.value <= ours.high + slack else "different"


def _is_about(known: Difference, row: Row) -> bool:
    return (
        row.system in known.systems
        and (not known.metrics or row.metric in known.metrics)
        and (not known.datasets or row.dataset in known.datasets)
    )


def _used(known: Difference, found: Compared) -> bool:
    return found.verdict != "equal" and _is_about(known, found.row)


# --- what a summary has, in the units of tables


def _scaled(found: Quantity | None, factor: float) -> Quantity | None:
    if found is None:
        return None
    low = None if found.low is None else factor * found.low
    high = None if found.high is None else factor * found.high
    return Quantity(factor * found.value, low, high, found.method)


def _exact(value: float) -> Quantity:
    return Quantity(value, None, None, "exact")


def _no_answer(cell: CellSummary) -> Quantity:
    return _exact(100 * cell.outcomes.get("unparsed", 0) / cell.scheduled)


def _total_cost(cell: CellSummary) -> Quantity | None:
    failed = cell.outcomes.get("error", 0) + cell.outcomes.get("skipped", 0)
    return _scaled(cell.cost_per_item, cell.scheduled - failed)


def _difference(cell: CellSummary) -> Quantity | None:
    return _scaled(cell.comparison.difference, 100) if cell.comparison else None


_METRICS: Final[Mapping[str, Callable[[CellSummary], Quantity | None]]] = {
    "accuracy": lambda cell: _scaled(cell.accuracy, 100),
    "no_answer": _no_answer,
    "difference": _difference,
    "items": lambda cell: _exact(cell.items),
    "cost": lambda cell: cell.cost_per_item,
    "total_cost": _total_cost,
    "cost_per_correct": lambda cell: cell.cost_per_correct,
    "latency": lambda cell: cell.latency_seconds,
    "calls": lambda cell: _exact(cell.calls),
    "input_tokens": lambda cell: _exact(cell.input_tokens),
    "output_tokens": lambda cell: _exact(cell.output_tokens),
}
"""Columns of published tables: percent, percentage points, US dollars, seconds, numbers."""
_SEVERAL: Final = "pass_at_"


def _pass_at(cell: CellSummary, metric: str) -> Quantity | None:
    k = int(metric.removeprefix(_SEVERAL))
    return _scaled(cell.pass_at_k.get(k), 100)


def _of_category(cell: CellSummary, row: Row) -> Quantity | None:
    if row.metric != "accuracy":
        raise row.problem(f"{row.metric}: of a category of items, only `accuracy` is known")
    if row.category not in cell.categories:
        near = did_you_mean(row.category, cell.categories)
        raise row.problem(f"{row.system!r} has no category {row.category!r}{near}")
    return _scaled(cell.categories[row.category], 100)


def _check_metrics(paper: Paper, rows: Sequence[Row], measured: Sequence[Measure]) -> None:
    known = [*_METRICS, *dict.fromkeys(found.metric for found in measured)]
    for metric in dict.fromkeys(row.metric for row in rows):
        if metric not in known and not re.fullmatch(rf"{_SEVERAL}[1-9][0-9]*", metric):
            message = f"unknown column {metric!r}{did_you_mean(metric, [*known, 'pass_at_1'])}"
            raise ConfigError(Problem(message, Location(paper.folder / PUBLISHED, 1)))
