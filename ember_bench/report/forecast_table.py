"""The plan of an experiment in the terminal."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import Final

from rich.text import Text

from ember_bench.drawing.number_format import UNDEFINED, count, dollars
from ember_bench.drawing.text import one_line, width
from ember_bench.experiment.forecast.numbers import CellForecast, Forecast, Range
from ember_bench.report.layout import flat, named

_LONGEST_LINE: Final = 100
_MOST_SEARCHED: Final = 12
_HEADINGS: Final = ("trials", "calls", "shared", "stored", "new calls", "expected", "worst case")


def plan_table(forecast: Forecast, columns: int | None) -> Text:
    """Return the cells of the plan, its totals and its assumptions.

    Args:
        forecast: The plan.
        columns: The terminal's width; None without a terminal, and then nothing is wrapped.
    """
    text = Text()
    total = _values(forecast)
    all_simulated = all(line.simulated for line in (*forecast.cells, *forecast.evaluations))
    simulated = " (simulated)" if all_simulated else ""
    for dataset, cells in groupby(forecast.cells, key=lambda cell: cell.dataset):
        text.append(f"{one_line(dataset)}{simulated}\n", style="bold")
        judged = [line for line in forecast.evaluations if line.dataset == dataset]
        listed, more = list(cells), 0
        if forecast.search:
            listed, more = listed[:_MOST_SEARCHED], max(0, len(listed) - _MOST_SEARCHED)
        heading, *rows = _layout([*listed, *judged], total, columns, noted=not all_simulated)
        text.append(heading + "\n", style="dim")
        text.append("\n".join(rows) + "\n")
        text.append((f"{count(more, 'more system')}\n" if more else "") + "\n")
    room = min(columns or _LONGEST_LINE, _LONGEST_LINE)
    # A search has no comparisons of its own.
    said = forecast.search or forecast.shows
    for assumption in [*_legend(), *map(one_line, [*forecast.assumptions, *said])]:
        text.append(textwrap.fill(assumption, room, subsequent_indent="  ") + "\n", style="dim")
    return text.append("\n" + textwrap.fill(_total(forecast), room), style="bold")


def _layout(
    cells: list[CellForecast], total: list[str], columns: int | None, *, noted: bool
) -> list[str]:
    notes = ["simulated" if noted and cell.simulated else "" for cell in cells]
    labels = [one_line(cell.label) for cell in cells]
    names = [("system", ""), *zip(labels, notes, strict=True)]
    values = [list(_HEADINGS), *(_values(cell) for cell in cells)]
    if total[3] == "0":
        values = [[*line[:3], *line[4:]] for line in values]
    lines = flat([[*name, *line] for name, line in zip(names, values, strict=True)], left=2)
    if columns is None or max(map(width, lines)) <= columns:
        return lines
    return named(names, [[line] for line in values], columns)


def _values(of: CellForecast | Forecast) -> list[str]:
    counts = (of.calls, of.shared, of.stored, of.made)
    worst = UNDEFINED if of.worst_usd is None else dollars(of.worst_usd)
    return [f"{of.trials:,}", *map(_range, counts), _dollars(of.expected_usd), worst]


def _legend() -> list[str]:
    return [
        (
            "Calls: all that the trials use. Shared: those that a system above, or another trial,"
            " makes. Stored: those that are answered already. New calls: the rest; expected and"
            " worst case are their cost."
        )
    ]


def _total(forecast: Forecast) -> str:
    simulated = " (simulated)" if forecast.simulated else ""
    worst = "unknown" if forecast.worst_usd is None else dollars(forecast.worst_usd)
    expected = forecast.expected_usd
    return (
        f"{one_line(forecast.name)}: {count(len(forecast.cells), 'system')},"
        f" {count(forecast.trials, 'trial')}; {_calls(forecast.calls)} before sharing,"
        f" {_range(_less(forecast))} after it, {_range(forecast.stored)} of them stored;"
        f" {_calls(forecast.made, 'new call')}; expected cost"
        f" {'unknown' if expected is None else _dollars(expected)}, worst case"
        f" {worst}{simulated}"
    )


def evaluation_line(plan: CellForecast) -> str:
    """Return in one sentence what judges will be asked about stored outputs."""
    expected = "unknown" if plan.expected_usd is None else _dollars(plan.expected_usd)
    worst = "unknown" if plan.worst_usd is None else dollars(plan.worst_usd)
    return (
        f"evaluation by {one_line(plan.label)} of {count(plan.trials, 'stored trial')}:"
        f" {_calls(plan.calls)}, {_range(plan.shared)} shared, {_range(plan.stored)} stored;"
        f" {_calls(plan.made, 'new call')}; expected cost {expected}, worst case {worst}"
        + (" (simulated)" if plan.simulated else "")
    )


def _less(forecast: Forecast) -> Range:
    """Return the calls that are left after sharing."""
    stored, made = forecast.stored, forecast.made
    return Range(stored.low + made.low, stored.high + made.high)


def _calls(value: Range, noun: str = "call") -> str:
    return f"{_range(value)} {noun}{'' if _range(value) == '1' else 's'}"


def _range(value: Range) -> str:
    if value.low == value.high:
        return f"{value.low:,.0f}"
    return f"{value.low:,.0f} to {value.high:,.0f}"


def _dollars(value: Range | None) -> str:
    if value is None:
        return UNDEFINED
    low, high = dollars(value.low), dollars(value.high)
    # Within rounding, and not a range that anybody would act on.
    return high if low == high or value.low > 0.99 * value.high else f"{low} to {high}"
