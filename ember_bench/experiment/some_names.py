"""Things of one kind in a sentence: their number, and the first few names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_SHOWN: Final = 3


class Some:
    """The number of things of one kind, and the first few names."""

    def __init__(self, noun: str, names: Iterable[str] = ()) -> None:
        self.noun = noun
        self.count = 0
        self.first: list[str] = []
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(name)

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        if self.count == 1:
            return f"{self.noun} {self.first[0]}"
        shown = ", ".join(self.first) + (", ..." if self.count > len(self.first) else "")
        return f"{self.count:,} {self.noun}s ({shown})"
