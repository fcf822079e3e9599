"""Numbers as people read them; what is undefined is a dash."""

from __future__ import annotations

import math
from typing import Final

from ember_bench.experiment.results.summary import Estimate

UNDEFINED: Final = "\N{EN DASH}"

_SIGNIFICANT: Final = 3
_MOST_DECIMALS: Final = 9


def percent(value: float | None) -> str:
    """Return a share in percent, to one decimal."""
    return UNDEFINED if value is None else f"{100 * value:.1f}"


def points(value: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    text = f"{100 * value:+.1f}"
    return "0.0" if float(text) == 0 else text


def seconds(value: float | None) -> str:
    """Return seconds, to three significant digits."""
    return UNDEFINED if value is None else f"{value:,.{_decimals(value)}f}"


def duration(value: float) -> str:
    """Return a time span: `0.8 s`, `42 s`, `3 min 20 s`, `2 h 5 min`."""
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def dollars(value: float | None, like: float | None = None) -> str:
    """Return an amount of US dollars, to three significant digits of `like`, else of itself."""
    if value is None:
        return UNDEFINED
    return f"${value:,.{_cents(value if like is None else like)}f}"


def interval(estimate: Estimate | None, show: str) -> str:
    """Return `[low, high]`; `show` is `percent`, `points` or `dollars`."""
    if estimate is None:
        return ""
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        return f"[{UNDEFINED}]"
    if show == "dollars":
        decimals = _cents(estimate.value)
        return f"[{low:,.{decimals}f}, {high:,.{decimals}f}]"
    written = points if show == "points" else percent
    return f"[{written(low)}, {written(high)}]"


def p_value(value: float | None) -> str:
    """Return a p-value to three decimals."""
    if value is None:
        return UNDEFINED
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def count(number: int, noun: str) -> str:
    """Return `1 item`, `1,319 items`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _decimals(value: float) -> int:
    """Return how many decimals show three significant digits."""
    if value == 0 or not math.isfinite(value):
        return 0
    return min(max(_SIGNIFICANT - 1 - math.floor(math.log10(abs(value))), 0), _MOST_DECIMALS)


def _cents(value: float) -> int:
    """Return how many decimals an amount is shown with: two, or three significant digits."""
    return 0 if value == 0 else max(2, _decimals(value))
