"""A value with its interval, as files and tables have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from ember_bench import stats


class Quantity(msgspec.Struct, frozen=True):
    """A value with its interval, as files and tables have it; bounds are None if undefined."""

    value: float
    low: float | None
    high: float | None
    method: str

    @classmethod
    def of(cls, found: stats.Estimate) -> Quantity:
        """Return the value and the interval of an estimate."""
        return cls.with_interval(found.value, found.interval, found.method)

    @classmethod
    def with_interval(cls, value: float, interval: stats.Interval | None, method: str) -> Quantity:
        """Return a quantity from a value and an interval of `ember_bench.stats`."""
        low, high = (interval.low, interval.high) if interval is not None else (None, None)
        return cls(float(value), low, high, method)
