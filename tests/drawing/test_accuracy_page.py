from __future__ import annotations

import itertools
from html.parser import HTMLParser

import pytest

from ember_bench.drawing.accuracy_page import accuracy_page
from ember_bench.drawing.charts import MOST_NAMED
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import CellSummary
from tests.tracking.summaries import cell, summary

HOSTILE = "</title></svg><script>alert(1)</script><img src=x onerror='alert(2)'>\"&"


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.xs_of_names: list[str | None] = []
        self.dots: list[tuple[float, float]] = []
        self.names: dict[str, tuple[float, float]] = {}
        self._name: tuple[float, float] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        self.attributes += attrs
        if tag == "text" and ("class", "name") in attrs:
            self.xs_of_names.append(dict(attrs)["x"])
            self._name = _place(dict(attrs), "x", "y")
        if tag == "circle":
            self.dots.append(_place(dict(attrs), "cx", "cy"))

    def handle_data(self, data: str) -> None:
        if self._name is not None:
            self.names[data], self._name = self._name, None


def _place(attributes: dict[str, str | None], x: str, y: str) -> tuple[float, float]:
    return float(attributes[x] or ""), float(attributes[y] or "")


def study(count: int) -> list[CellSummary]:
    """Cells of a grid: five architectures with more and more calls, of two models."""
    cells = []
    for i in range(count):
        kind, calls, model = i % 5, 1 + 2 * (i // 5 % 10), i // 50
        cost = 0.0004 * 5**model * calls * (1, 1.03, 2.1, 1.4, 0.6)[kind]
        accuracy = min(0.97, 0.55 + 0.1 * model + 0.02 * calls**0.6 * kind)
        label = f"cell {i + 1} of the grid" if count <= MOST_NAMED else str(i + 1)
        cells.append(
            cell(
                i,
                name=label,
                label=label,
                architecture=str(kind),
                accuracy=Quantity(accuracy, accuracy - 0.035, min(1, accuracy + 0.03), "w"),
                cost_per_item=Quantity(cost, 0.93 * cost, 1.07 * cost, "t"),
            )
        )
    return cells


def test_names_cannot_break_out():
    cells = [cell(i, name=f"{i}{HOSTILE}", label=HOSTILE, dataset=HOSTILE) for i in range(3)]
    tags = Tags(accuracy_page(summary(*cells, name=HOSTILE)))
    assert not {"script", "img", "link", "iframe"} & set(tags.opened)
    assert not any(name.startswith("on") or name in {"src", "href"} for name, _ in tags.attributes)


def test_it_loads_nothing():
    page = accuracy_page(summary())
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


def test_each_priced_cell_has_a_dot_and_each_cell_a_row():
    cells = [cell(0), cell(1), cell(2, cost_per_item=None), cell(3, accuracy=None)]
    tags = Tags(accuracy_page(summary(*cells)))
    assert tags.opened.count("circle") == 2
    assert tags.opened.count("tr") == 5


def test_names_beside_the_dearest_cells_stay_whole_however_crowded_it_is():
    dear = Quantity(0.01, 0.009, 0.011, "t")
    label = "small, best of nine, verified"
    crowded = [cell(i, label=label, cost_per_item=dear) for i in range(MOST_NAMED)]
    drawn = Tags(accuracy_page(summary(*crowded)))
    middles = [float(x or "") for x in drawn.xs_of_names]
    assert len(middles) == MOST_NAMED
    assert max(middles) + 6.8 * len(label) / 2 <= 640


@pytest.mark.parametrize("count", [1, 2, 5, MOST_NAMED, MOST_NAMED + 1, 20, 60, 100])
def test_each_name_can_be_read_and_stands_by_its_dot(count: int):
    cells = study(count)
    drawn = Tags(accuracy_page(summary(*cells)))
    assert len(drawn.dots) == len(drawn.names) == count
    boxes = {}
    for made, (x, y) in zip(cells, drawn.dots, strict=True):
        middle, base = drawn.names[made.label]
        # Of 11 px, letters are some 6.5 wide on average, and 8 high.
        half = 3.25 * len(made.label)
        boxes[made.label] = box = middle - half, base - 8, middle + half, base
        assert 0 <= box[0] < box[2] <= 640
        away = max(box[0] - x, x - box[2]), max(box[1] - y, y - box[3])
        assert max(away) < 60
        assert not any(box[0] < dx + 4 and dx - 4 < box[2] and box[1] < dy + 4 and dy - 4 < box[3]
                       for dx, dy in drawn.dots)  # fmt: skip
    for a, b in itertools.combinations(boxes.values(), 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_a_name_that_is_far_from_its_dot_has_a_line_to_it():
    same = Quantity(0.01, 0.009, 0.011, "t")
    crowded = [cell(i, name=str(i), accuracy=same, cost_per_item=same) for i in range(60)]
    drawn = Tags(accuracy_page(summary(*crowded)))
    far = [name for name, (x, y) in drawn.names.items() if abs(x - drawn.dots[0][0]) > 30]
    assert 0 < len(far) <= drawn.attributes.count(("class", "lead"))


def test_without_costs_there_is_a_row_of_the_chart_for_each_cell():
    page = accuracy_page(summary(*[cell(i, cost_per_item=None) for i in range(20)]))
    assert Tags(page).opened.count("circle") == 20
    assert "US$ per item, " not in page


@pytest.mark.parametrize(
    "changes",
    [
        {"accuracy": Quantity(1.0, 1.0, 1.0, "x")},
        {"accuracy": Quantity(0.0, None, None, "x")},
        {"cost_per_item": Quantity(0.0, 0.0, 0.0, "x")},
        {"cost_per_item": Quantity(1e-12, -1e-9, 1e-9, "x")},
        {"cost_per_item": Quantity(1e9, None, None, "x")},
        {"accuracy": None},
    ],
)
def test_extreme_values_are_drawn(changes: dict[str, Quantity | None]):
    for cells in ([cell(0, **changes)], [cell(0, **changes), cell(1)]):
        assert "nan" not in accuracy_page(summary(*cells))


def test_many_cells_are_numbered():
    page = accuracy_page(summary(*[cell(i, name=str(i)) for i in range(200)]))
    assert ">200</text>" in page


def test_simulated_and_partial_are_said():
    page = accuracy_page(summary(status="partial"))
    assert "simulated" in page
    assert "partial" in page
