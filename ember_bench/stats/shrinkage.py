"""What the scores of several cells say of their true means, each drawn towards the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ember_bench.stats._arrays import matrix
from ember_bench.stats.bootstrap import bootstrap_means, cluster_sums

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, IntArray, Labels

_STEPS: Final = (np.arange(100) + 0.5) / 100
_SHRINKAGES: Final = _STEPS**3
"""Values of the shrinkage factor, which is uniform before the scores are seen; densest near 0."""


def shrunken_means(
    values: npt.ArrayLike,
    *others: npt.ArrayLike,
    clusters: Labels | None = None,
    n_draws: int = 10_000,
    seed: int = 0,
) -> tuple[FloatArray, ...]:
    """Return draws of the cells' true means, and of the means of other values in step with them.

    Resampled means (:func:`bootstrap_means`) spread around what was observed, whose differences
    are larger than the true ones: so the best of several is said to be so far too surely where
    items are few. Here true means are taken to be normal around a common one (Gelman, Hill &
    Yajima 2012, "Why we (usually) don't have to worry about multiple comparisons"). How far they
    spread is learned from the scores; its prior is the uniform shrinkage prior of Daniels (1999,
    "A prior for the variance in hierarchical models"), that of the common mean is flat.

    A draw is K a + (I - K) p, with a the resampled means, p a draw of the prior, and K =
    t (t I + V)^-1, where t is the variance of true means and V the covariance of the errors
    (Matheron's rule; Wilson et al. 2020, "Efficiently sampling functions from Gaussian process
    posteriors"). If cells differ by much more than their errors, it is the resample itself.

    V is the covariance of the means with as many items again as there are cells, of equal
    variances and covariances (the mean of an inverse Wishart posterior). Per difference, one item
    won and one lost are added, as :func:`paired_difference` does. Cells with equal values on
    every item are taken to be one.

    Args:
        values: shape ``(n_items, n_cells)``, rows of the same items, any unit.
        others: arrays with as many rows, as costs; their means are resampled and not shrunk.
        clusters: one label per item; whole clusters are resampled.
        n_draws: how many draws.
        seed: of the random number generator.

    Returns:
        For each array its draws, shape ``(n_draws, n_columns)``.

    Raises:
        ValueError: no items, values that are not finite, or arrays of other lengths.
    """
    x = matrix(values, "values")
    columns = [matrix(other, "others") for other in others]
    if any(len(other) != len(x) for other in columns):
        raise ValueError(f"others have {[len(o) for o in columns]} rows for {len(x)} items")
    single, places = _distinct(x)
    resampled = bootstrap_means(
        np.hstack([single, *columns]), clusters=clusters, n_draws=n_draws, seed=seed
    )
    ends = np.cumsum([single.shape[1], *(other.shape[1] for other in columns)])[:-1]
    first, *rest = np.split(resampled, ends, axis=1)
    if single.shape[1] > 1:
        first = _shrunken(single, first, clusters, np.random.default_rng([seed, 1]))
    return first[:, places], *rest


def largest_gaps(x: FloatArray) -> FloatArray:
    """Return the largest difference of each two columns on an item, ``(n_cells, n_cells)``."""
    gaps: FloatArray = np.stack([np.abs(x - column[:, np.newaxis]).max(axis=0) for column in x.T])
    return gaps


def _distinct(x: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the columns that differ, in their order, and the place of each column among them."""
    known: dict[bytes, int] = {}
    # Adding 0 makes -0 and 0 the same bytes.
    places = [known.setdefault((column + 0.0).tobytes(), len(known)) for column in x.T]
    firsts = [places.index(place) for place in range(len(known))]
    return x[:, firsts], np.asarray(places, dtype=np.int64)


def _shrunken(
    x: FloatArray, resampled: FloatArray, clusters: Labels | None, rng: np.random.Generator
) -> FloatArray:
    means = x.mean(axis=0)
    (n_draws, n_cells), n_items = resampled.shape, len(x)
    residuals = x - means if clusters is None else cluster_sums(x - means, clusters)[0]
    units = len(residuals)
    freedom = units / max(1, units - 1)
    observed = freedom * residuals.T @ residuals / n_items**2
    own, shared = _levels(observed)
    weight = n_cells / (units - 1 + n_cells)
    gaps = largest_gaps(x)
    np.fill_diagonal(gaps, np.inf)
    added = weight * own + (gaps.min(axis=0) / n_items) ** 2
    errors = (1 - weight) * observed + weight * shared + np.diag(added)
    # The resamples' own errors, which go with those of the other values, and what V has beyond.
    noise = np.sqrt((1 - weight) * freedom) * (resampled - means)
    noise += np.sqrt(added) * rng.standard_normal((n_draws, n_cells))
    noise += np.sqrt(weight * shared) * rng.standard_normal((n_draws, 1))
    return _posterior(means, errors, noise, rng)


def _levels(covariance: FloatArray) -> tuple[float, float]:
    """Return what equal variances have of their own and what they share, neither below 0."""
    n = len(covariance)
    variance = float(np.trace(covariance)) / n
    shared = max(0.0, (float(covariance.sum()) - n * variance) / (n * (n - 1)))
    return max(0.0, variance - shared), shared


def _posterior(
    means: FloatArray, errors: FloatArray, noise: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Return draws of the true means; `noise` are draws of the errors."""
    n_draws = len(noise)
    # Half the mean variance of a difference of two cells, to which shrinkage is relative.
    own = float(np.trace(errors) - errors.mean() * len(errors)) / (len(errors) - 1)
    spreads = own * (1 - _SHRINKAGES) / _SHRINKAGES
    values, vectors = np.linalg.eigh(errors)
    values = np.maximum(values, 0.0)
    ones, observed = vectors.sum(axis=0), vectors.T @ means
    total = spreads[:, np.newaxis] + values
    precision = (ones**2 / total).sum(axis=1)
    middle = (ones * observed / total).sum(axis=1) / precision
    squares = ((observed - middle[:, np.newaxis] * ones) ** 2 / total).sum(axis=1)
    # A step takes in more of the shrinkage factor the larger that is: of the cube, its slope.
    likelihood = np.log(_STEPS**2) - (np.log(total).sum(axis=1) + np.log(precision) + squares) / 2
    weights = np.exp(likelihood - likelihood.max())
    drawn = rng.choice(spreads.size, n_draws, p=weights / weights.sum())
    # Drawn for cells: the signs of eigenvectors differ between processors.
    prior = np.sqrt(spreads[drawn])[:, np.newaxis] * (rng.standard_normal(noise.shape) @ vectors)
    centre = middle + rng.standard_normal((n_draws, 1)) / np.sqrt(precision)
    prior += np.take_along_axis(centre, drawn[:, np.newaxis], axis=1) * ones
    kept = (spreads[:, np.newaxis] / total)[drawn]
    found: FloatArray = (kept * (observed + noise @ vectors) + (1 - kept) * prior) @ vectors.T
    return found
