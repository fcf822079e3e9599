"""The kinds of figures: fronts, curves, differences, items and nodes, each in one pair of axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ember_bench.drawing.axes import Axis, Box, accuracy_axis, bounds, nearest_room, positive_axis
from ember_bench.drawing.charts import Point, Row, shortened, steps
from ember_bench.drawing.figures import FONT, MARKERS
from ember_bench.drawing.lines import Curve, Stated
from ember_bench.drawing.number_format import tick_text
from ember_bench.drawing.text import one_line

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from ember_bench.experiment.results.figures import Quantity

# `nearest_room` is about text of 11.5 px.
_UNIT: Final = FONT / 11.5
_REACH: Final = 130
_FAR: Final = 9.0
_HATCHES: Final = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "++++", "oooo")
_MOST_LETTERS: Final = 34
_LABELS: Final = 4.2 * FONT
"""Points that an axis' numbers and label take."""


def front(points: Sequence[Point], architectures: Sequence[str], x_label: str, axes: Axes) -> Any:
    """Draw accuracy against cost or latency; the front is a line of steps.

    Args:
        points: The systems; their names stand beside them.
        architectures: Names of the architectures by number of the colour, for the legend.
        x_label: The unit of `x`.
        axes: Where to draw.
    """
    x = positive_axis([point.x for point in points], 0.0, 1.0)
    y = accuracy_axis([point.accuracy for point in points], 0.0, 1.0)
    _scale(axes, x, y)
    axes.set_xlabel(x_label)
    axes.set_ylabel("accuracy (%)")
    axes.grid(visible=True)
    line = steps(points)
    if len(line) > 1:
        style: Mapping[str, Any] = {"linestyle": (0, (3, 2)), "linewidth": 0.8, "alpha": 0.65}
        axes.plot(*zip(*line, strict=True), color=_ink(), **style)
    for point in points:
        colour, marker = _look(point.colour)
        axes.errorbar(
            point.x.value, point.accuracy.value,
            xerr=_error(point.x), yerr=_error(point.accuracy),
            color=colour, marker=marker, markerfacecolor=_paper() if point.hollow else colour,
            elinewidth=0.7, linestyle="none", clip_on=False,  # a mark at 100 % is whole
        )  # fmt: skip
    _legend(axes, architectures, sorted({point.colour for point in points}))
    return partial(_name, axes, points)


def curves(lines: Sequence[Curve], x_label: str, axes: Axes) -> None:
    """Draw accuracy by a whole number: measured with intervals, expected as lines in a band."""
    sizes = sorted({k for line in lines for k, _ in line.points})
    styles = {"run": "-", "expected": "--", "best": ":"}
    for line in lines:
        colour, marker = _look(line.colour)
        k = [size for size, _ in line.points]
        low, values, high = zip(*(bounds(found) for _, found in line.points), strict=True)
        label = shortened(one_line(line.label), 48)
        if line.kind == "run":
            error = [_error(found) for _, found in line.points]
            ends = np.abs(np.hstack(error))
            axes.errorbar(k, values, yerr=ends, color=colour, marker=marker, elinewidth=0.7,
                          label=label)  # fmt: skip
        else:
            axes.plot(k, values, color=colour, linestyle=styles[line.kind], label=label)
            axes.fill_between(k, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set_xlabel(one_line(x_label))
    axes.set_ylabel("accuracy (%)")
    axes.grid(visible=True)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}")
    if len(sizes) <= 12:
        axes.set_xticks(sizes)
    else:
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - heavy, and of an extra

        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _below(axes)


def calibration(lines: Sequence[Stated], x_label: str, y_label: str, axes: Axes) -> None:
    """Draw what is true by what was stated, in [0, 1]; on the diagonal both are the same."""
    axes.plot([0, 1], [0, 1], color=_ink(), alpha=0.65, linestyle=(0, (3, 2)), linewidth=0.8)
    for number, line in enumerate(lines):
        colour, marker = _look(number)
        stated, true, _ = zip(*line.points, strict=True)
        error = np.hstack([_error(found) for found in true])
        axes.errorbar(
            stated, [found.value for found in true], yerr=error, color=colour, marker=marker,
            elinewidth=0.7, clip_on=False, label=shortened(one_line(line.label), 48),
        )  # fmt: skip
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_aspect("equal")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(visible=True)
    _below(axes)


