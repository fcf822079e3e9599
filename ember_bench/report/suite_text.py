"""The averages of suites as text: in the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final

from ember_bench.drawing.number_format import UNDEFINED, count, interval, percent, points
from ember_bench.drawing.text import escape_markdown, one_line, width
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import (
    ExperimentSummary,
    SuiteSummary,
)
from ember_bench.report.layout import flat

HEADINGS: Final = ("system", "", "macro", "micro", "macro difference", "micro difference")


@dataclass(frozen=True, slots=True)
class SuiteTable:
    """A table about a suite.

    Attributes:
        title: Names the suite.
        headings: The columns' headings.
        rows: Of systems, or of datasets.
        names: Number of the first columns that are no figures.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int


def suite_lines(summary: ExperimentSummary, columns: int | None) -> list[str]:
    """Return the tables of all suites for a terminal of so many columns; None for any width."""
    lines: list[str] = []
    for found in suite_tables(summary):
        table = flat([found.headings, *found.rows], left=found.names)
        if columns is not None and max(map(width, table)) > columns:
            table = [line for row in found.rows for line in _tall(found, row)]
        lines += [one_line(found.title), *table, ""]
    return lines + ([caption(summary), ""] if lines else [])


def suite_markdown(summary: ExperimentSummary) -> list[str]:
    """Return the tables of all suites as paragraphs of Markdown."""
    parts: list[str] = []
    for found in suite_tables(summary):
        rule = ["---"] * found.names + ["---:"] * (len(found.headings) - found.names)
        body = [f"| {' | '.join(rule)} |", *map(_markdown, found.rows)]
        parts += [
            f"## {escape_markdown(found.title)}",
            "\n".join([_markdown(found.headings), *body]),
        ]
    return parts + ([escape_markdown(caption(summary))] if parts else [])


def caption(summary: ExperimentSummary) -> str:
    """Return the sentences that one needs to read the tables."""
    return (
        "Macro: the mean of the strata's means, each stratum counted once. Micro: the mean over all"
        f" items. With {100 * summary.level:g} % intervals over items within strata (Price and"
        " Bonett 2004); differences are paired on the items that both have."
    )


def suite_tables(summary: ExperimentSummary) -> Iterator[SuiteTable]:
    """Yield the averages of each suite, with the columns `HEADINGS`; then accuracies, if wanted."""
    for name, group in groupby(summary.suites, attrgetter("suite")):
        rows = list(group)
        known = next((row for row in rows if not row.missing), None)
        size = "" if known is None else f": {count(known.items, 'item')} in {_strata(known.strata)}"
        yield SuiteTable(f"suite {name}{size}", HEADINGS, [_row(row, rows) for row in rows], 2)
        datasets = list(dict.fromkeys(dataset for row in rows for dataset in row.shrunken))
        if datasets:
            yield SuiteTable(
                f"suite {name}: accuracy by dataset, drawn towards the mean",
                ("dataset", *(row.label for row in rows)),
                [(d, *(_score(row.shrunken.get(d)) for row in rows)) for d in datasets],
                1,
            )


def _strata(number: int) -> str:
    return "1 stratum" if number == 1 else f"{number:,} strata"


def _row(row: SuiteSummary, rows: Sequence[SuiteSummary]) -> tuple[str, ...]:
    if row.missing:
        notes = f"no score on {', '.join(row.missing)}"
        return row.label, notes, *[UNDEFINED] * 4
    notes = ", ".join(
        note for note, holds in (("simulated", row.simulated), ("bound", row.oracle)) if holds
    )
    differences = (row.macro_difference, row.micro_difference)
    if differences == (None, None) and any(other.macro_difference for other in rows):
        shown = ("baseline", "")
    else:
        shown = (_difference(row.macro_difference), _difference(row.micro_difference))
    return row.label, notes, _score(row.macro), _score(row.micro), *shown


def _score(found: Quantity | None) -> str:
    if found is None:
        return UNDEFINED
    return f"{percent(found.value)} {interval(found, 'percent')}".rstrip()


def _difference(found: Quantity | None) -> str:
    if found is None:
        return UNDEFINED
    if found.low is None:
        return "same calls"
    return f"{points(found.value)} {interval(found, 'points')}"


def _tall(table: SuiteTable, row: Sequence[str]) -> Iterator[str]:
    label, *notes = row[: table.names]
    yield one_line(f"{label} ({notes[0]})" if any(notes) else label)
    for heading, value in zip(table.headings[table.names :], row[table.names :], strict=True):
        if value:
            yield f"  {heading}: {value}"


def _markdown(values: Sequence[str]) -> str:
    return f"| {' | '.join(map(escape_markdown, values))} |"
