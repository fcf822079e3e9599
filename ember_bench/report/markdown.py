"""The table of systems as Markdown: `summary.md`, and the page of the MLflow run."""

from __future__ import annotations

from collections.abc import Iterator

from ember_bench.drawing.text import escape_markdown
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.report.decision_text import decisions
from ember_bench.report.html_answer import answer
from ember_bench.report.problems_text import problems
from ember_bench.report.search_text import searched
from ember_bench.report.sections import Row, Section
from ember_bench.report.suite_text import suite_markdown
from ember_bench.report.summary_text import status, tables


def markdown(summary: ExperimentSummary) -> str:
    """Return the results of an experiment in words, and its tables.

    All text that is not ours is escaped.
    """
    title = f"# {escape_markdown(summary.name)}"
    if summary.simulated:
        title += " (simulated)"
    state = "Unfinished: " if summary.run.status == "partial" else ""
    parts = [
        title,
        *(f"**{escape_markdown(problem)}**" for problem in problems(summary)),
        *(f"**{escape_markdown(said)}**" for said in decisions(summary)),
        *map(escape_markdown, _answers(summary)),
        state + escape_markdown(status(summary)) + ".",
    ]
    return "\n\n".join([*parts, *system_tables(summary)]) + "\n"


def system_tables(summary: ExperimentSummary) -> list[str]:
    """Return the tables of systems as blocks of Markdown; they do not depend on the last run."""
    found = tables(summary)
    parts = [part for section in found.sections for part in _section(section)]
    parts += suite_markdown(summary)
    parts.append("\n".join(f"- {escape_markdown(line)}" for line in found.captions))
    return parts


def _answers(summary: ExperimentSummary) -> Iterator[str]:
    """Yield the results on each dataset in words."""
    if searched(summary):
        return
    for dataset in summary.datasets:
        if cells := [cell for cell in summary.cells if cell.dataset == dataset.name]:
            said = " ".join(answer(dataset, cells, {}, summary.level))
            yield f"On {dataset.name}: {said}" if len(summary.datasets) > 1 else said


def _section(section: Section) -> list[str]:
    headings = [section.first, "", *section.headings]
    lines = [
        _line([escape_markdown(heading) for heading in headings]),
        _line(["---", "---", *["---:"] * (len(headings) - 2)]),
        *(_line(_values(row)) for row in section.rows),
    ]
    parts = [f"## {escape_markdown(section.title)}", *["\n".join(lines)] * bool(section.rows)]
    return [*parts, *map(escape_markdown, section.footers)]


def _values(row: Row) -> list[str]:
    texts = [row.label, ", ".join(row.notes), *row.values]
    return [escape_markdown(text) for text in texts]


def _line(values: list[str]) -> str:
    return f"| {' | '.join(values)} |"
