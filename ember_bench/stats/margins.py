"""As good as: whether a difference lies within a margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ember_bench.stats._arrays import in_unit_interval, n_labels, vector
from ember_bench.stats.clusters import cluster_mean

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, Labels


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Two one-sided tests of a paired difference against a margin."""

    difference: float
    """Mean score of a less mean score of b."""
    margin: float
    """In the unit of the scores."""
    p_worse: float
    """One-sided, of a being worse than b by the margin or more: small if it is not."""
    p_better: float
    """One-sided, of a being better than b by the margin or more."""

    @property
    def p_value(self) -> float:
        """Return the p-value of equivalence: of a difference of the margin or more either way."""
        return max(self.p_worse, self.p_better)


def equivalence(
    differences: npt.ArrayLike, margin: float, *, clusters: Labels | None = None
) -> Equivalence | None:
    """Test whether two cells differ by less than a margin; None without items, or with one cluster.

    Schuirmann 1987, "A comparison of the two one-sided tests procedure". The error of the
    difference is :func:`paired_difference`'s (Bonett & Price 2012): one item won and one lost are
    added, so that p agrees with the interval at the level 1 - 2 alpha.

    Args:
        differences: score of a less score of b, in [-1, 1], shape ``(n_items,)``, one per item
            (average epochs first).
        margin: above 0 and at most 1; 0.01 is one point.
        clusters: one label per item.

    Raises:
        ValueError: differences outside [-1, 1], labels of another length, or another margin.
    """
    d = vector(differences, "differences")
    in_unit_interval(np.abs(d), "sizes of differences")
    if not 0 < margin <= 1:
        raise ValueError(f"the margin must lie in (0, 1], not {margin}")
    if d.size == 0 or (clusters is not None and n_labels(clusters) < 2):
        return None
    mean, error, dof = _adjusted(d, clusters)
    tails = [(mean + margin) / error, (margin - mean) / error]
    p_worse, p_better = (
        float(special.ndtr(-t) if dof is None else special.stdtr(dof, -t)) for t in tails
    )
    return Equivalence(float(d.mean()), margin, p_worse, p_better)


def _adjusted(d: FloatArray, clusters: Labels | None) -> tuple[float, float, float | None]:
    """Return mean and error with the two items added, and degrees of freedom; None for normal."""
    largest = float(np.abs(d).max()) or 1.0
    added = np.append(d, [largest, -largest])
    if clusters is not None:
        labels = [*((0, label) for label in clusters), (1, "won"), (1, "lost")]
        robust = cluster_mean(added, labels)
        assert robust is not None  # noqa: S101 - there are items
        assert robust.standard_error  # noqa: S101 - two of them differ
        return robust.value, robust.standard_error, robust.dof
    return float(added.mean()), float(added.std() / np.sqrt(added.size)), None
