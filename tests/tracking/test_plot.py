from __future__ import annotations

from html.parser import HTMLParser

import pytest

from ember_bench.experiment.summary import Estimate
from ember_bench.tracking.plot import accuracy_plot
from tests.tracking.summaries import cell, summary

HOSTILE = "</title></svg><script>alert(1)</script><img src=x onerror='alert(2)'>\"&"


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.xs_of_names: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        self.attributes += attrs
        if tag == "text" and ("class", "") in attrs:
            self.xs_of_names.append(dict(attrs)["x"])


def test_names_cannot_break_out():
    cells = [cell(i, name=f"{i}{HOSTILE}", label=HOSTILE, dataset=HOSTILE) for i in range(3)]
    tags = Tags(accuracy_plot(summary(*cells, name=HOSTILE)))
    assert not {"script", "img", "link", "iframe"} & set(tags.opened)
    assert not any(name.startswith("on") or name in {"src", "href"} for name, _ in tags.attributes)


def test_it_loads_nothing():
    page = accuracy_plot(summary())
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


def test_each_priced_cell_has_a_dot_and_each_cell_a_row():
    cells = [cell(0), cell(1), cell(2, cost_per_item=None), cell(3, accuracy=None)]
    tags = Tags(accuracy_plot(summary(*cells)))
    assert tags.opened.count("circle") == 2
    assert tags.opened.count("tr") == 5


def test_names_beside_the_dearest_cells_stay_whole_however_crowded_it_is():
    dear = Estimate(0.01, 0.009, 0.011, "t")
    label = "small, best of nine, verified"
    crowded = [cell(i, label=label, cost_per_item=dear) for i in range(14)]
    drawn = Tags(accuracy_plot(summary(*crowded)))
    middles = [float(x or "") for x in drawn.xs_of_names]
    assert len(middles) == 14
    assert max(middles) + 6.8 * len(label) / 2 <= 760


def test_without_costs_there_is_a_row_of_the_chart_for_each_cell():
    page = accuracy_plot(summary(*[cell(i, cost_per_item=None) for i in range(20)]))
    assert Tags(page).opened.count("circle") == 20
    assert "US$ per item, " not in page


@pytest.mark.parametrize(
    "changes",
    [
        {"accuracy": Estimate(1.0, 1.0, 1.0, "x")},
        {"accuracy": Estimate(0.0, None, None, "x")},
        {"cost_per_item": Estimate(0.0, 0.0, 0.0, "x")},
        {"cost_per_item": Estimate(1e-12, -1e-9, 1e-9, "x")},
        {"cost_per_item": Estimate(1e9, None, None, "x")},
        {"accuracy": None},
    ],
)
def test_extreme_values_are_drawn(changes: dict[str, Estimate | None]):
    for cells in ([cell(0, **changes)], [cell(0, **changes), cell(1)]):
        assert "nan" not in accuracy_plot(summary(*cells))


def test_many_cells_are_numbered():
    page = accuracy_plot(summary(*[cell(i, name=str(i)) for i in range(200)]))
    assert ">200</text>" in page


def test_simulated_and_partial_are_said():
    page = accuracy_plot(summary(status="partial"))
    assert "simulated" in page
    assert "partial" in page
