"""The columns of the table of systems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET

from ember_bench.drawing import number_format
from ember_bench.drawing.number_format import UNDEFINED, Unit, interval, percent
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import CellSummary
from ember_bench.report.columns import Column

BETTER: Final = "better"
WORSE: Final = "worse"
UNCLEAR: Final = "no clear difference"
SAME: Final = "same calls"

USUAL_COLUMNS: Final = ("accuracy", "cost", "correct", "latency", "difference", "p", "result")
"""The columns that are shown if none are named."""
COMPARED: Final = frozenset({"difference", "difference_interval", "p", "result"})
"""Those that compare a system with the baseline."""
SAID_ONCE: Final = frozenset({"cost", "correct", "latency"})
"""Those that are said in words where all systems have the same."""

RANKS: Final = (
    "Rank: between which ranks the system lies, 1 for the most accurate of those that are compared;"
    " the ranks of all of these hold together. +: may be the most accurate."
)


def system_columns(
    level: float, unit: Unit, baselines: Sequence[str] = ()
) -> list[Column[CellSummary]]:
    """Return all columns, in their order.

    Args:
        level: Level of the intervals.
        unit: The unit of costs.
        baselines: Names of the cells that others are compared with.
    """
    sure = f"[{100 * level:g} %]"
    per = f"$/{unit.name}"
    correct = "$/correct" if unit.items == 1 else f"{per} correct"

    def dollars(estimate: Quantity | None) -> str:
        return UNDEFINED if estimate is None else unit.dollars(estimate.value)

    def between(estimate: Quantity | None) -> str:
        return unit.interval(estimate)

    return [
        Column("accuracy", "accuracy", lambda c: percent(_value(c.accuracy)),
               lambda c: _value(c.accuracy), descending=True),
        Column("accuracy_interval", sure, lambda c: interval(c.accuracy, "percent"),
               under="accuracy", along=True),
        Column("items", "items", lambda c: f"{c.items:,}", lambda c: c.items, descending=True),
        Column("cost", per, lambda c: dollars(c.cost_per_item),
               lambda c: _value(c.cost_per_item)),
        Column("cost_interval", sure, lambda c: between(c.cost_per_item), under="cost"),
        Column("correct", correct, lambda c: dollars(c.cost_per_correct),
               lambda c: _value(c.cost_per_correct), under="cost", short="correct"),
        Column("correct_interval", sure, lambda c: between(c.cost_per_correct), under="correct"),
        Column("latency", "latency", lambda c: number_format.seconds(_value(c.latency_seconds)),
               lambda c: _value(c.latency_seconds)),
        Column("p95", "p95", lambda c: number_format.seconds(bounded(c.latency_p95)),
               lambda c: bounded(c.latency_p95), under="latency"),
        Column("new", "new calls", lambda c: f"{c.calls_made:,}", lambda c: c.calls_made),
        Column("reused", "reused", lambda c: f"{c.calls_shared:,}", lambda c: c.calls_shared,
               under="new"),
        Column("paid", "paid now", lambda c: number_format.dollars(c.spend_usd),
               lambda c: c.spend_usd),
        Column("difference", "difference", lambda c: _difference(c, baselines),
               lambda c: None if c.comparison is None else c.comparison.difference.value,
               descending=True),
        Column("difference_interval", sure, _difference_interval, under="difference", along=True),
        Column("p", "adj. p", _p,
               lambda c: None if c.comparison is None else c.comparison.p_adjusted, under="result"),
        Column("result", "result", lambda c: result(c, level)),
        Column("rank", "rank", _rank,
               lambda c: None if c.rank is UNSET else c.rank.best + c.rank.worst),
    ]  # fmt: skip


def ranks(rank: tuple[int, int] | None, *, may_be_best: bool | None) -> str:
    """Return between which ranks a cell lies, with a mark if it may be the best."""
    if rank is None:
        return UNDEFINED
    low, high = rank
    return (f"{low}" if low == high else f"{low} to {high}") + (" +" if may_be_best else "")


def _rank(cell: CellSummary) -> str:
    if cell.rank is UNSET:
        return UNDEFINED
    return ranks((cell.rank.best, cell.rank.worst), may_be_best=cell.rank.may_be_best)


def result(cell: CellSummary, level: float) -> str:
    """Return the outcome of the comparison with the baseline in words; "" without one."""
    found = cell.comparison
    if found is None:
        return ""
    return verdict(
        found.sign, same=found.same_calls, clear=found.is_clear(level), oracle=cell.oracle
    )


def verdict(sign: int, *, same: bool, clear: bool, oracle: bool) -> str:
    """Return a difference in words."""
    if same:
        return SAME
    if oracle:
        return "oracle"
    if not clear:
        return UNCLEAR
    return BETTER if sign > 0 else WORSE


def _value(estimate: Quantity | None) -> float | None:
    return None if estimate is None else estimate.value


def bounded(estimate: Quantity | None) -> float | None:
    """Return the value of an estimate that has an interval."""
    known = estimate is not None and estimate.low is not None and estimate.high is not None
    return estimate.value if estimate is not None and known else None


def _difference(cell: CellSummary, baselines: Sequence[str]) -> str:
    found = cell.comparison
    if found is None:
        return "baseline" if cell.name in baselines else UNDEFINED
    return number_format.points(found.difference.value)


def _difference_interval(cell: CellSummary) -> str:
    found = cell.comparison
    return "" if found is None or found.same_calls else interval(found.difference, "points")


def _p(cell: CellSummary) -> str:
    found = cell.comparison
    return "" if found is None or found.same_calls else number_format.p_value(found.p_adjusted)
