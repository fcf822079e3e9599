"""The parts of a report that are about one dataset: cells, differences, curves, categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ember_bench.drawing.charts import COLOURS, MOST_NAMED, curves, differences, scatter
from ember_bench.drawing.html import Content, Html, joined, table, tag
from ember_bench.drawing.number_format import (
    UNDEFINED,
    interval,
    p_value,
    percent,
    share,
    times,
)
from ember_bench.experiment.results.compared import Comparison
from ember_bench.experiment.results.summary import CellSummary, DatasetSummary, Quantity
from ember_bench.report.chart_data import curve_data, difference_rows, front_data, named_points
from ember_bench.report.columns import View
from ember_bench.report.comparison_table import pair_values
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_fronts import Axis, front, front_probabilities
from ember_bench.report.judging_text import UNCHECKED
from ember_bench.report.sections import Section
from ember_bench.report.summary_text import INTERVALS, SHARED, tables
from ember_bench.report.system_columns import result

_CURVES: Final = (
    "Dots are systems that were run. Broken lines are expected from stored draws: over all choices"
    " of k of them, voted on, or the best taken; shades are their intervals, for other items."
)
_SHADES: Final = 10
SYSTEMS: Final = View(
    columns=("accuracy", "cost", "cost_interval", "correct", "correct_interval", "latency", "p95")
)
"""The columns of the table of systems; comparisons have a table of their own."""
_AXES: Final[tuple[tuple[Axis, str], ...]] = (
    ("cost_per_item", "Accuracy against cost"),
    ("latency_seconds", "Accuracy against latency"),
)


def cells_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return the Pareto front as charts, and the table of systems."""
    cells = contents.of(dataset)
    charts = [_front_chart(contents, dataset, *axis) for axis in _AXES]
    on = front_probabilities(contents, dataset)
    dominated = front(cells, "cost_per_item", contents.results).by
    labels = {cell.name: cell.label for cell in cells}
    of_dataset = msgspec.structs.replace(contents.summary, datasets=[dataset])
    section, *judging = tables(of_dataset, SYSTEMS).sections
    rows: list[list[Content]] = [
        [
            _named(contents, cell, row.notes),
            *row.values,
            *(share(on[axis].get(cell.name)) for axis, _ in _AXES),
            labels[dominated[cell.name]] if cell.name in dominated else "",
        ]
        for cell, row in zip(cells, section.rows, strict=True)
    ]
    headings = ["system", *section.headings]
    headings += ["P(Pareto), cost", "P(Pareto), latency", "dominated by"]
    return joined(
        [
            tag("h3", "Accuracy, cost and latency"),
            tag("div", *charts, class_="charts"),
            table(
                headings, rows, caption=f"Systems on {dataset.name}{contents.simulated(dataset)}"
            ),
            *(tag("p", footer, class_="facts") for footer in section.footers),
            *map(_judging, judging),
        ]
    )


def _judging(section: Section) -> Html:
    """Return the table of what judges took."""
    headings = ["system", "judge", *section.headings]
    rows: list[list[Content]] = [
        [row.label, ", ".join(row.notes), *row.values] for row in section.rows
    ]
    judged = table(headings, rows, caption=section.title)
    return joined([judged, tag("p", UNCHECKED, class_="facts")])


