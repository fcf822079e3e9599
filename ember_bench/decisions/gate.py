"""The gate: whether results keep their rules, compared with a baseline where a rule takes one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import NormalDist
from typing import Final, Literal

import msgspec
import numpy as np

from ember_bench import stats
from ember_bench.decisions.rules import Metric, Rule, Scale
from ember_bench.errors import ConfigError, did_you_mean
from ember_bench.experiment.results.cells import BoolArray, CellResults, FloatArray
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.pairs import Pair
from ember_bench.experiment.results.summary import CellSummary

Result = Literal["holds", "broken", "not shown"]

_POWER: Final = 0.8


class Verdict(msgspec.Struct, frozen=True):
    """One rule on one system.

    Attributes:
        rule: As it was written.
        system: Name of the cell.
        label: The same for people.
        dataset: Its dataset.
        result: `holds`, `broken`, or `not shown` if the interval allows both, or if the amount is
            unknown.
        metric: The amount.
        scale: What value, bounds and limit are in: see `Rule`.
        value: As it was measured; None if unknown.
        low: The lower bound that holds with the rule's confidence; None if it has none.
        high: The upper bound that holds with the rule's confidence.
        limit: The least that is allowed of an accuracy, the most of anything else.
        level: The rule's confidence, one-sided; None if the measured value counts.
        items: Items it stands on.
        items_to_show: Items with which a change that changes nothing would be shown to keep the
            rule, with 80 % power; None except for a difference that is not shown.
        gone: Whether the system is only in the baseline, so that nothing can be shown of it.
    """

    rule: str
    system: str
    label: str
    dataset: str
    result: Result
    metric: Metric
    scale: Scale
    value: float | None
    low: float | None
    high: float | None
    limit: float
    level: float | None
    items: int
    items_to_show: int | None = None
    gone: bool = False


class GateReport(msgspec.Struct, frozen=True):
    """What a gate found.

    Attributes:
        passed: Whether every rule holds on every system that it is for; with `pass_unclear`,
            whether none is broken.
        pass_unclear: Whether rules that are not shown pass.
        change: Name of the results that were judged.
        baseline: What they were compared with; None if no rule takes a baseline.
        paired: Whether item by item; False for a baseline of which only the summary is there.
        simulated: Whether any answer is from a simulated model.
        verdicts: Rule by rule, in the order of the systems.
        differing: Reasons why systems and baselines are not comparable, if judged all the same.
        new: Datasets and labels of systems without a baseline.
        gone: The same of the baseline's systems that the change does not have; a rule that takes a
            baseline is not shown of them.
        unfinished: Number of items that are scheduled and not done, over all systems.
    """

    passed: bool
    pass_unclear: bool
    change: str
    baseline: str | None
    paired: bool
    simulated: bool
    verdicts: list[Verdict]
    differing: list[str] = []
    new: list[str] = []
    gone: list[str] = []
    unfinished: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """A system and what it is compared with.

    Attributes:
        cell: The system.
        baseline: Its baseline, item by item, or a summary's; None without one.
        level: Level of the summary's intervals.
    """

    cell: CellResults
    baseline: CellResults | CellSummary | None = None
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class Gone:
    """A system of the baseline that the change does not have."""

    dataset: str
    name: str
    label: str

    def __str__(self) -> str:
        return f"{self.dataset}: {self.label}"


@dataclass(frozen=True, slots=True)
class _Measured:
    """An amount with bounds; equal to the value if it is known without error."""

    value: float | None
    low: float | None
    high: float | None
    items: int

    @classmethod
    def unknown(cls, items: int = 0) -> _Measured:
        return cls(None, None, None, items)

    @classmethod
    def of(cls, quantity: Quantity, items: int) -> _Measured:
        return cls(quantity.value, quantity.low, quantity.high, items)


def judge(
    systems: Sequence[Judged], rules: Sequence[Rule], gone: Sequence[Gone] = ()
) -> list[Verdict]:
    """Return the verdict of each rule on each system that it is for.

    Of a system that is only in the baseline, a rule that compares with it is not shown.

    A rule with a confidence holds if its one-sided bound keeps the limit, and is broken if the
    opposite bound does not. All of them must hold, so what breaks one of them passes with a
    probability of at most 1 - confidence, however many there are (intersection-union test; Berger
    1982, "Multiparameter hypothesis testing and acceptance sampling"). Failed trials count in the
    least favourable way.

    Raises:
        ConfigError: if a rule is for none of the systems, or takes a baseline that is not there.
    """
    found = []
    for rule in rules:
        meant = [s for s in systems if rule.concerns(s.cell.name, s.cell.label)]
        lost = [g for g in gone if rule.relative and rule.concerns(g.name, g.label)]
        if not meant and not lost:
            near = did_you_mean(rule.system, {s.cell.label for s in systems})
            raise ConfigError(f"rule {rule.text!r}: is for no system{near}")
        judged = [s for s in meant if s.baseline is not None or not rule.relative]
        if not judged and not lost:
            raise ConfigError(f"rule {rule.text!r}: takes a baseline; name one: --baseline NAME")
        found += [_verdict(rule, system) for system in judged]
        found += [_unshown(rule, system) for system in lost]
    return found


def _unshown(rule: Rule, system: Gone) -> Verdict:
    return Verdict(
        rule=rule.text,
        system=system.name,
        label=system.label,
        dataset=system.dataset,
        result="not shown",
        metric=rule.metric,
        scale=rule.scale,
        value=None,
        low=None,
        high=None,
        limit=rule.limit,
        level=rule.level,
        items=0,
        gone=True,
    )


def passed(verdicts: Sequence[Verdict], *, pass_unclear: bool) -> bool:
    """Return whether verdicts let a change pass."""
    allowed = ("holds", "not shown") if pass_unclear else ("holds",)
    return all(verdict.result in allowed for verdict in verdicts)


def _verdict(rule: Rule, system: Judged) -> Verdict:
    level = 0.95 if rule.level is None else 2 * rule.level - 1
    measured = _measured(rule, system, level)
    result = _result(rule, measured)
    needed = None
    if result == "not shown" and rule.scale == "points" and measured.low is not None:
        needed = _items_to_show(rule, measured)
    return Verdict(
        rule=rule.text,
        system=system.cell.name,
        label=system.cell.label,
        dataset=system.cell.asked.name,
        result=result,
        metric=rule.metric,
        scale=rule.scale,
        value=measured.value,
        low=measured.low if rule.level is not None else None,
        high=measured.high if rule.level is not None else None,
        limit=rule.limit,
        level=rule.level,
        items=measured.items,
        items_to_show=needed,
    )


def _result(rule: Rule, measured: _Measured) -> Result:
    if measured.value is None:
        return "not shown"
    if rule.level is None:
        kept = measured.value >= rule.limit if rule.least else measured.value <= rule.limit
        return "holds" if kept else "broken"
    low, high = measured.low, measured.high
    if rule.least:
        if low is not None and low >= rule.limit:
            return "holds"
        return "broken" if high is not None and high < rule.limit else "not shown"
    if high is not None and high <= rule.limit:
        return "holds"
    return "broken" if low is not None and low > rule.limit else "not shown"


def _items_to_show(rule: Rule, measured: _Measured) -> int | None:
    """Return the items that show it of a true difference of 0, the error falling with their root.

    Julious 2004, "Sample sizes for clinical trials with normal data", section 5 (non-inferiority).
    """
    assert rule.level is not None  # noqa: S101 - else it would not be "not shown"
    if measured.value is None or measured.low is None or rule.limit == 0:
        return None
    critical = NormalDist().inv_cdf(rule.level)
    error = (measured.value - measured.low) / critical
    wanted = -rule.limit / (critical + NormalDist().inv_cdf(_POWER))
    return int(np.ceil(measured.items * max(1.0, (error / wanted) ** 2)))


def _measured(rule: Rule, system: Judged, level: float) -> _Measured:
    """Return the rule's amount with its interval, two-sided at `level`."""
    cell, baseline = system.cell, system.baseline
    if not rule.relative:
        return _alone(rule.metric, cell, level)
    assert baseline is not None  # noqa: S101 - see `judge`
    if isinstance(baseline, CellSummary):
        return _against_summary(rule, cell, baseline, system.level, level)
    pair = Pair(cell, replace(baseline, level=level))
    if rule.scale == "points":
        if not pair.items.size:
            return _Measured.unknown()
        difference = pair.difference
        if pair.same_calls:
            return _Measured(difference.value, difference.value, difference.value, pair.items.size)
        return _Measured.of(difference, int(pair.items.size))
    return _ratio(rule.metric, pair, level)


