"""What part of the whole a node takes: of cost, of tokens, of latency."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ember_bench.stats._arrays import not_negative, same_length, vector
from ember_bench.stats.costs import cost_ratio
from ember_bench.stats.intervals import Estimate, Interval

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import Labels

# Sums of the same numbers in another order differ by less, relative to their size.
_ROUNDING = 1e-9


def share(
    part: npt.ArrayLike,
    whole: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate what share of the whole a part takes over all items: total part over total whole.

    A ratio of means of paired values, with :func:`cost_ratio`'s interval cut to [0, 1]. None if
    the whole is nothing; the interval is None where the share is the same for all items.

    Args:
        part: shape ``(n_items,)``, in usd, seconds or tokens, not negative.
        whole: of the same items, same unit.
        clusters: one label per item.
        level: nominal coverage.

    Raises:
        ValueError: arrays of different length, negative values, or a part larger than its whole.
    """
    inner = not_negative(vector(part, "part"), "part")
    outer = not_negative(vector(whole, "whole"), "whole")
    same_length(inner, outer, "part and whole")
    if np.any(inner > outer * (1 + _ROUNDING)):
        raise ValueError("a part is larger than its whole")
    if inner.sum() == 0 and outer.sum() > 0:
        return Estimate(0.0, None, None, outer.size, "none")
    found = cost_ratio(inner, outer, clusters=clusters, level=level)
    if found is None:
        return None
    interval = found.interval
    if interval is not None:
        interval = Interval(max(0.0, interval.low), min(1.0, interval.high), level)
    return replace(found, value=min(1.0, found.value), interval=interval)


def critical_path(started: npt.ArrayLike, durations: npt.ArrayLike) -> list[int]:
    """Return the indices of the calls that a trial's latency is made of, first to last.

    From the call that ends last, back to the one that ended when it began, and so on to the
    start. Their durations sum to the latency where calls are all that takes time. Of calls
    that end together the longest is taken, then the first.

    Args:
        started: when each call began, in seconds of the trial's clock, shape ``(n_calls,)``.
        durations: how long each took, in seconds.
    """
    begin = not_negative(vector(started, "started"), "started")
    length = not_negative(vector(durations, "durations"), "durations")
    same_length(begin, length, "started and durations")
    end = begin + length
    path: list[int] = []
    left = set(range(begin.size))
    latest = float(end.max(initial=0.0))
    while left:
        margin = _ROUNDING * max(1.0, latest)
        before = [call for call in left if end[call] <= latest + margin]
        if not before:
            break
        last = max(end[call] for call in before)
        call = max((c for c in before if end[c] >= last - margin), key=lambda c: (length[c], -c))
        path.append(call)
        left -= {other for other in left if end[other] > begin[call] + margin} | {call}
        latest = float(begin[call])
    return path[::-1]
