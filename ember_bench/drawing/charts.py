"""Charts as SVG in the page's own colours: points with intervals, curves, and rows of intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from ember_bench.drawing.axes import Axis, Box, accuracy_axis, bounds, find_room, positive_axis
from ember_bench.drawing.html import Html, joined, tag
from ember_bench.experiment.results.summary import Estimate

_WIDTH: Final = 860
_HEIGHT: Final = 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 26, 14, 46
_ROW, _LOW_ROW = 24, 17
_MANY_ROWS: Final = 30
_LETTER: Final = 6.4
_LONGEST_LABEL: Final = 34
_LONGEST_ROW_LABEL: Final = 50
MOST_NAMED: Final = 16
"""Of more points than these only those on the front, and bounds, are named."""
_COLOURS: Final = 8


@dataclass(frozen=True, slots=True)
class Point:
    """One cell among others.

    Attributes:
        label: Its name beside the point.
        colour: Number of its architecture.
        x: US dollars or seconds.
        accuracy: In [0, 1].
        hollow: For a bound, which is no system.
        front: Whether no other one dominates it.
    """

    label: str
    colour: int
    x: Estimate
    accuracy: Estimate
    hollow: bool
    front: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """Accuracy by a whole number.

    Attributes:
        kind: `run` for cells of its own; `expected` of votes over stored draws, `best` of the best
            of them.
    """

    label: str
    colour: int
    points: Sequence[tuple[int, Estimate]]
    kind: Literal["run", "expected", "best"] = "run"


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of a chart of differences, in [-1, 1]."""

    label: str
    colour: int
    estimate: Estimate
    clear: bool
    """Whether it is significant after correction."""


def scatter(points: Sequence[Point], *, x_label: str, title: str) -> Html:
    """Return accuracy against cost or latency, with intervals both ways and the front as a line."""
    x = positive_axis([point.x for point in points], _LEFT, _WIDTH - _RIGHT)
    y = accuracy_axis([point.accuracy for point in points], _HEIGHT - _BOTTOM, _TOP)
    taken: list[Box] = []
    marks = []
    for point in points:
        left, at, right = map(x, bounds(point.x))
        low, height, high = map(y, bounds(point.accuracy))
        taken += [(left, height - 2, right, height + 2), (at - 2, high, at + 2, low),
                  (at - 6, height - 6, at + 6, height + 6)]  # fmt: skip
        marks.append((point, at, height, (left, right), (low, high)))
    drawn = [_grid(x, y, x_label + (", logarithmic" if x.log else "")), _front(points, x, y)]
    names = []
    for point, at, height, across, up in marks:
        circle = _circle(at, height, hollow=point.hollow)
        bars = [
            _line(at, up[0], at, up[1], "bar"),
            _line(across[0], height, across[1], height, "bar"),
        ]
        said = tag("title", _said(point, x_label))
        drawn.append(tag("g", said, *bars, circle, class_=f"mark c{point.colour % _COLOURS}"))
        if len(points) <= MOST_NAMED or point.front or point.hollow:
            names.append(_label(_cut(point.label), at, height, taken))
    return _svg(_HEIGHT, title, [*drawn, *names])


def curves(lines: Sequence[Curve], *, x_label: str, title: str) -> Html:
    """Return accuracy by k: dots with intervals where it was measured, else a broken line."""
    found = [estimate for line in lines for _, estimate in line.points]
    sizes = sorted({k for line in lines for k, _ in line.points})
    x = Axis(min(sizes) - 0.5, max(sizes) + 0.5, _LEFT, _WIDTH - _RIGHT)
    y = accuracy_axis(found, _HEIGHT - _BOTTOM, _TOP)
    ticks = sizes if len(sizes) <= 16 else [k for k in x.ticks() if k == round(k)]
    drawn = [_grid(x, y, x_label, ticks)]
    for line in lines:
        places = [(x(k), y(estimate.value)) for k, estimate in line.points]
        parts = [tag("title", line.label), _path(places)]
        for k, estimate in line.points if line.kind == "run" else ():
            low, height, high = map(y, bounds(estimate))
            parts += [_line(x(k), low, x(k), high, "bar"), _circle(x(k), height)]
        drawn.append(tag("g", *parts, class_=_classes("mark", line)))
    return joined([_svg(_HEIGHT, title, drawn), _legend(lines)])


