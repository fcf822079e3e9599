"""The parts of a report that are about one dataset: cells, differences, curves, categories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from ember_bench import stats
from ember_bench.drawing.charts import (
    COLOURS,
    MOST_NAMED,
    Curve,
    Point,
    Row,
    curves,
    differences,
    scatter,
    shortened,
)
from ember_bench.drawing.html import Content, Html, joined, table, tag
from ember_bench.drawing.number_format import (
    UNDEFINED,
    interval,
    p_value,
    percent,
    share,
    times,
)
from ember_bench.experiment.results.cells import CellResults, IntArray
from ember_bench.experiment.results.compared import Comparison
from ember_bench.experiment.results.summary import CellSummary, DatasetSummary, Quantity
from ember_bench.report.columns import View
from ember_bench.report.comparison_table import RANKS, pair_values, ranks, winner_text
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
_LEAST_DRAWS: Final = 3
_SHADES: Final = 10
SYSTEMS: Final = View(
    columns=("accuracy", "cost", "cost_interval", "correct", "correct_interval", "latency", "p95")
)
"""The columns of the table of systems; comparisons have a table of their own."""
_AXES: Final[tuple[tuple[Axis, str, str], ...]] = (
    ("cost_per_item", "US$ per item", "Accuracy against cost"),
    ("latency_seconds", "seconds of latency", "Accuracy against latency"),
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
            *(share(on[axis].get(cell.name)) for axis, _, _ in _AXES),
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
    pairs = [pair for name, pair in contents.compared.items() if name in cells]
    if not pairs:
        return Html("")
    found = [(pair, comparison) for pair in pairs
             if (comparison := cells[pair.cell.cell].comparison) is not None]  # fmt: skip
    title = f"{pairs[0].baseline.label}{contents.simulated(dataset)}"
    chart = differences(
        [
            Row(
                pair.cell.label,
                contents.colour(cells[pair.cell.cell].architecture),
                pair.difference,
                hollow=not own.is_clear(contents.summary.level),
            )
            for pair, own in found
        ],
        title=f"Differences in accuracy to {title}",
    )
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
            ranks(pair.rank, may_be_best=pair.may_be_best),
        ]
        for pair, own in found
    ]
    level = f"[{100 * contents.summary.level:g} %]"
    headings = ["system", "difference", level, "items", "won", "lost", "p", "adj. p", "result",
                "cost", "P(best)", "rank"]  # fmt: skip
    return joined(
        [
            tag("h3", f"Against {title}"),
            tag("p", "Paired on the items that both have, with the interval"
                f"{INTERVALS[contents.summary.correction]}. A hollow dot is no clear difference:"
                " by adjusted p, or by what failed trials could have scored.",
                class_="facts"),
            chart,
            table(headings, rows, caption=f"Differences to {title}"),
            *(tag("p", winner_text(winner)) for winner in contents.winners(pairs[0].baseline.cell)),
            tag("p", RANKS, class_="facts"),
        ]
    )  # fmt: skip


def curves_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return accuracy by K, as measured and as stored draws tell; nothing if nothing is swept."""
    found: dict[str, list[Curve]] = {}
    for parameter, cells in _swept(contents.of(dataset)):
        colour = contents.colour(cells[0].architecture)
        name = _series(cells, parameter)
        measured = [(cell.parameters[parameter], cell.accuracy) for cell in cells if cell.accuracy]
        if not measured:
            continue
        lines = found.setdefault(parameter, [])
        lines.append(Curve(name, colour, measured))
        # The same draws before another choice, as in a vote and a judge, make the same curves.
        drawn = [line.points for line in lines]
        more = _expected(contents, cells[-1], colour)
        lines += [line for line in more if line.points not in drawn]
    if epochs := list(_by_epochs(contents, dataset)):
        found.setdefault("k", []).extend(epochs)
    parts = []
    for parameter, lines in found.items():
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


