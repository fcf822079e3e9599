"""The most accurate system that a budget pays for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ember_bench import stats
from ember_bench.drawing.charts import Point, scatter
from ember_bench.drawing.html import Content, Html, joined, table, tag
from ember_bench.drawing.number_format import Unit, interval, percent
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import CellSummary, DatasetSummary
from ember_bench.report.chart_data import bare_labels, named_points
from ember_bench.report.html_contents import Contents

# Means of the same scores in another order differ by less.
_ROUNDING: Final = 1e-12
_NAMED: Final = 3


@dataclass(frozen=True)
class Affordable:
    """The most accurate of the systems that cost no more than a budget.

    Attributes:
        cell: The system.
        start: The least budget for which it is that, in US dollars per item: its cost.
        end: The cost of the next one; None if there is none.
        accuracy: On the items that all systems have; its interval holds although the system was
            chosen among all that such a budget pays for.
        others: Labels of those of them that may be as accurate.
    """

    cell: CellSummary
    start: float
    end: float | None
    accuracy: Quantity
    others: Sequence[str]


def affordable(contents: Contents, dataset: DatasetSummary) -> list[Affordable]:
    """Return the best systems by budget, the smallest budget first; oracles are no systems."""
    priced = [
        (cell.cost_per_item.value, cell)
        for cell in contents.of(dataset)
        if not cell.oracle and cell.accuracy is not None and cell.cost_per_item is not None
    ]
    if len(priced) < 2:
        return []
    results = [contents.results[cell.name] for _, cell in priced]
    scores = np.column_stack([result.scores for result in results])
    items = np.flatnonzero(~np.isnan(scores).any(axis=1))
    if not items.size:
        return []
    means = scores[items].mean(axis=0)
    order = sorted(range(len(priced)), key=lambda place: (priced[place][0], -means[place]))
    starts: list[int] = []
    for rank, place in enumerate(order):
        if not starts or means[place] > means[order[starts[-1]]] + _ROUNDING:
            starts.append(rank)
    clusters, first = results[0].items.clusters(items), results[0]
    found = []
    for rank, following in zip(starts, [*starts[1:], None], strict=True):
        pool = order[:following]
        cost, cell = priced[order[rank]]
        ranking = stats.rank_cells(
            scores[items][:, pool], clusters=clusters, level=first.level, seed=first.seed
        )
        if ranking is None:  # fewer than five items
            return []
        may_be = np.flatnonzero(ranking.may_be_best).tolist()
        others = [priced[pool[n]][1].label for n in may_be if pool[n] != order[rank]]
        end = None if following is None else priced[order[following]][0]
        found.append(Affordable(cell, cost, end, Quantity.of(ranking.winner), others))
    return found


def budgets_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return the best system by budget as a chart and a table; nothing without two prices."""
    found = affordable(contents, dataset)
    if not found or not found[-1].start:
        return Html("")
    unit = Unit.of(step.start for step in found)
    points = [
        Point(
            label=step.cell.label,
            name="",
            colour=contents.colour(step.cell.architecture),
            x=Quantity(step.start * unit.items, None, None, "mean"),
            accuracy=step.accuracy,
            hollow=False,
            front=True,
            cell=contents.numbers[step.cell.name],
        )
        for step in found
    ]
    labels = [cell.label for cell in contents.of(dataset)]
    names = dict(zip(labels, bare_labels(labels), strict=True))
    title = f"Best system by budget{contents.simulated(dataset)}"
    chart = scatter(named_points(points, len(points)), x_label=f"budget in US$ {unit.per}",
                    title=f"{title} on {dataset.name}")  # fmt: skip
    rows: list[list[Content]] = [
        [
            _range(step, unit),
            names[step.cell.label],
            _some([names[label] for label in step.others]),
            joined(
                [
                    percent(step.accuracy.value),
                    tag("small", f" {interval(step.accuracy, 'percent')}"),
                ]
            ),
        ]
        for step in found
    ]
    headings = [f"US$ {unit.per}", "most accurate", "may be as accurate", "accuracy"]
    level = f"{100 * contents.summary.level:g} %"
    caption = (
        f"{title}: the most accurate of the systems that cost no more, with {level} intervals that"
        " hold although it was chosen, and those that may be as accurate"
    )
    listed = table(headings, rows, caption=caption, names=3, wide=False)
    figure = tag("figure", tag("figcaption", title), tag("div", chart, class_="draw"))
    return tag("div", figure, tag("div", listed), class_="charts")


def _range(step: Affordable, unit: Unit) -> str:
    if step.end is None:
        return f"{unit.dollars(step.start)} and more"
    return f"{unit.dollars(step.start)} to {unit.dollars(step.end)}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    shown = "; ".join(names[: _NAMED if more > 1 else None])
    return f"{shown}; and {more:,} others" if more > 1 else shown or "no other"