def differences(rows: Sequence[Row], baseline: str, axes: Axes) -> None:
    """Draw each difference in [-1, 1] with its interval, in points; hollow if it is not clear.

    Args:
        rows: The systems.
        baseline: The system that they are compared with.
        axes: Where to draw.
    """
    places = range(len(rows))
    for place, row in zip(places, rows, strict=True):
        colour, marker = _look(row.colour)
        axes.errorbar(
            100 * row.estimate.value, place, xerr=100 * _error(row.estimate), color=colour,
            marker=marker, markerfacecolor=_paper() if row.hollow else colour, elinewidth=0.9,
        )  # fmt: skip
    axes.axvline(0, color=_ink(), alpha=0.75, linewidth=0.7, zorder=0.5)
    axes.grid(visible=True, axis="x")
    _systems(axes, [row.label for row in rows])
    axes.set_xlabel(f"points above {shortened(one_line(baseline), _MOST_LETTERS)}")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}" if value else "0")


def items(labels: Sequence[str], scores: npt.NDArray[np.float64], axes: Axes) -> None:
    """Draw the score of each system (row) on each item (column): dark is right, grey is unknown.

    Args:
        labels: The systems.
        scores: In [0, 1], NaN where there is none, shape (n_systems, n_items).
        axes: Where to draw.
    """
    import matplotlib as mpl  # noqa: PLC0415 - heavy, and of an extra

    colours = mpl.colormaps["cividis_r"].with_extremes(bad="#C8C8C8")
    image = axes.imshow(
        np.ma.masked_invalid(scores), aspect="auto", interpolation="nearest", cmap=colours,
        vmin=0, vmax=1,
    )  # fmt: skip
    _systems(axes, labels)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(f"{scores.shape[1]:,} items, the hardest first")
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.7, pad=0.01, ticks=[0, 0.5, 1])
    bar.outline.set_visible(False)
    bar.set_label("score")


def nodes(
    labels: Sequence[str], costs: Mapping[str, Sequence[float]], x_label: str, axes: Axes
) -> None:
    """Draw the cost of each system as a bar of its nodes.

    Args:
        labels: The systems.
        costs: By node, the cost in each system, 0 if it has no such node.
        x_label: The unit of costs.
        axes: Where to draw.
    """
    start = np.zeros(len(labels))
    for number, (node, values) in enumerate(costs.items()):
        colour, _ = _look(number)
        axes.barh(
            range(len(labels)), values, left=start, height=0.66, color=colour, edgecolor=_paper(),
            linewidth=0.5, hatch=_HATCHES[number % len(_HATCHES)],
            label=shortened(one_line(node), _MOST_LETTERS),
        )  # fmt: skip
        start += values
    _systems(axes, labels)
    axes.grid(visible=True, axis="x")
    axes.set_xlabel(x_label)
    _below(axes, ncols=3)


def _look(number: int) -> tuple[str, str]:
    from matplotlib.colors import to_hex  # noqa: PLC0415 - heavy, and of an extra

    return to_hex(f"C{number}"), MARKERS[number % len(MARKERS)]


def _ink() -> str:
    """Return the colour of text and axes."""
    import matplotlib as mpl  # noqa: PLC0415 - heavy, and of an extra

    return str(mpl.rcParams["text.color"])


def _paper() -> str:
    """Return the colour behind everything."""
    import matplotlib as mpl  # noqa: PLC0415 - heavy, and of an extra

    return str(mpl.rcParams["axes.facecolor"])


def _error(found: Quantity) -> npt.NDArray[np.float64]:
    """Return the distances of the bounds from the value, shape (2, 1)."""
    low, value, high = bounds(found)
    return np.array([[max(0.0, value - low)], [max(0.0, high - value)]])


def _scale(axes: Axes, x: Axis, y: Axis) -> None:
    if x.log:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xlim(x.low, x.high)
    axes.set_ylim(y.low, y.high)
    axes.set_xticks(x.ticks(), [tick_text(tick) for tick in x.ticks()])
    axes.set_yticks(y.ticks(), [f"{100 * tick:.3g}" for tick in y.ticks()])


