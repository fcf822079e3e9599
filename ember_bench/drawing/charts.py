"""Charts as SVG: points with intervals, and rows of intervals.

A page that shows them needs `STYLE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from typing import Final

from ember_bench.drawing import svg
from ember_bench.drawing.axes import Axis, Box, accuracy_axis, bounds, nearest_room, positive_axis
from ember_bench.drawing.html import Html, tag
from ember_bench.drawing.number_format import in_percent, in_short, interval, points
from ember_bench.experiment.results.figures import Quantity

STYLE: Final = files("ember_bench.drawing").joinpath("charts.css").read_text(encoding="utf-8")
MOST_NAMED: Final = 12
"""With more points than this, the names of all of them would cover each other."""

# With more points, intervals are faint, names may cover them, and the chart is higher.
_CROWD: Final = 30
_MORE_HEIGHT: Final = 3
# Names that are no numbers take room, from so many on.
_SHORT_NAME: Final = 4
_FEW_NAMES: Final = 8
_NAME_ROOM: Final = 10
_MOST_HEIGHT: Final = 900
_ROW, _LOW_ROW = 24, 17
MANY_ROWS: Final = 30
"""More rows are drawn lower, in a box that scrolls."""
# Distances of a name from its point that are tried, and the one from which a line joins them.
_REACHES: Final = (60, 120, 300)
_FAR: Final = 10.0
# Of 11.5 px: the widest that the fonts of common systems have on average.
_LETTER: Final = 7.0
_APART: Final = 5.0
_GAP: Final = 8
_LONGEST_NAME: Final = 34
_LONGEST_ROW_LABEL: Final = 34


@dataclass(frozen=True, slots=True)
class Point:
    """One cell among others.

    Attributes:
        label: The name of the cell, shown when the pointer is on the point.
        name: The text beside the point; empty for none.
        colour: Number of its architecture.
        x: US dollars or seconds.
        accuracy: In [0, 1].
        hollow: Whether it is an oracle, which is no system.
        front: Whether no other point dominates it.
        cell: Number of the cell on the page, by which it can be hidden; None if it cannot.
    """

    label: str
    name: str
    colour: int
    x: Quantity
    accuracy: Quantity
    hollow: bool
    front: bool
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a chart: a value with its interval; `cell` is as for a `Point`."""

    label: str
    colour: int
    estimate: Quantity
    hollow: bool
    cell: int | None = None


def scatter(points: Sequence[Point], *, x_label: str, title: str) -> Html:
    """Return accuracy against cost or latency, with intervals both ways and the front as a line."""
    crowd = len(points) > _CROWD
    names = sum(len(point.name) > _SHORT_NAME for point in points)
    more = _MORE_HEIGHT * max(0, len(points) - _CROWD) + _NAME_ROOM * max(0, names - _FEW_NAMES)
    height = min(svg.HEIGHT + more, _MOST_HEIGHT)
    x = positive_axis([point.x for point in points], svg.LEFT, svg.WIDTH - svg.RIGHT)
    y = accuracy_axis([point.accuracy for point in points], height - svg.BOTTOM, svg.TOP)
    marks = [_Mark(point, x, y) for point in points]
    drawn = [
        svg.grid(x, y, x_label + (", logarithmic" if x.log else ""), height),
        _front(points, x, y),
        *(mark.drawn(x_label) for mark in marks),
    ]
    taken = list(
        dict.fromkeys(box for mark in marks for box in ([mark.dot] if crowd else mark.boxes()))
    )
    # The best first: they get the room if there is little.
    named = sorted((mark for mark in marks if mark.point.name), key=lambda mark: mark.y)
    places = [(mark, mark.place(height - svg.BOTTOM, taken)) for mark in named]
    drawn += [mark.lead(place) for mark, place in places]
    drawn += [mark.name(place) for mark, place in places]  # over all lines
    return svg.chart(height, title, drawn, crowd=crowd)


