"""The best of several cells, in spite of having been chosen as the best."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from ember_bench.stats._arrays import (
    check_count,
    check_probability,
    in_unit_interval,
    matrix,
    symmetric_root,
)
from ember_bench.stats.bootstrap import cluster_sums, enough_to_rank
from ember_bench.stats.intervals import Interval
from ember_bench.stats.scores import mean_score
from ember_bench.stats.shrinkage import largest_gaps

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import BoolArray, FloatArray, IntArray, Labels
    from ember_bench.stats.intervals import Estimate

_CHUNK_VALUES: Final = 1 << 17
_OF_CANDIDATES: Final = 0.1
"""Share of the error that is spent on which cells could have been chosen."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Which cells may be the best, and between which ranks each lies."""

    selected: int
    """The cell of the highest mean; of equals the first."""
    winner: Estimate
    """Its mean score; the interval holds although the cell was chosen for it."""
    may_be_best: BoolArray
    """Shape ``(n_cells,)``; the set holds the best cell with probability ``level``."""
    best_rank: IntArray
    """The lowest rank that each may have, 1 for the best, shape ``(n_cells,)``."""
    worst_rank: IntArray
    """The highest one; all ranks lie within with probability ``level``."""


def rank_cells(
    scores: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
    n_draws: int = 5_000,
    seed: int = 0,
) -> Ranking | None:
    """Rank cells by their scores on the same items; None for fewer than 5 items, or clusters.

    The mean of a cell that was chosen as the highest is too high, so the lower end of its interval
    is moved: it is locally simultaneous (Zrnic & Fithian 2024, "Locally simultaneous inference").
    With a tenth of its error, cells that could not have been chosen are left out, and the rest of
    it covers the means of all others from below together. If one cell is far ahead, that is its
    own interval, nearly. The upper end needs no correction: were the chosen cell's mean above it,
    so would be that of the best cell, which was not chosen for being low. Both ends are
    :func:`mean_score`'s, at the levels that this takes.

    A cell may be the best unless another is better by more than its own critical value (Hsu 1984,
    "Constrained simultaneous confidence intervals for multiple comparisons with the best"). A rank
    lies between one more than the number of cells shown to be better and the number of those not
    shown to be worse, over all pairs together (Mogstad, Romano, Shaikh & Wilhelm 2024, "Inference
    for ranks"). Critical values are quantiles of the normal limit with the covariances of the
    cells' means, carried over to Student's t. To the squares of a paired difference those of two
    items are added, one won and one lost, as :func:`paired_difference` does.

    Args:
        scores: in [0, 1], shape ``(n_items, n_cells)``.
        clusters: one label per item; items of a cluster are not independent.
        level: nominal coverage.
        n_draws: of the normal limit.
        seed: of the random number generator.

    Raises:
        ValueError: scores outside [0, 1], no cells, or labels of another length.
    """
    x = _checked(scores, level, n_draws)
    if not enough_to_rank(x.shape[0], clusters):
        return None
    means = x.mean(axis=0)
    residuals = x - means
    if clusters is not None:
        residuals = cluster_sums(residuals, clusters)[0]
    covariance = residuals.T @ residuals
    draws = _draws(covariance, n_draws, seed)
    ahead = _studentised(x, covariance)
    dof = len(residuals) - 1
    selected = int(np.argmax(means))
    best, pairs, near = _pairwise(draws, covariance, level)
    better = ahead > _t(pairs, dof)
    candidates = ahead[selected] <= 2 * _t(near, dof)
    candidates[selected] = True
    below = _level_from_below(draws[:, candidates], np.diag(covariance)[candidates], level)
    return Ranking(
        selected=selected,
        winner=_winner(x[:, selected], clusters, below, level),
        may_be_best=np.asarray((ahead <= _t(best, dof)).all(axis=0)),
        best_rank=1 + np.count_nonzero(better, axis=0),
        worst_rank=x.shape[1] - np.count_nonzero(better, axis=1),
    )


