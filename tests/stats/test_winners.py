"""The best of many: coverage of the winner, of the set of the best, and of ranks."""

import numpy as np
import pytest
from scipy.special import ndtri

from ember_bench.stats import mean_score, rank_cells


def right(rng, n, accuracies, clusters=1):
    difficulty = np.repeat(rng.normal(size=(n // clusters, 1)), clusters, axis=0)
    noise = rng.normal(size=(n, len(accuracies)))
    return ((difficulty + noise) / np.sqrt(2) < ndtri(accuracies)).astype(float)


def coverage(accuracies, n, *, clusters=1, runs=200, seed=20261130):
    """Return how often the winner's interval, Wilson's, the set of the best and all ranks hold."""
    rng = np.random.default_rng(seed)
    true = np.array(accuracies)
    labels = None if clusters == 1 else np.repeat(np.arange(n // clusters), clusters)
    held = np.zeros(4)
    for run in range(runs):
        scores = right(rng, n, accuracies, clusters)
        found = rank_cells(scores, clusters=labels, n_draws=1000, seed=run)
        truth = true[found.selected]
        alone = mean_score(scores[:, found.selected], clusters=labels).interval
        better = (true[:, np.newaxis] > true).sum(axis=0)
        not_worse = (true[:, np.newaxis] >= true).sum(axis=0)
        held += [
            found.winner.interval.low <= truth <= found.winner.interval.high,
            alone.low <= truth <= alone.high,
            found.may_be_best[np.argmax(true)],
            np.all((found.best_rank <= better + 1) & (found.worst_rank >= not_worse)),
        ]
    return held / runs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accuracies", "n", "clusters", "runs"),
    [
        ([0.8] * 5, 200, 1, 400),
        ([0.8] * 20, 200, 1, 300),
        ([0.8] * 44, 200, 1, 150),
        ([0.8] * 5, 20, 1, 400),
        ([0.9, 0.88, 0.85, 0.8, 0.7], 200, 1, 400),
        ([0.8] * 8, 210, 3, 200),
    ],
)
def test_what_is_said_of_the_best_holds_in_spite_of_selection(accuracies, n, clusters, runs):
    winner, alone, best, ranks = coverage(accuracies, n, clusters=clusters, runs=runs)
    error = 3 * np.sqrt(0.05 * 0.95 / runs)
    assert min(winner, best, ranks) >= 0.95 - error
    if len(accuracies) >= 20:
        assert alone < 0.8, "the interval of a cell that was not chosen fails"


def test_a_cell_far_ahead_has_nearly_its_own_interval():
    rng = np.random.default_rng(1)
    scores = right(rng, 400, [0.95, *[0.5] * 9])
    found = rank_cells(scores)
    own = mean_score(scores[:, 0]).interval
    lower = mean_score(scores[:, 0], level=0.955).interval
    assert (found.selected, found.may_be_best.tolist()) == (0, [True] + [False] * 9)
    assert (found.winner.interval.low, found.winner.interval.high) == pytest.approx(
        (lower.low, own.high), abs=0.001
    )
    assert (found.best_rank[0], found.worst_rank[0]) == (1, 1)
    assert found.best_rank[1:].min() == 2


def test_the_more_cells_may_have_been_chosen_the_wider_is_the_interval():
    rng = np.random.default_rng(2)
    scores = right(rng, 200, [0.8] * 20)
    few, many = rank_cells(scores[:, :3]), rank_cells(scores)
    alone = mean_score(scores[:, many.selected]).interval
    widths = [i.high - i.low for i in (alone, few.winner.interval, many.winner.interval)]
    assert widths == sorted(widths)


def test_equal_cells_share_all_ranks():
    found = rank_cells(np.tile(np.arange(20)[:, np.newaxis] % 2, 4))
    assert found.may_be_best.all()
    assert (found.best_rank.tolist(), found.worst_rank.tolist()) == ([1] * 4, [4] * 4)


def test_a_cell_alone_is_the_best():
    found = rank_cells(np.ones((30, 1)))
    assert (found.selected, found.may_be_best.tolist()) == (0, [True])
    assert found.winner.value == 1


def test_few_items_rank_nothing():
    assert rank_cells(np.ones((4, 2))) is None
    assert rank_cells(np.ones((8, 2)), clusters=[0] * 4 + [1] * 4) is None
    with pytest.raises(ValueError, match="number of cells"):
        rank_cells(np.ones((8, 0)))
