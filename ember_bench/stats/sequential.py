"""Intervals that hold at every moment of a run, so that it may stop when it has seen enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ember_bench.stats._arrays import check_probability, vector

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray

_LARGEST_BET = 0.5


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """An interval after each item; with probability ``level`` all of them hold the mean at once."""

    low: FloatArray
    """Shape ``(n_items,)``, never falling."""
    high: FloatArray
    """Shape ``(n_items,)``, never rising; below ``low`` only if the mean moved on the way."""
    level: float

    def decided_at(self, value: float = 0.0) -> int | None:
        """Return after how many items ``value`` was first ruled out; None if it was not."""
        outside = np.flatnonzero((self.low > value) | (self.high < value))
        return int(outside[0]) + 1 if outside.size else None


def confidence_sequence(
    values: npt.ArrayLike, *, bounds: tuple[float, float] = (0.0, 1.0), level: float = 0.95
) -> ConfidenceSequence:
    """Return the empirical-Bernstein confidence sequence of a bounded mean.

    Waudby-Smith & Ramdas 2023, "Estimating means of bounded random variables by betting",
    theorem 2 with the predictable plug-in bets of equations (14) and (15), truncated at 1/2, and
    the running intersection. It is valid at any stopping time, chosen in any way. Items must come
    in random order and be independent: of clusters, pass the mean of each. To race m cells against
    a baseline take level 1 - alpha / m.

    Args:
        values: in the order they came, shape ``(n_items,)``; for a comparison the differences
            of scores of the two cells.
        bounds: least and largest possible value; (-1, 1) for differences of scores.
        level: probability that all intervals hold the mean.

    Raises:
        ValueError: a value outside ``bounds``.
    """
    least, largest = bounds
    check_probability(level, "level")
    if not least < largest:
        raise ValueError(f"bounds must be increasing, not {bounds}")
    raw = vector(values, "values")
    if raw.size and (raw.min() < least or raw.max() > largest):
        raise ValueError(
            f"values must lie in [{least:g}, {largest:g}], found {raw.min():g} to {raw.max():g}"
        )
    x = (raw - least) / (largest - least)
    t = np.arange(1, x.size + 1)
    means = (0.5 + np.cumsum(x)) / (t + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (t + 1)
    # Each bet knows only the items before it.
    mean_before = np.concatenate([[0.5], means[:-1]])
    variance_before = np.concatenate([[0.25], variances[:-1]])
    log_odds = np.log(2 / (1 - level))
    bets = np.minimum(np.sqrt(2 * log_odds / (variance_before * t * np.log(1 + t))), _LARGEST_BET)
    # v_i psi_E(bet_i), with v_i = 4 (x_i - mean)^2 and psi_E(b) = (-log(1 - b) - b) / 4.
    penalties = (x - mean_before) ** 2 * (-np.log1p(-bets) - bets)
    staked = np.cumsum(bets)
    centre = np.cumsum(bets * x) / staked
    half = (log_odds + np.cumsum(penalties)) / staked
    low = np.maximum.accumulate(np.maximum(centre - half, 0.0))
    high = np.minimum.accumulate(np.minimum(centre + half, 1.0))
    width = largest - least
    return ConfidenceSequence(least + width * low, least + width * high, level)
