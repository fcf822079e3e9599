"""Accuracy against cost with intervals, as one HTML file that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ember_bench.drawing.charts import (
    MOST_NAMED,
    STYLE,
    Point,
    Row,
    accuracies,
    scatter,
    shortened,
)
from ember_bench.drawing.html import Html, joined, table, tag
from ember_bench.drawing.number_format import in_percent, in_short
from ember_bench.drawing.svg import COLOURS
from ember_bench.experiment.results.summary import CellSummary, ExperimentSummary

_STYLE: Final = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 20px auto; padding: 0 16px;
  max-width: 880px; }
h1 { font-size: 18px; margin: 0 0 2px; } h2 { font-size: 15px; margin: 26px 0 4px; }
p { margin: 2px 0 8px; color: var(--faint); } small, caption { color: var(--faint); }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: 3px 8px; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td, caption { text-align: left; } .number { text-align: right; }
th:nth-child(2), td:nth-child(2) { white-space: normal; overflow-wrap: anywhere; min-width: 15em; }
"""


def accuracy_page(summary: ExperimentSummary) -> str:
    """Return the page: a chart and a table for each dataset."""
    said = [f"{100 * summary.level:g} % intervals"]
    if summary.simulated:
        said.append("simulated: made-up answers")
    if summary.run.status == "partial":
        said.append("partial: not all trials are done")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        # `tag` escapes quotes, and this line is to be read as it is.
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        tag("title", f"{summary.name}: accuracy and cost"),
        tag("style", Html(STYLE + _STYLE)),
    ]
    architectures = list(dict.fromkeys(cell.architecture for cell in summary.cells))
    body = [tag("h1", summary.name), tag("p", " · ".join(said))]
    for name in dict.fromkeys(cell.dataset for cell in summary.cells):
        cells = [cell for cell in summary.cells if cell.dataset == name]
        colours = [architectures.index(cell.architecture) for cell in cells]
        body += _dataset(name, cells, colours)
    page = tag("html", tag("head", *head), tag("body", *body), lang="en")
    return joined([Html("<!doctype html>"), page, Html("\n")])


def _dataset(name: str, cells: Sequence[CellSummary], colours: Sequence[int]) -> Iterator[Html]:
    yield tag("h2", name)
    yield _chart(name, cells, colours)
    rows = [
        [
            str(number),
            joined(
                [
                    tag("i", class_=f"dot c{colour % COLOURS}"),
                    cell.label,
                    tag("small", " (oracle)") if cell.oracle else None,
                ]
            ),
            f"{cell.items:,}",
            in_percent(cell.accuracy),
            in_short(cell.cost_per_item),
        ]
        for number, (cell, colour) in enumerate(zip(cells, colours, strict=True), 1)
    ]
    headings = ("#", "system", "items", "accuracy", "US$ per item")
    yield table(headings, rows, caption=f"Systems on {name}", names=2, wide=False)


def _chart(name: str, cells: Sequence[CellSummary], colours: Sequence[int]) -> Html:
    """Return accuracy against cost; without costs, a row for each cell, the best first."""
    known = [
        (number, cell, colour, cell.accuracy)
        for number, (cell, colour) in enumerate(zip(cells, colours, strict=True), 1)
        if cell.accuracy is not None
    ]
    priced = [(*entry, cost) for entry in known if (cost := entry[1].cost_per_item) is not None]
    if any(cost.value > 0 for *_, cost in priced):
        few = len(priced) <= MOST_NAMED
        points = [
            Point(
                label=cell.label,
                name=shortened(cell.label) if few else str(number),
                colour=colour,
                x=cost,
                accuracy=accuracy,
                hollow=cell.oracle,
                front=False,
            )
            for number, cell, colour, accuracy, cost in priced
        ]
        chart = scatter(points, x_label="US$ per item", title=f"Accuracy against cost on {name}")
        unknown = "Systems whose cost is unknown are in the table only."
        return joined([chart, tag("p", unknown) if len(priced) < len(known) else None])
    if not known:
        return Html("")
    rows = [
        Row(cell.label, colour, accuracy, hollow=cell.oracle)
        for _, cell, colour, accuracy in sorted(known, key=lambda entry: -entry[3].value)
    ]
    return accuracies(rows, title=f"Accuracy on {name}")
