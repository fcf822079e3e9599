"""The figures of an experiment's results, and their data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from io import BytesIO
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ember_bench.drawing import figure_kinds
from ember_bench.drawing.charts import MOST_NAMED
from ember_bench.drawing.figures import FORMATS, WIDTHS, Panel, Width, drawn, figure
from ember_bench.drawing.number_format import Unit
from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.nodes import node_summaries
from ember_bench.experiment.results.summary import DatasetSummary
from ember_bench.files import write
from ember_bench.report.chart_data import (
    bare_labels,
    best_of_architectures,
    calibration_data,
    curve_data,
    difference_rows,
    front_data,
    named_points,
)
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_fronts import Axis
from ember_bench.report.html_nodes import OUTSIDE
from ember_bench.report.table_formats import Kind, Table, write_table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

AXES: Final[dict[str, Axis]] = {"cost": "cost_per_item", "latency": "latency_seconds"}
_MARGIN: Final = 0.75
_ROW: Final = 0.15
_MOST_HEIGHT: Final = 8.5
_SYSTEM: Final[tuple[tuple[str, Kind], ...]] = (("dataset", "text"), ("system", "text"))

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, eq=False, repr=False)
class Plot:
    """A figure and its data; a notebook shows it.

    Attributes:
        kind: One of `KINDS`.
        table: The data: a row for each mark.
        figure: matplotlib's figure.
        dark: Whether it is for a dark page.
    """

    kind: str
    table: Table
    figure: Figure
    dark: bool = False

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The data as a pandas frame."""
        return self.table.frame()

    def save(self, path: Path | str) -> list[Path]:
        """Write the figure and, beside it, its data as CSV; return the two files.

        Raises:
            ConfigError: if the file ends in no known format, or cannot be written.
        """
        path = Path(path)
        form = form_of(path)
        data = BytesIO()
        write_table(self.table, "csv", data)
        picture = drawn(self.figure, form, dark=self.dark)
        files = {path: picture, path.with_suffix(".csv"): data.getvalue()}
        for file, content in files.items():
            try:
                write(file, content)
            except OSError as error:
                raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None
        return [*files]

    def __repr__(self) -> str:
        return f"<{self.kind}: {len(self.frame):,} marks>"

    def _repr_svg_(self) -> str:
        return drawn(self.figure, "svg", dark=self.dark).decode()


