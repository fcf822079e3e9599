"""Tests of two cells on the same items."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ember_bench.stats._arrays import check_count, check_probability, mask, same_length, vector
from ember_bench.stats.bootstrap import cluster_sums

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, IntArray, Labels

_MOST_OUTCOMES = 1 << 18
_MOST_BINOMIALS = 64
_CHUNK_VALUES = 1 << 23
_PIECES = 16
_FEWEST_DRAWS = 10_000
_EXTREME_DRAWS = 20


@dataclass(frozen=True, slots=True)
class McNemar:
    """The exact McNemar test."""

    only_a: int
    """Items that a got right and b wrong."""
    only_b: int
    p_value: float


def mcnemar_exact(a: npt.ArrayLike, b: npt.ArrayLike) -> McNemar:
    """Test whether two cells are right equally often, from the items on which they differ.

    If they are, the number of items that only a got right is binomial with probability 1/2
    among those that only one did (McNemar 1947; exact form: Fleiss, Levin & Paik 2003,
    "Statistical Methods for Rates and Proportions", section 13.1). Two-sided; 1 when the cells
    differ on no item.

    Args:
        a: right (1) or wrong (0), shape ``(n_items,)``.
        b: of the same items.

    Raises:
        ValueError: values other than 0 and 1, or arrays of different length.
    """
    first, second = mask(a, "a"), mask(b, "b")
    same_length(first.astype(np.float64), second.astype(np.float64), "a and b")
    only_a = int(np.count_nonzero(first & ~second))
    only_b = int(np.count_nonzero(second & ~first))
    tail = special.bdtr(float(min(only_a, only_b)), only_a + only_b, 0.5)
    return McNemar(only_a, only_b, min(1.0, 2 * float(tail)))


def draws_for_family(n_comparisons: int, *, alpha: float = 0.05) -> int:
    """Return how many random patterns a family of comparisons needs, at least 10 000.

    A drawn p-value is at least 1 / (1 + drawn), and Holm's correction multiplies the smallest of
    m by m: 10 000 patterns reject nothing at .05 in a family of more than 500. With the number
    returned, alpha / m is the p-value of 20 patterns at least as extreme, so that it is known
    to about a fifth, too (Phipson & Smyth 2010).

    Args:
        n_comparisons: tests in the family.
        alpha: level at which the family is tested.
    """
    check_count(n_comparisons, "n_comparisons")
    check_probability(alpha, "alpha")
    return max(_FEWEST_DRAWS, ceil(_EXTREME_DRAWS * n_comparisons / alpha) - 1)


@dataclass(frozen=True, slots=True)
class SignFlip:
    """The sign-flip permutation test."""

    mean: float
    """The mean difference."""
    p_value: float
    exact: bool
    """Whether all sign patterns were counted, rather than a sample of them."""


def sign_flip_test(
    differences: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    n_draws: int = 10_000,
    seed: int = 0,
) -> SignFlip:
    """Test whether paired differences are symmetric about zero, two-sided, on their mean.

    Fisher 1935, "The Design of Experiments", section 21. Differences of one size are exchangeable,
    so sign patterns are counted by how many of each size are positive: exact for up to 2^18
    such counts, which takes in 18 different sizes, or any number of 0/1 scores. Beyond that,
    ``n_draws`` random patterns, with p = (1 + as extreme) / (1 + drawn), which is never zero and
    valid (Phipson & Smyth 2010, "Permutation p-values should never be zero"). Several tests
    need more patterns: see :func:`draws_for_family`.

    Args:
        differences: shape ``(n_items,)``, any unit.
        clusters: one label per item; the items of a cluster flip together.
        n_draws: how many random patterns, where not all are counted.
        seed: of the random number generator.
    """
    d = vector(differences, "differences")
    check_count(n_draws, "n_draws")
    mean = float(d.mean()) if d.size else 0.0
    if clusters is not None:
        d = cluster_sums(d[:, np.newaxis], clusters)[0][:, 0]
    # 0.6 - 0.4 and 0.8 - 0.6 are one size, but for rounding.
    rounded: FloatArray = np.fabs(d).round(12)
    sizes, counts = np.unique(rounded[rounded > 0], return_counts=True)
    if sizes.size == 0:
        return SignFlip(mean, 1.0, exact=True)
    observed = abs(float(d.sum())) * (1 - 1e-9) - 1e-12
    rows = sizes[:, np.newaxis]
    if countable(counts):
        sums, weights = all_sums(rows, counts)
        p_value = float(weights[np.abs(sums[:, 0]) >= observed].sum())
        return SignFlip(mean, min(1.0, p_value), exact=True)
    rng = np.random.default_rng(seed)
    extreme = 0
    for sums in random_sums(rows, counts, n_draws, rng):
        extreme += int(np.count_nonzero(np.fabs(sums) >= observed))
    return SignFlip(mean, (1 + extreme) / (1 + n_draws), exact=False)


def countable(counts: IntArray, most: int = _MOST_OUTCOMES) -> bool:
    """Say whether all sums of groups of equal rows, of these numbers, are few enough to count."""
    return bool(np.sum(np.log2(counts + 1.0)) <= np.log2(most))


def all_sums(rows: FloatArray, counts: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return every sum that random signs of rows can give, and its probability.

    Args:
        rows: the rows that differ, shape ``(n_groups, n_columns)``.
        counts: how often each is there, shape ``(n_groups,)``.

    Returns:
        The sums, shape ``(n_outcomes, n_columns)``, and probabilities, shape ``(n_outcomes,)``.
    """
    sums, weights = np.zeros((1, rows.shape[1])), np.ones(1)
    for row, count in zip(rows, counts, strict=True):
        positive = np.arange(count + 1)
        steps = np.outer(2.0 * positive - count, row)
        chances = np.exp(
            special.gammaln(count + 1.0)
            - special.gammaln(positive + 1.0)
            - special.gammaln(count - positive + 1.0)
            - count * np.log(2)
        )
        sums = (sums[:, np.newaxis] + steps).reshape(-1, rows.shape[1])
        weights = np.multiply.outer(weights, chances).ravel()
    return sums, weights


def random_sums(
    rows: FloatArray, counts: IntArray, n_draws: int, rng: np.random.Generator
) -> Iterator[FloatArray]:
    """Yield ``n_draws`` sums of rows with random signs, in blocks of shape ``(n, n_columns)``.

    Arguments as of :func:`all_sums`; all columns of a row have its sign.
    """
    if counts.size <= _MOST_BINOMIALS:
        positive = rng.binomial(counts, 0.5, size=(n_draws, counts.size))
        yield (2.0 * positive - counts) @ rows
        return
    values = np.repeat(rows, counts, axis=0)
    at_once = max(1, _CHUNK_VALUES // len(values))
    for start in range(0, n_draws, at_once):
        n = min(at_once, n_draws - start)
        bits = np.frombuffer(rng.bytes(n * -(-len(values) // 8)), dtype=np.uint8)
        signs = np.unpackbits(bits.reshape(n, -1), axis=1, count=len(values))
        # As floats they take eight times the memory.
        for some in np.array_split(signs, _PIECES):
            yield 2.0 * (some.astype(np.float64) @ values) - values.sum(axis=0)
