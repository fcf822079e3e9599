"""Charts on pages: every mark has a name, and none covers another."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from ember_bench.drawing.charts import MOST_NAMED, Point, scatter
from ember_bench.experiment.results.figures import Quantity


def estimate(value: float, half: float) -> Quantity:
    return Quantity(value, value - half, value + half, "t")


def points(number: int) -> list[Point]:
    draw = np.random.default_rng(number)
    costs = draw.lognormal(0, 1.2, number).tolist()
    accuracies = draw.uniform(0.4, 0.95, number).tolist()
    return [
        Point(
            label=f"system {i}",
            name=f"a system of number {i}" if number <= MOST_NAMED else str(i),
            colour=i % 3,
            x=estimate(cost, cost / 50),
            accuracy=estimate(accuracy, 0.03),
            hollow=False,
            front=i < 3,
            cell=i,
        )
        for i, (cost, accuracy) in enumerate(zip(costs, accuracies, strict=True), 1)
    ]


@pytest.mark.parametrize("number", [5, 12, 22, 100])
def test_every_mark_is_named_and_no_name_covers_another(number: int) -> None:
    chart = scatter(points(number), x_label="US$", title="t")
    found = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="name"[^>]*>([^<]*)<', chart)
    assert len(found) == number
    boxes = []
    for x, y, name in found:
        half = 3.5 * len(name)
        boxes.append((float(x) - half, float(y) - 10, float(x) + half, float(y) + 2))
    for a, b in combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    height = float(re.findall(r'viewBox="0 0 \d+ (\d+)"', chart)[0])
    assert all(box[0] >= 0 and box[2] <= 640 and box[1] >= 0 and box[3] <= height for box in boxes)


def test_what_is_drawn_of_a_cell_can_be_hidden_with_it() -> None:
    chart = scatter(points(5), x_label="US$", title="t")
    assert {int(n) for n in re.findall(r'data-cell="(\d+)"', chart)} == {1, 2, 3, 4, 5}
    named = re.findall(r'<g data-cell="\d+"><text', chart)
    assert len(named) == 5