def form_of(path: Path) -> str:
    """Return the format that a figure's file has by its ending.

    Raises:
        ConfigError: if it is none of those there are.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        known = ", ".join(f".{known}" for known in FORMATS)
        raise ConfigError(f"{path}: a figure's file ends in one of {known}")
    return form


@dataclass(frozen=True)
class _Part:
    """The panels of one dataset and their data."""

    panels: Sequence[Panel]
    rows: Rows


def plot(
    contents: Contents, kind: str, *, width: Width = "one", axis: str = "cost",
    datasets: Sequence[str] = (), dark: bool = False,
) -> Plot:  # fmt: skip
    """Draw a figure, with a panel for each dataset.

    Args:
        contents: The results.
        kind: One of `KINDS`.
        width: `one` column of a page, or `two`.
        axis: Of a front: `cost` or `latency`.
        datasets: Those to show; by default all.
        dark: Draw light on dark, for a screen.

    Raises:
        ConfigError: if there is nothing to draw, or matplotlib is not installed.
        UnknownNameError: if there is no such kind, axis or dataset.
    """
    if kind not in KINDS:
        raise UnknownNameError("figure", kind, [*KINDS])
    if width not in WIDTHS:
        raise UnknownNameError("width", width, [*WIDTHS])
    if axis not in AXES:
        raise UnknownNameError("axis", axis, [*AXES])
    known = {dataset.name: dataset for dataset in contents.summary.datasets}
    for name in datasets:
        if name not in known:
            raise UnknownNameError("dataset", name, [*known])
    chosen = [known[name] for name in datasets or known]
    columns, make, missing = KINDS[kind](axis)
    parts = [part for dataset in chosen if (part := make(contents, dataset)) is not None]
    if not parts:
        raise ConfigError(f"{contents.summary.name}: {missing}")
    rows = [row for part in parts for row in part.rows]
    panels = [panel for part in parts for panel in part.panels]
    return Plot(kind, Table([*_SYSTEM, *columns], rows), figure(panels, width, dark=dark), dark)


Columns = Sequence[tuple[str, Kind]]
Make = Callable[[Contents, DatasetSummary], _Part | None]


def _front(axis: str) -> tuple[Columns, Make, str]:
    column = AXES[axis]
    columns: Columns = [
        ("number", "integer"), ("architecture", "text"), *_bounded(column),
        *_bounded("accuracy"), ("oracle", "flag"), ("front", "flag"),
    ]  # fmt: skip
    return columns, partial(_front_of, column), f"no system has an accuracy and a {axis}"


def _front_of(axis: Axis, contents: Contents, dataset: DatasetSummary) -> _Part | None:
    found = front_data(contents, dataset, axis)
    if not any(point.x.value > 0 for point in found.points):
        return None
    shown = named_points(found.points, MOST_NAMED)
    architectures = list(dict.fromkeys(cell.architecture for cell in contents.summary.cells))
    draw = partial(figure_kinds.front, shown, architectures, found.x_label)
    values = {cell.name: getattr(cell, axis) for cell in contents.of(dataset)}
    rows = [
        (
            dataset.name, point.label, int(point.name), architectures[point.colour],
            *_values(values[name]), *_values(point.accuracy), point.hollow, point.front,
        )
        for name, point in zip(found.names, found.points, strict=True)
    ]  # fmt: skip
    return _Part([Panel(_title(contents, dataset), draw)], rows)


def _curves(_: str) -> tuple[Columns, Make, str]:
    columns: Columns = [("parameter", "text"), ("kind", "text"), ("k", "integer"),
                        *_bounded("accuracy")]  # fmt: skip
    return columns, _curves_of, "no system differs from another in one whole number alone"


def _curves_of(contents: Contents, dataset: DatasetSummary) -> _Part | None:
    panels: list[Panel] = []
    rows: Rows = []
    for parameter, lines in curve_data(contents, dataset).items():
        draw = partial(figure_kinds.curves, lines, parameter)
        panels.append(Panel(_title(contents, dataset), draw, 2.2 + _ROW * len(lines)))
        rows += [
            (dataset.name, line.label, parameter, line.kind, k, *_values(found))
            for line in lines
            for k, found in line.points
        ]
    return _Part(panels, rows) if panels else None


def _differences(_: str) -> tuple[Columns, Make, str]:
    columns: Columns = [("baseline", "text"), *_bounded("difference"), ("p_adjusted", "number"),
                        ("clear", "flag")]  # fmt: skip
    return columns, _differences_of, "no system is compared with a baseline"


def _differences_of(contents: Contents, dataset: DatasetSummary) -> _Part | None:
    found = difference_rows(contents, dataset)
    if not found:
        return None
    compared = contents.compared
    rows: Rows = [
        (
            dataset.name, row.label, compared[name].baseline.label, *_values(row.estimate),
            compared[name].p_adjusted, not row.hollow,
        )
        for name, row in found.items()
    ]  # fmt: skip
    baseline = compared[next(iter(found))].baseline.label
    *names, against = bare_labels([*(row.label for row in found.values()), baseline])
    shown = [replace(row, label=name) for row, name in zip(found.values(), names, strict=True)]
    draw = partial(figure_kinds.differences, shown, against)
    return _Part([_rows(_title(contents, dataset), draw, len(found))], rows)


def _items(_: str) -> tuple[Columns, Make, str]:
    columns: Columns = [("place", "integer"), ("item", "text"), ("solved", "number"),
                        ("score", "number")]  # fmt: skip
    return columns, _items_of, "no trial has a score"


def _items_of(contents: Contents, dataset: DatasetSummary) -> _Part | None:
    found = contents.matrices.get(dataset.name)
    if found is None:
        return None
    asked = contents.rows.description.items[dataset.name]
    names = [asked[place].id for place in found.places.tolist()]
    rows: Rows = [
        (dataset.name, cell.label, place, name, solved, None if isnan(score) else score)
        for cell, scores in zip(found.cells, found.scores.tolist(), strict=True)
        for place, (name, solved, score) in enumerate(
            zip(names, found.difficulty.tolist(), scores, strict=True), 1
        )
    ]
    labels = bare_labels([cell.label for cell in found.cells])
    draw = partial(figure_kinds.items, labels, found.scores)
    return _Part([_rows(_title(contents, dataset), draw, len(labels))], rows)


def _nodes(_: str) -> tuple[Columns, Make, str]:
    columns: Columns = [("node", "text"), ("models", "text"), ("cost_usd_per_trial", "number"),
                        *_bounded("cost_share")]  # fmt: skip
    return columns, _nodes_of, "no system's cost by node is known, or all are 0"


def _nodes_of(contents: Contents, dataset: DatasetSummary) -> _Part | None:
    described = contents.rows.description
    rows: Rows = []
    costs: dict[str, dict[str, float]] = {}
    labels: dict[str, str] = {}
    for cell in best_of_architectures(contents.of(dataset)):
        found = node_summaries(contents.rows, described.places[cell.name])
        for node in found:
            rows.append((dataset.name, cell.label, node.node, ", ".join(node.models),
                         node.cost_usd, *_values(node.cost_share)))  # fmt: skip
        # Part of a cost would look like a small one.
        if all(node.cost_usd is not None for node in found):
            labels[cell.name] = cell.label
            for node in found:
                costs.setdefault(node.node or OUTSIDE, {})[cell.name] = node.cost_usd or 0.0
    if not any(cost for by_cell in costs.values() for cost in by_cell.values()):
        return None
    whole = Unit.of(sum(by.get(name, 0.0) for by in costs.values()) for name in labels)
    scaled = {
        node: [by.get(name, 0.0) * whole.items for name in labels] for node, by in costs.items()
    }
    draw = partial(figure_kinds.nodes, bare_labels([*labels.values()]), scaled, f"US$ {whole.per}")
    return _Part([_rows(_title(contents, dataset), draw, len(labels), 0.5)], rows)


def _calibration(_: str) -> tuple[Columns, Make, str]:
    columns: Columns = [("about", "text"), ("stated", "number"), ("stated_low", "number"),
                        ("stated_high", "number"), ("outputs", "integer"),
                        *_bounded("true")]  # fmt: skip
    return columns, _calibration_of, "no evaluator has labels, and no confidence is read"


def _calibration_of(contents: Contents, dataset: DatasetSummary) -> _Part | None:
    panels: list[Panel] = []
    rows: Rows = []
    for found in calibration_data(contents, dataset):
        draw = partial(figure_kinds.calibration, found.lines, *found.labels)
        panels.append(Panel(_title(contents, dataset), draw, 3.0 + _ROW * len(found.lines)))
        rows += [
            (dataset.name, line.label, found.about, one.stated, one.low, one.high, one.true.n,
             *_values(Quantity.of(one.true)))
            for line, bins in zip(found.lines, found.bins, strict=True)
            for one in bins
        ]  # fmt: skip
    return _Part(panels, rows) if panels else None


KINDS: Final[dict[str, Callable[[str], tuple[Columns, Make, str]]]] = {
    "front": _front,
    "k": _curves,
    "differences": _differences,
    "items": _items,
    "nodes": _nodes,
    "calibration": _calibration,
}
"""The kinds of figures."""


def _rows(title: str, draw: Callable[[Any], None], number: int, more: float = 0.0) -> Panel:
    """Return a panel with a row for each system."""
    height = min(_MARGIN + more + _ROW * max(number, 4), _MOST_HEIGHT)
    return Panel(title, draw, height, wide=True)


def _title(contents: Contents, dataset: DatasetSummary) -> str:
    """Return the title of a panel; nothing if there is one dataset, and nothing is simulated."""
    name = dataset.name if len(contents.summary.datasets) > 1 else ""
    return f"{name}{contents.simulated(dataset)}".strip()


def _bounded(name: str) -> Iterator[tuple[str, Kind]]:
    for ending in ("", "_low", "_high"):
        yield f"{name}{ending}", "number"


def _values(found: Quantity | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if found is None else (found.value, found.low, found.high)
