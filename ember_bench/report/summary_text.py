"""The texts of the table of cells, the same in the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ember_bench.drawing import number_format
from ember_bench.drawing.number_format import UNDEFINED, count, dollars, interval, percent
from ember_bench.experiment.results.summary import (
    OUTCOMES,
    CellSummary,
    Correction,
    DatasetSummary,
    ExperimentSummary,
    Quantity,
)

SIMULATED: Final = (
    "Simulated: answers, prices and times were made up by simulated models; such figures say"
    " nothing about real ones."
)

CORRECTED: Final[dict[Correction, str]] = {
    "maxt": "Westfall and Young's max-T",
    "holm": "Holm's correction",
    "bh": "Benjamini and Hochberg's correction",
}
"""How p-values are adjusted for the number of comparisons."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One column of a row.

    Attributes:
        heading: Heading of the column.
        value: Its text.
    """

    heading: str
    value: str


@dataclass(frozen=True, slots=True)
class Row:
    """One cell of the experiment, as a table shows it.

    Attributes:
        label: Name of the cell.
        notes: Facts needed to read its numbers: simulated, an oracle, unfinished, failures.
        entries: The columns, in one line.
    """

    label: str
    notes: tuple[str, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The cells of one dataset.

    Attributes:
        title: Names the dataset and its items.
        footers: Counts of outcomes, if not all are right or wrong; and pass@k, if there are several
            epochs.
    """

    title: str
    rows: tuple[Row, ...]
    footers: tuple[str, ...]


def sections(summary: ExperimentSummary) -> list[Section]:
    """Return the tables of an experiment, dataset by dataset, in grid order."""
    found = []
    for dataset in summary.datasets:
        cells = [cell for cell in summary.cells if cell.dataset == dataset.name]
        if not cells:
            continue
        baseline = _baseline(cells)
        rows = tuple(_row(cell, summary, is_baseline=cell.name == baseline) for cell in cells)
        found.append(Section(_title(dataset, summary), rows, tuple(_footers(cells))))
    return found


def problems(summary: ExperimentSummary) -> list[str]:
    """Return what is to be read before any figure: what was not measured, and why trials failed."""
    lines = []
    if broken := [cell.label for cell in summary.cells if not cell.measured]:
        lines.append(f"Not measured, as all trials failed: {'; '.join(broken)}.")
    if guessed := [cell.label for cell in summary.cells if cell.never_stated]:
        lines.append(
            "No answer was stated as its format wants, so all were guessed at:"
            f" {'; '.join(guessed)}. Look at some responses before the accuracy."
        )
    if failed := summary.failed:
        scored = "count as wrong" if summary.failures == "wrong" else "are left out"
        # Labels and messages may have commas of their own.
        why = "; ".join(
            f"{reason.trials:,} x {reason.message}" for reason in summary.failure_reasons
        )
        lines.append(f"{count(failed, 'trial')} failed and {scored}" + (f": {why}" if why else "."))
    return lines


def captions(summary: ExperimentSummary) -> list[str]:
    """Return the sentences that one needs to read the tables."""
    level = f"{100 * summary.level:g} %"
    cells = summary.cells
    epochs = f": the mean of its {summary.epochs} epochs" if summary.epochs > 1 else ""
    lines = [
        (
            f"Accuracy: mean score in percent, with its {level} interval"
            f"{_methods(c.accuracy for c in cells)}. The unit is the item{epochs}."
        ),
        (
            "Cost per item: what a trial costs when all its calls are made, shared or not"
            f"{_methods(c.cost_per_item for c in cells)}. Spend: new money paid for the calls"
            " that were made; a call that two cells share is paid once."
        ),
        (
            "Cost per correct: all costs, those of wrong answers too, for each right answer"
            f"{_methods(c.cost_per_correct for c in cells)}."
        ),
        (
            "Latency: the critical path over the durations of a trial's calls, mean and 95th"
            f" percentile ({UNDEFINED} if there are too few trials for its {level} interval). It"
            " depends on the load of the run, and is not its wall time."
        ),
    ]
    if len(dates := summary.price_dates) > 1:
        lines.append(
            f"Prices: of {len(dates)} dates, {dates[0]} to {dates[-1]}; a call keeps the cost that"
            " it had when it was made, so costs of different dates are not strictly comparable."
        )
    lines += _about_differences(cells, summary.correction)
    if any(c.outcomes.get("error") for c in cells):
        scored = "count as wrong" if summary.failures == "wrong" else "are left out"
        lines.append(
            f"Failed trials {scored}; beside their number stands the accuracy if all of them were"
            " wrong, and if all were right. Intervals and p of differences hold in the worst and in"
            " the best case."
        )
    if any(c.pass_at_k for c in cells):
        lines.append(
            "pass@k: share of the items that at least one of k epochs gets right, estimated without"
            " bias from all of them (Chen et al. 2021)."
        )
    if any(c.oracle for c in cells):
        lines.append("Bound: looks at the target, so it is what choosing could reach at best.")
    if summary.simulated:
        lines.append(SIMULATED)
    if any(_undefined(c) for c in cells):
        lines.append(
            f"{UNDEFINED} is undefined, or unknown where a price or the tokens of an answer are."
        )
    return lines


