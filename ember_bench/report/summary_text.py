"""The texts of the table of systems, the same in the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ember_bench.drawing import number_format
from ember_bench.drawing.number_format import UNDEFINED, Unit, count, dollars, interval, percent
from ember_bench.drawing.text import one_line
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import (
    OUTCOMES,
    CellSummary,
    Correction,
    DatasetSummary,
    ExperimentSummary,
)
from ember_bench.report.checks_text import captions, checked, sections
from ember_bench.report.columns import CATEGORY, USUAL, Column, Place, View, places
from ember_bench.report.decision_text import stopped
from ember_bench.report.judging_text import about_judges, judging
from ember_bench.report.search_text import finalists, found_sections, searched
from ember_bench.report.sections import Row, Section
from ember_bench.report.system_columns import (
    COMPARED,
    RANKS,
    SAID_ONCE,
    USUAL_COLUMNS,
    system_columns,
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
"""The adjustment of p-values for the number of comparisons."""
INTERVALS: Final[dict[Correction, str]] = {
    "maxt": " (they hold together)",
    "holm": " of this one comparison",
    "bh": " of this one comparison",
}
"""The error that the intervals of differences have."""

ORACLE: Final = "Oracle: looks at the target, so it is the upper limit of any choice."
SHARED: Final = "shared draws"
_MARK: Final = " *"
SHARED_DRAWS: Final = (
    "Shared draws: the system uses calls of the baseline, so that chance in them cancels; the"
    " difference is between choices made of the same answers."
)


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of an experiment.

    Attributes:
        sections: Dataset by dataset, in the grid's order, each followed by its categories if these
            are wanted.
        captions: The sentences that one needs to read them.
    """

    sections: tuple[Section, ...]
    captions: tuple[str, ...]


def tables(summary: ExperimentSummary, view: View = USUAL) -> Tables:
    """Return the tables of an experiment.

    Raises:
        UnknownNameError: if the view names an unknown column or dataset.
    """
    unit = Unit.of(
        value.value
        for cell in summary.cells
        for value in (cell.cost_per_item, cell.cost_per_correct)
        if value is not None
    )
    cells = [cell for cell in summary.cells if view.shows(cell.dataset)]
    baselines = [c.comparison.baseline for c in cells if c.comparison is not None]
    columns = system_columns(summary.level, unit, baselines)
    view.check(columns)
    view.check_datasets([dataset.name for dataset in summary.datasets])
    shown = view.shown(columns, USUAL_COLUMNS)
    said: list[str] = []
    if not view.columns:
        # A search asks most systems a few items alone.
        if not baselines or searched(summary):
            shown = [column for column in shown if column.name not in COMPARED]
        constant = _constant(shown, cells)
        shown = [column for column in shown if column.name not in constant]
        said = [f"All systems: {'; '.join(constant.values())}."] if constant else []
    usual = finalists(summary) if view == USUAL else None
    found = [*found_sections(summary)] if usual is not None else []
    for dataset in summary.datasets:
        of_dataset = [cell for cell in cells if cell.dataset == dataset.name]
        if not of_dataset:
            continue
        chosen = view.chosen(of_dataset, columns)
        if usual is not None:
            chosen = [cell for cell in chosen if cell.name in usual]
        left_out = len(of_dataset) - len(chosen)
        rows = tuple(
            Row(cell.label, tuple(_notes(cell, summary)), tuple(c.text(cell) for c in shown))
            for cell in chosen
        )
        footers = [f"{count(left_out, 'more system')}"] if left_out else []
        footers += [*said, *_footers(of_dataset if usual is None else chosen, summary)]
        headings = tuple(column.heading for column in shown)
        title = _title(dataset, summary)
        found.append(Section(title, headings, tuple(places(shown)), rows, tuple(footers)))
        found += judging(chosen, summary.level)
        found += checked(dataset, summary.checks)
        found += sections(chosen, summary.level)
        if view.by == CATEGORY:
            found += _by_category(chosen)
    names = {column.name for column in shown}
    return Tables(tuple(found), tuple(_captions(summary, cells, names, unit)))


def _constant(
    columns: Sequence[Column[CellSummary]], cells: Sequence[CellSummary]
) -> dict[str, str]:
    """Return columns with one value for all systems, and that value in words."""
    if len(cells) < 2:
        return {}
    found = {}
    for column in columns:
        texts = {column.text(cell) for cell in cells}
        if column.name in SAID_ONCE and len(texts) == 1:
            found[column.name] = f"{column.heading} {texts.pop()}"
    return found