def _amounts(metric: Metric, cell: CellResults) -> FloatArray | None:
    """Return costs or latencies by item, NaN without one; None if one of a trial is unknown."""
    if metric == "cost/item":
        return cell.costs if cell.priced else None
    timed = not np.isnan(cell.data.latency[~cell.data.broken]).any()
    return cell.latencies if timed else None


def _ratio(metric: Metric, pair: Pair, level: float) -> _Measured:
    ours, theirs = _amounts(metric, pair.cell), _amounts(metric, pair.baseline)
    if ours is None or theirs is None:
        return _Measured.unknown(int(pair.items.size))
    theirs = pair.of_baseline(theirs)
    both = np.flatnonzero(~np.isnan(ours) & ~np.isnan(theirs))
    a, b = ours[both], theirs[both]
    clusters = pair.cell.items.clusters(both)
    if not both.size or (found := stats.cost_ratio(a, b, clusters=clusters, level=level)) is None:
        return _Measured.unknown(int(both.size))
    if found.interval is None and np.allclose(a, found.value * b, rtol=1e-9, atol=0):
        return _Measured(found.value, found.value, found.value, int(both.size))
    return _Measured.of(Quantity.of(found), int(both.size))


def _alone(metric: Metric, cell: CellResults, level: float) -> _Measured:
    if metric in ("accuracy", "failures"):
        return _share(metric, cell, level)
    amounts = _amounts(metric, cell)
    if amounts is None:
        return _Measured.unknown()
    known = ~np.isnan(amounts)
    found = stats.mean_cost(amounts[known], clusters=cell.items.clusters(known), level=level)
    if found is None:
        return _Measured.unknown()
    if found.interval is None and np.ptp(amounts[known]) == 0:
        return _Measured(found.value, found.value, found.value, found.n)
    return _Measured.of(Quantity.of(found), found.n)


