"""Axes of charts, their ticks, and free places for names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ember_bench.experiment.results.figures import Quantity

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""

_NEAR: Final = 3
"""The axis is linear if no value is larger than this many times the smallest."""
_NAME_HEIGHT: Final = 12.0
_STEP: Final = 4
_NEAREST: Final = 5.0


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values to pixels.

    Attributes:
        low: The smallest value that is shown.
        high: The largest.
        start: Pixel of `low`.
        end: Pixel of `high`.
        log: Whether it is logarithmic; then `low` must be positive.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of `value`, or the nearest there is."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        share = (self._scaled(value) - low) / (high - low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.log else value

    def ticks(self) -> list[float]:
        """Return round values, some five of them."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            steps = (1, 2, 5) if last - first <= 3 else (1,)
            found = [m * 10.0**e for e in range(first, last + 1) for m in steps]
        else:
            rough = (self.high - self.low) / 6
            unit = 10.0 ** math.floor(math.log10(rough))
            step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= rough * 0.999)
            first = math.ceil(self.low / step - 1e-9)
            found = [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [tick for tick in found if self.low * 0.9999 <= tick <= self.high * 1.0001]


def accuracy_axis(found: Sequence[Quantity], start: float, end: float) -> Axis:
    """Return an axis that has room for accuracies and their intervals."""
    ends = [bound for estimate in found for bound in bounds(estimate)]
    room = max(0.02, 0.06 * (max(ends) - min(ends)))
    return Axis(max(0.0, min(ends) - room), min(1.0, max(ends) + room), start, end)


def positive_axis(found: Sequence[Quantity], start: float, end: float) -> Axis:
    """Return an axis for costs or times with their intervals; logarithmic if they are far apart."""
    values = [estimate.value for estimate in found]
    ends = [bound for estimate in found for bound in bounds(estimate)]
    if min(values) > 0 and max(values) > _NEAR * min(values):
        low = max(min(ends), min(values) / 3)
        return Axis(low / 1.25, max(ends) * 1.25, start, end, log=True)
    return Axis(min(0.0, *ends), (max(ends) or 1.0) * 1.08, start, end)


def bounds(estimate: Quantity) -> tuple[float, float, float]:
    """Return the lower bound, the value and the upper bound; the value for those undefined."""
    low = estimate.value if estimate.low is None else estimate.low
    high = estimate.value if estimate.high is None else estimate.high
    return low, estimate.value, high


def nearest_room(
    width: float, x: float, y: float, frame: Box, taken: list[Box], reach: int
) -> tuple[float, float] | None:
    """Return the middle of the free place for a name that is nearest to its point.

    Args:
        width: Width of the name.
        x: Pixel of the point.
        y: Pixel of the point.
        frame: The box that the name must stay in.
        taken: The boxes that it must not cover; its own is added.
        reach: The greatest distance from the point, in pixels.

    Returns:
        None if there is no such place within `reach`.
    """
    middles = np.add(_offsets(round(width), reach), (x, y))
    left, top = (middles - (width / 2, _NAME_HEIGHT / 2)).T
    right, bottom = left + width, top + _NAME_HEIGHT
    free = (left >= frame[0]) & (top >= frame[1]) & (right <= frame[2]) & (bottom <= frame[3])
    around = left.min(), top.min(), right.max(), bottom.max()
    for box in taken:
        if _overlap(box, around):
            free &= (left >= box[2]) | (right <= box[0]) | (top >= box[3]) | (bottom <= box[1])
    if not free.any():
        return None
    px, py = middles[free.argmax()].tolist()
    taken.append(_name_box(px, py, width))
    return px, py


@lru_cache(maxsize=64)
def _offsets(width: int, reach: int) -> NDArray[np.float64]:
    """Return where the middle of a name may be beside its point, the nearest first."""

    def distance(offset: tuple[float, float]) -> tuple[float, bool, bool]:
        across, up = offset
        aside, above = abs(across) - width / 2, abs(up) - _NAME_HEIGHT / 2
        # Of places that are as near, the one on the right, and above, is the usual one.
        apart = math.hypot(max(aside, _NEAREST), max(above, _NEAREST))
        return apart, across < 0, up > 0

    half = width // 2 + reach
    found = [
        (float(across), float(up))
        for across in range(-half, half + 1, _STEP)
        for up in range(-reach, reach + 1, _STEP)
    ]
    return np.array(sorted(found, key=distance))


def _name_box(x: float, y: float, width: float) -> Box:
    return x - width / 2, y - _NAME_HEIGHT / 2, x + width / 2, y + _NAME_HEIGHT / 2


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