def _about_differences(cells: Sequence[CellSummary], correction: Correction) -> Iterator[str]:
    """Yield the captions of the differences to the baseline."""
    compared = [(c, c.comparison) for c in cells if c.comparison is not None]
    if not compared:
        return
    family = sum(found.p_adjusted is not None for _, found in compared)
    bounds = sum(cell.oracle for cell, _ in compared)
    same = sum(found.same_calls for cell, found in compared if not cell.oracle)
    left_out = [count(bounds, "bound")] if bounds else []
    left_out += [f"{count(same, 'cell')} with the baseline's own calls"] if same else []
    yield (
        "Difference: accuracy minus the baseline's in points, paired on the items that both"
        f" have; p is two-sided with {CORRECTED[correction]} over {count(family, 'comparison')}"
        + (f" ({' and '.join(left_out)} left out)." if left_out else ".")
        + (" Its intervals hold together." if correction == "maxt" and family > 1 else "")
    )
    if any(found.shared_draws and not found.same_calls for _, found in compared):
        yield (
            "Shared draws: the cell uses calls of the baseline, so that chance in them cancels; the"
            " difference is between choices made of the same answers."
        )


def status(summary: ExperimentSummary) -> str:
    """Return a sentence about the last run."""
    run = summary.run
    done = sum(cell.scheduled - cell.outcomes.get("skipped", 0) for cell in summary.cells)
    scheduled = sum(cell.scheduled for cell in summary.cells)
    trials = count(scheduled, "trial") if done == scheduled else f"{done:,} of {scheduled:,} trials"
    simulated = " (simulated)" if summary.simulated else ""
    return (
        f"{trials}, {run.trials_run:,} in this run; {count(run.calls_made, 'call')} made,"
        f" {run.calls_shared:,} shared; spend {_spend(summary)}{simulated};"
        f" wall time {number_format.duration(run.wall_seconds)}"
    )


def _row(cell: CellSummary, summary: ExperimentSummary, *, is_baseline: bool) -> Row:
    level = f"[{100 * summary.level:g} %]"
    difference, low_high, p_value = _compared(cell, is_baseline=is_baseline)
    entries = (
        Entry("accuracy", percent(_value(cell.accuracy))),
        Entry(level, interval(cell.accuracy, "percent")),
        Entry("cost/item", dollars(_value(cell.cost_per_item))),
        Entry(level, interval(cell.cost_per_item, "dollars")),
        Entry("cost/correct", dollars(_value(cell.cost_per_correct))),
        Entry(level, interval(cell.cost_per_correct, "dollars")),
        Entry("latency s", number_format.seconds(_value(cell.latency_seconds))),
        Entry("p95 s", number_format.seconds(_bounded(cell.latency_p95))),
        Entry("spend", dollars(cell.spend_usd)),
        Entry("calls made", f"{cell.calls_made:,}"),
        Entry("shared", f"{cell.calls_shared:,}"),
        Entry("difference", difference),
        Entry(level, low_high),
        Entry("adjusted p", p_value),
    )
    return Row(cell.label, tuple(_notes(cell, summary)), entries)


def _compared(cell: CellSummary, *, is_baseline: bool) -> tuple[str, str, str]:
    """Return the difference to the baseline, its interval and its corrected p-value."""
    found = cell.comparison
    if found is None:
        return "baseline" if is_baseline else UNDEFINED, "", ""
    if found.same_calls:
        return "same calls", "", ""
    return (
        number_format.points(found.difference.value),
        interval(found.difference, "points"),
        number_format.p_value(found.p_adjusted),
    )


