"""The first screen of a report: which system, how sure, at what price, compared with what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ember_bench.drawing.charts import MOST_NAMED, scatter
from ember_bench.drawing.html import Content, Html, table, tag
from ember_bench.drawing.number_format import (
    Unit,
    count,
    duration,
    interval,
    p_value,
    percent,
    points,
    times,
)
from ember_bench.drawing.svg import COLOURS
from ember_bench.experiment.results.compared import Comparison
from ember_bench.experiment.results.summary import CellSummary, DatasetSummary, ExperimentSummary
from ember_bench.report.chart_data import front_data, named_points
from ember_bench.report.decision_text import decisions, stopped
from ember_bench.report.html_answer import answer, most_accurate
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_fronts import Axis
from ember_bench.report.search_text import found_sections, searched

_NAMED: Final = 4


def answers_section(contents: Contents) -> Html:
    """Return the answer on each dataset: in words, in four figures, and as a chart.

    Before them stand the decisions of an experiment that was to decide.
    """
    # What a search asked of most systems are a few items, which answer nothing.
    datasets = [] if searched(contents.summary) else contents.summary.datasets
    parts = [_dataset(contents, dataset, several=len(datasets) > 1) for dataset in datasets]
    decided, legend = _decisions(contents.summary), _legend(contents)
    return tag("section", *decided, legend, *parts, class_="answers", aria_label="The answer")


def front_chart(contents: Contents, dataset: DatasetSummary, axis: Axis, title: str) -> Html:
    """Return accuracy against cost or latency; nothing if that is unknown, or 0."""
    found = front_data(contents, dataset, axis)
    if not any(point.x.value > 0 for point in found.points):
        return Html("")
    title += contents.simulated(dataset)
    shown = named_points(found.points, MOST_NAMED)
    chart = scatter(shown, x_label=found.x_label, title=f"{title} on {dataset.name}")
    numbered = len(shown) > MOST_NAMED
    noted = tag("small", " Numbers are those of the table of systems.") if numbered else None
    return tag("figure", tag("figcaption", title, noted), tag("div", chart, class_="draw"))


def _decisions(summary: ExperimentSummary) -> Iterator[Html]:
    if said := decisions(summary):
        yield tag("h2", "Decision" if summary.decisions[0].search is None else "Search")
        yield from (tag("p", text, class_="verdict") for text in said)
        for section in found_sections(summary):
            rows = [[row.label, *row.values] for row in section.rows]
            yield table([section.first, *section.headings], rows, caption=section.title)
            yield from (tag("p", footer, class_="facts") for footer in section.footers)
        if summary.decided:
            yield tag("p", stopped(summary), class_="facts")


def _legend(contents: Contents) -> Html:
    """Return the colours of the architectures; nothing if there is one alone."""
    names = list(dict.fromkeys(cell.architecture for cell in contents.summary.cells))
    if len(names) < 2:
        return Html("")
    entries = [
        tag("li", tag("i", class_=f"dot c{contents.colour(name) % COLOURS}"), name)
        for name in names
    ]
    return tag("ul", *entries, class_="legend", aria_label="Colours of the architectures")


def _dataset(contents: Contents, dataset: DatasetSummary, *, several: bool) -> Html:
    level, cells = contents.summary.level, contents.of(dataset)
    said = answer(dataset, cells, contents.compared, level, contents.results)
    simulated = "Simulated: " if contents.simulated(dataset) else ""
    title = f"On {dataset.name}" if several else "The answer"
    words: list[Content] = [
        tag("h2", title),
        tag("p", simulated, said[0], class_="verdict"),
        _figures(contents, dataset),
    ]
    if said[1:]:
        rest = (tag("p", sentence) for sentence in said[1:])
        words.append(tag("details", tag("summary", "What is worse, dominated, or the same"), *rest))
    chart = front_chart(contents, dataset, "cost_per_item", "Accuracy against cost")
    return tag("div", tag("div", *words, class_="answer"), chart, class_="pair")


def _figures(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return the four figures of the most accurate system; nothing without any."""
    best = most_accurate(contents.of(dataset))
    if best is None:
        return Html("")
    facts = [*_sure(contents, dataset, best), *_price(best), *_against(contents, best)]
    return tag("dl", *(tag("div", tag("dt", name), *map(_said, said)) for name, said in facts),
               class_="tiles")  # fmt: skip


_Fact = tuple[str, Sequence[str]]


def _said(line: str) -> Html:
    return tag("dd", line)


def _sure(contents: Contents, dataset: DatasetSummary, best: CellSummary) -> Iterator[_Fact]:
    """Yield the accuracy of the best, corrected for its selection if it can be; and its rivals."""
    winner = contents.winners.get(dataset.name)
    level = f"{100 * contents.summary.level:g} %"
    if winner is None or winner.cell != best.name:
        value = best.accuracy
        within = f"{interval(value, 'percent')} ({level})"
        yield "Most accurate", [best.label, f"{percent(value.value if value else None)} %", within]
        return
    own = winner.accuracy
    within = f"{interval(own, 'percent')} ({level}, corrected for its selection)"
    yield "Most accurate", [best.label, f"{percent(own.value)} %", within]
    others = winner.may_be_best[1:]
    more = [f"and {count(len(others) - _NAMED, 'other')}"] if len(others) > _NAMED else []
    yield "May be as accurate", [*others[:_NAMED], *more] or ["no other system"]


def _price(best: CellSummary) -> Iterator[_Fact]:
    cost, latency = best.cost_per_item, best.latency_seconds
    if cost is None:
        yield "Its price", ["unknown"]
        return
    unit = Unit.of([cost.value])
    lines = [f"${unit.dollars(cost.value)} {unit.per}"]
    if cost.low is not None and cost.high is not None:
        lines.append(unit.interval(cost))
    if latency is not None:
        lines.append(f"{duration(latency.value)} of latency per item")
    yield "Its price", lines


def _against(contents: Contents, best: CellSummary) -> Iterator[_Fact]:
    """Yield how the best differs from its baseline; if it is that, how the next differs from it."""
    if best.comparison is not None:
        pair = contents.compared.get(best.name)
        if pair is not None:
            yield "Compared with", [pair.baseline.label, *_differs(pair)]
        return
    others = [
        (cell, pair)
        for cell in contents.summary.cells
        if (pair := contents.compared.get(cell.name)) is not None
        and pair.baseline.cell == best.name
        and not cell.oracle
        and not pair.same_calls
    ]
    if not others:
        return
    cell, pair = max(others, key=lambda other: other[1].difference.value)
    yield "It is the baseline; the next", [cell.label, *_differs(pair)]


def _differs(pair: Comparison) -> Iterator[str]:
    """Yield the difference of a cell from its baseline, how sure it is, and the ratio of costs."""
    if pair.same_calls:
        yield "the same calls"
    else:
        yield f"{points(pair.difference.value)} points {interval(pair.difference, 'points')}"
        yield f"adjusted p {p_value(pair.p_adjusted)}"
    if pair.cost_ratio is not None:
        yield f"{times(pair.cost_ratio)} the cost"
    if pair.shared_draws and not pair.same_calls:
        yield "on shared draws"