def _front_chart(
    contents: Contents, dataset: DatasetSummary, axis: Axis, x_label: str, title: str
) -> Html:
    cells = contents.of(dataset)
    on = set(front(cells, axis, contents.results).on)
    known = [
        (cell, cell.accuracy, x)
        for cell in cells
        if cell.accuracy is not None and (x := getattr(cell, axis)) is not None
    ]
    few = len(known) <= MOST_NAMED
    found = [
        Point(
            label=cell.label,
            name=shortened(cell.label) if few or cell.oracle or cell.name in on else "",
            colour=contents.colour(cell.architecture),
            x=x,
            accuracy=accuracy,
            hollow=cell.oracle,
            front=cell.name in on,
        )
        for cell, accuracy, x in known
    ]
    if not any(point.x.value > 0 for point in found):
        return Html("")
    title += contents.simulated(dataset)
    chart = scatter(found, x_label=x_label, title=f"{title} on {dataset.name}")
    named = tag("small", " Those on the Pareto front are named; point at any other.")
    caption = tag("figcaption", title, None if few else named)
    return tag("figure", caption, chart)


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


def _swept(cells: Sequence[CellSummary]) -> Iterator[tuple[str, list[CellSummary]]]:
    """Yield the cells that differ in one whole number alone, ascending, with its name."""
    groups: dict[tuple[str, str, bytes], list[CellSummary]] = {}
    for cell in cells:
        for name, value in cell.parameters.items():
            if isinstance(value, int) and not isinstance(value, bool):
                others: Mapping[str, Any] = {**cell.parameters, name: None}
                key = name, cell.architecture, msgspec.json.encode(others, order="sorted")
                groups.setdefault(key, []).append(cell)
    for (name, _, _), found in groups.items():
        if len({cell.parameters[name] for cell in found}) > 1:
            yield name, sorted(found, key=lambda cell: cell.parameters[name])


def _series(cells: Sequence[CellSummary], parameter: str) -> str:
    """Return the name of a row of cells: its architecture and models."""
    models = cells[0].parameters.get("model")
    asked = f", {models}" if isinstance(models, str) else ""
    return f"{cells[0].architecture}{asked}: {parameter} as run"


def _expected(contents: Contents, cell: CellSummary, colour: int) -> Iterator[Curve]:
    """Yield the expected scores of fewer candidates of the largest cell."""
    for choice in contents.choices.get(cell.name, ())[:1]:
        if choice.votes:
            vote = [(point.k, point.vote) for point in choice.votes]
            best = [(point.k, point.best) for point in choice.votes]
            yield Curve(f"vote of k candidates of {cell.label}", colour, vote, "expected")
            yield Curve(f"best of k candidates of {cell.label}", colour, best, "best")


def _by_epochs(contents: Contents, dataset: DatasetSummary) -> Iterator[Curve]:
    """Yield the expected scores of votes over the epochs of each cell with one call per trial."""
    epochs = contents.summary.epochs
    if epochs < _LEAST_DRAWS:
        return
    for cell in contents.of(dataset):
        done = cell.scheduled - cell.outcomes["skipped"]
        data = contents.results[cell.name].data
        items = np.flatnonzero(data.epochs == epochs)
        if cell.oracle or cell.calls != done or not items.size or cell.outcomes["error"]:
            continue
        result = contents.results[cell.name]
        drawn, whole = _draws(result, items)
        clusters = result.items.clusters(items)
        found = stats.vote_curve(drawn, whole, clusters=clusters, level=contents.summary.level)
        if found is not None:
            values = [
                (k, Quantity.with_interval(value, bounds, "wilson"))
                for k, value, bounds in zip(
                    found.k.tolist(), found.vote.tolist(), found.vote_intervals, strict=True
                )
            ]
            colour = contents.colour(cell.architecture)
            yield Curve(f"vote over k epochs of {cell.label}", colour, values, "expected")


def _draws(
    result: CellResults, items: IntArray
) -> tuple[list[list[str | None]], list[list[float]]]:
    """Return the answers to items, and their scores, by epoch."""
    chosen = np.isin(result.data.item, items)
    scores = result.data.score[chosen].reshape(len(items), -1).tolist()
    return [result.answers_to(item) for item in items.tolist()], scores