def _value(estimate: Quantity | None) -> float | None:
    return None if estimate is None else estimate.value


def _bounded(estimate: Quantity | None) -> float | None:
    """Return the value of an estimate that has an interval."""
    known = estimate is not None and estimate.low is not None and estimate.high is not None
    return estimate.value if estimate is not None and known else None


def _notes(cell: CellSummary, summary: ExperimentSummary) -> Iterator[str]:
    if not cell.measured:
        yield "not measured"
    if cell.simulated:
        yield "simulated"
    if cell.oracle:
        yield "bound"
    if (found := cell.comparison) is not None and found.same_calls:
        yield f"same calls as {_label(found.baseline, summary)}"
    elif found is not None and found.shared_draws:
        yield "shared draws"
    items = next(d.items for d in summary.datasets if d.name == cell.dataset)
    if cell.items < items:
        yield f"{cell.items:,} of {count(items, 'item')}"
    elif missing := cell.outcomes.get("skipped", 0):
        yield f"{cell.scheduled - missing:,} of {count(cell.scheduled, 'trial')}"
    if errors := cell.outcomes.get("error", 0):
        yield (
            f"{count(errors, 'error')}:"
            f" {percent(cell.accuracy_worst)} to {percent(cell.accuracy_best)}"
        )
    if cell.unpriced and not cell.replayed:
        yield f"cost unknown in {count(cell.unpriced, 'trial')}"
    if cell.never_stated:
        yield "no answer stated"
    if unparsed := cell.outcomes.get("unparsed", 0):
        yield f"{unparsed:,} unparsed"


def _label(name: str, summary: ExperimentSummary) -> str:
    """Return the label of a cell, by its name; the name if it is not shown."""
    return next((cell.label for cell in summary.cells if cell.name == name), name)


def _spend(summary: ExperimentSummary) -> str:
    """Return the new money paid, as far as it is known, and what may have been charged beside."""
    run = summary.run
    spend, known = dollars(run.spend_usd), run.known_usd or run.spend_usd
    # Trials of earlier versions do not say of their run that a cost is unknown.
    unpriced = run.calls_made and any(cell.spend_usd is None for cell in summary.cells)
    if run.spend_usd is None or unpriced:
        spend = f"at least {dollars(known)}" if known else "unknown"
    if not run.unanswered:
        return spend
    most = "" if run.unanswered_usd is None else f", at most {dollars(run.unanswered_usd)}"
    return f"{spend}, and {count(run.unanswered, 'request')} without an answer{most}"


def _title(dataset: DatasetSummary, summary: ExperimentSummary) -> str:
    epochs = f" x {summary.epochs} epochs" if summary.epochs > 1 else ""
    return f"{dataset.name}: {count(dataset.items, 'item')}{epochs}, scored by {dataset.evaluator}"


def _footers(cells: list[CellSummary]) -> Iterator[str]:
    totals = {name: sum(cell.outcomes.get(name, 0) for cell in cells) for name in OUTCOMES}
    if any(totals[name] for name in ("error", "unparsed", "skipped")):
        yield "outcomes: " + ", ".join(f"{n:,} {name}" for name, n in totals.items() if n)
    for cell in cells:
        if cell.pass_at_k:
            passes = (
                f"pass@{k} {percent(estimate.value)} {interval(estimate, 'percent')}"
                for k, estimate in cell.pass_at_k.items()
            )
            yield f"{cell.label}: {', '.join(passes)}"


def _baseline(cells: list[CellSummary]) -> str | None:
    """Return the cell that the others are compared with."""
    return next((c.comparison.baseline for c in cells if c.comparison is not None), None)


def _methods(estimates: Iterable[Quantity | None]) -> str:
    """Return in brackets how the intervals were computed."""
    methods = dict.fromkeys(e.method for e in estimates if e is not None)
    return f" ({'; '.join(methods)})" if methods else ""


def _undefined(cell: CellSummary) -> bool:
    estimates = (cell.accuracy, cell.cost_per_item, cell.latency_seconds)
    return any(e is None or e.low is None for e in estimates)