def _systems(axes: Axes, labels: Sequence[str]) -> None:
    """Put systems on the vertical axis, the first one on top."""
    shown = [shortened(one_line(label), _MOST_LETTERS) for label in labels]
    axes.set_yticks(range(len(labels)), shown)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def _legend(axes: Axes, architectures: Sequence[str], used: Sequence[int]) -> None:
    """Name the architectures below the axes; nothing if there is one alone."""
    if len(used) < 2:
        return
    from matplotlib.lines import Line2D  # noqa: PLC0415 - heavy, and of an extra

    marks = [
        Line2D([], [], color=colour, marker=marker, linestyle="none",
               label=one_line(architectures[number]))
        for number in used
        for colour, marker in [_look(number)]
    ]  # fmt: skip
    _below(axes, handles=marks, ncols=3, handletextpad=0.1, columnspacing=1.0)


def _below(axes: Axes, **options: Any) -> None:
    """Put the legend below the axes' label, whatever the size of the axes."""
    from matplotlib.transforms import ScaledTranslation  # noqa: PLC0415 - heavy, and of an extra

    down = ScaledTranslation(0, -_LABELS / 72, axes.figure.dpi_scale_trans)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=0,
                bbox_transform=axes.transAxes + down, **options)  # fmt: skip


def _name(axes: Axes, points: Sequence[Point]) -> None:
    """Write the points' names beside them, none over another or over a mark."""
    figure = axes.figure
    unit = _UNIT * figure.dpi / 72  # pixels
    place = _pixels(axes, unit)
    left, top = place(*(axes.transAxes.transform((0, 1)) / unit))
    right, bottom = place(*(axes.transAxes.transform((1, 0)) / unit))
    at = [place(*(axes.transData.transform(p) / unit)) for p in map(_place, points)]
    marks: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in at]
    lines = [_box(axes, unit, place, ends) for ends in _lines(points)]
    order = sorted(range(len(points)), key=lambda number: -points[number].accuracy.value)
    taken = [*marks, *lines]
    # The best first: they get the room if there is little.
    for point, (x, y) in ((points[number], at[number]) for number in order):
        if not point.name:
            continue
        text = axes.text(0, 0, one_line(point.name), ha="center", va="center", fontsize=FONT - 1)
        width = text.get_window_extent().width / unit + 2
        frame = left, top, right, bottom
        found = nearest_room(width, x, y, frame, taken, _REACH)
        if found is None:  # over lines, not over marks and names
            free = [box for box in taken if box not in lines]
            found = nearest_room(width, x, y, frame, free, _REACH)
            taken += free[-1:]
        if found is None:
            text.remove()  # the CSV has it
            continue
        text.set_position(_data(axes, unit, found))
        near = (min(max(x, found[0] - width / 2), found[0] + width / 2),
                min(max(y, found[1] - 6), found[1] + 6))  # fmt: skip
        if np.hypot(near[0] - x, near[1] - y) > _FAR:
            line = zip((point.x.value, point.accuracy.value), _data(axes, unit, near), strict=True)
            axes.plot(*line, color=_look(point.colour)[0], linewidth=0.4, zorder=0.8)


def _place(point: Point) -> tuple[float, float]:
    return point.x.value, point.accuracy.value


def _lines(points: Sequence[Point]) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """Yield the ends of all lines: intervals, and the steps of the front."""
    for point in points:
        left, x, right = bounds(point.x)
        low, y, high = bounds(point.accuracy)
        yield (left, y), (right, y)
        yield (x, low), (x, high)
    yield from pairwise(steps(points))


def _box(
    axes: Axes,
    unit: float,
    place: Callable[[float, float], tuple[float, float]],
    ends: tuple[tuple[float, float], tuple[float, float]],
) -> Box:
    """Return the room that a horizontal or vertical line takes."""
    (x1, y1), (x2, y2) = (place(*(axes.transData.transform(end) / unit)) for end in ends)
    return min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2) + 1, max(y1, y2) + 1


def _pixels(axes: Axes, unit: float) -> Callable[[float, float], tuple[float, float]]:
    """Return a function that turns matplotlib's pixels, which count upwards, into units."""
    height = axes.figure.bbox.height / unit
    return lambda x, y: (float(x), float(height - y))


def _data(axes: Axes, unit: float, place: tuple[float, float]) -> tuple[float, float]:
    """Return the values at a place in units."""
    height = axes.figure.bbox.height / unit
    x, y = axes.transData.inverted().transform((place[0] * unit, (height - place[1]) * unit))
    return float(x), float(y)
