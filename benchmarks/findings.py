"""What measurements find: targets met or missed, tables, and every sample behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Row:
    """One target.

    Attributes:
        met: None where it was not measured, or not at the size that the target is about.
        because: Why not.
    """

    measurement: str
    target: str
    value: str
    met: bool | None
    because: str = ""


@dataclass(frozen=True)
class Table:
    """Numbers side by side; every cell is text."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: str = ""


@dataclass(frozen=True)
class Failure:
    """What could not be measured, and why."""

    who: str
    what: str
    reason: str


@dataclass
class Findings:
    """What one measurement, or all of them, found."""

    rows: list[Row] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        """Take in what another measurement found."""
        self.rows += other.rows
        self.tables += other.tables
        self.samples += other.samples
        self.failures += other.failures


@dataclass(frozen=True)
class Spread:
    """Repeats of one number."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Return them as a spread; None if there are none."""
        return cls(tuple(values)) if values else None

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def most(self) -> float:
        return max(self.values)

    def show(self, unit: str = "", digits: int = 3) -> str:
        """Return the median, with the least and the most in brackets."""
        space = f" {unit}" if unit else ""
        if len(self.values) == 1:
            return f"{number(self.median, digits)}{space}"
        low, high = number(self.least, digits), number(self.most, digits)
        return f"{number(self.median, digits)}{space} [{low}, {high}]"


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many digits that mean something."""
    if value == 0 or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    shown = f"{value:.{digits}g}"
    return f"{value:f}"[: len(shown) + 8] if "e" in shown else shown


def ratios(ours: dict[int, float], theirs: dict[int, float]) -> Spread | None:
    """Return ours over theirs, each from one round: what changes between rounds changes both."""
    return Spread.of([ours[r] / theirs[r] for r in sorted(ours.keys() & theirs.keys())])
