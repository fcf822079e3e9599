"""What all datasets together show: each system on each of them and on their suites; failures."""

from __future__ import annotations

from collections.abc import Iterator

from ember_bench.drawing.charts import Row, accuracies
from ember_bench.drawing.html import Content, Html, joined, table, tag
from ember_bench.drawing.number_format import UNDEFINED, interval, percent
from ember_bench.experiment.results.failures import commonest
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import (
    FAILED,
    CellSummary,
    DatasetSummary,
)
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_systems import shade

_OTHERS = ("unparsed",)


def datasets_section(contents: Contents) -> Html:
    """Return each system's accuracy by dataset and suite; nothing for one dataset."""
    summary = contents.summary
    if len(summary.datasets) < 2:
        return Html("")
    systems = _systems(contents)
    suites = list(dict.fromkeys(row.suite for row in summary.suites))
    macro = {(row.suite, row.name): row.macro for row in summary.suites}
    names = [dataset.name for dataset in summary.datasets]
    rows: list[list[Content]] = [
        [
            next(iter(by.values())).label,
            *(_accuracy(by[name].accuracy if name in by else None) for name in names),
            *(_accuracy(macro.get((suite, system))) for suite in suites),
        ]
        for system, by in systems.items()
    ]
    made_up = " (simulated)" if summary.simulated else ""
    title = f"All datasets{made_up}"
    headings = ["system", *names, *(f"{suite} (macro average)" for suite in suites)]
    level = f"{100 * summary.level:g} %"
    caption = f"{title}: accuracy in percent, with {level} intervals"
    listed = table(headings, rows, caption=caption)
    charts = (_multiple(contents, dataset, systems) for dataset in summary.datasets)
    return tag("section", tag("h2", title), listed, tag("div", *charts, class_="charts"),
               *(_suite(contents, suite) for suite in suites), id="datasets")  # fmt: skip


def _systems(contents: Contents) -> dict[str, dict[str, CellSummary]]:
    """Return the cells of each system by dataset, in grid order."""
    found: dict[str, dict[str, CellSummary]] = {}
    for cell in contents.summary.cells:
        found.setdefault(cell.name.removeprefix(f"{cell.dataset}/"), {})[cell.dataset] = cell
    return found


def _accuracy(found: Quantity | None) -> Content:
    if found is None:
        return UNDEFINED
    value = shade(found.value, percent(found.value), interval(found, "percent"))
    return joined([value, tag("small", f" {interval(found, 'percent')}")])


def _multiple(
    contents: Contents, dataset: DatasetSummary, systems: dict[str, dict[str, CellSummary]]
) -> Html:
    """Return a chart of one dataset, with the systems in the same order as in the others."""
    rows = [
        Row(cell.label, contents.colour(cell.architecture), cell.accuracy, cell.oracle,
            contents.numbers[cell.name])
        for by in systems.values()
        if (cell := by.get(dataset.name)) is not None and cell.accuracy is not None
    ]  # fmt: skip
    if not rows:
        return Html("")
    title = f"Accuracy on {dataset.name}{contents.simulated(dataset)}"
    chart = accuracies(rows, title=title)
    return tag("figure", tag("figcaption", title), tag("div", chart, class_="draw"))


def _suite(contents: Contents, suite: str) -> Html:
    rows = [
        Row(row.label, contents.colour(_architecture(contents, row.cells)), row.macro, row.oracle)
        for row in contents.summary.suites
        if row.suite == suite and row.macro is not None
    ]
    if not rows:
        return Html("")
    made_up = " (simulated)" if contents.summary.simulated else ""
    title = f"Macro average of {suite}{made_up}"
    chart = accuracies(rows, title=title)
    shown = tag("figure", tag("figcaption", title), tag("div", chart, class_="draw"))
    return tag("div", shown, class_="charts")


def _architecture(contents: Contents, cells: list[str]) -> str:
    return next(cell.architecture for cell in contents.summary.cells if cell.name in cells)


def failures_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return what failed, or could not be read, and why; nothing if nothing did."""
    rows = [row for cell in contents.of(dataset) for row in _failures(contents, cell)]
    if not rows:
        return Html("")
    title = f"What failed, and why{contents.simulated(dataset)}"
    caption = f"{title}: the commonest faults, each by its first message"
    headings = ["system", "outcome", "fault", "trials"]
    return joined([tag("h3", title), table(headings, rows, caption=caption, names=3)])


def _failures(contents: Contents, cell: CellSummary) -> Iterator[list[Content]]:
    if any(cell.outcomes.get(name) for name in FAILED):
        outcome = " or ".join(name for name in FAILED if cell.outcomes.get(name))
        place = contents.rows.description.places[cell.name]
        for reason in commonest(contents.rows.errors(place)):
            yield [cell.label, outcome, reason.message, f"{reason.trials:,}"]
    for name in _OTHERS:
        if number := cell.outcomes.get(name):
            yield [cell.label, name, "the response has no answer in the form wanted", f"{number:,}"]
