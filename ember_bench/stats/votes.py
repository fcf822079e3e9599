"""What a vote of K would score, for every K, from N stored draws of each item."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy import special

from ember_bench.stats._arrays import check_count, in_unit_interval, matrix
from ember_bench.stats.passk import proportion_method
from ember_bench.stats.plurality import MOST_EXACT_DRAWS, sampled_credits, win_shares
from ember_bench.stats.scores import mean_score

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, IntArray, Labels
    from ember_bench.stats.intervals import Interval

VoteMethod: TypeAlias = Literal["auto", "exact", "monte-carlo"]
Answers: TypeAlias = "Sequence[Sequence[Hashable | None]] | npt.NDArray[np.generic]"

# Beyond this an item takes tens of milliseconds.
_MOST_AUTO_DRAWS = 200


@dataclass(frozen=True, slots=True)
class VoteCurve:
    """The expected score of votes of 1, 2, ..., and of an oracle that picks the best draw."""

    k: IntArray
    """Shape ``(n_k,)``."""
    vote: FloatArray
    """Mean over items of the plurality vote@k, shape ``(n_k,)``; at k = 1, the mean score."""
    vote_intervals: tuple[Interval | None, ...]
    """For other items, with these draws of each."""
    oracle: FloatArray
    """Mean over items of the best score among k draws; pass@k for scores of 0 and 1."""
    oracle_intervals: tuple[Interval | None, ...]
    vote_by_item: FloatArray
    """Shape ``(n_items, n_k)``."""
    oracle_by_item: FloatArray
    """Shape ``(n_items, n_k)``."""
    monte_carlo_error: FloatArray | None
    """Standard error of ``vote`` from sampling subsets, ``(n_k,)``; None if all were counted."""

    @property
    def selection_gap(self) -> FloatArray:
        """Return what a perfect choice among the k draws would add to the vote, ``(n_k,)``."""
        return self.oracle - self.vote

    @property
    def best_k(self) -> int:
        """Return the smallest k whose vote scores highest."""
        return int(self.k[np.argmax(self.vote >= self.vote.max() - 1e-12)])


def vote_curve(
    answers: Answers,
    scores: npt.ArrayLike,
    *,
    max_k: int | None = None,
    method: VoteMethod = "auto",
    n_orders: int = 1000,
    clusters: Labels | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> VoteCurve | None:
    """Score the vote over k of the N draws of each item, averaged over all subsets of size k.

    Ties share the credit. Exact for up to 200 draws (see :func:`win_shares`), else by
    ``n_orders`` random orders of each item's draws, of which every start is a vote. None
    without items.

    Args:
        answers: the answer of each draw, shape ``(n_items, n_draws)``; None does not vote.
        scores: the score of each draw in [0, 1], same shape. Draws of one answer share the
            mean of their scores. A draw without an answer scores 0.
        max_k: the largest vote, N unless given.
        method: ``"exact"`` counts all subsets of up to 1000 draws.
        n_orders: random orders of each item, if not exact.
        clusters: one label per item.
        level: nominal coverage of the intervals.
        seed: of the random number generator.

    Raises:
        ValueError: shapes that differ, scores outside [0, 1], ``max_k`` above N, or labels of
            another length.
    """
    points = in_unit_interval(matrix(scores, "scores"), "scores")
    n_items, n_draws = points.shape
    if n_items == 0:
        return None
    largest = check_count(n_draws if max_k is None else max_k, "max_k")
    if largest > n_draws:
        raise ValueError(f"a vote of {largest} needs as many draws, there are {n_draws}")
    table = [_Item.of(row, points[i]) for i, row in enumerate(_rows(answers, points.shape))]
    spread = None
    if _is_exact(method, n_draws):
        votes = np.array([item.exact_votes(largest) for item in table])
    else:
        votes, variances = _sampled(table, largest, check_count(n_orders, "n_orders", 2), seed)
        spread = np.sqrt(variances.sum(axis=0)) / n_items
    oracle = np.array([item.points for item in table]) @ _best_of(n_draws, largest)
    return VoteCurve(
        k=np.arange(1, largest + 1),
        vote=votes.mean(axis=0),
        vote_intervals=_vote_intervals(votes, clusters, level),
        oracle=oracle.mean(axis=0),
        oracle_intervals=_oracle_intervals(oracle, clusters, level),
        vote_by_item=votes,
        oracle_by_item=oracle,
        monte_carlo_error=spread,
    )


def _is_exact(method: VoteMethod, n_draws: int) -> bool:
    if method == "exact" and n_draws > MOST_EXACT_DRAWS:
        raise ValueError(f"the exact vote counts up to {MOST_EXACT_DRAWS} draws, not {n_draws}")
    return method == "exact" or (method == "auto" and n_draws <= _MOST_AUTO_DRAWS)


def _rows(answers: Answers, shape: tuple[int, ...]) -> list[list[Hashable | None]]:
    rows = [row.tolist() if isinstance(row, np.ndarray) else list(row) for row in answers]
    if len(rows) != shape[0] or any(len(row) != shape[1] for row in rows):
        raise ValueError(f"answers must have the shape of scores, {shape}")
    return rows


@dataclass(frozen=True, slots=True)
class _Item:
    """One item's draws, answers numbered."""

    codes: IntArray
    counts: tuple[int, ...]
    scores: FloatArray
    """Of each answer."""
    points: FloatArray
    """Of each draw, ascending."""

    @classmethod
    def of(cls, answers: list[Hashable | None], points: FloatArray) -> _Item:
        counts = Counter(answer for answer in answers if answer is not None)
        numbers = {answer: number for number, answer in enumerate(counts)}
        codes = np.array([numbers.get(answer, -1) for answer in answers], dtype=np.int64)
        voting = codes >= 0
        totals = np.bincount(codes[voting], weights=points[voting], minlength=len(counts))
        sizes = tuple(counts.values())
        drawn = np.sort(np.where(voting, points, 0.0))
        return cls(codes, sizes, totals / np.array(sizes), drawn)

    def exact_votes(self, max_k: int) -> FloatArray:
        blank = int(np.count_nonzero(self.codes < 0))
        votes = np.zeros(max_k)
        for number in np.flatnonzero(self.scores):
            others = tuple(sorted(self.counts[:number] + self.counts[number + 1 :]))
            votes += self.scores[number] * win_shares(self.counts[number], others, blank, max_k)
        return np.minimum(votes, 1.0)


