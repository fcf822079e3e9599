"""Latency by the number of requests in flight, and the number beyond which more are of no use.

A server that works on all its requests at once answers each in the same time, however many there
are. A server that queues them answers no more a second when more are in flight: by Little's law
(Little 1961) latency then grows in proportion to their number. TCP Vegas (Brakmo and Peterson 1995)
and the gradient limits of Netflix's concurrency-limits tell the two apart by the least latency ever
seen, which says little of answers whose lengths differ by a factor of 20. Here the means of the
logarithms are compared between octaves of the number in flight, with their standard errors.
"""

from __future__ import annotations

import math
from typing import Final

# The lowest octave has 1 to 4 requests, the next ones up to 8, 16, ...
_LOWEST: Final = 4
# An octave is compared with the two above it: over more, something else may have changed.
_ABOVE: Final = 2
_LEAST_SAMPLES: Final = 4
_MEMORY: Final = 16
# Latency grows as this power of the number in flight, at least, where throughput does not grow.
_SATURATED: Final = 0.7
# So many standard errors, and more where few samples say how large those are.
_STANDARD_ERRORS: Final = 3.0
_FEW: Final = 4
# A queue of less than this does no harm, and is mostly one of this machine's own.
_TOLERATED_SECONDS: Final = 1.0
# Samples are forgotten when so many times as many requests were sent as the octave has at most.
_LASTS: Final = 20


class _Octave:
    """Means over the latest samples of one octave.

    Args:
        highest: Most requests in flight.

    Attributes:
        highest: The same.
        count: Samples.
        number: Mean logarithm of the requests in flight.
        latency: Mean logarithm of the seconds.
        variance: Of that logarithm.
        sent: Requests that had been sent when the latest sample came.
    """

    __slots__ = ("count", "highest", "latency", "number", "sent", "variance")

    def __init__(self, highest: int) -> None:
        self.highest = highest
        self.count = self.sent = 0
        self.number = self.latency = self.variance = 0.0

    def add(self, number: float, latency: float, sent: int) -> None:
        self.count = min(self.count + 1, _MEMORY)
        share = 1 / self.count
        difference = latency - self.latency
        self.latency += share * difference
        self.variance = (1 - share) * (self.variance + share * difference**2)
        self.number += share * (number - self.number)
        self.sent = sent

    def age(self, sent: int) -> float:
        """Return the age of the latest sample as a share of the age at which it is forgotten."""
        return (sent - self.sent) / (_LASTS * self.highest)

    @property
    def margin(self) -> float:
        """The squared margin of error of the mean latency."""
        errors = _STANDARD_ERRORS * (1 + _FEW / self.count)
        return errors**2 * self.variance / (self.count - 1)


class LatencyCurve:
    """The latency of one server by the number of requests in flight when each was sent."""

    def __init__(self) -> None:
        self._octaves: list[_Octave] = []

    def add(self, in_flight: int, seconds: float, sent: int) -> None:
        """Count one answer.

        Args:
            in_flight: Requests in flight when it was asked for, its own among them.
            seconds: That it took.
            sent: Requests sent so far.
        """
        index = max(0, (in_flight - 1).bit_length() - _LOWEST.bit_length() + 1)
        octaves = self._octaves
        while len(octaves) <= index:
            octaves.append(_Octave(_LOWEST << len(octaves)))
        if octaves[index].age(sent) > 1:
            octaves[index] = _Octave(_LOWEST << index)
        octaves[index].add(math.log(in_flight), math.log(max(seconds, _TOLERATED_SECONDS)), sent)

    def useful(self, sent: int) -> int | None:
        """Return the number of requests in flight beyond which throughput does not grow.

        It is the server's own number or more: 8 at least. Now and then it is halved, so that the
        latency below it is measured again. None if no such number is known.
        """
        for index, octave in enumerate(self._octaves):
            if self._is_saturated(index, sent):
                return octave.highest if octave.age(sent) > 1 / 2 else 2 * octave.highest
        return None

    def _is_saturated(self, index: int, sent: int) -> bool:
        """Whether throughput does not grow beyond an octave."""
        below, above = self._octaves[index], self._octaves[index + 1 : index + 1 + _ABOVE]
        above = [o for o in above if o.count >= _LEAST_SAMPLES and o.age(sent) <= 1]
        if not above or below.count < _LEAST_SAMPLES or below.age(sent) > 1:
            return False
        samples = sum(octave.count for octave in above)
        number = sum(octave.count * octave.number for octave in above) / samples
        latency = sum(octave.count * octave.latency for octave in above) / samples
        margin = sum(octave.count**2 * octave.margin for octave in above) / samples**2
        growth = latency - below.latency
        proportional = _SATURATED * (number - below.number)
        return growth > max(proportional, math.sqrt(margin + below.margin))
