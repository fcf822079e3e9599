"""What a plan says a grid can show before anything was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from ember_bench import stats
from ember_bench.experiment.forecast.numbers import Forecast, Range
from ember_bench.running.can_show import can_show


def forecast(items: dict[str, int], *, compared: int = 1, epochs: int = 1) -> Forecast:
    none = Range(0, 0)
    cells: list[None] = [None] * (compared + len(items))
    return Forecast(
        "study", "", False, cells, 0, none, none, none, none, None, None, [],  # type: ignore[arg-type]
        items=items, epochs=epochs,
    )  # fmt: skip


@pytest.mark.parametrize("items", [200, 1_000, 20_000])
@pytest.mark.parametrize("compared", [1, 20])
def test_it_is_about_what_the_exact_test_shows(items: int, compared: int, tmp_path: Path) -> None:
    (said,) = can_show(forecast({"data": items}, compared=compared), tmp_path)
    few, many = (float(part.split()[-1]) for part in said.split(" points")[:2])
    for share, found in ((0.1, few), (0.3, many)):
        exact = stats.detectable_difference_paired(items, share, alpha=0.05 / compared)
        assert exact is not None
        assert found / 100 == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize(
    ("items", "shown"),
    [
        (
            9,
            "items: no difference at 80 % power if two systems disagree on 10 % or 30 %",
        ),
        (50, "if two systems disagree on 30 % of the items, no difference if on 10 %."),
    ],
)
def test_few_items_show_no_difference_at_all(items: int, shown: str, tmp_path: Path) -> None:
    (said,) = can_show(forecast({"data": items}), tmp_path)
    assert said.startswith(f"What it can show: data, {items} items: ")
    assert shown in said


def test_of_many_datasets_it_tells_of_three(tmp_path: Path) -> None:
    (said,) = can_show(forecast({f"data{i}": 100 for i in range(9)}), tmp_path)
    assert "And so for 6 other datasets." in said


@pytest.mark.parametrize("plan", [forecast({"data": 9}, compared=0), forecast({"d": 9}, epochs=2)])
def test_it_says_nothing_without_comparisons_or_with_epochs(plan: Forecast, tmp_path: Path) -> None:
    assert can_show(plan, tmp_path) == []