def _sampled(
    table: list[_Item], max_k: int, n_orders: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of the mean of each item's votes, both ``(n_items, max_k)``."""
    rng = np.random.default_rng(seed)
    means, variances = [], []
    for item in table:
        # So that counts of (orders, k, answers) stay near 64 MB.
        rows = max(1, (1 << 24) // (max_k * max(1, len(item.counts))))
        parts = []
        for start in range(0, n_orders, rows):
            shape = (min(rows, n_orders - start), item.codes.size)
            orders = rng.permuted(np.broadcast_to(np.arange(shape[1]), shape), axis=1)
            parts.append(sampled_credits(item.codes, item.scores, max_k, orders))
        credit = np.concatenate(parts)
        means.append(credit.mean(axis=0))
        variances.append(credit.var(axis=0, ddof=1) / n_orders)
    return np.array(means), np.array(variances)


def _best_of(n_draws: int, max_k: int) -> FloatArray:
    """Return the chance of each rank, worst first, to be the best of k drawn: ``(n, n_k)``.

    C(i - 1, k - 1) / C(n, k) for the i-th lowest.
    """
    rank, k = np.arange(n_draws)[:, np.newaxis], np.arange(1, max_k + 1)
    below = np.maximum(rank - k + 1, 0)
    log_ways = special.gammaln(rank + 1) - special.gammaln(k) - special.gammaln(below + 1)
    log_all = (
        special.gammaln(n_draws + 1) - special.gammaln(k + 1) - special.gammaln(n_draws - k + 1)
    )
    chances: FloatArray = np.where(rank >= k - 1, np.exp(log_ways - log_all), 0.0)
    chances /= chances.sum(axis=0)
    return chances


def _vote_intervals(
    by_item: FloatArray, clusters: Labels | None, level: float
) -> tuple[Interval | None, ...]:
    found = (mean_score(column, clusters=clusters, level=level) for column in _columns(by_item))
    return tuple(None if estimate is None else estimate.interval for estimate in found)


def _oracle_intervals(
    by_item: FloatArray, clusters: Labels | None, level: float
) -> tuple[Interval | None, ...]:
    found = (
        mean_score(column, clusters=clusters, level=level, method=proportion_method(k))
        for k, column in enumerate(_columns(by_item), start=1)
    )
    return tuple(None if estimate is None else estimate.interval for estimate in found)


def _columns(by_item: FloatArray) -> FloatArray:
    """Return the scores of each size as a row, without what rounding put out of [0, 1]."""
    return np.clip(by_item, 0, 1).T
