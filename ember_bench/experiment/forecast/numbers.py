"""The numbers of a forecast: ranges of calls and their cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ember_bench.experiment.forecast.rehearsal import Asked


class Range(msgspec.Struct, frozen=True):
    """The range of a number that depends on the models' answers.

    The most is over all casts; the fewest over those whose answers can be read.
    """

    low: float
    high: float


class CellForecast(msgspec.Struct, frozen=True):
    """The forecast of one cell.

    Attributes:
        trials: Items x epochs.
        calls: Calls that its trials use.
        shared: Those of them that a cell above it makes, or one of its own trials.
        stored: Those of the rest whose answers are in the response store.
        made: Those that are left: requests.
        expected_usd: Average cost of `made`; None if a price is unknown.
        worst_usd: Highest cost of `made`; None if a price is unknown or nothing limits it.
    """

    name: str
    label: str
    dataset: str
    simulated: bool
    trials: int
    calls: Range
    shared: Range
    stored: Range
    made: Range
    expected_usd: Range | None
    worst_usd: float | None


class Forecast(msgspec.Struct, frozen=True):
    """The forecast of an experiment; the numbers are sums over its cells and evaluations.

    Attributes:
        evaluations: Calls of judges, for each dataset whose evaluator asks any.
        assumptions: Assumptions of the numbers, as sentences.
        items: Number of items of each dataset.
        epochs: Number of times that each is asked.
        level: Confidence level of comparisons.
        shows: Differences that it can show, as sentences.
        search: What a search of it can do, as sentences.
    """

    name: str
    grid: str
    simulated: bool
    cells: list[CellForecast]
    trials: int
    calls: Range
    shared: Range
    stored: Range
    made: Range
    expected_usd: Range | None
    worst_usd: float | None
    assumptions: list[str]
    evaluations: list[CellForecast] = []
    items: dict[str, int] = {}
    epochs: int = 1
    level: float = 0.95
    shows: list[str] = []
    search: list[str] = []


@dataclass(slots=True)
class Tally:
    """Counts over the rehearsed trials of one cell with one cast, or of a dataset's judges."""

    calls: int = 0
    shared: int = 0
    stored: int = 0
    made: int = 0
    expected_usd: float | None = 0.0
    worst_usd: float | None = 0.0
    unpriced: set[str] = field(default_factory=set)
    unlimited: set[str] = field(default_factory=set)

    def add(self, call: Asked, *, shared: bool) -> None:
        """Count a call; one that is shared is made by another trial."""
        self.calls += 1
        self.shared += shared
        self.stored += call.known and not shared
        if shared or call.known:
            return
        self.made += 1
        self.expected_usd = _plus(self.expected_usd, call.expected_usd)
        self.worst_usd = _plus(self.worst_usd, call.worst_usd)
        if call.expected_usd is None:
            self.unpriced.add(call.model_id)
        elif call.worst_usd is None:
            self.unlimited.add(call.model_id)


def numbers_of(tallies: Sequence[Tally], scale: float) -> dict[str, Any]:
    """Return the numbers of a line of the plan, from its tallies in the order of `Cast`."""
    expected = [tally.expected_usd for tally in tallies]
    worst = [tally.worst_usd for tally in tallies]
    return {
        **{
            name: _counts([getattr(tally, name) for tally in tallies], scale)
            for name in ("calls", "shared", "stored", "made")
        },
        "expected_usd": None
        if None in expected
        else _range([e * scale for e in expected if e is not None]),
        "worst_usd": None if None in worst else max(w for w in worst if w is not None) * scale,
    }


def _plus(total: float | None, value: float | None) -> float | None:
    return None if total is None or value is None else total + value


def _range(values: Sequence[float]) -> Range:
    """Return the range of values in the order of `Cast`."""
    return Range(min(values[:2]), max(values))


def _counts(values: Sequence[int], scale: float) -> Range:
    return _range([round(value * scale) for value in values])


def range_sum(ranges: Iterable[Range]) -> Range:
    """Return the range of the sum of numbers."""
    found = list(ranges)
    return Range(sum(r.low for r in found), sum(r.high for r in found))
