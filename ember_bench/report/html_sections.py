"""The parts of a report that are about one dataset: cells, differences, curves, categories."""

from __future__ import annotations

from typing import Final

from ember_bench.drawing.charts import MANY_ROWS, differences
from ember_bench.drawing.html import Content, Html, joined, table, tag
from ember_bench.drawing.lines import calibration, curves
from ember_bench.drawing.number_format import (
    UNDEFINED,
    interval,
    percent,
)
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import DatasetSummary
from ember_bench.report.chart_data import calibration_data, curve_data, difference_rows
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_first import front_chart
from ember_bench.report.html_systems import named_cell, shade

_CURVES: Final = (
    "Dots are systems that were run. Broken lines are expected from stored draws: over all choices"
    " of k of them, voted on, or the best taken; shades are their intervals, for other items."
)
_CALIBRATED: Final = {
    "judge": "Calibration of the evaluator",
    "confidence": "Calibration of stated confidences",
}


def charts_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return accuracy against latency, and the differences to the baseline, side by side."""
    latency = front_chart(contents, dataset, "latency_seconds", "Accuracy against latency")
    charts = [*filter(None, [latency, differences_chart(contents, dataset)])]
    return tag("div", *charts, class_="charts") if charts else Html("")


def differences_chart(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return the differences to the baseline as a chart; nothing if there are none."""
    marks = difference_rows(contents, dataset)
    if not marks:
        return Html("")
    baseline = contents.compared[next(iter(marks))].baseline.label
    title = f"Differences in accuracy to {baseline}{contents.simulated(dataset)}"
    chart = differences([*marks.values()], title=title)
    box = "draw long" if len(marks) > MANY_ROWS else "draw"
    noted = tag("small", " A hollow dot is no clear difference: by adjusted p, or by what failed"
                " trials could have scored.")  # fmt: skip
    return tag("figure", tag("figcaption", title, noted), tag("div", chart, class_=box))


def curves_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return accuracy by K, as measured and as stored draws tell; nothing if nothing is swept."""
    parts = []
    for parameter, lines in curve_data(contents, dataset).items():
        title = f"Accuracy by {parameter}{contents.simulated(dataset)}"
        chart = curves(lines, x_label=parameter, title=title)
        noted = tag("small", f" {_CURVES}")
        parts.append(tag("figure", tag("figcaption", title, noted), chart))
    return tag("div", *parts, class_="charts") if parts else Html("")


def calibration_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return an evaluator's scores against labels, and confidences against correctness."""
    parts = []
    for found in calibration_data(contents, dataset):
        x_label, y_label = found.labels
        title = f"{_CALIBRATED[found.about]}{contents.simulated(dataset)}"
        chart = calibration(found.lines, x_label=x_label, title=f"{title} on {dataset.name}")
        noted = tag("small", f" Upwards: the {y_label}, for each {x_label}. On the broken line both"
                    " are the same.")  # fmt: skip
        parts.append(tag("figure", tag("figcaption", title, noted), chart))
    return tag("div", *parts, class_="charts") if parts else Html("")


def categories_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return each cell's accuracy by category; nothing if items have no category."""
    cells = [cell for cell in contents.of(dataset) if cell.categories]
    names = sorted({name for cell in cells for name in cell.categories})
    if len(names) < 2:
        return Html("")
    asked = contents.rows.description.items[dataset.name]
    sizes = {name: sum(item.category == name for item in asked) for name in names}
    rows = [
        [named_cell(contents, cell, ()), *(_estimated(cell.categories.get(name)) for name in names)]
        for cell in cells
    ]
    headings = ["system", *(f"{name} ({sizes[name]:,})" for name in names)]
    title = f"Accuracy by category{contents.simulated(dataset)}"
    caption = f"{title}, in percent; beside a category's name stands how many items it has"
    return joined([tag("h3", title), table(headings, rows, caption=caption)])


def _estimated(estimate: Quantity | None) -> Content:
    if estimate is None:
        return UNDEFINED
    return shade(estimate.value, percent(estimate.value), interval(estimate, "percent"))
