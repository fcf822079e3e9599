"""Figures for papers: what is in the files, and that no name covers another."""

from __future__ import annotations

import re
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from ember_bench.drawing import figure_kinds
from ember_bench.drawing.charts import Point, Row
from ember_bench.drawing.figures import (
    COLOURS,
    COLOURS_ON_DARK,
    WIDTHS,
    Panel,
    Width,
    drawn,
    figure,
)
from ember_bench.drawing.lines import Curve
from ember_bench.experiment.results.figures import Quantity

pytestmark = pytest.mark.slow

HOSTILE = "$\\frac{1}{$ <b>&amp; \x1b[31m \\input{x}"


def estimate(value: float, half: float = 0.04) -> Quantity:
    return Quantity(value, max(0.0, value - half), min(1.0, value + half), "t")


def point(number: int, cost: float, accuracy: float, label: str = "") -> Point:
    name = label or f"system number {number}"
    return Point(name, name, number % 3, estimate(cost, cost / 20), estimate(accuracy),
                 hollow=False, front=number < 3)  # fmt: skip


def points(number: int) -> list[Point]:
    draw = np.random.default_rng(number)
    costs, accuracies = draw.uniform(0.01, 2, number), draw.uniform(0.4, 0.95, number)
    return [point(i, *values) for i, values in enumerate(zip(costs, accuracies, strict=True))]


def front(found: list[Point], width: Width = "one") -> Any:
    draw = partial(figure_kinds.front, found, ["single", "vote", "judge"], "US$ per item")
    return figure([Panel("", draw)], width)


def overlap(a: Any, b: Any) -> bool:
    return bool(a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1)


@pytest.mark.parametrize("number", [5, 11, 16])
def test_names_of_a_front_cover_neither_each_other_nor_a_mark(number: int) -> None:
    made = front(points(number), "two")
    (axes,) = made.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == number
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]
    marks = axes.transData.transform([(p.x.value, p.accuracy.value) for p in points(number)])
    assert not [xy for xy in marks for box in boxes if box.contains(*xy)]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_figure_is_as_wide_as_the_columns_it_is_for(width: Width) -> None:
    assert front(points(4), width).get_size_inches()[0] == WIDTHS[width]


def test_a_pdf_has_truetype_fonts_and_no_date() -> None:
    pdf = drawn(front(points(3)), "pdf")
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf


@pytest.mark.parametrize("form", ["pdf", "svg", "png"])
def test_the_same_results_make_the_same_file(form: str) -> None:
    assert drawn(front(points(6)), form) == drawn(front(points(6)), form)


def test_text_of_models_is_no_formula() -> None:
    made = front([point(0, 0.1, 0.5, HOSTILE), point(1, 1.0, 0.9)])
    assert HOSTILE.replace("\x1b", "\\x1b") in [text.get_text() for text in made.axes[0].texts]
    svg = drawn(made, "svg").decode()
    assert "<b>" not in re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)


def test_the_users_settings_change_nothing() -> None:
    import matplotlib as mpl

    usual = drawn(front(points(3)), "svg")
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "text.parse_math": True}):
        assert drawn(front(points(3)), "svg") == usual
        assert mpl.rcParams["font.size"] == 30


def test_an_interval_that_is_unknown_is_not_drawn() -> None:
    known = Quantity(0.5, None, None, "t")
    draw = partial(figure_kinds.differences, [Row("a", 0, known, hollow=True)], "b")
    (bars,) = figure([Panel("", draw)], "one").axes[0].collections
    assert np.ptp(bars.get_segments()[0][:, 0]) == 0


def test_curves_have_a_mark_for_what_was_run_and_a_band_for_what_is_expected() -> None:
    values = [(k, estimate(0.5 + k / 40)) for k in (1, 3, 5)]
    lines = [Curve("vote", 0, values), Curve("expected", 0, values, "expected")]
    (axes,) = figure([Panel("", partial(figure_kinds.curves, lines, "k"))], "one").axes
    assert [line.get_marker() for line in axes.lines] == ["o", "None"]
    assert [*axes.get_xticks()] == [1, 3, 5]
    assert len(axes.get_legend().get_texts()) == 2


def test_a_score_that_is_unknown_is_neither_right_nor_wrong() -> None:
    scores = np.array([[0.0, 1.0, np.nan]])
    made = figure([Panel("", partial(figure_kinds.items, ["a"], scores), wide=True)], "one")
    (image,) = made.axes[0].images
    colours = {tuple(image.to_rgba(image.get_array())[0, place]) for place in range(3)}
    assert len(colours) == 3


def luminance(colour: str) -> float:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2


def test_every_colour_can_be_seen_on_white() -> None:
    assert len(set(COLOURS)) == len(COLOURS)
    # WCAG 2.2, 1.4.11 asks 3 to 1; lighter ones have a shape of their own beside it.
    assert min(1.05 / (luminance(colour) + 0.05) for colour in COLOURS) > 2


def test_a_dark_figure_is_light_on_dark() -> None:
    from matplotlib.colors import to_hex

    made = figure(
        [Panel("", partial(figure_kinds.front, points(3), ["a", "b", "c"], "US$"))],
        "one",
        dark=True,
    )
    (axes,) = made.axes
    paper = luminance(to_hex(axes.get_facecolor()))
    texts = [*axes.texts, axes.xaxis.label, *axes.get_yticklabels()]
    inks = [*COLOURS_ON_DARK, *(to_hex(text.get_color()) for text in texts)]
    assert to_hex(made.get_facecolor()) == to_hex(axes.get_facecolor())
    assert len({*COLOURS_ON_DARK}) == len(COLOURS_ON_DARK)
    assert min((luminance(ink) + 0.05) / (paper + 0.05) for ink in inks) > 3
    assert b"#0d1117" in drawn(made, "svg", dark=True)


@pytest.mark.parametrize("form", ["pdf", "svg", "png"])
def test_long_labels_of_systems_are_whole(form: str) -> None:
    label = "recorded:mmmmmmmm/wwwwwwwwwww-0613"
    rows = [Row(label, 0, estimate(0.1), hollow=False)]
    made = figure([Panel("", partial(figure_kinds.differences, rows, "b"), wide=True)], "two")
    drawn(made, form)
    (text,) = made.axes[0].get_yticklabels()
    assert text.get_text() == label
    assert text.get_window_extent().x0 >= 0
