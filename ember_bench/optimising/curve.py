"""The curve of cost and score of a search: as a page, and as a figure for a paper."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from ember_bench.drawing import figure_kinds
from ember_bench.drawing.charts import Point, scatter
from ember_bench.drawing.figures import Panel, Width, figure
from ember_bench.drawing.html import Content, joined, table, tag
from ember_bench.drawing.number_format import UNDEFINED, dollars, percent
from ember_bench.errors import ConfigError
from ember_bench.experiment.results.figures import Quantity
from ember_bench.optimising.outcome import OPTIMISED, Optimised, result_lines
from ember_bench.report.figures import Plot
from ember_bench.report.html_report import page_of
from ember_bench.report.table_formats import Kind, Table

SEARCH: Final = "search"
"""The kind of the figure, beside those of experiments."""
_X_LABEL: Final = "cost of the search so far, US$"
_COLUMNS: Final[tuple[tuple[str, Kind], ...]] = (
    ("candidate", "integer"), ("spent_usd", "number"), ("validation_score", "number"),
    ("cost_usd", "number"), ("best_so_far", "flag"), ("chosen", "flag"),
)  # fmt: skip


def curve_points(outcome: Optimised) -> list[Point]:
    """Return the candidates whose cost is known; the best so far are the front."""
    found, best = [], -1.0
    for number, point in enumerate(outcome.curve):
        ahead = point.score > best
        best = max(best, point.score)
        if point.spent_usd is None:
            continue
        chosen = " (chosen)" if number == outcome.chosen else ""
        found.append(
            Point(
                f"candidate {number}{chosen}",
                str(number),
                int(number == outcome.chosen),
                Quantity(point.spent_usd, None, None, ""),
                Quantity(point.score, None, None, ""),
                hollow=False,
                front=ahead,
            )
        )
    return found


def curve_page(outcome: Optimised) -> str:
    """Return the result as a page, with the curve as a chart; it runs no script."""
    title = f"{outcome.card}: prompts by {outcome.method}"
    points = curve_points(outcome)
    chart = tag("p", "The costs are unknown, so there is no chart.")
    if any(point.x.value > 0 for point in points):
        chart = scatter(points, x_label=_X_LABEL, title="Score on the validation items by cost")
    headings = ("candidate", "cost so far", "validation score", "cost/item")
    rows: list[list[Content]] = [
        [
            f"{number} (chosen)" if number == outcome.chosen else str(number),
            dollars(point.spent_usd),
            percent(point.score),
            dollars(point.cost_usd),
        ]
        for number, point in enumerate(outcome.curve)
    ]
    simulated = [tag("p", "Simulated: answers are from a simulated model.")]
    body = [
        tag("header", tag("h1", title), tag("p", f"{outcome.cell} of {outcome.study}")),
        *(simulated if outcome.simulated else []),
        tag("h2", "Result"),
        tag("pre", "\n".join(result_lines(outcome))),
        tag("h2", "Search"),
        chart,
        table(headings, rows, caption="Candidates"),
        tag("h2", "Prompts, up to their inputs"),
        *_prompts(outcome),
    ]
    return page_of(f"{title}: ember-bench", joined(body))


def _prompts(outcome: Optimised) -> Iterator[Content]:
    for name, text in outcome.prompts.items():
        before = outcome.prompts_before[name]
        yield tag("h3", name)
        if text != before:
            yield tag("h4", "before")
            yield tag("pre", before or UNDEFINED)
            yield tag("h4", "after")
        yield tag("pre", text or UNDEFINED)


def curve_plot(outcome: Optimised, *, width: Width = "one", dark: bool = False) -> Plot:
    """Return the curve as a figure for a paper or a talk, with its data.

    Args:
        outcome: The result.
        width: `one` column of a page, or `two`.
        dark: Draw light on dark, for a screen.

    Raises:
        ConfigError: if no cost is known, or matplotlib is not installed.
    """
    points = curve_points(outcome)
    if not any(point.x.value > 0 for point in points):
        raise ConfigError(f"{outcome.card}: no candidate has a known cost above 0")
    front = {int(point.name) for point in points if point.front}
    rows = [
        (n, p.spent_usd, p.score, p.cost_usd, n in front, n == outcome.chosen)
        for n, p in enumerate(outcome.curve)
    ]
    draw = partial(figure_kinds.front, points, ["candidates", "chosen"], _X_LABEL)
    panel = Panel("simulated" if outcome.simulated else "", draw)
    return Plot(SEARCH, Table(_COLUMNS, rows), figure([panel], width, dark=dark), dark)


def read_optimised(name: str, results: Path) -> Optimised:
    """Return the result of `optimise` in a folder, which is a path or the name of one in `results`.

    Raises:
        ConfigError: if there is none.
    """
    for folder in (results / name, Path(name)):
        try:
            content = (folder / OPTIMISED).read_bytes()
        except OSError:
            continue
        try:
            return msgspec.json.decode(content, type=Optimised)
        except msgspec.DecodeError as error:
            raise ConfigError(f"{folder / OPTIMISED}: no result of optimise: {error}") from None
    there = sorted(path.parent.name for path in results.glob(f"*/{OPTIMISED}"))
    known = f"; there are {', '.join(there)}" if there else ""
    raise ConfigError(f"{name}: no result of `ember-bench optimise` in {results}{known}")
