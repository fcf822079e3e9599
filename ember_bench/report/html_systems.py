"""The tables of systems: their figures, and their differences to the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from ember_bench.drawing.html import Content, Html, joined, table, tag
from ember_bench.drawing.number_format import interval, p_value, points, share, times
from ember_bench.drawing.svg import COLOURS
from ember_bench.drawing.text import clean
from ember_bench.experiment.results.compared import Comparison
from ember_bench.experiment.results.description import CellDescription
from ember_bench.experiment.results.summary import CellSummary, DatasetSummary
from ember_bench.report.chart_data import difference_rows
from ember_bench.report.columns import View
from ember_bench.report.comparison_table import winner_text
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_data import plain
from ember_bench.report.html_fronts import AXES, front, front_probabilities
from ember_bench.report.judging_text import UNCHECKED, unchecked
from ember_bench.report.sections import Section
from ember_bench.report.summary_text import INTERVALS, SHARED, tables
from ember_bench.report.system_columns import RANKS, SAME, ranks, result

_SHADES: Final = 10
SYSTEMS: Final = View(
    columns=("accuracy", "cost", "cost_interval", "correct", "correct_interval", "latency", "p95")
)
"""The columns of the table of systems; comparisons have a table of their own."""


def systems_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return the table of systems, and that of their judges."""
    cells = contents.of(dataset)
    on = front_probabilities(contents, dataset)
    dominated = front(cells, "cost_per_item", contents.results).by
    labels = {cell.name: cell.label for cell in cells}
    of_dataset = msgspec.structs.replace(contents.summary, datasets=[dataset])
    section, *others = tables(of_dataset, SYSTEMS).sections
    no_labels = unchecked(cells, contents.summary.checks)
    rows: list[list[Content]] = [
        [
            str(number),
            named_cell(contents, cell, row.notes),
            *_with_intervals(section.headings, row.values),
            *(share(on[axis].get(cell.name)) for axis in AXES),
            labels[dominated[cell.name]] if cell.name in dominated else "",
        ]
        for number, (cell, row) in enumerate(zip(cells, section.rows, strict=True), 1)
    ]
    headings = ["#", "system", *(name for name in section.headings if not name.startswith("["))]
    headings += ["P(Pareto), cost", "P(Pareto), latency", "dominated by"]
    level = f"{100 * contents.summary.level:g} %"
    caption = f"Systems on {dataset.name}{contents.simulated(dataset)}, with {level} intervals"
    return joined(
        [
            table(headings, rows, caption=caption, names=2, kind="systems",
                  cells=[contents.numbers[cell.name] for cell in cells]),
            *(tag("p", footer, class_="facts") for footer in section.footers),
            *(_beside(found, unchecked=no_labels) for found in others),
        ]
    )  # fmt: skip


def _with_intervals(headings: Sequence[str], values: Sequence[str]) -> Iterator[Content]:
    """Yield the values, each with the interval of the column that follows it, if one does."""
    following = [*headings[1:], ""]
    for place, (heading, after) in enumerate(zip(headings, following, strict=True)):
        if heading.startswith("["):
            continue
        within = values[place + 1] if after.startswith("[") else ""
        yield joined([values[place], tag("small", f" {within}")]) if within else values[place]


def _beside(section: Section, *, unchecked: bool) -> Html:
    """Return a table of judges, of their checks, or of what stands beside the accuracy."""
    second = "judge" if section.about == "judges" else ""
    rows: list[list[Content]] = [
        [row.label, ", ".join(row.notes), *row.values] for row in section.rows
    ]
    headings = [section.first, second, *section.headings]
    shown = table(headings, rows, caption=section.title, names=2) if rows else Html("")
    footers = [UNCHECKED] if unchecked and section.about == "judges" else section.footers
    return joined([shown, *(tag("p", footer, class_="facts") for footer in footers)])


