import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.stats import front_probabilities, front_shares, pareto_front

from .test_shrinkage import above_zero

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12)


@given(POINTS)
def test_a_cell_is_dominated_by_what_is_no_worse_and_somewhere_better(points):
    accuracy, cost = np.array(points, dtype=float).T
    found = pareto_front(accuracy, cost)
    for i, (a, c) in enumerate(points):
        expected = {j for j, (b, d) in enumerate(points) if b >= a and d <= c and (b, d) != (a, c)}
        assert set(found.dominated_by[i]) == expected
        assert found.on_front[i] == (not expected)


@given(POINTS)
def test_what_dominates_a_cell_is_named_front_first(points):
    accuracy, cost = np.array(points, dtype=float).T
    found = pareto_front(accuracy, cost)
    assert found.on_front.any()
    for by in found.dominated_by:
        if by:
            assert found.on_front[by[0]]


def test_equal_cells_share_the_front_but_for_rounding():
    found = pareto_front([0.1 + 0.2, 0.3], [1, 1])
    assert found.on_front.tolist() == [True, True]


def test_front_probability_of_a_dearer_cell_is_that_of_being_better():
    rng = np.random.default_rng(0)
    n = 500
    base = rng.random(n)
    better = base + rng.normal(0.02, 0.4, n)
    d = better - base
    accuracy = np.column_stack([base, better])
    cost = np.column_stack([np.full(n, 1.0), np.full(n, 2.0)])
    found = front_probabilities(accuracy, cost, n_draws=20_000)
    assert found[0] == 1
    variance = d.var(ddof=1) / n + 2 * (np.abs(d).max() / n) ** 2
    assert found[1] == pytest.approx(above_zero(d.mean(), variance), abs=0.015)


def test_front_probabilities_agree_with_fronts_of_resamples_where_accuracies_are_clear():
    rng = np.random.default_rng(1)
    accuracy = np.linspace(0.2, 0.9, 6) + rng.normal(0, 0.05, (30, 6))
    cost = rng.lognormal(size=(30, 6)) + accuracy
    fronts = []
    for _ in range(3000):
        drawn = rng.integers(30, size=30)
        fronts.append(pareto_front(accuracy[drawn].mean(0), cost[drawn].mean(0)).on_front)
    found = front_probabilities(accuracy, cost, n_draws=3000)
    assert found == pytest.approx(np.mean(fronts, axis=0), abs=0.05)


def rows(n):
    return st.lists(st.integers(1, 5), min_size=n, max_size=n)


DRAWS = st.integers(1, 9).flatmap(
    lambda n: st.lists(st.tuples(rows(n), rows(n)), min_size=1, max_size=6)
)


@given(DRAWS)
def test_front_shares_count_the_draws_whose_front_a_cell_is_on(draws):
    accuracy, cost = (np.array([draw[axis] for draw in draws]) for axis in (0, 1))
    fronts = [pareto_front(a / 3, c / 7).on_front for a, c in zip(accuracy, cost, strict=True)]
    # Sums of the same numbers in another order differ in their last bits.
    wobble = np.random.default_rng(0).uniform(-1e-15, 1e-15, cost.shape)
    found = front_shares(accuracy / 3 + wobble, cost / 7 - wobble)
    assert found == pytest.approx(np.mean(fronts, axis=0))


def test_identical_cells_are_on_the_front_together():
    a = np.random.default_rng(2).random((40, 1))
    found = front_probabilities(np.hstack([a, a, a / 2]), np.hstack([a, a, a]), n_draws=200)
    assert found.tolist() == [1, 1, 0]


def test_accuracy_and_cost_are_of_the_same_cells():
    with pytest.raises(ValueError, match=r"accuracy has shape \(5, 2\) and cost \(5, 3\)"):
        front_probabilities(np.ones((5, 2)), np.ones((5, 3)))


def test_fewer_than_five_items_or_clusters_say_nothing_of_the_front():
    accuracy, cost = np.random.default_rng(3).random((2, 8, 3))
    assert front_probabilities(accuracy[:4], cost[:4]) is None
    assert front_probabilities(accuracy[:5], cost[:5]) is not None
    assert front_probabilities(accuracy, cost, clusters=np.arange(8) // 2) is None
