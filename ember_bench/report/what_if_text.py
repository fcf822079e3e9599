"""Combinations of systems that were not run, as a table in the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from rich.text import Text

from ember_bench.decisions.what_if import WhatIf, WhatIfTable
from ember_bench.drawing.number_format import (
    UNDEFINED,
    Unit,
    dollars,
    in_percent,
    interval,
    percent,
    points,
)
from ember_bench.drawing.text import one_line, width
from ember_bench.experiment.forecast.stored import StoredCell, StoredGrid
from ember_bench.report.layout import flat
from ember_bench.report.summary_text import SIMULATED

_LONGEST_LINE: Final = 100


def what_if_text(table: WhatIfTable, columns: int | None) -> Text:
    """Return the combinations, a section for each dataset, with their captions."""
    text = Text()
    room = min(columns or _LONGEST_LINE, _LONGEST_LINE)
    unit = Unit.of(row.cost_per_item.value for row in table.rows if row.cost_per_item is not None)
    simulated = " (simulated)" if all(row.simulated for row in table.rows) else ""
    for dataset in dict.fromkeys(row.dataset for row in table.rows):
        rows = [row for row in table.rows if row.dataset == dataset]
        text.append(f"{one_line(dataset)}: what if{simulated}\n", style="bold")
        heading, *lines = flat([_headings(table, unit), *(_values(r, unit) for r in rows)], left=1)
        if columns is None or max(map(width, (heading, *lines))) <= columns:
            text.append(f"{heading}\n", style="dim")
        else:
            lines = [line for row in rows for line in _stacked(row, unit)]
        text.append("\n".join([*lines, "", ""]))
        notes = [_filled(note, room) for row in rows for note in _notes(row)]
        text.append("\n".join([*notes, "", ""]) if notes else "")
    captions = [_filled(caption, room) for caption in (*table.left_out, *_captions(table))]
    return text.append("\n".join(captions), style="dim")


def stored_grid_text(grid: StoredGrid, columns: int | None) -> Text:
    """Return the systems of a grid on stored answers, a section for each dataset."""
    text = Text()
    room = min(columns or _LONGEST_LINE, _LONGEST_LINE)
    unit = Unit.of(cell.cost_per_item.value for cell in grid.cells if cell.cost_per_item)
    sure = f"[{100 * grid.level:g} %]"
    headings = [
        "system", "accuracy", sure, f"$/{unit.name}", "trials", "complete", "new calls", "price",
    ]  # fmt: skip
    for dataset in dict.fromkeys(cell.dataset for cell in grid.cells):
        rows = [_stored(cell, unit) for cell in grid.cells if cell.dataset == dataset]
        heading, *lines = flat([headings, *rows], left=1)
        text.append(f"{one_line(dataset)}: on stored answers\n", style="bold")
        if columns is None or max(map(width, (heading, *lines))) <= columns:
            text.append(f"{heading}\n", style="dim")
        else:
            lines = [line for row in rows for line in _stored_lines(row, unit)]
        text.append("\n".join([*lines, "", ""]))
    captions = [_filled(caption, room) for caption in _grid_captions(grid)]
    return text.append("\n".join(captions), style="dim")


def _stored(cell: StoredCell, unit: Unit) -> list[str]:
    accuracy, bounds = UNDEFINED, ""
    if cell.accuracy is not None:
        accuracy, bounds = percent(cell.accuracy.value), interval(cell.accuracy, "percent")
    elif cell.complete and cell.low is not None:
        accuracy = f"{percent(cell.low)} to {percent(cell.high)}"
    return [
        one_line(cell.label),
        accuracy,
        bounds,
        UNDEFINED if cell.cost_per_item is None else unit.dollars(cell.cost_per_item.value),
        f"{cell.trials:,}",
        f"{cell.complete:,}",
        f"{cell.missing_calls:,}",
        dollars(cell.missing_usd) if cell.missing_calls else "",
    ]


def _stored_lines(row: list[str], unit: Unit) -> Iterator[str]:
    """Yield a row as lines for a narrow terminal."""
    label, accuracy, bounds, cost, trials, complete, missing, price = row
    yield label
    if complete == "0":
        yield f"  none of {trials} trials is complete"
    else:
        done = f"{complete} of {trials} trials complete"
        yield f"  {accuracy} % {bounds}; ${cost}/{unit.name}; {done}"
    if price:
        yield f"  {missing} new calls, {price}"


def _grid_captions(grid: StoredGrid) -> Iterator[str]:
    yield (
        "Computed from stored answers; no call was made, by simulated models neither. Complete:"
        " trials whose calls are all stored, which the accuracy is of. New calls: those that are"
        " not stored, each counted for the first system that makes it, and their expected price."
    )
    if any(cell.begun for cell in grid.cells):
        yield (
            "If other trials are begun, the accuracy is a range, from all of these wrong to all"
            " right: which trials are complete may depend on the answers."
        )
    if any(cell.oracle for cell in grid.cells):
        yield "Oracle: looks at the target, so it is the upper limit of any choice."
    if any(cell.simulated for cell in grid.cells):
        yield SIMULATED


def _filled(line: str, room: int) -> str:
    return textwrap.fill(one_line(line), room, subsequent_indent="  ", break_on_hyphens=False)


def _headings(table: WhatIfTable, unit: Unit) -> list[str]:
    sure = f"[{100 * table.level:g} %]"
    return [
        "system", "items", "accuracy", sure, f"$/{unit.name}", "gain", sure, "same items", "to run",
        "price",
    ]  # fmt: skip


def _values(row: WhatIf, unit: Unit) -> list[str]:
    cost = row.cost_per_item
    return [
        one_line(row.label),
        f"{row.items:,}",
        percent(row.accuracy.value) if row.accuracy else UNDEFINED,
        interval(row.accuracy, "percent"),
        UNDEFINED if cost is None else unit.dollars(cost.value),
        UNDEFINED if row.difference is None else points(row.difference.value),
        interval(row.difference, "points"),
        "" if row.optimistic is None else percent(row.optimistic),
        f"{row.missing.trials:,}" if row.missing.trials else "",
        dollars(row.missing.usd) if row.missing.trials else "",
    ]


def _stacked(row: WhatIf, unit: Unit) -> Iterator[str]:
    """Yield a row as lines for a narrow terminal: its name, and its numbers below it."""
    _, items, accuracy, sure, cost, gain, gain_sure, same, missing, price = _values(row, unit)
    yield one_line(row.label)
    more = f", {same} on the same items" if same else ""
    yield f"  {accuracy} % {sure}{more}; ${cost}/{unit.name}; {items} items"
    to_run = f"; {missing} trials to run, {price}" if missing else ""
    yield f"  gain {gain} {gain_sure}{to_run}"


def _notes(row: WhatIf) -> Iterator[str]:
    if row.predicted is not None:
        yield (
            f"{row.label}: predicted {in_percent(row.predicted)} over all items, by who is wrong"
            " together."
        )
    if row.tuned:
        yield f"{row.label}: {row.tuned}."


def _captions(table: WhatIfTable) -> Iterator[str]:
    yield (
        "Computed from stored trials; no call was made. Gain: accuracy minus that of the most"
        " accurate member, in points, on the same items; the member is chosen without the items"
        " that it is scored on. Cost: all of the members' calls that are made."
    )
    if any(row.optimistic is not None for row in table.rows):
        yield (
            "Weights, thresholds and choices are cross-fitted: each half of the items is scored"
            " with what the other half chooses. Same items: accuracy if both are the same, which"
            " flatters."
        )
    if any(row.missing.trials for row in table.rows):
        yield (
            "To run: trials that were not run, priced at the mean cost of the system's others."
            " Rows are over the items that have all trials."
        )
    if shared := [row.label for row in table.rows if row.shared_draws]:
        yield (
            "Members that share draws agree more than if each made its own calls:"
            f" {'; '.join(dict.fromkeys(shared))}."
        )
    if any(row.oracle for row in table.rows):
        yield "Oracle: looks at the target, so it is the upper limit of any choice."
    if any(row.simulated for row in table.rows):
        yield SIMULATED
