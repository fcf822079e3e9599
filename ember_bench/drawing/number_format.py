"""Numbers as readable text; undefined values are a dash."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ember_bench.experiment.results.figures import Quantity

UNDEFINED: Final = "\N{EN DASH}"

_SIGNIFICANT: Final = 3
_MOST_DECIMALS: Final = 9
# US dollars: below them, costs are given for more items.
_LEAST_PER_ITEM: Final = 0.1
_LEAST: Final = 0.01
# Means of the same scores in another order differ by less.
_ROUNDING: Final = 1e-12
# No two systems differ by less on a million items.
_LEAST_SHARE: Final = 1e-6


def percent(value: float | None) -> str:
    """Return a share in percent, to one decimal."""
    if value is None:
        return UNDEFINED
    text = f"{100 * value:.1f}"
    return "0.0" if text == "-0.0" else text


def share(value: float | None) -> str:
    """Return a probability in percent, without decimals."""
    return UNDEFINED if value is None else f"{100 * value:.0f} %"


def times(ratio: Quantity | None) -> str:
    """Return a ratio to three significant digits: `4.2x`."""
    return UNDEFINED if ratio is None else f"{ratio.value:.3g}x"


def points(value: float) -> str:
    """Return a difference of shares in percentage points, with its sign, to one decimal.

    A difference that would round to 0 has one significant digit, `-0.03`. One that no number of
    items shows is `<0`: the end of an interval that lies below 0. Only equal shares are `0.0`.
    """
    if abs(value) < _ROUNDING:
        return "0.0"
    text = f"{100 * value:+.1f}"
    if text.strip("+-0."):
        return text
    if abs(value) < _LEAST_SHARE:
        return "<0" if value < 0 else ">0"
    return f"{100 * value:+.1g}"


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


@dataclass(frozen=True, slots=True)
class Unit:
    """The number of items that costs in US dollars are given for, one for a whole table.

    Attributes:
        items: Number of items.
        decimals: Number of decimals; None for three significant digits of each value.
    """

    items: int
    decimals: int | None = None

    @classmethod
    def of(cls, costs: Iterable[float | None]) -> Unit:
        """Return the unit in which the least of these costs (US dollars per item) has two digits.

        Costs of 0, and unknown ones, do not count.
        """
        least = min((cost for cost in costs if cost), default=None)
        if least is None:
            return cls(1)
        if least >= _LEAST_PER_ITEM:
            return cls(1, 2)
        for items in (1_000, 1_000_000):
            if least * items >= _LEAST:
                return cls(items, 2 if least * items >= 10 * _LEAST else 3)
        return cls(1_000_000)

    @property
    def name(self) -> str:
        """`item`, `1,000` or `1,000,000`."""
        return "item" if self.items == 1 else f"{self.items:,}"

    @property
    def per(self) -> str:
        """`per item`, `per 1,000 items` or `per 1,000,000 items`."""
        return "per item" if self.items == 1 else f"per {self.name} items"

    def dollars(self, cost: float) -> str:
        """Return a cost in US dollars per item as an amount in this unit, without a sign."""
        amount = cost * self.items
        if not amount:
            return "0"
        decimals = _cents(amount) if self.decimals is None else self.decimals
        return f"{amount:,.{decimals}f}"

    def interval(self, estimate: Quantity | None) -> str:
        """Return `[low, high]` in this unit."""
        if estimate is None:
            return ""
        low, high = estimate.low, estimate.high
        if low is None or high is None:
            return f"[{UNDEFINED}]"
        return f"[{self.dollars(low)}, {self.dollars(high)}]"


def interval(estimate: Quantity | None, show: str) -> str:
    """Return `[low, high]`; `show` is `percent` or `points`."""
    if estimate is None:
        return ""
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        return f"[{UNDEFINED}]"
    written = points if show == "points" else percent
    return f"[{written(low)}, {written(high)}]"


def in_percent(estimate: Quantity | None) -> str:
    """Return a share with its interval: `84.0 % [81.6, 86.1]`."""
    return _with_interval(estimate, percent, " %")


def tick_text(value: float) -> str:
    """Return a number of an axis: three significant digits, and all before the point."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def in_short(estimate: Quantity | None) -> str:
    """Return a value with its interval, each to three significant digits, however small."""
    return _with_interval(estimate, tick_text)


def _with_interval(estimate: Quantity | None, show: Callable[[float], str], unit: str = "") -> str:
    if estimate is None:
        return UNDEFINED
    text = f"{show(estimate.value)}{unit}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{show(estimate.low)}, {show(estimate.high)}]"


def p_value(value: float | None) -> str:
    """Return a p-value to three decimals."""
    if value is None:
        return UNDEFINED
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def count(number: int, noun: str) -> str:
    """Return `1 item`, `1,319 items`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _decimals(value: float) -> int:
    """Return the number of decimals for three significant digits."""
    if value == 0 or not math.isfinite(value):
        return 0
    return min(max(_SIGNIFICANT - 1 - math.floor(math.log10(abs(value))), 0), _MOST_DECIMALS)


def _cents(value: float) -> int:
    """Return the number of decimals of an amount: two, or for three significant digits."""
    return 0 if value == 0 else max(2, _decimals(value))
