"""The time that the rest of a count takes, at the rate so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ember_bench.stats._arrays import check_probability, vector
from ember_bench.stats.intervals import Estimate, Interval

if TYPE_CHECKING:
    import numpy.typing as npt


def time_left(
    times: npt.ArrayLike, done: npt.ArrayLike, left: int, *, level: float = 0.95
) -> Estimate | None:
    """Predict the time until ``left`` further events, at the rate of those that were counted.

    None if none was counted between the first time and the last. The interval is one of
    prediction: of n events in the time t, and m that are left in T, the ratio of the mean waits,
    (T / m) / (t / n), has the distribution F(2 m, 2 n) where events come independently at a
    constant rate (Nelson 1982, "Applied Life Data Analysis", on predictions from the exponential
    distribution). Events that come in bursts count for fewer: n and m are divided by their
    dispersion, Pearson's chi-squared of the counts between readings over its degrees of freedom
    (McCullagh & Nelder 1989, "Generalized Linear Models", section 6.2.3), where that is above 1.
    A rate that changes later is not foreseen.

    Args:
        times: shape ``(n_readings,)``, ascending; seconds or any unit, which is that of the result.
        done: shape ``(n_readings,)``, the number of events until each of them.
        left: the number of events that are left, above 0.
        level: the coverage.

    Raises:
        ValueError: arrays of unequal length, times or counts that go back, or nothing left.
    """
    at, count = vector(times, "times"), vector(done, "done")
    check_probability(level, "level")
    if at.size != count.size:
        raise ValueError(f"times and done must be of one length, not {at.size} and {count.size}")
    if left < 1:
        raise ValueError(f"left must be above 0, not {left}")
    waits, events = np.diff(at), np.diff(count)
    if np.any(waits <= 0) or np.any(events < 0):
        raise ValueError("times must ascend, and done must not go back")
    n = float(events.sum())
    if n == 0:
        return None
    mean = float(waits.sum()) / n
    expected = waits / mean
    dof = events.size - 1
    dispersion = float(np.sum((events - expected) ** 2 / expected)) / dof if dof else 1.0
    dispersion = max(1.0, dispersion)
    tail = (1 - level) / 2
    low, high = special.fdtri(2 * left / dispersion, 2 * n / dispersion, [tail, 1 - tail])
    value = mean * left
    return Estimate(
        value=value,
        interval=Interval(float(value * low), float(value * high), level),
        standard_error=None,
        n=int(n),
        method="F prediction",
    )
