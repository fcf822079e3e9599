"""What charts of a dataset show, the same on the page and in figures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final, Literal

import msgspec
import numpy as np

from ember_bench import stats
from ember_bench.drawing.charts import Point, Row, shortened
from ember_bench.drawing.lines import Curve, Stated
from ember_bench.drawing.number_format import Unit
from ember_bench.experiment.results.cells import CellResults, IntArray
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import (
    CellSummary,
    DatasetSummary,
)
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_fronts import Axis, front

_LEAST_DRAWS: Final = 3


@dataclass(frozen=True)
class FrontData:
    """Accuracy against cost or latency.

    Attributes:
        points: The systems of which both are known, in grid order; `x` in the unit of `x_label`.
        names: The names of their cells.
        x_label: The unit: `US$ per 1,000 items`, or seconds.
    """

    points: Sequence[Point]
    names: Sequence[str]
    x_label: str


def front_data(contents: Contents, dataset: DatasetSummary, axis: Axis) -> FrontData:
    """Return the systems of a dataset by accuracy and `axis`.

    A point's name is the number of its row in the table of systems, which counts from 1.
    """
    cells = contents.of(dataset)
    on = set(front(cells, axis, contents.results).on)
    known = [
        (number, cell, cell.accuracy, x)
        for number, cell in enumerate(cells, 1)
        if cell.accuracy is not None and (x := getattr(cell, axis)) is not None
    ]
    unit = Unit.of(x.value for *_, x in known) if axis == "cost_per_item" else Unit(1)
    points = [
        Point(
            label=cell.label,
            name=str(number),
            colour=contents.colour(cell.architecture),
            x=_scaled(x, unit.items),
            accuracy=accuracy,
            hollow=cell.oracle,
            front=cell.name in on,
            cell=contents.numbers[cell.name],
        )
        for number, cell, accuracy, x in known
    ]
    label = "seconds of latency" if axis == "latency_seconds" else f"US$ {unit.per}"
    return FrontData(points, [cell.name for _, cell, *_ in known], label)


def named_points(points: Sequence[Point], most: int) -> list[Point]:
    """Return points with their labels for names; of more than `most` only those on the front.

    The others, oracles aside, keep their numbers.
    """
    few = len(points) <= most
    names = bare_labels([point.label for point in points])
    return [
        replace(point, name=shortened(name)) if few or point.front or point.hollow else point
        for point, name in zip(points, names, strict=True)
    ]


def bare_labels(labels: Sequence[str]) -> list[str]:
    """Return labels without `recorded:SET/`, which is mostly one set, if they still differ."""
    bare = [re.sub(r"^recorded:[^/]*/", "", label) for label in labels]
    return bare if len({*bare}) == len({*labels}) else [*labels]


def _scaled(found: Quantity, factor: int) -> Quantity:
    low, high = (None if bound is None else bound * factor for bound in (found.low, found.high))
    return Quantity(found.value * factor, low, high, found.method)


def difference_rows(contents: Contents, dataset: DatasetSummary) -> dict[str, Row]:
    """Return the paired differences to the baseline by the cell's name, in grid order.

    A hollow row is no clear difference.
    """
    rows = {}
    for cell in contents.of(dataset):
        pair, own = contents.compared.get(cell.name), cell.comparison
        if pair is not None and own is not None:
            unclear = not own.is_clear(contents.summary.level)
            colour = contents.colour(cell.architecture)
            number = contents.numbers[cell.name]
            rows[cell.name] = Row(cell.label, colour, pair.difference, unclear, number)
    return rows


def curve_data(contents: Contents, dataset: DatasetSummary) -> dict[str, list[Curve]]:
    """Return accuracy by each whole number that is swept, as measured and as stored draws tell."""
    found: dict[str, list[Curve]] = {}
    # Of several rows of one architecture, the first has its colour, and others have one of their
    # own.
    taken: dict[str, set[int]] = {}
    swept = list(_swept(contents.of(dataset)))
    for parameter, cells in swept:
        colour = contents.colour(cells[0].architecture)
        if colour in (used := taken.setdefault(parameter, set())):
            colour = next(n for n in count(len(contents.architectures)) if n not in used)
        used.add(colour)
        rows = [others[0] for other, others in swept if other == parameter]
        name = _series(cells[0], parameter, rows)
        measured = [(cell.parameters[parameter], cell.accuracy) for cell in cells if cell.accuracy]
        if not measured:
            continue
        lines = found.setdefault(parameter, [])
        lines.append(Curve(name, colour, measured))
        # The same draws before another choice, as in a vote and a judge, make the same curves.
        drawn = [line.points for line in lines]
        more = _expected(contents, cells[-1], colour)
        lines += [line for line in more if line.points not in drawn]
    if epochs := list(_by_epochs(contents, dataset)):
        found.setdefault("k", []).extend(epochs)
    return found


@dataclass(frozen=True)
class CalibrationData:
    """What is true by what was stated: of a dataset's evaluator, or of its systems.

    Attributes:
        about: `judge`, whose scores are set against people's labels, or `confidence`, which is set
            against correctness.
        lines: The evaluator, or the systems.
        bins: Those of each line.
    """

    about: Literal["judge", "confidence"]
    lines: Sequence[Stated]
    bins: Sequence[Sequence[stats.CalibrationBin]]

    @property
    def labels(self) -> tuple[str, str]:
        """What stands beside the two axes."""
        if self.about == "judge":
            return "score of the evaluator", "mean label of people"
        return "stated confidence", "share of right answers"


def calibration_data(contents: Contents, dataset: DatasetSummary) -> list[CalibrationData]:
    """Return the calibration of a dataset's evaluator by labels, and of stated confidences."""
    found: list[CalibrationData] = []
    if bins := contents.checks.judge_calibration(dataset):
        found.append(CalibrationData("judge", [_stated(dataset.evaluator, 0, bins)], [bins]))
    places = contents.rows.description.places
    lines: list[Stated] = []
    curves: list[Sequence[stats.CalibrationBin]] = []
    for cell in contents.of(dataset):
        bins = contents.checks.calibration(places[cell.name], contents.results[cell.name])
        if bins:
            number = contents.numbers[cell.name]
            lines.append(_stated(cell.label, len(lines), bins, number))
            curves.append(bins)
    if lines:
        found.append(CalibrationData("confidence", lines, curves))
    return found


