"""Charts of lines as SVG: accuracy by a number, and what is true by what was stated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ember_bench.drawing import svg
from ember_bench.drawing.axes import Axis, accuracy_axis, bounds
from ember_bench.drawing.html import Html, joined, tag
from ember_bench.drawing.number_format import count, in_percent
from ember_bench.experiment.results.figures import Quantity


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
class Stated:
    """What is true by what was stated, both in [0, 1].

    Attributes:
        points: The value that was stated, the mean of what is true, and the number of outputs.
    """

    label: str
    colour: int
    points: Sequence[tuple[float, Quantity, int]]
    cell: int | None = None


def curves(lines: Sequence[Curve], *, x_label: str, title: str) -> Html:
    """Return accuracy by k: dots with intervals for measured values, else a line in a band."""
    found = [estimate for line in lines for _, estimate in line.points]
    sizes = sorted({k for line in lines for k, _ in line.points})
    x = Axis(min(sizes) - 0.5, max(sizes) + 0.5, svg.LEFT, svg.WIDTH - svg.RIGHT)
    y = accuracy_axis(found, svg.HEIGHT - svg.BOTTOM, svg.TOP)
    ticks = sizes if len(sizes) <= 16 else [k for k in x.ticks() if k == round(k)]
    drawn = [svg.grid(x, y, x_label, svg.HEIGHT, ticks)]
    for line in lines:
        places = [(x(k), y(estimate.value)) for k, estimate in line.points]
        parts = [tag("title", line.label), svg.path(places)]
        if line.kind != "run":
            ends = [(x(k), bounds(estimate)) for k, estimate in line.points]
            parts.append(svg.band([(at, y(low), y(high)) for at, (low, _, high) in ends]))
        drawn.append(tag("g", *parts, class_=_classes("line", line)))
        for k, estimate in line.points:
            low, height, high = map(y, bounds(estimate))
            said = f"{line.label}, {x_label} = {k}: {in_percent(estimate)}"
            seen = [svg.line(x(k), low, x(k), high, "bar"), svg.circle(x(k), height)]
            if line.kind != "run":
                seen = [svg.circle(x(k), height, unseen=True)]
            drawn.append(tag("g", tag("title", said), *seen, class_=_classes("mark", line)))
    return joined([tag("div", svg.chart(svg.HEIGHT, title, drawn), class_="draw"), _legend(lines)])


def calibration(lines: Sequence[Stated], *, x_label: str, title: str) -> Html:
    """Return what is true by what was stated; on the diagonal both are the same."""
    x = Axis(-0.03, 1.03, svg.LEFT, svg.WIDTH - svg.RIGHT)
    y = Axis(-0.03, 1.03, svg.HEIGHT - svg.BOTTOM, svg.TOP)
    diagonal = tag("g", svg.path([(x(0), y(0)), (x(1), y(1))]), class_="front")
    drawn = [svg.grid(x, y, x_label, svg.HEIGHT), diagonal]
    for line in lines:
        colour = f"c{line.colour % svg.COLOURS}"
        places = [(x(stated), y(true.value)) for stated, true, _ in line.points]
        path = tag("g", tag("title", line.label), svg.path(places), class_=f"line {colour}",
                   data_cell=line.cell)  # fmt: skip
        drawn.append(path)
        for stated, true, outputs in line.points:
            low, height, high = map(y, bounds(true))
            said = (
                f"{line.label}: {stated:.2f} stated, {in_percent(true)} true,"
                f" {count(outputs, 'output')}"
            )
            dot = svg.circle(x(stated), height)
            bar = svg.line(x(stated), low, x(stated), high, "bar")
            drawn.append(tag("g", tag("title", said), bar, dot, class_=f"mark {colour}",
                             data_cell=line.cell))  # fmt: skip
    if len(lines) == 1:
        return tag("div", svg.chart(svg.HEIGHT, title, drawn), class_="draw")
    names = [tag("li", tag("i", class_=f"swatch run c{line.colour % svg.COLOURS}"), line.label,
                 data_cell=line.cell) for line in lines]  # fmt: skip
    legend = tag("ul", *names, class_="legend")
    return joined([tag("div", svg.chart(svg.HEIGHT, title, drawn), class_="draw"), legend])


def _legend(lines: Sequence[Curve]) -> Html:
    entries = [tag("li", tag("i", class_=_classes("swatch", line)), line.label) for line in lines]
    return tag("ul", *entries, class_="legend")


def _classes(kind: str, line: Curve) -> str:
    return f"{kind} {line.kind} c{line.colour % svg.COLOURS}"
