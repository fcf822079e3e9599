"""Seeded random numbers that are the same on every platform and in every Python version."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from hashlib import _Hash

T = TypeVar("T")

_SIZE = 1 << 64
_MASK = _SIZE - 1


class SplitMix:
    """SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").

    `random.Random` promises the same stream across versions for `random()` only, not for
    `randrange`, `choice` and `shuffle`; a benchmark's items must never change.
    """

    __slots__ = ("_state",)

    def __init__(self, *seed: object) -> None:
        self._state = _state_of(sha256("\0".join(map(str, seed)).encode()))

    @classmethod
    def streams(cls, *seed: object) -> Callable[[int], SplitMix]:
        """Return what makes `SplitMix(*seed, number)`, quickly for many numbers."""
        begun = sha256("".join(f"{part}\0" for part in seed).encode())

        def stream(number: int) -> SplitMix:
            hashed = begun.copy()
            hashed.update(str(number).encode())
            made = cls.__new__(cls)
            made._state = _state_of(hashed)
            return made

        return stream

    def next64(self) -> int:
        """Return the next 64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def between(self, low: int, high: int) -> int:
        """Return an integer from `low` to `high`, both included, without modulo bias."""
        span = high - low + 1
        if not 0 < span <= _MASK:
            raise ValueError(f"no integers from {low} to {high}, or too many")
        while True:
            # `next64`, here as most of what is generated is numbers between two others.
            self._state = z = (self._state + 0x9E3779B97F4A7C15) & _MASK
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
            bits = z ^ (z >> 31)
            rest = bits % span
            # Above the last whole multiple of `span` the small numbers would come more often.
            if bits - rest + span <= _SIZE:
                return low + rest

    def choice(self, options: Sequence[T]) -> T:
        """Return one of `options`."""
        return options[self.between(0, len(options) - 1)]

    def shuffled(self, values: Iterable[T]) -> list[T]:
        """Return `values` in random order (Fisher and Yates)."""
        shuffled = list(values)
        for i in range(len(shuffled) - 1, 0, -1):
            j = self.between(0, i)
            shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
        return shuffled


def _state_of(hashed: _Hash) -> int:
    return int.from_bytes(hashed.digest()[:8], "big")
