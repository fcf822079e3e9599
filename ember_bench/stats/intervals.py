"""Intervals of a proportion and of a mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy import special

from ember_bench.stats._arrays import check_probability, vector

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray

ProportionMethod: TypeAlias = Literal["wilson", "clopper-pearson"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, ends included, in the unit of what it is of."""

    low: float
    high: float
    level: float
    """The nominal coverage, such as 0.95."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with what is known of its error."""

    value: float
    interval: Interval | None
    """None where the data do not say how far off the value may be."""
    standard_error: float | None
    """None for a single item, and where the method has no use for one."""
    n: int
    """How many items the value rests on."""
    method: str
    """How the interval was made, such as ``"wilson"``."""


def normal_critical(level: float) -> float:
    """Return z with probability ``level`` between -z and z."""
    check_probability(level, "level")
    return float(special.ndtri((1 + level) / 2))


def t_critical(level: float, dof: float) -> float:
    """Return t with probability ``level`` between -t and t at ``dof`` degrees of freedom."""
    check_probability(level, "level")
    return float(special.stdtrit(dof, (1 + level) / 2))


def proportion(
    successes: float, n: int, *, level: float = 0.95, method: ProportionMethod = "wilson"
) -> Estimate | None:
    """Estimate a proportion; None without items.

    Wilson's interval is the default: its coverage is near ``level`` on average and it keeps
    inside [0, 1] with a width above zero when all or none succeed, where the textbook
    interval does neither (Brown, Cai & DasGupta 2001, "Interval estimation for a binomial
    proportion"). Clopper-Pearson covers at least ``level`` for every proportion, and is wider.
    """
    if n == 0:
        return None
    bounds = clopper_pearson_interval if method == "clopper-pearson" else wilson_interval
    share = successes / n
    return Estimate(
        value=share,
        interval=bounds(successes, n, level=level),
        standard_error=float(np.sqrt(share * (1 - share) / n)),
        n=n,
        method=method,
    )


def wilson_interval(successes: float, n: float, *, level: float = 0.95) -> Interval | None:
    """Return the score interval of a proportion; None without items.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference"; Brown,
    Cai & DasGupta 2001, equation (4). Neither argument need be whole: an effective sample size
    serves as well.

    Raises:
        ValueError: ``successes`` is not between 0 and ``n``.
    """
    _check_successes(successes, n)
    if n == 0:
        return None
    return score_bounds(successes / n, n, normal_critical(level), level)


def score_bounds(share: float, n: float, critical: float, level: float) -> Interval:
    """Solve ``|share - p| = critical * sqrt(p (1 - p) / n)`` for p."""
    shrink = 1 + critical**2 / n
    centre = (share + critical**2 / (2 * n)) / shrink
    half = critical / shrink * np.sqrt(share * (1 - share) / n + (critical / (2 * n)) ** 2)
    # At the ends of the scale one bound is the end itself, but for rounding.
    low = 0.0 if share == 0 else max(0.0, float(centre - half))
    high = 1.0 if share == 1 else min(1.0, float(centre + half))
    return Interval(low, high, level)


def clopper_pearson_interval(successes: float, n: int, *, level: float = 0.95) -> Interval | None:
    """Return the exact interval of a proportion; None without items.

    Clopper & Pearson 1934; the beta form is Brown, Cai & DasGupta 2001, section 4.2.1.

    Raises:
        ValueError: ``successes`` is not a whole number between 0 and ``n``.
    """
    _check_successes(successes, n)
    check_probability(level, "level")
    if successes != int(successes):
        raise ValueError(f"the exact interval counts whole successes, not {successes}")
    if n == 0:
        return None
    return exact_bounds(successes / n, n, level)


def exact_bounds(share: float, n: float, level: float) -> Interval:
    """Solve for the p at which a share as high, or as low, has probability (1 - ``level``) / 2."""
    tail, successes, failures = (1 - level) / 2, share * n, (1 - share) * n
    low = special.betaincinv(successes, failures + 1, tail) if successes > 0 else 0.0
    high = special.betaincinv(successes + 1, failures, 1 - tail) if failures > 0 else 1.0
    return Interval(float(low), float(high), level)


def _check_successes(successes: float, n: float) -> None:
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n = {n}, not {successes}")


def standard_error(values: npt.ArrayLike) -> float | None:
    """Return the standard error of the mean of independent values; None for fewer than two."""
    x = vector(values, "values")
    if x.size < 2:
        return None
    if all_equal(x):
        return 0.0
    return float(x.std(ddof=1) / np.sqrt(x.size))


def all_equal(x: FloatArray) -> bool:
    """Say whether there is no spread at all, which rounding of the mean would hide."""
    return x.size == 0 or bool(x.min() == x.max())