def differences(rows: Sequence[Difference], *, title: str) -> Html:
    """Return a row for each difference with its interval, in points, around 0."""
    labels = [_cut(row.label, _LONGEST_ROW_LABEL) for row in rows]
    left = 24 + _LETTER * max(map(len, labels))
    height = _ROW if len(rows) <= _MANY_ROWS else _LOW_ROW
    ends = [bound for row in rows for bound in bounds(row.estimate)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    room = max(0.01, 0.04 * (high - low))
    x = Axis(100 * (low - room), 100 * (high + room), left, _WIDTH - _RIGHT)
    bottom = _TOP + height * len(rows)
    drawn = [_line(x(tick), _TOP, x(tick), bottom, "grid") for tick in x.ticks()]
    drawn += [
        _text(x(tick), bottom + 16, f"{tick:+g}" if tick else "0", "tick") for tick in x.ticks()
    ]
    drawn += [_line(x(0), _TOP, x(0), bottom, "zero"),
              _text((left + _WIDTH - _RIGHT) / 2, bottom + 34, "points", "tick")]  # fmt: skip
    for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
        at = _TOP + height * (number + 0.5)
        lowest, value, highest = (x(100 * bound) for bound in bounds(row.estimate))
        drawn.append(
            tag(
                "g",
                tag("title", f"{row.label}: {100 * row.estimate.value:+.1f} points"),
                _line(lowest, at, highest, at, "bar"),
                _circle(value, at, hollow=not row.clear),
                class_=f"mark c{row.colour % _COLOURS}",
            )
        )
        drawn.append(_text(left - 10, at + 4, label, "", "end"))
    return _svg(bottom + 42, title, drawn)


def _front(points: Sequence[Point], x: Axis, y: Axis) -> Html:
    """Return the front as steps: what can be had for at most so much."""
    ordered = sorted((p for p in points if p.front), key=lambda p: (p.x.value, p.accuracy.value))
    places = [(x(point.x.value), y(point.accuracy.value)) for point in ordered]
    steps = [step for (_, above), (right, below) in pairwise(places)
             for step in ((right, above), (right, below))]  # fmt: skip
    return tag("g", _path([*places[:1], *steps]), class_="front") if steps else Html("")


def _svg(height: float, title: str, content: Sequence[Html]) -> Html:
    return tag(
        "svg", tag("title", title), *content,
        viewBox=f"0 0 {_WIDTH} {height:.0f}", role="img", class_="chart", aria_label=title,
    )  # fmt: skip


def _grid(x: Axis, y: Axis, x_label: str, ticks: Sequence[float] | None = None) -> Html:
    parts = []
    for tick in y.ticks():
        parts += [
            _line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), "grid"),
            _text(_LEFT - 6, y(tick) + 4, f"{100 * tick:g} %", "tick", "end"),
        ]
    for tick in x.ticks() if ticks is None else ticks:
        parts += [
            _line(x(tick), _TOP, x(tick), _HEIGHT - _BOTTOM, "grid"),
            _text(x(tick), _HEIGHT - _BOTTOM + 17, f"{tick:.3g}", "tick"),
        ]
    return joined([*parts, _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, x_label, "tick")])


def _legend(lines: Sequence[Curve]) -> Html:
    entries = [tag("li", tag("i", class_=_classes("swatch", line)), line.label) for line in lines]
    return tag("ul", *entries, class_="legend")


def _classes(kind: str, line: Curve) -> str:
    return f"{kind} {line.kind} c{line.colour % _COLOURS}"


def _said(point: Point, x_label: str) -> str:
    front = "; on the front" if point.front else ""
    return (
        f"{point.label}: accuracy {100 * point.accuracy.value:.1f} %, "
        f"{point.x.value:.3g} {x_label}{front}"
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Html:
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=kind)


def _path(places: Sequence[tuple[float, float]]) -> Html:
    return tag("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places))


def _circle(x: float, y: float, *, hollow: bool = False) -> Html:
    return tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="4.5", class_="hollow" if hollow else None)


def _text(x: float, y: float, content: str, kind: str, anchor: str = "middle") -> Html:
    return tag("text", content, x=f"{x:.1f}", y=f"{y:.1f}", class_=kind, text_anchor=anchor)


def _label(content: str, x: float, y: float, taken: list[Box]) -> Html:
    """Return the name of a point where there is room; else its title and the table name it."""
    frame = _LEFT, _TOP, _WIDTH, _HEIGHT - _BOTTOM
    place = find_room(_LETTER * len(content), x, y, frame, taken)
    return Html("") if place is None else _text(place[0], place[1] + 4, content, "name")


def _cut(content: str, longest: int = _LONGEST_LABEL) -> str:
    """Return a label of no more than `longest`: names of models differ at their ends."""
    if len(content) <= longest:
        return content
    half = longest // 2
    return f"{content[: half - 1]}…{content[-half:]}"
