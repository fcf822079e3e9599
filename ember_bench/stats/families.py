"""Families of comparisons on shared items: adjusted p-values, and intervals that agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from ember_bench.stats._arrays import (
    check_count,
    check_probability,
    codes,
    in_unit_interval,
    symmetric_root,
    vector,
)
from ember_bench.stats.intervals import Interval
from ember_bench.stats.paired import difference_interval
from ember_bench.stats.permutation import all_sums, countable, random_sums, sign_flip_test

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, IntArray, Labels

_MOST_OUTCOMES: Final = 1 << 16
_MOST_ROWS: Final = 1 << 12
_AT_ONCE: Final = 1 << 11
_PINELIS: Final = 3.18
"""A sum of random signs exceeds t standard deviations at most so many times as often as a normal
variable (Pinelis 2012, "An asymptotically Gaussian bound on the Rademacher tails")."""
_ROUNDING: Final = 1e-9
_JUST_OFF_ZERO: Final = 1e-12


@dataclass(frozen=True, slots=True)
class FamilyTest:
    """Comparisons that were tested together."""

    p_values: FloatArray
    """Adjusted, two-sided, shape ``(n_comparisons,)``."""
    intervals: tuple[Interval | None, ...]
    """Simultaneous, of each mean difference; 0 is outside where the p-value is below 1 - level."""
    level_each: float
    """The level that an interval of one comparison has, for all of them to hold together."""
    exact: bool
    """Whether all sign patterns were counted, rather than a sample of them."""


def max_t(
    differences: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    p_values: npt.ArrayLike | None = None,
    level: float = 0.95,
    n_draws: int = 20_000,
    seed: int = 0,
) -> FamilyTest:
    """Test paired differences together, by the step-down max-T of Westfall & Young.

    Westfall & Young 1993, "Resampling-Based Multiple Testing", algorithm 2.8. Each sign pattern
    flips an item, or a cluster, in all comparisons at once, so that correlation through shared
    items, draws and baselines is kept. The statistic of a comparison is the normal score of its
    exact McNemar p-value where its differences are of one size, else its sum over the root of its
    sum of squares: a comparison in which few items differ does not burden the others, as it has
    no small p-value to give. Rejecting where the adjusted value is below alpha makes any false
    rejection at all have probability alpha, nearly: exactly where the differences are symmetric
    together (Romano & Wolf 2005). All patterns are counted where there are up to 2^16 outcomes;
    else ``n_draws`` are drawn (if more than 4,096 different rows remain, from their normal limit:
    Chernozhukov, Chetverikov & Kato 2013). p is not left at the drawn floor: the sum of the exact
    tails of the comparisons that are not rejected yet bounds it from above. That sum is at most
    Holm's value for scores of 0 and 1, and so is p.

    The intervals are :func:`paired_difference`'s, at the level that lets all hold together in the
    normal limit. An end is moved to 0, or off it, if the p-value disagrees, as a step-down test
    rejects more than one step can.

    Args:
        differences: shape ``(n_items, n_comparisons)``; NaN where an item is not in a comparison.
        clusters: one label per item; the items of a cluster flip together.
        p_values: of each comparison alone, which the adjusted ones are never below; by default
            these are the exact or drawn ones of the same patterns.
        level: nominal coverage of all intervals together; 1 - level is alpha.
        n_draws: how many random patterns, where not all are counted.
        seed: of the random number generator.

    Raises:
        ValueError: not two dimensions, infinite values, labels or p-values of another number.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 2:
        raise ValueError(f"differences must have two dimensions, not shape {d.shape}")
    if np.isinf(d).any():
        raise ValueError("differences must be finite, or NaN where an item is not compared")
    check_probability(level, "level")
    check_count(n_draws, "n_draws")
    columns = _columns(d, clusters)
    alone = columns.alone(p_values, n_draws, seed)
    if d.shape[1] == 0:
        return FamilyTest(alone, (), level, exact=True)
    adjusted, exact = _stepped(columns, alone, n_draws, seed)
    level_each = _level_each(columns, level, n_draws, seed)
    labels = None if clusters is None else codes(clusters, len(d), "clusters")
    intervals = tuple(
        simultaneous_interval(column, p, level_each, clusters=labels, level=level)
        for column, p in zip(d.T, adjusted.tolist(), strict=True)
    )
    return FamilyTest(adjusted, intervals, level_each, exact)


