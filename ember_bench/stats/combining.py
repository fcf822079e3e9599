"""Votes, cascades and choices among members whose answers are known, tuned without flattery.

What is tuned on items and scored on the same items looks better than it is. Here the items are cut
into folds, and each fold is scored with what the others would choose (cross-fitting).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ember_bench.stats._arrays import check_count, codes, in_unit_interval, matrix
from ember_bench.stats.intervals import Interval

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import BoolArray, FloatArray, IntArray, Labels

_ROUNDING: Final = 1e-12
# Mean of the highest of three standard normal variables: 3 / (2 sqrt(pi)).
_WIDER: Final = math.sqrt(1 + (3 / (2 * math.sqrt(math.pi))) ** 2 / 2)
_LEAST_OF_CATEGORY: Final = 10
"""Items of a category in the other folds, below which a router takes the best member of all."""


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes of several items."""

    credit: FloatArray
    """Score of the answer with the most votes, ties shared, shape ``(n_items,)``."""
    agreement: FloatArray
    """Share of all members that gave it, in [0, 1], same shape."""


def combine_votes(
    answers: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> Votes:
    """Count the members' votes item by item.

    Args:
        answers: code of each member's answer, equal for equal answers of an item, negative for
            none, shape ``(n_items, n_members)``.
        scores: of each answer, in [0, 1], same shape.
        weights: of the members, shape ``(n_members,)``, or of each item's,
            ``(n_items, n_members)``; not negative. None for a plurality vote.

    Raises:
        ValueError: shapes that differ, a score outside [0, 1], or a negative weight.
    """
    given = np.asarray(answers, dtype=np.int64)
    x = in_unit_interval(matrix(scores, "scores"), "scores")
    if given.shape != x.shape or not x.shape[1]:
        raise ValueError(f"answers have shape {given.shape} and scores {x.shape}")
    w = np.ones(x.shape[1]) if weights is None else np.asarray(weights, dtype=np.float64)
    if (w < 0).any():
        raise ValueError("weights must not be negative")
    w = np.broadcast_to(w, x.shape)
    same = (given[:, :, np.newaxis] == given[:, np.newaxis, :]) & (given >= 0)[:, :, np.newaxis]
    size = same.sum(axis=2)
    votes = np.einsum("ijk,ik->ij", same, w)
    most = votes.max(axis=1, keepdims=True)
    ahead = (given >= 0) & (votes >= most * (1 - _ROUNDING)) & (most > 0)
    share = np.where(ahead, 1 / np.maximum(size, 1), 0.0)
    leaders = share.sum(axis=1)
    credit = np.divide((share * x).sum(axis=1), leaders, out=np.zeros(len(x)), where=leaders > 0)
    agreement = np.where(ahead, size, 0).max(axis=1) / x.shape[1]
    return Votes(np.clip(credit, 0.0, 1.0), agreement)


def folds_of(
    n_items: int, *, clusters: Labels | None = None, n_folds: int = 2, seed: int = 0
) -> IntArray:
    """Return the fold of each item, shape ``(n_items,)``; clusters stay whole.

    Folds are drawn at random and are as equal as whole clusters allow. Two folds are the default:
    what chooses and what is scored are then independent within each half, and
    :func:`widened` bounds what is left; with ten folds, of which each two share most of what
    chooses, intervals of the scores hold in 74 to 88 % of simulated samples at 95 %. The price is
    that half of the items choose.
    """
    check_count(n_folds, "n_folds")
    units = np.arange(n_items) if clusters is None else codes(clusters, n_items, "clusters")
    rng = np.random.default_rng(seed)
    names = np.unique(units)
    places = np.empty(names.size, dtype=np.int64)
    places[rng.permutation(names.size)] = np.arange(names.size) % n_folds
    return places[np.searchsorted(names, units)]


@dataclass(frozen=True, slots=True)
class CrossFitted:
    """What a tuned choice scores on items that it was not tuned on."""

    scores: FloatArray
    """Of each item, with what the other folds choose, shape ``(n_items,)``."""
    costs: FloatArray
    """The same of costs."""
    chosen: IntArray
    """The choice for each item, shape ``(n_items,)``."""
    final: int
    """The choice with all items: what one would use."""
    optimistic: float
    """Mean score of that choice on the items that made it."""


def choose_crossfitted(
    scores: npt.ArrayLike,
    costs: npt.ArrayLike,
    folds: npt.ArrayLike,
    *,
    within: float = 0.0,
    groups: Labels | None = None,
) -> CrossFitted:
    """Choose one of several policies for each fold by what the other folds score.

    The choice is the cheapest policy whose mean score is within ``within`` of the best. With
    ``groups``, a router, each group has its own, unless the other folds have fewer than 10 items of
    it.

    Args:
        scores: of each policy, in [0, 1], shape ``(n_items, n_policies)``.
        costs: the same of costs; NaN if unknown: then a policy without a known cost counts as
            the dearest.
        folds: fold of each item, shape ``(n_items,)``.
        within: 0.01 is one point.
        groups: category of each item.
    """
    x = in_unit_interval(matrix(scores, "scores"), "scores")
    c = np.asarray(costs, dtype=np.float64)
    fold = np.asarray(folds)
    group = np.zeros(len(x), np.int64) if groups is None else codes(groups, len(x), "groups")
    chosen = np.empty(len(x), dtype=np.int64)
    for held in np.unique(fold):
        _choose(chosen, x, c, group, fold != held, fold == held, within)
    final = np.empty(len(x), dtype=np.int64)
    everything = np.ones(len(x), dtype=np.bool_)
    _choose(final, x, c, group, everything, everything, within)
    rows = np.arange(len(x))
    return CrossFitted(
        scores=x[rows, chosen],
        costs=c[rows, chosen],
        chosen=chosen,
        final=_cheapest(x, c, within),
        optimistic=float(x[rows, final].mean()),
    )


def _choose(
    chosen: IntArray,
    x: FloatArray,
    c: FloatArray,
    group: IntArray,
    train: BoolArray,
    held: BoolArray,
    within: float,
) -> None:
    if not train.any():
        raise ValueError("a fold must leave items to choose by: more folds or items are needed")
    overall = _cheapest(x[train], c[train], within)
    for name in np.unique(group[held]):
        own = train & (group == name)
        enough = np.count_nonzero(own) >= _LEAST_OF_CATEGORY and not own.all()
        best = _cheapest(x[own], c[own], within) if enough else overall
        chosen[held & (group == name)] = best


def _cheapest(x: FloatArray, c: FloatArray, within: float) -> int:
    means, prices = x.mean(axis=0), np.nan_to_num(c.mean(axis=0), nan=np.inf)
    good = np.flatnonzero(means >= means.max() - within - _ROUNDING)
    order = np.lexsort((good, -means[good], prices[good]))
    return int(good[order[0]])


def widened(interval: Interval, value: float, *, least: float) -> Interval:
    """Return the interval of a mean or difference of cross-fitted scores, from that of others.

    The halves are not independent: a member that is lucky in both is chosen for both. Of m equal
    members with normal errors the covariance is e^2 / (m - 1) of the variance, where e is the mean
    of the highest of m standard normal variables. It is greatest for three, 0.358, so the distances
    to both ends are multiplied by the root of 1.358, up to ``least`` (0 of a mean, -1 of a
    difference) and 1.
    """
    return Interval(
        max(least, value - _WIDER * (value - interval.low)),
        min(1.0, value + _WIDER * (interval.high - value)),
        interval.level,
    )


def crossfitted_weights(scores: npt.ArrayLike, folds: npt.ArrayLike) -> FloatArray:
    """Return each member's weight in a vote for each item, from the other folds.

    The weight is the log odds of being right, of which the best weighted vote of independent
    members is made (Nitzan & Paroush 1982, "Optimal decision rules in uncertain dichotomous choice
    situations"); members that are more often wrong than right have none. One right and one wrong
    answer are added to each member's.

    Args:
        scores: of each member, in [0, 1], shape ``(n_items, n_members)``.
        folds: fold of each item, shape ``(n_items,)``.

    Returns:
        Shape ``(n_items, n_members)``.
    """
    x, fold = in_unit_interval(matrix(scores, "scores"), "scores"), np.asarray(folds)
    weights = np.empty_like(x)
    for held in np.unique(fold):
        weights[fold == held] = member_weights(x[fold != held])
    return weights


def member_weights(scores: npt.ArrayLike) -> FloatArray:
    """Return the weights that all items give, shape ``(n_members,)``: see the cross-fitted ones."""
    x = in_unit_interval(matrix(scores, "scores"), "scores")
    p = (x.sum(axis=0) + 1) / (len(x) + 2)
    weights: FloatArray = np.maximum(np.log(p / (1 - p)), 0.0)
    return weights if weights.any() else np.ones_like(weights)
