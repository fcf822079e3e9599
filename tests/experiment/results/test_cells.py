"""The trials of a cell as arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.experiment.results.cells import CellData
from ember_bench.experiment.results.summary import OUTCOMES


def data(items: list[int], n_items: int, outcomes: list[str] | None = None) -> CellData:
    """Return the trials of `items`, one entry each, in order."""
    count = len(items)
    names = outcomes or ["correct"] * count
    return CellData(
        n_items=n_items,
        item=np.asarray(items, dtype=np.int32),
        outcome=np.asarray([OUTCOMES.index(name) for name in names], dtype=np.int8),
        score=np.ones(count),
        cost=np.zeros(count),
        latency=np.ones(count),
    )


class TestMeans:
    def test_are_over_the_epochs_of_each_item(self) -> None:
        means = data([0, 0, 1, 1], 2).means(np.asarray([1.0, 0.0, 1.0, 1.0]))
        assert means.tolist() == [0.5, 1.0]

    def test_are_over_the_kept_trials_alone(self) -> None:
        keep = np.asarray([True, False, True, True])
        means = data([0, 0, 1, 1], 2).means(np.asarray([1.0, 0.0, 1.0, 0.0]), keep)
        assert means.tolist() == [1.0, 0.5]

    def test_are_unknown_for_items_without_a_trial_that_is_kept(self) -> None:
        keep = np.asarray([False, False, True])
        means = data([0, 0, 2], 3).means(np.ones(3), keep)
        assert means.tolist() == [pytest.approx(np.nan, nan_ok=True)] * 2 + [1.0]

    @given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1), st.booleans()), max_size=30))
    def test_are_those_of_a_plain_loop(self, trials: list[tuple[int, float, bool]]) -> None:
        trials.sort(key=lambda trial: trial[0])
        cell = data([item for item, _, _ in trials], 5)
        values = np.asarray([value for _, value, _ in trials])
        keep = np.asarray([kept for _, _, kept in trials], dtype=bool)
        found = cell.means(values, keep)
        for item in range(5):
            kept = [value for place, value, k in trials if place == item and k]
            wanted = sum(kept) / len(kept) if kept else np.nan
            assert found[item] == pytest.approx(wanted, nan_ok=True)


def test_failed_trials_are_those_with_an_error() -> None:
    cell = data([0, 1, 2], 3, ["error", "wrong", "correct"])
    assert cell.failed.tolist() == [True, False, False]


def test_trials_and_items_are_counted() -> None:
    cell = data([0, 0, 2, 2, 2], 4)
    assert cell.epochs.tolist() == [2, 0, 3, 0]
    assert cell.items_done == 2
    assert data([], 4).items_done == 0
    assert (cell.first(0), cell.first(2)) == (0, 2)