def simultaneous_interval(
    differences: npt.ArrayLike,
    p_value: float,
    level_each: float,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Interval | None:
    """Return an interval of :func:`max_t`, which excludes 0 exactly if p is below 1 - level.

    For a comparison that has several cases, as with failed trials, whose p-value is the one of the
    case that is nearest to no difference.

    Args:
        differences: shape ``(n_items,)``; NaN where an item is not in the comparison.
        p_value: adjusted.
        level_each: see :class:`FamilyTest`.
        clusters: one label per item.
        level: of all intervals together.
    """
    d = np.asarray(differences, dtype=np.float64)
    there = ~np.isnan(d)
    labels = None if clusters is None else codes(clusters, d.size, "clusters")[there]
    if not there.any():
        return None
    found = difference_interval(d[there], labels, level_each)
    if found is None:
        return None
    low, high, mean = found.low, found.high, float(d[there].mean())
    if p_value >= 1 - level:
        low, high = min(low, 0.0), max(high, 0.0)
    elif mean > 0:
        low = max(low, min(mean, _JUST_OFF_ZERO))
    elif mean < 0:
        high = min(high, max(mean, -_JUST_OFF_ZERO))
    return Interval(low, high, level)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Differences summed over what flips together.

    Attributes:
        units: shape ``(n_units, n_comparisons)``; rows without a difference are left out.
        sizes: of each comparison's differences if they are of one size, else 0.
        counts: units that differ, of each comparison.
        roots: of the sums of squares; 1 where nothing differs.
        covariance: of the sums, about their means.
    """

    units: FloatArray
    sizes: FloatArray
    counts: IntArray
    roots: FloatArray
    covariance: FloatArray

    def alone(self, p_values: npt.ArrayLike | None, n_draws: int, seed: int) -> FloatArray:
        """Return the p-value of each comparison alone."""
        if p_values is None:
            found = [sign_flip_test(u, n_draws=n_draws, seed=seed).p_value for u in self.units.T]
            return np.array(found, dtype=np.float64)
        given = in_unit_interval(vector(p_values, "p_values"), "p_values")
        if given.size != self.units.shape[1]:
            raise ValueError(f"{given.size} p_values for {self.units.shape[1]} comparisons")
        return given

    def scores(self, sums: FloatArray) -> FloatArray:
        """Return the statistic of each comparison, larger if further from 0; shape of ``sums``."""
        found = np.abs(sums) / self.roots
        for place in np.flatnonzero(self.sizes):
            n = int(self.counts[place])
            table = _normal_scores(n)
            ahead = np.rint((sums[:, place] / self.sizes[place] + n) / 2).astype(np.intp)
            found[:, place] = table[ahead]
        return found

    def tails(self, scores: FloatArray) -> FloatArray:
        """Bound the probability that each comparison reaches a score.

        Args:
            scores: shape ``(n_scores,)``.

        Returns:
            Shape ``(n_scores, n_comparisons)``; exact for differences of one size.
        """
        found = np.empty((scores.size, self.counts.size))
        found[:] = np.minimum(1.0, 2 * _PINELIS * special.ndtr(-scores))[:, np.newaxis]
        found[:, self.counts == 0] = (scores <= 0)[:, np.newaxis]
        alike = self.sizes > 0
        for n in np.unique(self.counts[alike]).tolist():
            attained = _normal_scores(n)[: n // 2 + 1]
            least = np.searchsorted(-attained, -scores * (1 - _ROUNDING), side="right") - 1
            tail = np.where(least < 0, 0.0, 2 * special.bdtr(np.maximum(least, 0), n, 0.5))
            found[:, alike & (self.counts == n)] = np.minimum(tail, 1.0)[:, np.newaxis]
        return found


def _normal_scores(n: int) -> FloatArray:
    """Return z of the two-sided sign test with k of n ahead, for k from 0 to n."""
    k = np.arange(n + 1)
    tails = np.minimum(0.5, special.bdtr(np.minimum(k, n - k), n, 0.5))
    scores: FloatArray = -special.ndtri(tails)
    return scores


def _columns(d: FloatArray, clusters: Labels | None) -> _Columns:
    there = ~np.isnan(d)
    units = np.nan_to_num(d).round(12)
    if clusters is not None:
        group = codes(clusters, len(d), "clusters")
        n_units = int(group.max(initial=-1)) + 1
        sums, found = np.zeros((n_units, d.shape[1])), np.zeros((n_units, d.shape[1]), np.bool_)
        np.add.at(sums, group, units)
        np.logical_or.at(found, group, there)
        units, there = sums.round(12), found
    means = units.sum(axis=0) / np.maximum(np.count_nonzero(there, axis=0), 1)
    centred = np.where(there, units - means, 0.0)
    units = units[units.any(axis=1)]
    sizes, most = np.abs(units), np.abs(units).max(axis=0, initial=0.0)
    counts = np.count_nonzero(units, axis=0)
    alike = np.count_nonzero(sizes == most, axis=0) == counts
    roots = np.sqrt(np.sum(units**2, axis=0))
    return _Columns(
        units=units,
        sizes=np.where(alike & (counts > 0), most, 0.0),
        counts=counts,
        roots=np.where(roots > 0, roots, 1.0),
        covariance=centred.T @ centred,
    )


def _stepped(
    columns: _Columns, alone: FloatArray, n_draws: int, seed: int
) -> tuple[FloatArray, bool]:
    """Return adjusted p-values, and whether these are exact."""
    observed = columns.scores(columns.units.sum(axis=0, keepdims=True))[0]
    order = np.argsort(-observed, kind="stable")
    beyond = np.zeros(order.size)
    total = 0.0
    exact, patterns = _patterns(columns, n_draws, seed)
    for scores, weight in patterns:
        # In each step the largest of the comparisons that no earlier step has rejected.
        highest = np.maximum.accumulate(scores[:, order[::-1]], axis=1)[:, ::-1]
        beyond += weight @ (highest >= observed[order] * (1 - _ROUNDING))
        total += float(weight.sum())
    shares = beyond / total if exact else (1 + beyond) / (1 + n_draws)
    if not exact:
        shares = np.minimum(shares, _bounds(columns, observed, order))
    adjusted = np.empty(order.size)
    adjusted[order] = alone[order] if order.size == 1 else np.maximum.accumulate(shares)
    return np.minimum(np.maximum(adjusted, alone), 1.0), exact


def _level_each(columns: _Columns, level: float, n_draws: int, seed: int) -> float:
    """Return the level at which intervals of all comparisons hold together.

    Of the normal limit, about the means: the patterns' scores are of another scale where few items
    differ, and their correlation, about 0, is that of the differences only if these are small.
    """
    if columns.counts.size == 1:
        return level
    rng = np.random.default_rng(seed)
    highest = _normal_limit(columns.covariance, n_draws, rng).max(axis=1)
    return float(1 - 2 * special.ndtr(-np.quantile(highest, level)))


def _patterns(
    columns: _Columns, n_draws: int, seed: int
) -> tuple[bool, Iterator[tuple[FloatArray, FloatArray]]]:
    """Return whether all patterns are counted, and their scores with their weights."""
    units = columns.units
    first = np.take_along_axis(units, np.argmax(units != 0, axis=1)[:, np.newaxis], axis=1)
    rows, counts = np.unique(units * np.sign(first), axis=0, return_counts=True)
    if countable(counts, _MOST_OUTCOMES):
        sums, weights = all_sums(rows, counts)
        return True, iter([(columns.scores(sums), weights)])
    rng = np.random.default_rng(seed)
    if len(rows) > _MOST_ROWS:
        limit = _normal_limit(units.T @ units, n_draws, rng)
        return False, iter([(limit, np.ones(n_draws))])
    drawn = random_sums(rows, counts, n_draws, rng)
    return False, ((columns.scores(sums), np.ones(len(sums))) for sums in drawn)


def _normal_limit(covariance: FloatArray, n_draws: int, rng: np.random.Generator) -> FloatArray:
    """Return sizes of correlated standard normal variables, shape ``(n_draws, n_columns)``.

    A column without variance is taken as independent.
    """
    constant = np.flatnonzero(np.diag(covariance) <= 0)
    covariance = covariance.copy()
    covariance[constant, constant] = 1.0
    factor = symmetric_root(covariance)
    factor /= np.sqrt(np.sum(factor**2, axis=1, keepdims=True))
    scores = np.empty((n_draws, len(factor)))
    for some in np.split(scores, range(_AT_ONCE, n_draws, _AT_ONCE)):
        np.abs(rng.standard_normal(some.shape) @ factor.T, out=some)
    return scores


def _bounds(columns: _Columns, observed: FloatArray, order: IntArray) -> FloatArray:
    """Return in each step the sum of the tails of all comparisons that are left."""
    tails = columns.tails(observed[order])[:, order]
    bounds: FloatArray = np.sum(np.triu(tails), axis=1)
    return bounds
