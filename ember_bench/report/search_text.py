"""Searches in words and as a table: the honest estimates first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ember_bench.drawing.number_format import UNDEFINED, count, dollars, interval, percent
from ember_bench.experiment.results.certificate import Certificate, Measured, Search
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.report.columns import Place
from ember_bench.report.sections import Row, Section

_MOST_ROWS: Final = 12
SEARCHED: Final = (
    "The search asked systems different numbers of items, the more the better they were: intervals"
    " and p-values of the tables do not allow for that."
)


def searched(summary: ExperimentSummary) -> bool:
    """Return whether a summary is of a search, whose systems are no study of their own."""
    return any(found.search is not None for found in summary.decisions)


def finalists(summary: ExperimentSummary) -> set[str] | None:
    """Return the names of the systems that a search asked the most; None without a search."""
    names: set[str] = set()
    for found in summary.decisions:
        if found.search is None:
            return None
        # With equal numbers of items, the choice comes first.
        order = sorted(found.asked, key=lambda n: (-found.asked[n], n not in found.choice))
        names |= found.on_all([*order[:_MOST_ROWS], *found.choice])
    return names or None


def found_sections(summary: ExperimentSummary) -> Iterator[Section]:
    """Yield the table of the systems that a search found, the cheapest first, if they are many."""
    labels = {cell.name: cell.label for cell in summary.cells}
    level = f"[{100 * summary.level:g} %]"
    for found in summary.decisions:
        if found.search is None or len(found.search.measured) < 2:
            continue
        points = _by_cost(found.search)
        names = found.search.datasets
        headings = "$/1,000", "held out", level, *names, "chosen by", level
        items = count(min(one.held_out for one in points), "held-out item")
        yield Section(
            f"The front: accuracy on {items}, and on the"
            f" {found.asked[found.choice[0]]:,} that it was chosen by",
            headings,
            tuple(
                Place("", place - 1) if heading == level else Place(heading, None)
                for place, heading in enumerate(headings)
            ),
            tuple(
                Row(
                    labels[one.cell],
                    (),
                    (
                        UNDEFINED if one.usd is None else f"{1000 * one.usd:,.3f}",
                        *_texts(one.unseen),
                        *(_texts(one.by_dataset.get(name))[0] for name in names),
                        *_texts(one.seen),
                    ),
                )
                for one in points
            ),
            tuple(_beaten(points, labels)),
        )


def _texts(value: Quantity | None) -> tuple[str, str]:
    return percent(None if value is None else value.value), interval(value, "percent")


def said_first(found: Certificate, search: Search, labels: Mapping[str, str]) -> Iterator[str]:
    """Yield what a search found, and how good it is."""
    asked = count(int(found.asked[found.choice[0]]), "item")
    if len(search.measured) == 1:
        one = search.measured[0]
        kind = "a front of one system" if found.want == "front" else "use"
        yield f"Search: {kind}{':' if found.want == 'front' else ''} {labels[one.cell]}."
        yield from _estimates(search, one, asked)
        return
    points = _by_cost(search)
    yield (
        f"Search: a front of {len(points)} systems, from {_point(points[0], labels)} to"
        f" {_point(points[-1], labels)}. The table has their estimates on items that the search"
        f" never saw, beside those on the {asked} that they were chosen by, which flatter them."
    )


def _estimates(search: Search, one: Measured, asked: str) -> Iterator[str]:
    """Yield both estimates of the system that was found."""
    if one.unseen is None:
        yield (
            f"On the {asked} it was chosen by it is right on {_interval(one.seen)}, which flatters"
            f" it: no item was {'left' if search.held_out else 'held out'} to measure it on."
        )
        return
    parts = ", ".join(f"{name} {percent(own.value)} %" for name, own in one.by_dataset.items())
    yield (
        f"It is right on {_interval(one.unseen)} of {count(one.held_out, 'item')} that the search"
        f" never saw{f' ({parts})' if parts else ''}; on the {asked} it was chosen by on"
        f" {_interval(one.seen)}, which flatters it."
    )


def _point(one: Measured, labels: Mapping[str, str]) -> str:
    price = UNDEFINED if one.usd is None else dollars(1000 * one.usd)
    return f"{labels[one.cell]} ({_interval(one.unseen)} at {price} for 1,000 trials)"


def _by_cost(search: Search) -> list[Measured]:
    return sorted(search.measured, key=lambda one: one.usd or 0.0)


def _beaten(points: Sequence[Measured], labels: Mapping[str, str]) -> Iterator[str]:
    """Yield which systems one before them, which costs less, equals on held-out items."""
    found, most = [], -1.0
    for one in points:
        if one.unseen is not None and one.unseen.value <= most:
            found.append(labels[one.cell])
        most = max(most, -1.0 if one.unseen is None else one.unseen.value)
    if found:
        yield f"No more accurate than a cheaper one on the held-out items: {'; '.join(found)}."


def said_space(found: Certificate, search: Search) -> Iterator[str]:
    """Yield how large the space is, and what was paid for the search."""
    drawn = ""
    if search.candidates < search.space:
        drawn = f", of which {search.candidates:,} were drawn to choose among"
    never = search.candidates - len(found.cells)
    said = f"The grid has {count(search.space, 'system')}{drawn}"
    if never:
        said += f"; of {count(never, 'system')} nothing was asked, and nothing is said"
    yield f"{said}. {search.worse:,} of those asked are surely no better choice."
    if search.budget_usd is not None and search.spent_usd is not None:
        yield f"Paid for it: {dollars(search.spent_usd)} of {dollars(search.budget_usd)}."
    if search.trials is not None:
        yield f"Trials taken for it: {search.trials_taken:,} of at most {search.trials:,}."


def _interval(value: Quantity | None) -> str:
    if value is None:
        return UNDEFINED
    if value.low is None or value.high is None:
        return f"{percent(value.value)} %"
    return f"{percent(value.value)} % [{percent(value.low)}, {percent(value.high)}]"