def _share(metric: Metric, cell: CellResults, level: float) -> _Measured:
    """Return an accuracy, failed trials counted both ways, or the share of failed trials."""
    if metric == "failures":
        cases = [cell.data.means(cell.data.failed.astype(np.float64))]
    elif not cell.measured:
        return _Measured.unknown()
    else:
        cases = [cell.scores, *(cell.score_range if cell.failed else ())]
    mean = partial(_mean, cell, level=level)
    found = [estimate for case in cases if (estimate := mean(case, ~np.isnan(case))) is not None]
    if not found:
        return _Measured.unknown()
    intervals = [estimate.interval for estimate in found]
    low = high = None
    if all(interval is not None for interval in intervals):
        low = min(interval.low for interval in intervals if interval is not None)
        high = max(interval.high for interval in intervals if interval is not None)
    return _Measured(found[0].value, low, high, found[0].n)


def _mean(
    cell: CellResults, values: FloatArray, known: BoolArray, *, level: float
) -> stats.Estimate | None:
    return stats.mean_score(values[known], clusters=cell.items.clusters(known), level=level)


def _against_summary(
    rule: Rule, cell: CellResults, baseline: CellSummary, known_level: float, level: float
) -> _Measured:
    """Compare with a summary: as if other items had been asked, which is cautious."""
    ours = _alone(rule.metric, cell, level)
    theirs = {
        "accuracy": baseline.accuracy,
        "cost/item": baseline.cost_per_item,
        "latency": baseline.latency_seconds,
    }[rule.metric]
    if ours.value is None or theirs is None:
        return _Measured.unknown(ours.items)
    a = _estimate(ours.value, ours.low, ours.high, level)
    b = _estimate(theirs.value, theirs.low, theirs.high, known_level)
    if rule.scale == "points":
        value, interval = a.value - b.value, stats.difference_of(a, b, level=level)
    elif b.value > 0:
        value, interval = a.value / b.value, stats.ratio_of(a, b, level=level)
    else:
        return _Measured.unknown(ours.items)
    return _Measured.of(Quantity.with_interval(value, interval, "unpaired"), ours.items)


def _estimate(value: float, low: float | None, high: float | None, level: float) -> stats.Estimate:
    interval = None if low is None or high is None else stats.Interval(low, high, level)
    return stats.Estimate(value, interval, None, 0, "known")


def matched(
    cells: Sequence[CellResults], baselines: Sequence[CellSummary], level: float
) -> tuple[list[Judged], list[Gone]]:
    """Pair cells with the cells of a summary: of the same name, else alone on the dataset.

    Returns:
        The pairs, and the summary's cells that were not taken.
    """
    named: Mapping[str, CellSummary] = {cell.name: cell for cell in baselines}
    found, taken = [], set()
    for cell in cells:
        beside = [other for other in baselines if other.dataset == cell.asked.name]
        other = named.get(cell.name) or (beside[0] if len(beside) == 1 else None)
        found.append(Judged(cell, other, level))
        taken.add(other.name if other is not None else "")
    return found, [
        Gone(other.dataset, other.name, other.label)
        for other in baselines
        if other.name not in taken
    ]


def unfinished(cells: Sequence[CellResults]) -> int:
    """Return the number of items that are scheduled and have no trial, over all cells."""
    return sum(_left(cells))


def _left(cells: Sequence[CellResults]) -> Iterator[int]:
    for cell in cells:
        if cell.scheduled is not None:
            yield cell.scheduled - cell.data.items_done