def _checked(scores: npt.ArrayLike, level: float, n_draws: int) -> FloatArray:
    x = in_unit_interval(matrix(scores, "scores"), "scores")
    check_count(x.shape[1], "the number of cells")
    check_probability(level, "level")
    check_count(n_draws, "n_draws")
    return x


def _draws(covariance: FloatArray, n_draws: int, seed: int) -> FloatArray:
    """Return normal variables with these covariances, shape ``(n_draws, n_cells)``."""
    normal = np.random.default_rng(seed).standard_normal((n_draws, len(covariance)))
    draws: FloatArray = normal @ symmetric_root(covariance)
    return draws


def _spreads(covariance: FloatArray) -> FloatArray:
    """Return the standard deviation of each difference of two sums; 1 if it is always 0."""
    variances = np.diag(covariance)
    squares = variances[:, np.newaxis] + variances - 2 * covariance
    smallest = 1e-9 * max(1.0, float(variances.max()))
    return np.sqrt(np.where(squares > smallest, squares, 1.0))


def _studentised(x: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return by how many standard errors each cell (axis 0) is ahead of each other (axis 1)."""
    sums, variances = x.sum(axis=0), np.diag(covariance)
    squares = np.maximum(variances[:, np.newaxis] + variances - 2 * covariance, 0.0)
    largest = largest_gaps(x)
    added = np.where(largest > 0, largest, 1.0) ** 2
    ahead: FloatArray = (sums[:, np.newaxis] - sums) / np.sqrt(squares + 2 * added)
    return ahead


def _pairwise(
    draws: FloatArray, covariance: FloatArray, level: float
) -> tuple[FloatArray, float, float]:
    """Return critical values: for being best, of each cell; of all pairs; and for candidates."""
    spreads = _spreads(covariance)
    n_draws, n_cells = draws.shape
    highest = np.empty((n_draws, n_cells))
    rows = max(1, _CHUNK_VALUES // n_cells**2)
    for start in range(0, n_draws, rows):
        some = draws[start : start + rows]
        gaps = (some[:, :, np.newaxis] - some[:, np.newaxis, :]) / spreads
        highest[start : start + rows] = gaps.max(axis=1)
    widest = highest.max(axis=1)
    best: FloatArray = np.quantile(highest, level, axis=0)
    error = _OF_CANDIDATES * (1 - level) / 2
    return best, float(np.quantile(widest, level)), float(np.quantile(widest, 1 - error))


def _level_from_below(draws: FloatArray, variances: FloatArray, level: float) -> float:
    """Return the level of each mean's interval with which all lower ends hold together."""
    spread = np.sqrt(variances)
    scaled = draws / np.where(spread > 0, spread, 1.0)
    error = (1 - _OF_CANDIDATES) * (1 - level) / 2
    critical = float(np.quantile(scaled.max(axis=1), 1 - error))
    least = float(special.ndtri(1 - error))
    return float(1 - 2 * special.ndtr(-max(critical, least)))


def _winner(x: FloatArray, clusters: Labels | None, below: float, level: float) -> Estimate:
    """Return the mean with its upper end at one level, and its lower end at another."""
    own, wide = (mean_score(x, clusters=clusters, level=each) for each in (level, below))
    assert own is not None  # noqa: S101 - there are items
    assert wide is not None  # noqa: S101
    if own.interval is None or wide.interval is None:
        return own
    return replace(
        own,
        interval=Interval(wide.interval.low, own.interval.high, level),
        method=f"{own.method}, corrected for selection",
    )


def _t(critical: FloatArray | float, dof: int) -> FloatArray:
    """Carry one-sided normal critical values over to Student's t."""
    tails = np.minimum(special.ndtr(-np.asarray(critical, dtype=np.float64)), 0.5)
    return np.asarray(-special.stdtrit(dof, tails), dtype=np.float64)