class _Mark:
    """A point in pixels; its intervals are its whiskers."""

    def __init__(self, point: Point, x: Axis, y: Axis) -> None:
        self.point = point
        self.left, self.x, self.right = map(x, bounds(point.x))
        self.low, self.y, self.high = map(y, bounds(point.accuracy))
        self.dot = svg.box(self.x, self.y, 10, 10)

    def boxes(self) -> list[Box]:
        """Return the parts that a name should not cover."""
        return [
            self.dot,
            (self.left, self.y - 2, self.right, self.y + 2),
            (self.x - 2, self.high, self.x + 2, self.low),
        ]

    def drawn(self, x_label: str) -> Html:
        point = self.point
        said = (
            f"{point.label}: accuracy {in_percent(point.accuracy)}, {in_short(point.x)} {x_label}"
        )
        return tag(
            "g",
            tag("title", said + ("; on the Pareto front" if point.front else "")),
            svg.line(self.x, self.low, self.x, self.high, "bar"),
            svg.line(self.left, self.y, self.right, self.y, "bar"),
            svg.circle(self.x, self.y, hollow=point.hollow),
            class_=f"mark c{point.colour % svg.COLOURS}",
            data_cell=point.cell,
        )

    def place(self, bottom: float, taken: list[Box]) -> tuple[float, float]:
        """Return the middle of the name.

        If there is no room for it at all, it covers something, but is whole.
        """
        width = _name_width(self.point.name)
        frame = svg.LEFT, 0, svg.WIDTH, bottom
        for reach in _REACHES:
            place = nearest_room(width, self.x, self.y, frame, taken, reach)
            if place is not None:
                return place
        return min(self.x + _GAP + width / 2, svg.WIDTH - width / 2), self.y - _GAP

    def lead(self, place: tuple[float, float]) -> Html:
        """Return the line from the point to its name if they are far apart."""
        left, top, right, bottom = svg.box(*place, _name_width(self.point.name), _GAP)
        near = min(max(self.x, left), right), min(max(self.y, top), bottom)
        if math.dist(near, (self.x, self.y)) <= _FAR:
            return Html("")
        line = svg.line(self.x, self.y, *near, "lead")
        kind = f"joined c{self.point.colour % svg.COLOURS}"
        return tag("g", line, class_=kind, data_cell=self.point.cell)

    def name(self, place: tuple[float, float]) -> Html:
        written = svg.text(place[0], place[1] + 4, self.point.name, "name")
        return tag("g", written, data_cell=self.point.cell)


def differences(rows: Sequence[Row], *, title: str) -> Html:
    """Return a row for each difference in [-1, 1] with its interval, in points, around 0."""
    ends = [bound for row in rows for bound in bounds(row.estimate)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    room = max(0.01, 0.04 * (high - low))
    return _rows(
        rows,
        lambda start, end: Axis(low - room, high + room, start, end),
        title=title,
        tick=lambda value: f"{100 * value:+g}" if value else "0",
        said=lambda estimate: f"{points(estimate.value)} points {interval(estimate, 'points')}",
        unit="points",
    )


def accuracies(rows: Sequence[Row], *, title: str) -> Html:
    """Return a row for each accuracy in [0, 1] with its interval, in percent."""
    return _rows(
        rows,
        lambda start, end: accuracy_axis([row.estimate for row in rows], start, end),
        title=title,
        tick=lambda value: f"{100 * value:g} %",
        said=in_percent,
        unit="accuracy",
    )


def _rows(
    rows: Sequence[Row],
    axis: Callable[[float, float], Axis],
    *,
    title: str,
    tick: Callable[[float], str],
    said: Callable[[Quantity], str],
    unit: str,
) -> Html:
    labels = [shortened(row.label, _LONGEST_ROW_LABEL) for row in rows]
    left = 24 + _LETTER * max(map(len, labels))
    height = _ROW if len(rows) <= MANY_ROWS else _LOW_ROW
    x = axis(left, svg.WIDTH - svg.RIGHT)
    bottom = svg.TOP + height * len(rows)
    drawn = [svg.line(x(value), svg.TOP, x(value), bottom, "grid") for value in x.ticks()]
    # In a chart that scrolls, the lower ones are far away.
    for place in (bottom + 16, *([svg.TOP - 3] if len(rows) > MANY_ROWS else [])):
        drawn += [svg.text(x(value), place, tick(value), "tick") for value in x.ticks()]
    if x.low < 0:
        drawn.append(svg.line(x(0), svg.TOP, x(0), bottom, "zero"))
    drawn.append(svg.text((left + svg.WIDTH - svg.RIGHT) / 2, bottom + 34, unit, "tick"))
    for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
        at = svg.TOP + height * (number + 0.5)
        lowest, value, highest = map(x, bounds(row.estimate))
        drawn.append(
            tag(
                "g",
                tag("title", f"{row.label}: {said(row.estimate)}"),
                svg.line(lowest, at, highest, at, "bar"),
                svg.circle(value, at, hollow=row.hollow),
                svg.text(left - 10, at + 4, label, "label", "end"),
                class_=f"mark c{row.colour % svg.COLOURS}",
                data_cell=row.cell,
            )
        )
    return svg.chart(bottom + 42, title, drawn)


def shortened(content: str, longest: int = _LONGEST_NAME) -> str:
    """Return a label of at most `longest` letters, cut in its middle: models differ at the end."""
    if len(content) <= longest:
        return content
    half = longest // 2
    return f"{content[: half - 1]}…{content[-half:]}"


def steps(points: Sequence[Point]) -> list[tuple[float, float]]:
    """Return the front as a line of steps: the best accuracy up to each cost."""
    ordered = sorted((p for p in points if p.front), key=lambda p: (p.x.value, p.accuracy.value))
    places = [(point.x.value, point.accuracy.value) for point in ordered]
    return places[:1] + [step for (_, above), (right, below) in pairwise(places)
                         for step in ((right, above), (right, below))]  # fmt: skip


def _front(points: Sequence[Point], x: Axis, y: Axis) -> Html:
    line = [(x(across), y(up)) for across, up in steps(points)]
    return tag("g", svg.path(line), class_="front") if len(line) > 1 else Html("")


def _name_width(name: str) -> float:
    return _LETTER * len(name) + _APART
