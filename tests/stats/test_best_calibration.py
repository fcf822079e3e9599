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


def spread_of(points: float | None, rng: np.random.Generator) -> float:
    """Return the standard deviation of true accuracies; of no points, one from 1 to 20."""
    return points / 100 if points else float(np.exp(rng.uniform(np.log(0.01), np.log(0.2))))


def claims(
    said: Said, n: int, cells: int, points: float | None, runs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is said of each cell and whether it is true.

    Cells whose accuracies are drawn around 70 %, half of whose luck is shared.
    """
    rng = np.random.default_rng(0)
    stated, true = [], []
    for seed in range(runs):
        accuracy = np.clip(rng.normal(0.7, spread_of(points, rng), cells), 0.02, 0.98)
        shape = (n, cells)
        luck = np.where(rng.random(shape) < 0.5, rng.random((n, 1)), rng.random(shape))
        price = np.exp(rng.normal(0, 1, cells))
        scores, costs = (luck < accuracy).astype(float), price * rng.lognormal(0, 0.4, shape)
        stated.append(said(scores, costs, seed))
        true.append(
            np.arange(cells) == accuracy.argmax()
            if said is best
            else stats.front_shares(accuracy[np.newaxis], price[np.newaxis]) > 0.5
        )
    return np.concatenate(stated), np.concatenate(true)


@pytest.mark.parametrize("cells", [5, 20])
@pytest.mark.parametrize("said", [best, front])
@pytest.mark.parametrize("n", [20, 100])
def test_they_are_calibrated_where_the_spread_is_not_known(said: Said, n: int, cells: int) -> None:
    stated, true = claims(said, n, cells, None, 2000 // cells)
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 1.01)):
        chosen = (stated >= low) & (stated < high)
        wanted, count = float(stated[chosen].mean()), int(chosen.sum())
        error = 3 * np.sqrt(wanted * (1 - wanted) / count)
        assert true[chosen].mean() == pytest.approx(wanted, abs=0.04 + error)


@pytest.mark.parametrize("points", [3, 10])
@pytest.mark.parametrize("said", [best, front])
def test_at_20_items_what_is_said_is_off_by_few_points_on_average(said: Said, points: int) -> None:
    stated, true = claims(said, 20, 5, points, 400)
    bins = np.digitize(stated, [0.1, 0.3, 0.5, 0.7, 0.9])
    gaps = [abs(float((stated - true)[bins == place].sum())) for place in range(6)]
    assert sum(gaps) / stated.size < 0.06
