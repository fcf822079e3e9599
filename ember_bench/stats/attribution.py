"""What each member of an ensemble adds."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import TYPE_CHECKING

import numpy as np

from ember_bench.stats._arrays import check_count, codes, in_unit_interval, matrix
from ember_bench.stats.means import t_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from ember_bench.stats._arrays import BoolArray, FloatArray, IntArray, Labels
    from ember_bench.stats.intervals import Interval
    from ember_bench.stats.votes import Answers

_MOST_EXACT_MEMBERS = 12
_CHUNK_VALUES = 1 << 19


@dataclass(frozen=True, slots=True)
class Attribution:
    """The worth of each of n members."""

    shapley: FloatArray
    """Shape ``(n,)``; sums to ``total``, less the worth of no member at all."""
    leave_one_out: FloatArray
    """What is lost without each member, shape ``(n,)``."""
    total: float
    """The worth of all members together."""
    sampling_error: FloatArray | None
    """Standard error of ``shapley`` from sampling orders, ``(n,)``; None where it is exact."""


def shapley(
    n: int,
    worth: Callable[[frozenset[int]], float],
    *,
    n_orders: int = 1000,
    seed: int = 0,
) -> Attribution:
    """Share the worth of members 0, ..., n - 1 by their mean marginal contribution.

    Shapley 1953, "A value for n-person games". Exact over all coalitions for up to 12 members;
    beyond, over ``n_orders`` random orders (Castro, Gomez & Tejada 2009, "Polynomial calculation
    of the Shapley value based on sampling").

    Args:
        n: number of members.
        worth: of a coalition, such as the accuracy of its vote; called once per coalition.
        n_orders: random orders, if not exact.
        seed: of the random number generator.
    """
    check_count(n, "n")
    known: dict[frozenset[int], float] = {}

    def value(members: frozenset[int]) -> float:
        if members not in known:
            known[members] = float(worth(members))
        return known[members]

    everyone = frozenset(range(n))
    total = value(everyone)
    without = np.array([total - value(everyone - {member}) for member in range(n)])
    if n <= _MOST_EXACT_MEMBERS:
        inside = _coalitions(n)
        values = np.array([value(frozenset(np.flatnonzero(row).tolist())) for row in inside])
        return Attribution(values @ _weights(inside), without, total, None)
    gains = np.empty((check_count(n_orders, "n_orders", 2), n))
    rng = np.random.default_rng(seed)
    for row in gains:
        members: frozenset[int] = frozenset()
        for member in rng.permutation(n).tolist():
            row[member] = value(members | {member}) - value(members)
            members |= {member}
    error = gains.std(axis=0, ddof=1) / np.sqrt(n_orders)
    return Attribution(gains.mean(axis=0), without, total, error)


def _coalitions(n: int) -> BoolArray:
    """Return all coalitions as rows, shape ``(2 ** n, n)``; the empty one first."""
    numbers = np.arange(1 << n)[:, np.newaxis]
    return (numbers >> np.arange(n) & 1).astype(np.bool_)


def _weights(inside: BoolArray) -> FloatArray:
    """Return what the worth of each coalition adds to each member's value, ``(2 ** n, n)``."""
    n = inside.shape[1]
    sizes = inside.sum(axis=1)
    joining = np.array([factorial(s) * factorial(n - s - 1) for s in range(n)]) / factorial(n)
    gained = joining[np.maximum(sizes - 1, 0)][:, np.newaxis]
    lost = joining[np.minimum(sizes, n - 1)][:, np.newaxis]
    weights: FloatArray = np.where(inside, gained, -lost)
    return weights


@dataclass(frozen=True, slots=True)
class VoteAttribution:
    """The worth of each member of a plurality vote, in accuracy."""

    shapley: FloatArray
    """Shape ``(n_members,)``; sums to ``accuracy``."""
    shapley_intervals: tuple[Interval | None, ...]
    """For other items; None for a member that is worth the same on every item."""
    leave_one_out: FloatArray
    """Accuracy lost without each member, shape ``(n_members,)``; negative if it harms."""
    leave_one_out_intervals: tuple[Interval | None, ...]
    accuracy: float
    """Of the vote of all members."""
    sampling_error: FloatArray | None
    """Standard error of ``shapley`` from sampling orders; None where it is exact."""


def vote_attribution(
    answers: Answers,
    scores: npt.ArrayLike,
    *,
    n_orders: int = 200,
    clusters: Labels | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> VoteAttribution | None:
    """Attribute the accuracy of a plurality vote to its members, from their stored answers.

    The worth of a coalition on an item is the score its vote gets, ties sharing the credit, and
    0 for no members. Exact for up to 12 members, else over ``n_orders`` random orders of
    the members (see :func:`shapley`). None without items.

    Args:
        answers: of each member to each item, shape ``(n_items, n_members)``; None does not vote.
        scores: of these answers, in [0, 1], same shape.
        n_orders: random orders, if not exact.
        clusters: one label per item.
        level: nominal coverage of the intervals over items.
        seed: of the random number generator.
    """
    points = in_unit_interval(matrix(scores, "scores"), "scores")
    n_items, n = points.shape
    numbered = _numbered(answers, points.shape)
    if n_items == 0 or n == 0:
        return None
    # Many items have equal answers and scores.
    alike = np.hstack([numbered, points])
    _, first, same = np.unique(alike, axis=0, return_index=True, return_inverse=True)
    numbered, points, same = numbered[first], points[first], same.reshape(-1)
    everyone = np.ones((1, n), dtype=np.bool_)
    all_but_one = ~np.eye(n, dtype=np.bool_)
    accuracy = _vote_scores(numbered, points, everyone)
    lost = accuracy - _vote_scores(numbered, points, all_but_one)
    error = None
    if n <= _MOST_EXACT_MEMBERS:
        inside = _coalitions(n)
        worth = _weighted_scores(numbered, points, inside, _weights(inside))
    else:
        orders = check_count(n_orders, "n_orders", 2)
        worth, error = _sampled_worth(numbered, points, same, orders, seed)
    accuracy, lost, worth = accuracy[same], lost[same], worth[same]
    return VoteAttribution(
        shapley=worth.mean(axis=0),
        shapley_intervals=_intervals(worth, clusters, level),
        leave_one_out=lost.mean(axis=0),
        leave_one_out_intervals=_intervals(lost, clusters, level),
        accuracy=float(accuracy.mean()),
        sampling_error=error,
    )


def _intervals(
    by_item: FloatArray, clusters: Labels | None, level: float
) -> tuple[Interval | None, ...]:
    return tuple(t_interval(column, clusters=clusters, level=level) for column in by_item.T)


def _numbered(answers: Answers, shape: tuple[int, ...]) -> IntArray:
    """Number the answers of each item; -1 for none."""
    rows = [row.tolist() if isinstance(row, np.ndarray) else list(row) for row in answers]
    if len(rows) != shape[0] or any(len(row) != shape[1] for row in rows):
        raise ValueError(f"answers must have the shape of scores, {shape}")
    numbered = np.array([codes(row, len(row), "answers") for row in rows], dtype=np.int64)
    blank = np.array([[answer is None for answer in row] for row in rows], dtype=np.bool_)
    return np.where(blank, -1, numbered).reshape(shape)


def _weighted_scores(
    numbered: IntArray, points: FloatArray, inside: BoolArray, weights: FloatArray
) -> FloatArray:
    """Return ``_vote_scores(...) @ weights`` in pieces of bounded size."""
    rows = max(1, _CHUNK_VALUES // inside.size)
    pieces = [
        _vote_scores(numbered[i : i + rows], points[i : i + rows], inside) @ weights
        for i in range(0, numbered.shape[0], rows)
    ]
    return np.concatenate(pieces)


def _vote_scores(numbered: IntArray, points: FloatArray, inside: BoolArray) -> FloatArray:
    """Return the score of each coalition's vote on each item, ``(n_items, n_coalitions)``."""
    voting = numbered >= 0
    agree = (numbered[:, :, np.newaxis] == numbered[:, np.newaxis, :]) & voting[:, :, np.newaxis]
    # (items, members, coalitions): how many of the coalition give the member's answer.
    votes = agree.astype(np.float32) @ inside.T.astype(np.float32)
    votes *= inside.T
    most = votes.max(axis=1, keepdims=True)
    # Answers that tie have equally many voters, so a mean over voters is one over answers.
    winners = (votes == most) & (most > 0)
    credit = np.einsum("imc,im->ic", winners, np.where(voting, points, 0.0))
    scores: FloatArray = credit / np.maximum(winners.sum(axis=1), 1)
    return scores


def _sampled_worth(
    numbered: IntArray, points: FloatArray, same: IntArray, n_orders: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Return each member's worth on each kind of item, and its error over orders.

    `same` has the number of each item's kind.
    """
    n_items, n = points.shape
    rng = np.random.default_rng(seed)
    worth = np.zeros((n_items, n))
    means = np.empty((n_orders, n))
    for row in means:
        order = rng.permutation(n)
        # Coalitions of the first 1, ..., n members of the order.
        inside = np.argsort(order)[np.newaxis, :] <= np.arange(n)[:, np.newaxis]
        steps = _weighted_scores(numbered, points, inside, _steps(order))
        worth += steps / n_orders
        row[:] = steps[same].mean(axis=0)
    error: FloatArray = means.std(axis=0, ddof=1) / np.sqrt(n_orders)
    return worth, error


def _steps(order: IntArray) -> FloatArray:
    """Return the matrix that turns the scores of growing coalitions into each member's gain."""
    n = order.size
    gains = np.zeros((n, n))
    gains[np.arange(n), order] = 1
    gains[np.arange(n - 1), order[1:]] -= 1
    return gains
