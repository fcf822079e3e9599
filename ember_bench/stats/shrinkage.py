"""True means of several cells, or of several groups of items, each drawn towards the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from ember_bench.stats._arrays import check_probability, matrix, not_negative, same_length, vector
from ember_bench.stats.bootstrap import bootstrap_means, cluster_sums
from ember_bench.stats.intervals import Estimate, Interval

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, IntArray, Labels

_STEPS: Final = (np.arange(100) + 0.5) / 100
_SHRINKAGES: Final = _STEPS**3
"""Values of the shrinkage factor, which is uniform before the scores are seen; densest near 0."""

_FEWEST_GROUPS: Final = 5
"""With fewer, the spread of groups is guessed rather than learned."""
_MEANS: Final = (np.arange(20) + 0.5) / 20
_NEAR: Final = np.linspace(-4, 4, 17)
"""Further values of the mean: around that of all items, in units of its least standard error."""
_PARTS: Final = (np.arange(30) + 0.5) / 30
_NEGLIGIBLE: Final = 1e-3
"""Weight of a node, relative to the largest, below which it is left out."""
_HALVINGS: Final = 18


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


def shrunken_rates(
    right: npt.ArrayLike, counts: npt.ArrayLike, *, level: float = 0.95
) -> list[Estimate] | None:
    """Estimate the accuracy on each group of items, drawn towards the mean of all groups.

    The Beta-Binomial model: of the items of a group a number is right that is binomial at the
    group's accuracy; accuracies have a Beta distribution, whose parameters are learned (Bowyer,
    Aitchison & Ivanova 2025, "Position: Don't use the CLT in LLM evals with fewer than a few
    hundred datapoints", arXiv:2503.01747). With the mean m and the weight w of the
    Beta distribution, in items, a group of n items is drawn to m by the factor b = w / (w + n). At
    the mean n of groups, b has the density 3 (1 - b)^2 before the scores are seen, and m is
    uniform: with a uniform b (Christiansen & Morris 1997, "Hierarchical Poisson regression
    modeling"), intervals are too narrow where groups differ by about their errors.

    Bounds are quantiles of the posterior; if all items of a group are right, or wrong, the interval
    reaches 1, or 0 (Brown, Cai & DasGupta 2001, "Interval estimation for a binomial proportion",
    section 4.1.2). The level holds on average over groups, and not for each: a group that is far
    from all the others is drawn to them, too.

    Args:
        right: number of right items of each group, shape ``(n_groups,)``.
        counts: number of its items, same shape; at least 1.
        level: probability that an interval holds, on average over groups.

    Returns:
        One for each group, with the posterior mean and standard deviation; None for fewer than
        five groups.

    Raises:
        ValueError: numbers that are not whole, or more right items than items.
    """
    y, n = not_negative(vector(right, "right"), "right"), vector(counts, "counts")
    same_length(y, n, "right and counts")
    check_probability(level, "level")
    if np.any(n < 1) or np.any(y > n) or np.any(y % 1) or np.any(n % 1):
        raise ValueError(f"groups have {y.tolist()} right items of {n.tolist()}")
    if y.size < _FEWEST_GROUPS:
        return None
    # Groups with the same numbers have the same posterior.
    numbers, where = np.unique(np.stack([y, n]), axis=1, return_inverse=True)
    y, n = numbers
    weights, a, b = _beta_binomial(y, n, np.bincount(where.reshape(-1)))
    means = a / (a + b)
    mean = means @ weights
    squares = (a * b / ((a + b) ** 2 * (a + b + 1)) + means**2) @ weights
    low, high = (_quantiles(weights, a, b, (1 + sign * level) / 2) for sign in (-1, 1))
    low, high = np.where(y == 0, 0.0, low), np.where(y == n, 1.0, high)
    errors = np.sqrt(np.maximum(0.0, squares - mean**2))
    found = [
        Estimate(float(m), Interval(float(i), float(j), level), float(e), int(k), "Beta-Binomial")
        for m, i, j, e, k in zip(mean, low, high, errors, n, strict=True)
    ]
    return [found[place] for place in where.reshape(-1).tolist()]


def _beta_binomial(
    y: FloatArray, n: FloatArray, groups: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the weights of nodes, and the groups' Beta parameters at each.

    The shapes are ``(n_nodes,)``, and twice ``(n_groups, n_nodes)``.
    """
    total, k = float(groups @ n), float(groups.sum())
    centre = (float(groups @ y) + 0.5) / (total + 1)
    near = centre + _NEAR * np.sqrt(centre * (1 - centre) / total)
    means = np.sort(np.concatenate([_MEANS, near[(near > 0) & (near < 1)]]))
    ends = np.concatenate([[0.0], (means[1:] + means[:-1]) / 2, [1.0]])
    m, part = (nodes.ravel() for nodes in np.meshgrid(means, _PARTS))
    factor = part**3  # densest near 0, as many items need it
    weight = total / k * factor / (1 - factor)
    a, b = m * weight, (1 - m) * weight
    likelihood = np.log(np.tile(np.diff(ends), _PARTS.size) * part**2 * (1 - factor) ** 2)
    for right, items, number in zip(y, n, groups, strict=True):
        likelihood += number * (special.betaln(a + right, b + items - right) - special.betaln(a, b))
    found = np.exp(likelihood - likelihood.max())
    kept = found > _NEGLIGIBLE
    found = found[kept] / found[kept].sum()
    wrong = (n - y)[:, np.newaxis]
    return found, a[kept] + y[:, np.newaxis], b[kept] + wrong


def _quantiles(weights: FloatArray, a: FloatArray, b: FloatArray, p: float) -> FloatArray:
    """Return a quantile of each group's mixture of Beta distributions, by bisection."""
    low, high = np.zeros(len(a)), np.ones(len(a))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = special.betainc(a, b, middle[:, np.newaxis]) @ weights < p
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


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
