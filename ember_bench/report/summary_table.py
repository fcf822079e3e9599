"""The table of cells in the terminal.

The width of the terminal decides on the lines of a cell: one; two, with intervals below their
values; or four, with the cost per correct answer below the cost per item. Without room beside them
the cell's name stands above.
"""

from __future__ import annotations

import textwrap
from typing import Final

from rich.text import Text

from ember_bench.drawing.text import one_line, width
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.report.layout import Block, Line, flat, named
from ember_bench.report.summary_text import Section, captions, problems, sections, status

_LONGEST_LINE: Final = 100


def table(summary: ExperimentSummary, columns: int | None) -> Text:
    """Return the tables of an experiment and their captions.

    Args:
        summary: The experiment.
        columns: The terminal's width; None without a terminal, and then nothing is wrapped.
    """
    text = Text()
    room = min(columns or _LONGEST_LINE, _LONGEST_LINE)
    for problem in problems(summary):
        text.append(textwrap.fill(one_line(problem), room) + "\n", style="bold")
    for section in sections(summary):
        text.append(one_line(section.title) + "\n", style="bold")
        heading, *rows = _layout(section, columns)
        text.append(heading + "\n", style="dim")
        text.append("\n".join(rows) + "\n")
        text.append("".join(f"{one_line(footer)}\n" for footer in section.footers))
        text.append("\n")
    for caption in captions(summary):
        text.append(textwrap.fill(caption, room, subsequent_indent="  ") + "\n", style="dim")
    state = "" if summary.run.status == "complete" else " (unfinished)"
    ending = f"{one_line(summary.name)}{state}: {status(summary)}"
    return text.append("\n" + (textwrap.fill(ending, room) if columns else ending), style="bold")


def _layout(section: Section, columns: int | None) -> list[str]:
    """Return the section's rows, the heading first."""
    headings = [entry.heading for entry in section.rows[0].entries]
    names = [("cell", ""), *((one_line(r.label), ", ".join(r.notes)) for r in section.rows)]
    values = [headings, *([entry.value for entry in row.entries] for row in section.rows)]
    lines = flat([[*name, *line] for name, line in zip(names, values, strict=True)], left=2)
    if columns is None or max(map(width, lines)) <= columns:
        return lines
    for stacked in (_stacked, _tall):
        blocks = [stacked(values[0], ", "), *(stacked(line, " p ") for line in values[1:])]
        lines = named(names, blocks, columns)
        if max(map(width, "\n".join(lines).splitlines())) <= columns:
            break
    return lines


def _stacked(values: Line, between: str) -> Block:
    """Put intervals below their values, and the p-value beside its difference."""
    accuracy, low_high, cost, cost_low_high, correct, correct_low_high, *rest = values
    latency, p95, spend, made, shared, difference, difference_low_high, p = rest
    return [
        [accuracy, cost, correct, latency, spend, made, _with_p(difference, p, between)],
        [low_high, cost_low_high, correct_low_high, p95, "", shared, difference_low_high],
    ]


def _tall(values: Line, between: str) -> Block:
    """Put also the cost per correct answer below the cost per item."""
    accuracy, low_high, cost, cost_low_high, correct, correct_low_high, *rest = values
    latency, p95, spend, made, shared, difference, difference_low_high, p = rest
    return [
        [accuracy, cost, latency, spend, made, _with_p(difference, p, between)],
        [low_high, cost_low_high, p95, "", shared, difference_low_high],
        ["", correct, "", "", "", ""],
        ["", correct_low_high, "", "", "", ""],
    ]


def _with_p(difference: str, p: str, between: str) -> str:
    return f"{difference}{between}{p.removeprefix('adjusted ')}" if p else difference
