"""A cheap guess of what was not measured: linear in features, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ember_bench.stats._arrays import matrix, vector

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray

_RIDGES: Final = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Ratios of the noise's variance to that of a weight, among which the evidence chooses."""


@dataclass(frozen=True, slots=True)
class LinearGuess:
    """The posterior of linear weights.

    Attributes:
        mean: Of the values at all points, shape ``(n_points,)``.
        factor: ``factor @ factor.T`` is their covariance, shape ``(n_points, n_features)``.
    """

    mean: FloatArray
    factor: FloatArray

    def draws(self, number: int, rng: np.random.Generator) -> FloatArray:
        """Return draws of the values at all points, shape ``(number, n_points)``."""
        normal = rng.standard_normal((number, self.factor.shape[1]))
        found: FloatArray = self.mean + normal @ self.factor.T
        return found


def guess_linear(
    features: npt.ArrayLike, known: npt.ArrayLike, values: npt.ArrayLike
) -> LinearGuess:
    """Return what values at some points say of all of them.

    Bayesian linear regression with a normal prior of equal variance on all weights; its ratio to
    the noise is the one of largest evidence (MacKay 1992, "Bayesian interpolation").

    Args:
        features: of all points, shape ``(n_points, n_features)``.
        known: indices of the points with a value, at least one; shape ``(n_known,)``.
        values: same shape.

    Raises:
        ValueError: without a value, or arrays of other shapes.
    """
    x, y = matrix(features, "features"), vector(values, "values")
    places = np.asarray(known, dtype=np.int64)
    if not y.size or places.shape != y.shape:
        raise ValueError(f"{places.size} points are known, and {y.size} values")
    middle = x.mean(axis=0)
    centre, inside = float(y.mean()), x[places] - middle
    squares, vectors = np.linalg.eigh(inside.T @ inside)
    squares = np.maximum(squares, 0.0)
    rotated = vectors.T @ (inside.T @ (y - centre))
    total, n = float(((y - centre) ** 2).sum()), y.size
    best, ridge, noise = -np.inf, _RIDGES[-1], 0.0
    for each in _RIDGES:
        # With weights integrated out, up to a constant; the noise at its best.
        rest = max(total - float((rotated**2 / (squares + each)).sum()), 1e-12)
        evidence = -n / 2 * np.log(rest / n) - np.log1p(squares / each).sum() / 2
        if evidence > best:
            best, ridge, noise = float(evidence), each, rest / n
    weights = vectors @ (rotated / (squares + ridge))
    everywhere = x - middle
    # The symmetric root, which does not differ between processors as eigenvectors do.
    factor = everywhere @ (vectors * np.sqrt(noise / (squares + ridge))) @ vectors.T
    return LinearGuess(centre + everywhere @ weights, factor)