def _stated(
    label: str, colour: int, bins: Sequence[stats.CalibrationBin], cell: int | None = None
) -> Stated:
    points = [(found.stated, Quantity.of(found.true), found.true.n) for found in bins]
    return Stated(label, colour, points, cell)


def best_of_architectures(cells: Sequence[CellSummary]) -> list[CellSummary]:
    """Return the most accurate cell of each architecture, of equals the first."""
    best: dict[str, tuple[float, CellSummary]] = {}
    for cell in cells:
        if cell.accuracy is not None:
            known = best.get(cell.architecture)
            if known is None or cell.accuracy.value > known[0]:
                best[cell.architecture] = cell.accuracy.value, cell
    return [cell for _, cell in best.values()]


def _swept(cells: Sequence[CellSummary]) -> Iterator[tuple[str, list[CellSummary]]]:
    """Yield the cells that differ in one whole number alone, ascending, with its name."""
    groups: dict[tuple[str, str, bytes], list[CellSummary]] = {}
    for cell in cells:
        for name, value in cell.parameters.items():
            if isinstance(value, int) and not isinstance(value, bool):
                others: Mapping[str, Any] = {**cell.parameters, name: None}
                key = name, cell.architecture, msgspec.json.encode(others, order="sorted")
                groups.setdefault(key, []).append(cell)
    for (name, _, _), found in groups.items():
        if len({cell.parameters[name] for cell in found}) > 1:
            yield name, sorted(found, key=lambda cell: cell.parameters[name])


def _series(cell: CellSummary, parameter: str, rows: Sequence[CellSummary]) -> str:
    """Return the name of a row of cells: architecture, model, and what else tells it from others.

    Args:
        cell: Its first cell.
        parameter: What its cells differ in.
        rows: The first cells of all rows that differ in it.
    """
    models = cell.parameters.get("model")
    asked = f", {models}" if isinstance(models, str) else ""
    alike = [other for other in rows if other.architecture == cell.architecture]
    more = "".join(
        f", {name}={value}"
        for name, value in cell.parameters.items()
        if name not in (parameter, "model")
        and any(other.parameters.get(name) != value for other in alike)
    )
    return f"{cell.architecture}{asked}{more}: {parameter} as run"


def _expected(contents: Contents, cell: CellSummary, colour: int) -> Iterator[Curve]:
    """Yield the expected scores of fewer candidates of the largest cell."""
    for choice in contents.choices.get(cell.name, ())[:1]:
        if choice.votes:
            vote = [(point.k, point.vote) for point in choice.votes]
            best = [(point.k, point.best) for point in choice.votes]
            yield Curve(f"vote of k candidates of {cell.label}", colour, vote, "expected")
            yield Curve(f"best of k candidates of {cell.label}", colour, best, "best")


def _by_epochs(contents: Contents, dataset: DatasetSummary) -> Iterator[Curve]:
    """Yield the expected scores of votes over the epochs of each cell with one call per trial."""
    epochs = contents.summary.epochs
    if epochs < _LEAST_DRAWS:
        return
    for cell in contents.of(dataset):
        done = cell.scheduled - cell.outcomes["skipped"]
        data = contents.results[cell.name].data
        items = np.flatnonzero(data.epochs == epochs)
        if cell.oracle or cell.calls != done or not items.size or cell.outcomes["error"]:
            continue
        result = contents.results[cell.name]
        drawn, whole = _draws(result, items)
        clusters = result.items.clusters(items)
        found = stats.vote_curve(drawn, whole, clusters=clusters, level=contents.summary.level)
        if found is not None:
            values = [
                (k, Quantity.with_interval(value, bounds, "wilson"))
                for k, value, bounds in zip(
                    found.k.tolist(), found.vote.tolist(), found.vote_intervals, strict=True
                )
            ]
            colour = contents.colour(cell.architecture)
            yield Curve(f"vote over k epochs of {cell.label}", colour, values, "expected")


def _draws(
    result: CellResults, items: IntArray
) -> tuple[list[list[str | None]], list[list[float]]]:
    """Return the answers to items, and their scores, by epoch."""
    chosen = np.isin(result.data.item, items)
    scores = result.data.score[chosen].reshape(len(items), -1).tolist()
    return [result.answers_to(item) for item in items.tolist()], scores
