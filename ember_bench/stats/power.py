"""How many items a comparison needs, and what difference so many items can show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from ember_bench.stats._arrays import check_count, check_probability
from ember_bench.stats.intervals import t_critical

if TYPE_CHECKING:
    from collections.abc import Callable

    from ember_bench.stats._arrays import FloatArray, IntArray

_MOST_ITEMS = 10**8
_BISECTIONS = 50


def mcnemar_power(n: int, difference: float, discordance: float, *, alpha: float = 0.05) -> float:
    """Return the power of the exact two-sided McNemar test on n items.

    The number of items on which the cells differ is binomial (n, discordance), and among those
    the wins are binomial with probability (discordance + difference) / (2 discordance); both are
    summed over exactly (Connett, Smith & McHugh 1987, "Sample size and power for pair-matched
    case-control studies").

    Args:
        n: items.
        difference: of the two accuracies, between -discordance and discordance.
        discordance: share of items that exactly one of the two cells gets right.
        alpha: significance level.
    """
    check_count(n, "n")
    _check_discordance(difference, discordance)
    check_probability(alpha, "alpha")
    spread = 10 * math.sqrt(n * discordance * (1 - discordance)) + 10
    low = max(0, math.floor(n * discordance - spread))
    high = min(n, math.ceil(n * discordance + spread))
    differing = np.arange(low, high + 1)
    chances = _binomial(differing, n, discordance)
    most = np.floor(special.bdtrik(alpha / 2, np.maximum(differing, 1), 0.5))
    most -= special.bdtr(np.maximum(most, 0), differing, 0.5) > alpha / 2
    wins = (discordance + difference) / (2 * discordance)
    tails = sum(special.bdtr(np.maximum(most, 0), differing, p) for p in (wins, 1 - wins))
    return float(chances @ np.where(most >= 0, tails, 0.0))


def _binomial(k: IntArray, n: int, p: float) -> FloatArray:
    log_ways = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    chances: FloatArray = np.exp(log_ways + special.xlogy(k, p) + special.xlog1py(n - k, -p))
    return chances


def items_needed_paired(
    difference: float, discordance: float, *, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Return how many items the exact McNemar test needs to find a difference of accuracies.

    Two cells that agree on most items need few: only items on which they differ count. Arguments
    as in :func:`mcnemar_power`. For a family of m comparisons take ``alpha`` / m.

    Raises:
        ValueError: no difference, or more of it than discordance.
    """
    _check_discordance(difference, discordance)
    _check_difference(difference)
    check_probability(power, "power")
    return _smallest(lambda n: mcnemar_power(n, difference, discordance, alpha=alpha) >= power)


def detectable_difference_paired(
    n: int, discordance: float, *, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the smallest difference of accuracies that n items show with this power.

    None where even cells that differ in one direction only would not be told apart. Arguments as
    in :func:`mcnemar_power`.
    """
    check_probability(power, "power")

    def enough(difference: float) -> bool:
        return mcnemar_power(n, difference, discordance, alpha=alpha) >= power

    return _crossing(enough, 0.0, discordance)


def items_needed_mean(
    difference: float, standard_deviation: float, *, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Return how many items a paired t-test needs, for scores with partial credit.

    By the noncentral t distribution (Cohen 1988, "Statistical Power Analysis", chapter 2).

    Args:
        difference: of the mean scores.
        standard_deviation: of the items' differences.
        power: wanted.
        alpha: significance level, two-sided.
    """
    _check_difference(difference)
    _check_deviation(standard_deviation)
    check_probability(power, "power")
    check_probability(alpha, "alpha")
    effect = abs(difference) / standard_deviation
    return _smallest(lambda n: n >= 2 and _t_power(n, effect, alpha) >= power)


def detectable_difference_mean(
    n: int, standard_deviation: float, *, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the smallest difference of mean scores that a paired t-test on n items shows.

    None where even a difference of 1 would not be shown. Arguments as in
    :func:`items_needed_mean`.
    """
    check_count(n, "n", least=2)
    _check_deviation(standard_deviation)
    check_probability(power, "power")
    check_probability(alpha, "alpha")

    def enough(difference: float) -> bool:
        return _t_power(n, difference / standard_deviation, alpha) >= power

    return _crossing(enough, 0.0, 1.0)


def _t_power(n: int, effect: float, alpha: float) -> float:
    """Return the power of the t-test for a difference of ``effect`` standard deviations."""
    shift, critical = effect * math.sqrt(n), t_critical(1 - alpha, n - 1)
    found = float(1 - special.nctdtr(n - 1, shift, critical))
    if math.isnan(found):  # far beyond what it can compute, where the normal distribution is exact
        return float(special.ndtr(shift - critical))
    return found


def items_needed_unpaired(
    p_a: float, p_b: float, *, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Return how many items each of two cells needs if they do not share items.

    (z_{1 - alpha/2} sqrt(2 p q) + z_power sqrt(p_a q_a + p_b q_b))^2 / (p_a - p_b)^2 with
    p = (p_a + p_b) / 2: Fleiss, Levin & Paik 2003, "Statistical Methods for Rates and
    Proportions", equation (4.14).
    """
    check_probability(p_a, "p_a")
    check_probability(p_b, "p_b")
    _check_difference(p_a - p_b)
    return math.ceil(_unpaired(p_a, p_b, power, alpha))


def detectable_difference_unpaired(
    n: int, p: float, *, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the smallest gain over accuracy ``p`` that n items in each of two cells show.

    None where even an accuracy of 1 would not be told apart.
    """
    check_count(n, "n")
    check_probability(p, "p")
    return _crossing(lambda gain: _unpaired(p + gain, p, power, alpha) <= n, 1e-12, 1 - p)


def _unpaired(p_a: float, p_b: float, power: float, alpha: float) -> float:
    z_alpha = float(special.ndtri(1 - check_probability(alpha, "alpha") / 2))
    z_power = float(special.ndtri(check_probability(power, "power")))
    mean = (p_a + p_b) / 2
    null = math.sqrt(2 * mean * (1 - mean))
    other = math.sqrt(max(0.0, p_a * (1 - p_a) + p_b * (1 - p_b)))
    return float(((z_alpha * null + z_power * other) / (p_a - p_b)) ** 2)


def _smallest(enough: Callable[[int], bool]) -> int:
    """Return the least n that is enough, what is enough taken to stay so."""
    high = 1
    while not enough(high):
        high *= 2
        if high > _MOST_ITEMS:
            raise ValueError(f"the difference needs more than {_MOST_ITEMS} items")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


def _crossing(enough: Callable[[float], bool], low: float, high: float) -> float | None:
    if not enough(high):
        return None
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


def _check_discordance(difference: float, discordance: float) -> None:
    if not 0 < discordance <= 1:
        raise ValueError(f"discordance must lie in (0, 1], not {discordance}")
    if abs(difference) > discordance:
        raise ValueError(
            f"cells that differ on a share {discordance} of items cannot differ by {difference}"
        )


def _check_deviation(standard_deviation: float) -> None:
    if standard_deviation <= 0:
        raise ValueError(f"standard_deviation must be positive, not {standard_deviation}")


def _check_difference(difference: float) -> None:
    if difference == 0:
        raise ValueError("no number of items shows a difference of zero")
