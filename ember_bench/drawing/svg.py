"""Elements of charts, and the room that they have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ember_bench.drawing.axes import Axis, Box
from ember_bench.drawing.html import Html, joined, tag
from ember_bench.drawing.number_format import tick_text

COLOURS: Final = 8
WIDTH: Final = 640
HEIGHT: Final = 360
LEFT, RIGHT, TOP, BOTTOM = 58, 26, 14, 46
"""Pixels of a chart, and of the room around its axes."""


def chart(height: float, title: str, content: Sequence[Html], *, crowd: bool = False) -> Html:
    """Return a chart of this content; `title` is what a screen reader says."""
    return tag(
        "svg", tag("title", title), *content,
        viewBox=f"0 0 {WIDTH} {height:.0f}", role="img",
        class_="chart crowd" if crowd else "chart", aria_label=title,
    )  # fmt: skip


def grid(
    x: Axis, y: Axis, x_label: str, height: float, ticks: Sequence[float] | None = None
) -> Html:
    """Return the lines of a grid with their numbers, and the unit of the horizontal axis."""
    parts = []
    for tick in y.ticks():
        parts += [
            line(LEFT, y(tick), WIDTH - RIGHT, y(tick), "grid"),
            text(LEFT - 6, y(tick) + 4, f"{100 * tick:g} %", "tick", "end"),
        ]
    for tick in x.ticks() if ticks is None else ticks:
        parts += [
            line(x(tick), TOP, x(tick), height - BOTTOM, "grid"),
            text(x(tick), height - BOTTOM + 17, tick_text(tick), "tick"),
        ]
    return joined([*parts, text((LEFT + WIDTH - RIGHT) / 2, height - 8, x_label, "tick")])


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Html:
    """Return a line from one place to another."""
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=kind)


def path(places: Sequence[tuple[float, float]]) -> Html:
    """Return a line through these places."""
    return tag("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places))


def band(places: Sequence[tuple[float, float, float]]) -> Html:
    """Return the room between the bounds; places are x, lower bound and upper bound."""
    edge = [(x, low) for x, low, _ in places] + [(x, high) for x, _, high in places[::-1]]
    outline = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in edge) + "Z"
    return tag("path", d=outline, class_="band")


def circle(x: float, y: float, *, hollow: bool = False, unseen: bool = False) -> Html:
    """Return a mark; an unseen one is there for the pointer."""
    kind = "hollow" if hollow else "unseen" if unseen else None
    return tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="4.5", class_=kind)


def text(x: float, y: float, content: str, kind: str, anchor: str = "middle") -> Html:
    """Return text at a place."""
    return tag("text", content, x=f"{x:.1f}", y=f"{y:.1f}", class_=kind, text_anchor=anchor)


def box(x: float, y: float, width: float, height: float) -> Box:
    """Return the room around a place."""
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
