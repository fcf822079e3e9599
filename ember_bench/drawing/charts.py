"""Charts as SVG: points with intervals, curves, and rows of intervals.

A page that shows them needs `STYLE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from typing import Final, Literal

from ember_bench.drawing.axes import Axis, Box, accuracy_axis, bounds, nearest_room, positive_axis
from ember_bench.drawing.html import Html, joined, tag
from ember_bench.drawing.number_format import in_percent, in_short, interval, points
from ember_bench.experiment.results.figures import Quantity

STYLE: Final = files("ember_bench.drawing").joinpath("charts.css").read_text(encoding="utf-8")
COLOURS: Final = 8
MOST_NAMED: Final = 12
"""With more points than this, the names of all of them would cover each other."""

_WIDTH: Final = 640
_HEIGHT: Final = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 26, 14, 46
# With more points, intervals are faint, names may cover them, and the chart is higher.
_CROWD: Final = 30
_MORE_HEIGHT: Final = 3
# Names that are no numbers take room, from so many on.
_SHORT_NAME: Final = 4
_FEW_NAMES: Final = 8
_NAME_ROOM: Final = 10
_MOST_HEIGHT: Final = 900
_ROW, _LOW_ROW = 24, 17
_MANY_ROWS: Final = 30
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
class Curve:
    """Accuracy by a whole number.

    Attributes:
        kind: `run` for measured cells; `expected` for votes over stored draws, `best` for the best
            of these draws.
    """

    label: str
    colour: int
    points: Sequence[tuple[int, Quantity]]
    kind: Literal["run", "expected", "best"] = "run"


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
    height = min(_HEIGHT + more, _MOST_HEIGHT)
    x = positive_axis([point.x for point in points], _LEFT, _WIDTH - _RIGHT)
    y = accuracy_axis([point.accuracy for point in points], height - _BOTTOM, _TOP)
    marks = [_Mark(point, x, y) for point in points]
    drawn = [
        _grid(x, y, x_label + (", logarithmic" if x.log else ""), height),
        _front(points, x, y),
        *(mark.drawn(x_label) for mark in marks),
    ]
    taken = list(
        dict.fromkeys(box for mark in marks for box in ([mark.dot] if crowd else mark.boxes()))
    )
    # The best first: they get the room if there is little.
    named = sorted((mark for mark in marks if mark.point.name), key=lambda mark: mark.y)
    places = [(mark, mark.place(height - _BOTTOM, taken)) for mark in named]
    drawn += [mark.lead(place) for mark, place in places]
    drawn += [mark.name(place) for mark, place in places]  # over all lines
    return _svg(height, title, drawn, crowd=crowd)


class _Mark:
    """A point in pixels; its intervals are its whiskers."""

    def __init__(self, point: Point, x: Axis, y: Axis) -> None:
        self.point = point
        self.left, self.x, self.right = map(x, bounds(point.x))
        self.low, self.y, self.high = map(y, bounds(point.accuracy))
        self.dot = _box(self.x, self.y, 10, 10)

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
            _line(self.x, self.low, self.x, self.high, "bar"),
            _line(self.left, self.y, self.right, self.y, "bar"),
            _circle(self.x, self.y, hollow=point.hollow),
            class_=f"mark c{point.colour % COLOURS}",
            data_cell=point.cell,
        )

    def place(self, bottom: float, taken: list[Box]) -> tuple[float, float]:
        """Return the middle of the name.

        If there is no room for it at all, it covers something, but is whole.
        """
        width = _name_width(self.point.name)
        frame = _LEFT, 0, _WIDTH, bottom
        for reach in _REACHES:
            place = nearest_room(width, self.x, self.y, frame, taken, reach)
            if place is not None:
                return place
        return min(self.x + _GAP + width / 2, _WIDTH - width / 2), self.y - _GAP

    def lead(self, place: tuple[float, float]) -> Html:
        """Return the line from the point to its name if they are far apart."""
        left, top, right, bottom = _box(*place, _name_width(self.point.name), _GAP)
        near = min(max(self.x, left), right), min(max(self.y, top), bottom)
        if math.dist(near, (self.x, self.y)) <= _FAR:
            return Html("")
        line = _line(self.x, self.y, *near, "lead")
        kind = f"joined c{self.point.colour % COLOURS}"
        return tag("g", line, class_=kind, data_cell=self.point.cell)

    def name(self, place: tuple[float, float]) -> Html:
        written = _text(place[0], place[1] + 4, self.point.name, "name")
        return tag("g", written, data_cell=self.point.cell)


def curves(lines: Sequence[Curve], *, x_label: str, title: str) -> Html:
    """Return accuracy by k: dots with intervals for measured values, else a line in a band."""
    found = [estimate for line in lines for _, estimate in line.points]
    sizes = sorted({k for line in lines for k, _ in line.points})
    x = Axis(min(sizes) - 0.5, max(sizes) + 0.5, _LEFT, _WIDTH - _RIGHT)
    y = accuracy_axis(found, _HEIGHT - _BOTTOM, _TOP)
    ticks = sizes if len(sizes) <= 16 else [k for k in x.ticks() if k == round(k)]
    drawn = [_grid(x, y, x_label, _HEIGHT, ticks)]
    for line in lines:
        places = [(x(k), y(estimate.value)) for k, estimate in line.points]
        parts = [tag("title", line.label), _path(places)]
        if line.kind != "run":
            ends = [(x(k), bounds(estimate)) for k, estimate in line.points]
            parts.append(_band([(at, y(low), y(high)) for at, (low, _, high) in ends]))
        drawn.append(tag("g", *parts, class_=_classes("line", line)))
        for k, estimate in line.points:
            low, height, high = map(y, bounds(estimate))
            said = f"{line.label}, {x_label} = {k}: {in_percent(estimate)}"
            seen = [_line(x(k), low, x(k), high, "bar"), _circle(x(k), height)]
            if line.kind != "run":
                seen = [_circle(x(k), height, unseen=True)]
            drawn.append(tag("g", tag("title", said), *seen, class_=_classes("mark", line)))
    return joined([tag("div", _svg(_HEIGHT, title, drawn), class_="draw"), _legend(lines)])


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
    height = _ROW if len(rows) <= _MANY_ROWS else _LOW_ROW
    x = axis(left, _WIDTH - _RIGHT)
    bottom = _TOP + height * len(rows)
    drawn = [_line(x(value), _TOP, x(value), bottom, "grid") for value in x.ticks()]
    drawn += [_text(x(value), bottom + 16, tick(value), "tick") for value in x.ticks()]
    if x.low < 0:
        drawn.append(_line(x(0), _TOP, x(0), bottom, "zero"))
    drawn.append(_text((left + _WIDTH - _RIGHT) / 2, bottom + 34, unit, "tick"))
    for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
        at = _TOP + height * (number + 0.5)
        lowest, value, highest = map(x, bounds(row.estimate))
        drawn.append(
            tag(
                "g",
                tag("title", f"{row.label}: {said(row.estimate)}"),
                _line(lowest, at, highest, at, "bar"),
                _circle(value, at, hollow=row.hollow),
                _text(left - 10, at + 4, label, "label", "end"),
                class_=f"mark c{row.colour % COLOURS}",
                data_cell=row.cell,
            )
        )
    return _svg(bottom + 42, title, drawn)


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
    return tag("g", _path(line), class_="front") if len(line) > 1 else Html("")


def _svg(height: float, title: str, content: Sequence[Html], *, crowd: bool = False) -> Html:
    return tag(
        "svg", tag("title", title), *content,
        viewBox=f"0 0 {_WIDTH} {height:.0f}", role="img",
        class_="chart crowd" if crowd else "chart", aria_label=title,
    )  # fmt: skip


def _grid(
    x: Axis, y: Axis, x_label: str, height: float, ticks: Sequence[float] | None = None
) -> Html:
    parts = []
    for tick in y.ticks():
        parts += [
            _line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), "grid"),
            _text(_LEFT - 6, y(tick) + 4, f"{100 * tick:g} %", "tick", "end"),
        ]
    for tick in x.ticks() if ticks is None else ticks:
        parts += [
            _line(x(tick), _TOP, x(tick), height - _BOTTOM, "grid"),
            _text(x(tick), height - _BOTTOM + 17, f"{tick:.3g}", "tick"),
        ]
    return joined([*parts, _text((_LEFT + _WIDTH - _RIGHT) / 2, height - 8, x_label, "tick")])


def _legend(lines: Sequence[Curve]) -> Html:
    entries = [tag("li", tag("i", class_=_classes("swatch", line)), line.label) for line in lines]
    return tag("ul", *entries, class_="legend")


def _classes(kind: str, line: Curve) -> str:
    return f"{kind} {line.kind} c{line.colour % COLOURS}"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Html:
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=kind)


def _path(places: Sequence[tuple[float, float]]) -> Html:
    return tag("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places))


def _band(places: Sequence[tuple[float, float, float]]) -> Html:
    """Return the room between the bounds; places are x, lower bound and upper bound."""
    edge = [(x, low) for x, low, _ in places] + [(x, high) for x, _, high in places[::-1]]
    outline = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in edge) + "Z"
    return tag("path", d=outline, class_="band")


def _circle(x: float, y: float, *, hollow: bool = False, unseen: bool = False) -> Html:
    kind = "hollow" if hollow else "unseen" if unseen else None
    return tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="4.5", class_=kind)


def _text(x: float, y: float, content: str, kind: str, anchor: str = "middle") -> Html:
    return tag("text", content, x=f"{x:.1f}", y=f"{y:.1f}", class_=kind, text_anchor=anchor)


def _box(x: float, y: float, width: float, height: float) -> Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _name_width(name: str) -> float:
    return _LETTER * len(name) + _APART
