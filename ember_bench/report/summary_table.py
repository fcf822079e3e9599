"""The table of systems in the terminal.

The width of the terminal decides on the lines of a system: one; or several, with intervals below
their values. Without room beside them the system's label stands above.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from rich.text import Text

from ember_bench.drawing.text import one_line, width
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.report.columns import USUAL, View
from ember_bench.report.decision_text import decisions
from ember_bench.report.layout import GAP, Block, flat, named, stacked
from ember_bench.report.problems_text import problems
from ember_bench.report.sections import Section
from ember_bench.report.suite_text import suite_lines
from ember_bench.report.summary_text import (
    marked,
    status,
    tables,
    with_mark,
)

_STATES: Final = {"complete": "", "decided": " (decided)", "partial": " (unfinished)"}
_LONGEST_LINE: Final = 100
_LONGEST_WORDS: Final = 10  # of a text column in a narrow table
_LEAST_NAME: Final = 16


def table(summary: ExperimentSummary, columns: int | None, view: View = USUAL) -> Text:
    """Return the tables of an experiment and their captions.

    Args:
        summary: The experiment.
        columns: The terminal's width; None without a terminal, and then nothing is wrapped.
        view: The rows and columns to show.

    Raises:
        UnknownNameError: if the view names an unknown column or dataset.
    """
    text = Text()
    room = min(columns or _LONGEST_LINE, _LONGEST_LINE)
    found = tables(summary, view)
    for said in [*problems(summary), *decisions(summary)]:
        text.append(textwrap.fill(one_line(said), room) + "\n", style="bold")
    if summary.decisions:
        text.append("\n")
    for section in found.sections:
        text.append(_filled(section.title, columns) + "\n", style="bold")
        for heading, rows in _layouts(section, columns):
            text.append(heading + "\n", style="dim")
            text.append("\n".join(rows) + "\n")
        text.append("".join(f"{_filled(footer, columns)}\n" for footer in section.footers))
        text.append("\n")
    for line in suite_lines(summary, columns):
        text.append((textwrap.fill(line, room) if columns else line) + "\n")
    for caption in found.captions:
        line = with_mark(caption, columns)
        text.append(textwrap.fill(line, room, subsequent_indent="  ") + "\n", style="dim")
    state = _STATES[summary.run.status]
    ending = f"{one_line(summary.name)}{state}: {status(summary)}"
    return text.append("\n" + (textwrap.fill(ending, room) if columns else ending), style="bold")


def _filled(text: str, columns: int | None) -> str:
    line = one_line(text)
    return line if columns is None else textwrap.fill(line, columns, subsequent_indent="  ")


def _layouts(section: Section, columns: int | None) -> list[tuple[str, list[str]]]:
    """Return the heading and the rows of the section, in as many tables as it takes."""
    if not section.rows:
        return []
    names = [(section.first, ""), *(marked(row.label, row.notes, columns) for row in section.rows)]
    values = [section.headings, *(row.values for row in section.rows)]
    lines = flat([[*name, *line] for name, line in zip(names, values, strict=True)], left=2)
    if columns is None or max(map(width, lines)) <= columns:
        return [(lines[0], lines[1:])]
    under = [place.under for place in section.places]
    narrow = [tuple(place.heading for place in section.places), *values[1:]]
    found = []
    for blocks in _parted(stacked(narrow, under, _LONGEST_WORDS), columns):
        lines = named(names, blocks, columns)
        found.append((lines[0], lines[1:]))
    return found


def _parted(blocks: Sequence[Block], columns: int) -> list[Sequence[Block]]:
    """Return blocks whose columns fit, in parts of so many columns as there is room for."""
    rooms = [
        max(width(line[place]) for block in blocks for line in block)
        for place in range(len(blocks[0][0]))
    ]
    starts, taken = [0], _LEAST_NAME
    for place, room in enumerate(rooms):
        taken += room + len(GAP)
        if taken > columns and place > starts[-1]:
            starts.append(place)
            taken = _LEAST_NAME + room + len(GAP)
    ends = [*starts[1:], len(rooms)]
    return [
        [[line[start:end] for line in block] for block in blocks]
        for start, end in zip(starts, ends, strict=True)
    ]