def _by_category(cells: Sequence[CellSummary]) -> Iterator[Section]:
    """Yield the accuracy by category; nothing if items have no category."""
    names = sorted({name for cell in cells for name in cell.categories})
    if not names:
        return
    rows = tuple(
        Row(
            cell.label,
            (),
            tuple(
                text
                for name in names
                for found in [cell.categories.get(name)]
                for text in (percent(_value(found)), interval(found, "percent"))
            ),
        )
        for cell in cells
    )
    headings = tuple(heading for name in names for heading in (one_line(name), ""))
    at = tuple(
        Place(heading, None if place % 2 == 0 else place - 1)
        for place, heading in enumerate(headings)
    )
    yield Section(f"{cells[0].dataset}: accuracy by category", headings, at, rows, (), "categories")


def marked(label: str, notes: Iterable[str], columns: int | None) -> tuple[str, str]:
    """Return a label and its notes in one line; in a terminal a mark stands for shared draws."""
    found, mark = list(notes), ""
    if columns is not None and SHARED in found:
        found.remove(SHARED)
        mark = _MARK
    return one_line(label) + mark, ", ".join(found)


def with_mark(caption: str, columns: int | None) -> str:
    """Return a caption; that of shared draws with the mark that stands for them."""
    marks = columns is not None and caption == SHARED_DRAWS
    return f"{_MARK.strip()} {caption}" if marks else caption


def _captions(
    summary: ExperimentSummary, cells: Sequence[CellSummary], shown: Collection[str], unit: Unit
) -> Iterator[str]:
    """Yield the sentences that one needs to read tables with these columns."""
    if summary.decided:
        yield stopped(summary)
    yield from _about_columns(summary, cells, shown, unit)
    if len(dates := summary.price_dates) > 1:
        yield (
            f"Prices: of {len(dates)} dates, {dates[0]} to {dates[-1]}; a call keeps the cost that"
            " it had when it was made, so costs of different dates are not strictly comparable."
        )
    if COMPARED & set(shown):
        yield from _about_differences(cells, summary.correction, summary.level)
    if "rank" in shown:
        yield RANKS
    yield from about_judges(cells, summary.checks)
    yield from captions(summary, cells)
    if any(c.outcomes.get("error") for c in cells):
        scored = "count as wrong" if summary.failures == "wrong" else "are left out"
        yield (
            f"Failed trials {scored}; beside their number stands the accuracy if all of them were"
            " wrong, and if all were right. Intervals and p of differences hold in the worst and in"
            " the best case."
        )
    if any(c.pass_at_k for c in cells):
        yield (
            "pass@k: share of the items that at least one of k epochs gets right, estimated without"
            " bias from all of them (Chen et al. 2021)."
        )
    if any(c.oracle for c in cells):
        yield ORACLE
    if summary.simulated:
        yield SIMULATED
    if any(_undefined(c) for c in cells):
        yield f"{UNDEFINED} is undefined, or unknown where a price or the tokens of an answer are."


def _about_columns(
    summary: ExperimentSummary, cells: Sequence[CellSummary], shown: Collection[str], unit: Unit
) -> Iterator[str]:
    """Yield the captions of columns that do not compare."""
    level = f"{100 * summary.level:g} %"
    epochs = f": the mean of its {summary.epochs} epochs" if summary.epochs > 1 else ""
    if "accuracy" in shown:
        yield (
            f"Accuracy: mean score in percent, with its {level} interval"
            f"{_methods(c.accuracy for c in cells)}. The unit is the item{epochs}."
        )
    if "cost" in shown:
        yield (
            f"$/{unit.name}: the cost in US dollars {unit.per} if all calls are made, reused or"
            f" not{_methods(c.cost_per_item for c in cells)}."
        )
    if "correct" in shown:
        yield (
            "Correct: the cost of all answers, wrong ones too, for each right answer"
            f"{_methods(c.cost_per_correct for c in cells)}."
        )
    if "latency" in shown:
        p95 = ""
        if "p95" in shown:
            p95 = (
                f" and 95th percentile ({UNDEFINED} if there are too few trials for its"
                f" {level} interval)"
            )
        yield (
            "Latency: the critical path over the durations of a trial's calls in seconds, mean"
            f"{p95}. It depends on the load of the run, and is not its wall time."
        )
    if "paid" in shown:
        yield "Paid now: the cost of new calls; a call that two systems share is paid once."


