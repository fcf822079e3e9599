"""The vote's curve of every item, fitted to a few draws and carried on to larger votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ember_bench.stats._arrays import check_count, in_unit_interval, mask, matrix, vector

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import BoolArray, FloatArray

_LEAST_SIZES = 3
# exp(-_MOST) is nothing; a curve that is always 0 or 1 has no finite exponent.
_MOST = 700.0


@dataclass(frozen=True, slots=True)
class VoteFit:
    """How each item's vote goes with its size k.

    1 - exp(-a1 k - a2 sqrt(k) - a3) for items whose most likely answer is right, else
    exp(-a1 k - a2 sqrt(k) - a3).
    """

    parameters: FloatArray
    """a1, a2, a3 of each item, shape ``(n_items, 3)``."""
    modal_right: BoolArray
    """Whether the most likely answer is right, shape ``(n_items,)``."""
    error: float
    """Root mean square of what the fit misses, over items and sizes."""

    def by_item(self, k: int) -> FloatArray:
        """Predict each item's score of a vote of k, shape ``(n_items,)``."""
        check_count(k, "k")
        exponent = self.parameters @ np.array([k, np.sqrt(k), 1.0])
        missed = np.exp(-np.clip(exponent, 0.0, _MOST))
        predicted: FloatArray = np.where(self.modal_right, 1 - missed, missed)
        return predicted

    def accuracy(self, k: int) -> float:
        """Predict the accuracy of a vote of k: the mean over items."""
        return float(self.by_item(k).mean())

    def best_k(self, max_k: int) -> int:
        """Predict the best odd size up to ``max_k``, the smallest if several are."""
        sizes = range(1, check_count(max_k, "max_k") + 1, 2)
        return max(sizes, key=lambda k: (round(self.accuracy(k), 12), -k))


def fit_vote(
    vote_by_item: npt.ArrayLike, k: npt.ArrayLike, modal_right: npt.ArrayLike
) -> VoteFit | None:
    """Fit each item's curve by least squares to its votes of a few sizes.

    The analytical scaling model of Chen et al. 2024, "Are more LM calls all you need?": a vote's
    chance of missing the answer that it tends to falls about exponentially with k, and with
    sqrt(k) where two answers are nearly as likely. Where :func:`fit_difficulty` has two kinds of
    items, this gives every item its own curve, and needs more draws of each.

    a1 and a2 are kept from being negative, so that a curve never turns: an item goes to its most
    likely answer. So is the exponent, as no chance is above 1.

    None without items, or with fewer than three sizes: there are three parameters.

    Args:
        vote_by_item: score of the vote, in [0, 1], shape ``(n_items, n_k)``, as
            :func:`vote_curve` has it. Even sizes share ties, which the model knows nothing of.
        k: the sizes, shape ``(n_k,)``, odd and ascending.
        modal_right: whether the most likely answer to each item is right, shape ``(n_items,)``.

    Raises:
        ValueError: shapes that differ, scores outside [0, 1], or sizes that are not odd.
    """
    scores = in_unit_interval(matrix(vote_by_item, "vote_by_item"), "vote_by_item")
    sizes = vector(k, "k")
    right = mask(modal_right, "modal_right")
    if scores.shape != (right.size, sizes.size):
        raise ValueError(
            f"{right.size} items and {sizes.size} sizes need as many scores, not {scores.shape}"
        )
    if np.any(sizes % 2 != 1) or np.any(np.diff(sizes) <= 0):
        raise ValueError("sizes must be odd and ascending")
    if right.size == 0 or sizes.size < _LEAST_SIZES:
        return None
    missed = np.where(right[:, np.newaxis], 1 - scores, scores)
    # Items with equal counts of equal answers have equal curves.
    curves, where = np.unique(missed.round(12), axis=0, return_inverse=True)
    design = np.column_stack([sizes, np.sqrt(sizes), np.ones_like(sizes)])
    fitted = np.array([_fit(curve, design) for curve in curves])
    parameters = fitted[where.reshape(-1)]
    left = missed - np.exp(-np.clip(parameters @ design.T, 0.0, _MOST))
    return VoteFit(parameters, right, float(np.sqrt(np.mean(left**2))))


def _fit(curve: FloatArray, design: FloatArray) -> FloatArray:
    """Return the parameters that come closest to one curve of misses."""
    # Heavy, and needed nowhere else.
    from scipy import optimize  # noqa: PLC0415

    if curve.max() <= 0:
        return np.array([0.0, 0.0, _MOST])

    def left(a: FloatArray) -> FloatArray:
        missed: FloatArray = np.exp(-np.clip(design @ a, 0.0, _MOST)) - curve
        return missed

    # Linear in the logarithm: exact where the model is, else a start.
    start = optimize.lsq_linear(
        design * curve[:, np.newaxis],
        -np.log(np.clip(curve, 1e-9, 1.0)) * curve,
        bounds=([0.0, 0.0, -np.inf], np.inf),
    ).x
    found = optimize.least_squares(left, start, bounds=([-1e-12, -1e-12, -np.inf], np.inf))
    best = found.x if found.cost <= np.sum(left(start) ** 2) / 2 else start
    return np.append(np.maximum(best[:2], 0.0), best[2])


def modal_right(answers: npt.ArrayLike, scores: npt.ArrayLike) -> BoolArray:
    """Say of each item whether the most frequent answer among its draws is right.

    Right is a mean score of at least 1/2 over the answers that tie for the most frequent.

    Args:
        answers: of each draw, shape ``(n_items, n_draws)``; None does not vote.
        scores: in [0, 1], same shape.
    """
    points = in_unit_interval(matrix(scores, "scores"), "scores")
    table = np.asarray(answers, dtype=object)
    if table.shape != points.shape:
        raise ValueError(f"answers have shape {table.shape} and scores {points.shape}")
    return np.array([_modal_score(row, points[i]) >= 0.5 for i, row in enumerate(table)], bool)


def _modal_score(answers: npt.NDArray[np.object_], points: FloatArray) -> float:
    votes: dict[object, list[float]] = {}
    for answer, point in zip(answers.tolist(), points.tolist(), strict=True):
        if answer is not None:
            votes.setdefault(answer, []).append(point)
    most = max(map(len, votes.values()), default=0)
    ahead = [float(np.mean(found)) for found in votes.values() if len(found) == most]
    return float(np.mean(ahead)) if ahead else 0.0