def differences_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return the paired differences to the baseline; nothing if there are none."""
    cells = {cell.name: cell for cell in contents.of(dataset)}
    marks = difference_rows(contents, dataset)
    if not marks:
        return Html("")
    found = [(pair, own) for name in marks
             if (own := cells[name].comparison) is not None
             for pair in [contents.compared[name]]]  # fmt: skip
    title = f"{found[0][0].baseline.label}{contents.simulated(dataset)}"
    chart = differences([*marks.values()], title=f"Differences in accuracy to {title}")
    rows = [
        [
            _named(contents, cells[pair.cell.cell], _calls_noted(pair)),
            *pair_values(pair)[2:4],
            f"{pair.items:,}",
            _flips(contents, pair.cell.cell, "won", pair.wins),
            _flips(contents, pair.cell.cell, "lost", pair.losses),
            p_value(own.p_value),
            p_value(own.p_adjusted),
            result(cells[pair.cell.cell], contents.summary.level),
            times(pair.cost_ratio),
            share(pair.best_probability),
        ]
        for pair, own in found
    ]
    level = f"[{100 * contents.summary.level:g} %]"
    headings = ["system", "difference", level, "items", "won", "lost", "p", "adj. p", "result",
                "cost", "P(best)"]  # fmt: skip
    return joined(
        [
            tag("h3", f"Against {title}"),
            tag("p", "Paired on the items that both have, with the interval"
                f"{INTERVALS[contents.summary.correction]}. A hollow dot is no clear difference:"
                " by adjusted p, or by what failed trials could have scored.",
                class_="facts"),
            chart,
            table(headings, rows, caption=f"Differences to {title}"),
        ]
    )  # fmt: skip


def curves_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return accuracy by K, as measured and as stored draws tell; nothing if nothing is swept."""
    parts = []
    for parameter, lines in curve_data(contents, dataset).items():
        title = f"Accuracy by {parameter}{contents.simulated(dataset)}"
        chart = curves(lines, x_label=parameter, title=title)
        parts += [tag("h3", title), tag("p", _CURVES, class_="facts"), chart]
    return joined(parts)


def categories_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return each cell's accuracy by category; nothing if items have no category."""
    cells = [cell for cell in contents.of(dataset) if cell.categories]
    names = sorted({name for cell in cells for name in cell.categories})
    if len(names) < 2:
        return Html("")
    asked = contents.rows.description.items[dataset.name]
    sizes = {name: sum(item.category == name for item in asked) for name in names}
    rows = [
        [_named(contents, cell, ()), *(_shade(cell.categories.get(name)) for name in names)]
        for cell in cells
    ]
    headings = ["system", *(f"{name} ({sizes[name]:,})" for name in names)]
    title = f"Accuracy by category{contents.simulated(dataset)}"
    caption = f"{title}, in percent; beside a category's name stands how many items it has"
    return joined([tag("h3", title), table(headings, rows, caption=caption)])


def _calls_noted(pair: Comparison) -> list[str]:
    return [SHARED] if pair.shared_draws and not pair.same_calls else []


def _front_chart(contents: Contents, dataset: DatasetSummary, axis: Axis, title: str) -> Html:
    found = front_data(contents, dataset, axis)
    if not any(point.x.value > 0 for point in found.points):
        return Html("")
    title += contents.simulated(dataset)
    shown = named_points(found.points, MOST_NAMED)
    chart = scatter(shown, x_label=found.x_label, title=f"{title} on {dataset.name}")
    numbered = len(shown) > MOST_NAMED
    noted = tag("small", " Numbers are those of the table below.") if numbered else None
    return tag("figure", tag("figcaption", title, noted), chart)


def _named(contents: Contents, cell: CellSummary, notes: Sequence[str]) -> Html:
    if all(other.simulated for other in contents.summary.cells):
        notes = [note for note in notes if note != "simulated"]  # the caption says it of all
    dot = tag("i", class_=f"dot c{contents.colour(cell.architecture) % COLOURS}")
    return joined([dot, cell.label, tag("small", f" {', '.join(notes)}") if notes else None])


def _flips(contents: Contents, cell: str, kind: str, number: int) -> Content:
    """Return a number that, when clicked, shows its items in the explorer."""
    place = next(i for i, chosen in enumerate(contents.cells) if chosen.name == cell)
    if not number:
        return "0"
    return tag("button", f"{number:,}", type="button", class_="show", data_cell=place,
               data_flip=kind, title=f"Show the items {kind}")  # fmt: skip


def _shade(estimate: Quantity | None) -> Content:
    if estimate is None:
        return UNDEFINED
    shade = min(int(estimate.value * _SHADES), _SHADES - 1)
    title = interval(estimate, "percent")
    return tag("span", percent(estimate.value), class_=f"shade s{shade}", title=title)
