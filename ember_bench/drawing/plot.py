"""Accuracy against cost with intervals, as one HTML file that loads nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from ember_bench.drawing.axes import Axis, Box, accuracy_axis, bounds, nearest_room, positive_axis
from ember_bench.experiment.results.summary import CellSummary, Estimate, ExperimentSummary
from ember_bench.tracking.fields import cut

_WIDTH: Final = 760
_HEIGHT: Final = 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 16, 48
_ROW: Final = 18
_NAMED_AT_MOST: Final = 14
_GAP: Final = 8
# So far from its point a name, or a number, may stand; from `_FAR` on, a line says whose it is.
_NAMES_REACH: Final = 120
_NUMBERS_REACH: Final = 60
_FAR: Final = 10.0
# With more cells, intervals are faint and may be written over, and the chart is higher.
_CROWD: Final = 30
_MORE_HEIGHT: Final = 3
_MOST_HEIGHT: Final = 900
# Of 11 px: the widest that the fonts of common systems have on average.
_LETTER: Final = 6.8
_APART: Final = 5.0

_STYLE: Final = """
:root { color-scheme: light dark; --text: #1c2024; --faint: #60646c; --grid: #e4e6ea;
  --back: #ffffff; --c0: #0b68a8; --c1: #b8520a; --c2: #117a4b; --c3: #9b2c7f; --c4: #6b5bd2;
  --c5: #8a6d00; --c6: #b3261e; --c7: #3d6b75; }
@media (prefers-color-scheme: dark) { :root { --text: #eceef1; --faint: #a5abb5; --grid: #33373e;
  --back: #16181c; --c0: #5fb4ef; --c1: #f19a52; --c2: #54c98d; --c3: #e283c6; --c4: #a99dfb;
  --c5: #d9b93c; --c6: #ff8a80; --c7: #86c1cd; } }
body { font: 14px/1.45 system-ui, sans-serif; color: var(--text); background: var(--back);
  margin: 20px auto; padding: 0 16px; max-width: 800px; }
h1 { font-size: 18px; margin: 0 0 2px; } h2 { font-size: 15px; margin: 26px 0 4px; }
p { margin: 2px 0 8px; color: var(--faint); } svg { width: 100%; height: auto; }
svg text { font-size: 11px; fill: var(--text); stroke: var(--back); stroke-width: 2.5px;
  paint-order: stroke; stroke-linejoin: round; }
svg .tick { fill: var(--faint); stroke: none; }
svg .grid { stroke: var(--grid); } svg .bar { stroke-width: 1.6; opacity: .75; }
svg .lead { stroke-width: .9; }
svg.crowd .bar { stroke-width: 1.2; opacity: .3; }
svg g.cell:hover .bar { stroke-width: 3; opacity: 1; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: right; padding: 3px 8px; border-bottom: 1px solid var(--grid);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th:nth-child(2), td:nth-child(2) { text-align: left; white-space: normal;
  overflow-wrap: anywhere; min-width: 15em; }
i.dot { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 6px; }
small { color: var(--faint); }
"""


def accuracy_plot(summary: ExperimentSummary) -> str:
    """Return the page: a chart and a table for each dataset."""
    title = escape(summary.name)
    level = f"{100 * summary.level:g} % intervals"
    said = [level, "simulated: made-up answers" if summary.simulated else ""]
    if summary.run.status == "partial":
        said.append("partial: not all trials are done")
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy"',
        " content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{title}: accuracy and cost</title><style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1><p>{' · '.join(filter(None, said))}</p>",
    ]
    architectures = list(dict.fromkeys(cell.architecture for cell in summary.cells))
    for name in dict.fromkeys(cell.dataset for cell in summary.cells):
        cells = [cell for cell in summary.cells if cell.dataset == name]
        parts += _dataset(name, cells, architectures)
    return "".join([*parts, "</body></html>\n"])


def _dataset(
    name: str, cells: Sequence[CellSummary], architectures: Sequence[str]
) -> Iterator[str]:
    def colour(cell: CellSummary) -> str:
        return f"var(--c{architectures.index(cell.architecture) % 8})"

    numbers = {cell.name: i for i, cell in enumerate(cells, 1)}
    yield f"<h2>{escape(name)}</h2>"
    known = [cell for cell in cells if cell.accuracy is not None]
    priced = [cell for cell in known if cell.cost_per_item is not None]
    if any(cell.cost_per_item and cell.cost_per_item.value > 0 for cell in priced):
        yield from _scatter(priced, numbers, colour)
        if len(priced) < len(known):
            yield "<p>Cells whose cost is unknown are in the table only.</p>"
    elif known:
        yield from _rows(known, colour)
    yield "<table><thead><tr><th>#</th><th>cell</th><th>items</th><th>accuracy</th>"
    yield "<th>US$ per item</th></tr></thead><tbody>"
    for cell in cells:
        marks = " (oracle)" if cell.oracle else ""
        yield (
            f'<tr><td>{numbers[cell.name]}</td><td><i class="dot" style="background:'
            f'{colour(cell)}"></i>{escape(cell.label)}<small>{marks}</small></td>'
            f"<td>{cell.items}</td><td>{_percent(cell.accuracy)}</td>"
            f"<td>{_dollars(cell.cost_per_item)}</td></tr>"
        )
    yield "</tbody></table>"


@dataclass(frozen=True, slots=True)
class Point:
    """A cell in the chart, in pixels; the intervals are its whiskers."""

    cell: CellSummary
    x: float
    y: float
    across: tuple[float, float]
    up: tuple[float, float]

    @property
    def dot(self) -> Box:
        """What no label may cover."""
        return _box(self.x, self.y)

    def boxes(self) -> list[Box]:
        """Return what a label had better not cover either."""
        return [
            self.dot,
            (self.across[0], self.y - 2, self.across[1], self.y + 2),
            (self.x - 2, self.up[1], self.x + 2, self.up[0]),
        ]


def _scatter(
    cells: Sequence[CellSummary], numbers: dict[str, int], colour: Callable[[CellSummary], str]
) -> Iterator[str]:
    x = positive_axis(
        [cost for cell in cells if (cost := cell.cost_per_item)], _LEFT, _WIDTH - _RIGHT
    )
    crowd = len(cells) > _CROWD
    height = min(_HEIGHT + _MORE_HEIGHT * max(0, len(cells) - _CROWD), _MOST_HEIGHT)
    bottom = height - _BOTTOM
    y = _accuracy_axis(cells, bottom, _TOP)
    yield _svg(height, "crowd" if crowd else "")
    for tick in y.ticks():
        yield _line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), 'class="grid"')
        yield _text(_LEFT - 6, y(tick) + 4, f"{100 * tick:g} %", "tick", "end")
    for tick in x.ticks():
        yield _line(x(tick), _TOP, x(tick), bottom, 'class="grid"')
        yield _text(x(tick), bottom + 16, f"{tick:.3g}", "tick", "middle")
    scale = ", logarithmic" if x.log else ""
    yield _text(_WIDTH / 2, height - 8, f"US$ per item{scale}", "tick", "middle")
    points = _points(cells, x, y)
    for point in points:
        yield _open_cell(point.cell, colour(point.cell))
        yield _line(point.x, point.up[0], point.x, point.up[1], 'class="bar"')
        yield _line(point.across[0], point.y, point.across[1], point.y, 'class="bar"')
        yield _dot(point.cell, point.x, point.y) + "</g>"
    few = len(points) <= _NAMED_AT_MOST
    boxes = [box for point in points for box in ([point.dot] if crowd else point.boxes())]
    taken = list(dict.fromkeys(boxes))
    labels = []
    # The best first: where there is little room, it is theirs.
    for point in sorted(points, key=lambda point: point.y):
        name = cut(point.cell.label, 30) if few else str(numbers[point.cell.name])
        if (place := _place(name, point, bottom, taken, always=few)) is not None:
            group = _open_cell(point.cell, colour(point.cell))
            yield group + _lead(name, point, place) + "</g>"
            labels.append(f"{group}{_text(place[0], place[1] + 4, name, '', 'middle')}</g>")
    yield from labels  # over all lines
    yield "</svg>"


def _points(cells: Sequence[CellSummary], x: Axis, y: Axis) -> list[Point]:
    points = []
    for cell in cells:
        if (cost := cell.cost_per_item) and (accuracy := cell.accuracy):
            left, at, right = map(x, bounds(cost))
            bottom, height, top = map(y, bounds(accuracy))
            points.append(Point(cell, at, height, (left, right), (bottom, top)))
    return points


def _rows(cells: Sequence[CellSummary], colour: Callable[[CellSummary], str]) -> Iterator[str]:
    """Draw one row for each cell, best first: there are no costs to set them against."""
    ranked = sorted(cells, key=lambda cell: -cell.accuracy.value if cell.accuracy else 0.0)
    names = [cut(cell.label, 44) for cell in ranked]
    left = 20 + _LETTER * max(map(len, names))
    bottom = _TOP + _ROW * len(ranked) + 4
    x = _accuracy_axis(cells, left, _WIDTH - _RIGHT)
    yield _svg(bottom + 24)
    for tick in x.ticks():
        yield _line(x(tick), _TOP, x(tick), bottom, 'class="grid"')
        yield _text(x(tick), bottom + 16, f"{100 * tick:g} %", "tick", "middle")
    for i, (cell, name) in enumerate(zip(ranked, names, strict=True)):
        if cell.accuracy:
            at = _TOP + _ROW * (i + 0.5)
            yield _open_cell(cell, colour(cell))
            low, _, high = bounds(cell.accuracy)
            yield _line(x(low), at, x(high), at, 'class="bar"')
            yield _dot(cell, x(cell.accuracy.value), at)
            yield _text(left - 10, at + 4, name, "", "end") + "</g>"
    yield "</svg>"


def _accuracy_axis(cells: Sequence[CellSummary], start: float, end: float) -> Axis:
    return accuracy_axis([cell.accuracy for cell in cells if cell.accuracy], start, end)


def _svg(height: float, css: str = "") -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" class="{css}" role="img" '
        'aria-label="Chart; the table below has its numbers">'
    )


def _line(x1: float, y1: float, x2: float, y2: float, attributes: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {attributes}/>'


def _text(x: float, y: float, text: str, css: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _open_cell(cell: CellSummary, colour: str) -> str:
    what = f"{cell.label}\naccuracy {_percent(cell.accuracy)}\nUS$ {_dollars(cell.cost_per_item)}"
    return f'<g class="cell" stroke="{colour}" fill="{colour}"><title>{escape(what)}</title>'


def _dot(cell: CellSummary, x: float, y: float) -> str:
    hollow = ' style="fill: var(--back)"' if cell.oracle else ""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"{hollow}/>'


def _box(x: float, y: float, width: float = 10, height: float = 10) -> Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _place(
    text: str, point: Point, bottom: float, taken: list[Box], *, always: bool
) -> tuple[float, float] | None:
    """Return the middle of a point's name, where there is room for it.

    Where there is none, it is over something, but whole, if there must be one `always`.
    """
    width, reach = _width(text), _NAMES_REACH if always else _NUMBERS_REACH
    place = nearest_room(width, point.x, point.y, (_LEFT, 0, _WIDTH, bottom), taken, reach)
    if place is None and always:
        return min(point.x + _GAP + width / 2, _WIDTH - width / 2), point.y - _GAP
    return place


def _lead(text: str, point: Point, place: tuple[float, float]) -> str:
    """Return the line from a point to its name, if that is far."""
    left, top, right, bottom = _box(*place, _width(text), _GAP)
    near = min(max(point.x, left), right), min(max(point.y, top), bottom)
    if math.dist(near, (point.x, point.y)) <= _FAR:
        return ""
    return _line(point.x, point.y, *near, 'class="lead"')


def _width(text: str) -> float:
    return _LETTER * len(text) + _APART


def _percent(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"  # noqa: RUF001 - a dash for what there is none of
    low, value, high = (f"{100 * bound:.1f}" for bound in bounds(estimate))
    return f"{value} %" + (f" [{low}, {high}]" if estimate.low is not None else "")


def _dollars(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"  # noqa: RUF001
    low, value, high = (f"{bound:.3g}" for bound in bounds(estimate))
    return value + (f" [{low}, {high}]" if estimate.low is not None else "")
