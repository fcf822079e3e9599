"""The speed of a run over the last minute, and the time that is left at it."""

from __future__ import annotations

from collections import deque
from typing import Final

from ember_bench import stats
from ember_bench.drawing.number_format import duration
from ember_bench.experiment.results.figures import Quantity

_WINDOW_SECONDS: Final = 60.0
_APART_SECONDS: Final = 1.0


class Rate:
    """Readings of what was done, those of the last minute.

    Attributes:
        readings: Time, trials done and requests made of each; at least two are kept, however old.
    """

    def __init__(self) -> None:
        self.readings: deque[tuple[float, int, int]] = deque()

    def read(self, now: float, done: int, calls: int) -> None:
        """Keep a reading; one that follows another at once takes its place.

        Args:
            now: The time in seconds, not before that of the last reading.
            done: Trials done.
            calls: Requests made.
        """
        kept = self.readings
        if kept and (done < kept[-1][1] or calls < kept[-1][2]):
            kept.clear()  # results were taken away or made anew
        if len(kept) > 1 and now - kept[-2][0] < _APART_SECONDS:
            kept.pop()
        if not kept or now > kept[-1][0]:
            kept.append((now, done, calls))
        while len(kept) > 2 and kept[1][0] <= now - _WINDOW_SECONDS:
            kept.popleft()

    @property
    def calls_per_second(self) -> float | None:
        """Requests a second; None if unknown, as in the first second."""
        if not self.readings:
            return None
        (begun, _, before), (now, _, made) = self.readings[0], self.readings[-1]
        return (made - before) / (now - begun) if now - begun >= _APART_SECONDS else None

    def seconds_left(self, trials: int, level: float = 0.95) -> Quantity | None:
        """Return how long so many further trials take, with an interval of prediction.

        None if that is unknown, or no trial is left.

        Args:
            trials: The number of trials left.
            level: The coverage of the interval.
        """
        if trials < 1 or len(self.readings) < 2:
            return None
        times, done, _ = zip(*self.readings, strict=True)
        found = stats.time_left(times, done, trials, level=level)
        return None if found is None else Quantity.of(found)


def time_left_text(left: Quantity) -> str:
    """Return a time left with its interval: `3 min 20 s [2 min 50 s, 4 min 2 s]`."""
    text = duration(left.value)
    if left.low is None or left.high is None:
        return text
    return f"{text} [{duration(left.low)}, {duration(left.high)}]"
