"""What "P(best)" and "P(Pareto)" are worth: how often the cell is, by what is said of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ember_bench import stats

pytestmark = pytest.mark.slow

Said = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def best(scores: np.ndarray, _: np.ndarray, seed: int) -> np.ndarray:
    return stats.best_probabilities(scores, n_draws=300, seed=seed)


def front(scores: np.ndarray, costs: np.ndarray, seed: int) -> np.ndarray:
    return stats.front_probabilities(scores, costs, n_draws=300, seed=seed)


def calibration(said: Said, n: int, spread: float) -> tuple[float, float]:
    """Return the mean of what is said between 70 and 90 %, and how often it is true.

    Five cells whose accuracies are drawn around 70 %, half of whose luck is shared.
    """
    rng = np.random.default_rng(0)
    stated, true = [], []
    for seed in range(400):
        accuracy = np.clip(rng.normal(0.7, spread, 5), 0.02, 0.98)
        shared = np.where(rng.random((n, 5)) < 0.5, rng.random((n, 1)), rng.random((n, 5)))
        price = np.exp(rng.normal(0, 1, 5))
        scores, costs = (shared < accuracy).astype(float), price * rng.lognormal(0, 0.4, (n, 5))
        found = said(scores, costs, seed)
        there = (
            np.arange(5) == accuracy.argmax()
            if said is best
            else stats.front_shares(accuracy[np.newaxis], price[np.newaxis]) > 0.5
        )
        chosen = (found >= 0.7) & (found < 0.9)
        stated += found[chosen].tolist()
        true += there[chosen].tolist()
    return float(np.mean(stated)), float(np.mean(true))


@pytest.mark.parametrize("said", [best, front])
def test_they_are_calibrated_where_systems_differ_by_more_than_chance(said: Said) -> None:
    stated, true = calibration(said, 100, 0.1)
    assert true == pytest.approx(stated, abs=0.12)


@pytest.mark.parametrize("said", [best, front])
def test_they_are_too_sure_where_they_differ_by_less_as_the_documentation_says(said: Said) -> None:
    stated, true = calibration(said, 20, 0.03)
    assert true < stated - 0.1