def differences_section(contents: Contents, dataset: DatasetSummary) -> Html:
    """Return the paired differences to the baseline; nothing if there are none."""
    cells = {cell.name: cell for cell in contents.of(dataset)}
    marks = difference_rows(contents, dataset)
    if not marks:
        return Html("")
    found = [(pair, own) for name in marks
             if (own := cells[name].comparison) is not None
             for pair in [contents.compared[name]]]  # fmt: skip
    title = f"{found[0][0].baseline.label}{contents.simulated(dataset)}"
    rows: list[list[Content]] = [
        [
            named_cell(contents, cells[pair.cell.cell], _calls_noted(pair)),
            _difference(pair),
            f"{pair.items:,}",
            _flips(contents, pair.cell.cell, "won", pair.wins),
            _flips(contents, pair.cell.cell, "lost", pair.losses),
            p_value(own.p_value),
            p_value(own.p_adjusted),
            result(cells[pair.cell.cell], contents.summary.level),
            times(pair.cost_ratio),
            share(pair.best_probability),
            ranks(pair.rank, may_be_best=pair.may_be_best),
        ]
        for pair, own in found
    ]
    headings = ["system", "difference", "items", "won", "lost", "p", "adj. p", "result", "cost",
                "P(best)", "rank"]  # fmt: skip
    level = f"{100 * contents.summary.level:g} %"
    winner = contents.winners.get(dataset.name)
    return joined(
        [
            tag("h3", f"Against {title}"),
            tag("p", f"Paired on the items that both have, with the {level} interval"
                f"{INTERVALS[contents.summary.correction]}.", class_="facts"),
            table(headings, rows, caption=f"Differences to {title}", kind="differences",
                  cells=[contents.numbers[pair.cell.cell] for pair, _ in found]),
            tag("p", winner_text(winner)) if winner is not None else None,
            tag("p", RANKS, class_="facts"),
        ]
    )  # fmt: skip


def _difference(pair: Comparison) -> Content:
    if pair.same_calls:
        return SAME
    within = interval(pair.difference, "points")
    return joined([points(pair.difference.value), tag("small", f" {within}")])


def view_controls(contents: Contents) -> Html:
    """Return the controls of the tables and charts of systems; they take JavaScript."""
    names = [*dict.fromkeys(name for cell in contents.cells for name in _facts(cell))]
    varied = [
        name for name in names if len({_facts(cell).get(name) for cell in contents.cells}) > 1
    ]
    if len(contents.cells) < 2:
        return Html("")
    wanted = tag("input", type="search", id="wanted", autocomplete="off",
                 placeholder="part of a label")  # fmt: skip
    options = [tag("option", "nothing", value=""), *(tag("option", n, value=n) for n in varied)]
    return tag(
        "form",
        tag("label", tag("span", "Show systems with"), wanted),
        tag("label", tag("span", "Group by"), tag("select", *options, id="group")),
        tag("button", "Show all", type="button", id="all"),
        tag("p", id="shown", role="status", class_="facts"),
        id="view",
        hidden="hidden",
        aria_label="The systems to show",
    )


def systems_data(contents: Contents) -> Html:
    """Return the element that the controls read: label and parameters of each cell."""
    data = [{**_facts(cell), "": clean(cell.label)} for cell in contents.cells]
    return plain("systems", data)


def _facts(cell: CellDescription) -> dict[str, str]:
    """Return the architecture and parameters of a cell as texts."""
    written = {name: _written(value) for name, value in cell.parameters.items()}
    return {"architecture": clean(cell.architecture), **written}


def _written(value: Any) -> str:
    return clean(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _calls_noted(pair: Comparison) -> list[str]:
    return [SHARED] if pair.shared_draws and not pair.same_calls else []


def named_cell(contents: Contents, cell: CellSummary, notes: Sequence[str]) -> Html:
    """Return the label of a cell with the colour of its architecture, and notes."""
    if all(other.simulated for other in contents.summary.cells):
        notes = [note for note in notes if note != "simulated"]  # the caption says it of all
    dot = tag("i", class_=f"dot c{contents.colour(cell.architecture) % COLOURS}")
    return joined([dot, cell.label, tag("small", f" {', '.join(notes)}") if notes else None])


def _flips(contents: Contents, cell: str, kind: str, number: int) -> Content:
    """Return a number that, when clicked, shows its items in the explorer."""
    place = next(i for i, chosen in enumerate(contents.cells) if chosen.name == cell)
    if not number:
        return "0"
    return tag("button", f"{number:,}", type="button", class_="show", data_cell=place,
               data_flip=kind, title=f"Show the items {kind}")  # fmt: skip


def shade(value: float, shown: str, title: str) -> Html:
    """Return a share in [0, 1] as text, on a ground that is darker the higher it is."""
    step = min(int(value * _SHADES), _SHADES - 1)
    return tag("span", shown, class_=f"shade s{step}", title=title)
