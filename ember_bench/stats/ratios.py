"""The interval of a ratio of two means of the same items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ember_bench.stats._arrays import check_probability
from ember_bench.stats.intervals import Interval, t_critical
from ember_bench.stats.means import error_parts

if TYPE_CHECKING:
    from ember_bench.stats._arrays import BoolArray, FloatArray, Labels

ROUNDING: Final = 1e-12
"""Differences of equal numbers are smaller, relative to the numbers."""
_FARTHEST: Final = 2.0**29
"""Times the estimate: a ratio that is not refused up to here is not bounded."""
_NEAREST: Final = 1 / 64
"""Of a standard error: the first ratio that is looked at."""
_STEP: Final = 1.1
_POINTS: Final = 65
_REFINEMENTS: Final = 5
"""Each looks at the step that was found in 64 parts."""


@dataclass(frozen=True, slots=True)
class _Residuals:
    """Error of the mean of ``a - (1 + shift) * b``, of means 1, and its skewness, by shift.

    Polynomials in the shift, taken about the estimated ratio, where they are wanted, so that
    nothing cancels there.
    """

    second: FloatArray
    """Coefficients of the squared standard error, highest power first, shape ``(3,)``."""
    third: FloatArray
    """Coefficients of the sum of the cubed parts of the error, shape ``(4,)``."""

    @classmethod
    def of(cls, parts: FloatArray, *, skewed: bool) -> _Residuals:
        """Multiply out the parts of the error, ``e - shift * v`` for columns e and v."""
        e, v = parts.T
        third = np.array(
            [-np.sum(v**3), 3 * np.sum(e * v * v), -3 * np.sum(e * e * v), np.sum(e**3)]
        )
        return cls(
            second=np.array([np.sum(v * v), -2 * np.sum(e * v), np.sum(e * e)]),
            third=third if skewed else np.zeros(4),
        )

    def statistic(self, shifts: FloatArray) -> FloatArray:
        """Return Hall's statistic of the residuals' mean; positive below the estimated ratio."""
        variance = np.polyval(self.second, shifts)
        error = np.sqrt(np.where(variance > 0, variance, np.nan))
        t = -shifts / error
        r = np.polyval(self.third, shifts) / error**3
        corrected: FloatArray = t + r * t**2 / 3 + r**2 * t**3 / 27 + r / 6
        return np.where(np.isnan(error), -np.copysign(np.inf, shifts), corrected)

    def first_exit(self, critical: float, direction: int, farthest: float) -> float | None:
        """Return the nearest shift, away from 0, at which the statistic passes its quantile.

        None if there is none up to ``farthest``. Further away the statistic may come back: its
        numerator and its error grow alike, and the skewness of the residuals changes.
        """
        start = min(farthest, _NEAREST * float(np.sqrt(self.second[-1])))
        reach = np.minimum(np.append(0.0, start * _STEP ** np.arange(_POINTS - 1)), farthest)
        while not (outside := self._outside(reach, critical, direction)).any():
            if reach[-1] >= farthest:
                return None
            reach = np.minimum(reach[-1] * _STEP ** np.arange(_POINTS), farthest)
        for _ in range(_REFINEMENTS):
            first = max(1, int(np.argmax(outside)))
            reach = np.linspace(reach[first - 1], reach[first], _POINTS)
            outside = self._outside(reach, critical, direction)
        return direction * float(reach[np.argmax(outside)])

    def _outside(self, reach: FloatArray, critical: float, direction: int) -> BoolArray:
        """Say which shifts are refused."""
        found: BoolArray = direction * self.statistic(direction * reach) < -critical
        return found


def ratio_of_totals(a: FloatArray, b: FloatArray) -> float:
    """Return the ratio of the means."""
    return float(a.sum() / b.sum())


def ratio_interval(
    a: FloatArray, b: FloatArray, clusters: Labels | None, level: float, *, skewed: bool
) -> Interval | None:
    """Return the piece of Fieller's set that holds the estimated ratio.

    None where it has no upper end, where ``a`` is a multiple of ``b``, and for fewer than two
    items or clusters.

    Args:
        a: not negative, shape ``(n_items,)``.
        b: not negative, of the same items; not all 0.
        clusters: one label per item; None for independent items.
        level: nominal coverage.
        skewed: judge by Hall's skewness-corrected t rather than Student's.
    """
    check_probability(level, "level")
    ratio = ratio_of_totals(a, b)
    if np.abs(a - ratio * b).max() <= ROUNDING * a.max():
        return None
    # In units of the means, so that cubes of small costs do not vanish.
    b = b / b.mean()
    parts = error_parts(np.column_stack([a / a.mean() - b, b]), clusters)
    if parts is None or parts.standard_error <= ROUNDING:
        return None
    residuals = _Residuals.of(parts.values, skewed=skewed)
    critical = t_critical(level, parts.dof)
    up = residuals.first_exit(critical, 1, _FARTHEST)
    if up is None:
        return None
    # A ratio of what is not negative is at least 0.
    down = residuals.first_exit(critical, -1, 1.0)
    return Interval(0.0 if down is None else ratio * (1 + down), ratio * (1 + up), level)
