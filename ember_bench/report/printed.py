"""The table of systems as it is read, for a paper."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from ember_bench.experiment.results.compared import Winner
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.report.columns import USUAL, View
from ember_bench.report.html_contents import Contents
from ember_bench.report.sections import Row
from ember_bench.report.summary_text import SIMULATED, tables
from ember_bench.report.table_formats import Best, Kind, NearBest, Table

_BOLD: Final = "Bold: the most accurate system."
_RANKED: Final = (
    f"{_BOLD} Dagger: not shown to be less accurate than the best one, over"
    " all systems compared with one baseline together (Hsu 1984)."
)


def printed(
    rows: TrialRows, cells: Collection[str], view: View = USUAL, *, ranked: bool = False
) -> Table:
    """Return the table of systems as it is read, for a paper: values as texts, with intervals.

    Args:
        rows: The trial store.
        cells: Names of the cells that are wanted.
        view: The rows and columns to show.
        ranked: Whether accuracies that are not shown to differ from the best are marked.
    """
    contents = Contents(rows, cells)
    return printed_summary(contents.summary, view, contents.winners if ranked else {})


def printed_summary(
    summary: ExperimentSummary, view: View = USUAL, winners: Mapping[str, Winner] | None = None
) -> Table:
    """Return the same of a summary; `winners` are the most accurate systems by dataset."""
    winners = winners or {}
    found = [s for s in tables(summary, view).sections if s.about == "systems"]
    headings = found[0].headings if found else ()
    columns: list[tuple[str, Kind]] = [("dataset", "text"), ("system", "text"), ("", "text")]
    columns += [(heading, "text" if heading == "result" else "number") for heading in headings]
    names = [dataset.name for dataset in summary.datasets if view.shows(dataset.name)]
    lines = [
        (dataset, row.label, ", ".join(row.notes), *_ranked(row, headings, marks))
        for dataset, section in zip(names, found, strict=True)
        for marks in [_marks(summary, dataset, winners.get(dataset))]
        for row in section.rows
    ]
    notes = [_RANKED if winners else _BOLD, *([SIMULATED] if summary.simulated else [])]
    return Table(columns, lines, grouped=True, notes=notes)


def _marks(summary: ExperimentSummary, dataset: str, winner: Winner | None) -> dict[str, type[str]]:
    """Return how to mark the accuracy of systems, by their label."""
    systems = [
        cell for cell in summary.cells
        if cell.dataset == dataset and not cell.oracle and cell.accuracy is not None
    ]  # fmt: skip
    if not systems:
        return {}
    best = max(systems, key=lambda cell: cell.accuracy.value if cell.accuracy else 0.0).label
    near = [] if winner is None else winner.may_be_best
    first = best if winner is None else winner.label
    return {**dict.fromkeys(near, NearBest), first: Best}


def _ranked(row: Row, headings: Sequence[str], marks: Mapping[str, type[str]]) -> Iterator[str]:
    """Yield the texts of a row, that of its accuracy marked."""
    for heading, value in zip(headings, row.values, strict=True):
        yield marks.get(row.label, str)(value) if heading == "accuracy" else value