def _about_differences(
    cells: Sequence[CellSummary], correction: Correction, level: float
) -> Iterator[str]:
    """Yield the captions of the differences to the baseline."""
    compared = [(c, c.comparison) for c in cells if c.comparison is not None]
    if not compared:
        return
    family = sum(found.p_adjusted is not None for _, found in compared)
    oracles = sum(cell.oracle for cell, _ in compared)
    same = sum(found.same_calls for cell, found in compared if not cell.oracle)
    yield (
        "Difference: accuracy minus the baseline's in points, paired on the items that both have,"
        f" with its interval{INTERVALS[correction]}. Adj. p: two-sided, by {CORRECTED[correction]}"
        f" over {count(family, 'comparison')}{left_out(oracles, same)}. Better, worse: adj. p is"
        f" below {1 - level:.2g}."
    )
    if any(found.shared_draws and not found.same_calls for _, found in compared):
        yield SHARED_DRAWS


def left_out(oracles: int, same: int) -> str:
    """Return which systems are not among the comparisons that p is adjusted for."""
    parts = [count(oracles, "oracle")] if oracles else []
    parts += [f"{count(same, 'system')} with the baseline's own calls"] if same else []
    return f" ({' and '.join(parts)} left out)" if parts else ""


def status(summary: ExperimentSummary) -> str:
    """Return a sentence about the last run."""
    run = summary.run
    done = sum(cell.scheduled - cell.outcomes.get("skipped", 0) for cell in summary.cells)
    scheduled = sum(cell.scheduled for cell in summary.cells)
    trials = count(scheduled, "trial") if done == scheduled else f"{done:,} of {scheduled:,} trials"
    simulated = " (simulated)" if summary.simulated else ""
    return (
        f"{trials}, {run.trials_run:,} in this run; {count(run.calls_made, 'new call')},"
        f" {run.calls_shared:,} reused; paid now {_spend(summary)}{simulated};"
        f" wall time {number_format.duration(run.wall_seconds)}"
    )


def _value(estimate: Quantity | None) -> float | None:
    return None if estimate is None else estimate.value


def _notes(cell: CellSummary, summary: ExperimentSummary) -> Iterator[str]:
    if not cell.measured:
        yield "not measured"
    if cell.simulated and not _all_simulated(summary):
        yield "simulated"
    if cell.oracle and cell.comparison is None:
        yield "oracle"  # else the result says it
    found = cell.comparison
    if found is not None and found.shared_draws and not found.same_calls and not searched(summary):
        yield SHARED
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
    if unjudged := cell.outcomes.get("unjudged", 0):
        yield (
            f"{unjudged:,} unjudged:"
            f" {percent(cell.accuracy_worst)} to {percent(cell.accuracy_best)}"
        )
    if cell.unpriced and not cell.replayed:
        yield f"cost unknown in {count(cell.unpriced, 'trial')}"
    if cell.never_stated:
        yield "no answer stated"
    if unparsed := cell.outcomes.get("unparsed", 0):
        yield f"{unparsed:,} unparsed"


def _all_simulated(summary: ExperimentSummary) -> bool:
    return all(cell.simulated for cell in summary.cells)


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
    simulated = " (simulated)" if _all_simulated(summary) else ""
    return (
        f"{dataset.name}: {count(dataset.items, 'item')}{epochs}, scored by"
        f" {dataset.evaluator}{simulated}"
    )


def _footers(cells: Sequence[CellSummary], summary: ExperimentSummary) -> Iterator[str]:
    totals = {name: sum(cell.outcomes.get(name, 0) for cell in cells) for name in OUTCOMES}
    if searched(summary):
        totals["skipped"] = 0  # which it did not want
    if any(totals[name] for name in ("error", "unparsed", "skipped", "unjudged")):
        yield "outcomes: " + ", ".join(f"{n:,} {name}" for name, n in totals.items() if n)
    for cell in cells:
        if cell.pass_at_k:
            passes = (
                f"pass@{k} {percent(estimate.value)} {interval(estimate, 'percent')}"
                for k, estimate in cell.pass_at_k.items()
            )
            yield f"{cell.label}: {', '.join(passes)}"
        if cell.asked_shares:
            shares = (f"{model} {percent(found)} %" for model, found in cell.asked_shares.items())
            yield f"{cell.label}: share of trials that asked {', '.join(shares)}"


def _methods(estimates: Iterable[Quantity | None]) -> str:
    """Return in brackets how the intervals were computed."""
    methods = dict.fromkeys(e.method for e in estimates if e is not None)
    return f" ({'; '.join(methods)})" if methods else ""


def _undefined(cell: CellSummary) -> bool:
    estimates = (cell.accuracy, cell.cost_per_item, cell.latency_seconds)
    return any(e is None or e.low is None for e in estimates)
