"""Targets and tables of what was measured over HTTP."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks.contestants import (
    BARE,
    CALLS,
    DIRECT,
    EFFICIENCY,
    INSPECT,
    KINDS,
    LONG,
    LONG_VOTE,
    SDK,
    VOTE,
    Contestant,
)
from benchmarks.findings import Findings, Row, Spread, Table, number, ratios

_TITLES: Final = {
    CALLS: "Calls at latency 0, concurrency 100",
    EFFICIENCY: "Latency 200 ms, concurrency 100",
    LONG: "Latency 1 s, concurrency 1,000",
    VOTE: "Ensembles of five and a vote, latency 50 ms, 500 items in flight",
    LONG_VOTE: "Ensembles of five and a vote, latency 5 s, 500 items in flight",
}


@dataclass(frozen=True)
class Call:
    """One job of one contestant, done."""

    contestant: str
    job: str
    round: int
    items: int
    calls: int
    concurrency: int
    latency_ms: int
    wall_seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    max_in_flight: int
    connections: int
    more: dict[str, Any]
    versions: dict[str, str]


Measure = Callable[[Call], float]


def cpu_per_call(call: Call) -> float:
    """Return milliseconds."""
    return call.cpu_seconds / call.calls * 1e3


def calls_per_cpu_second(call: Call) -> float:
    return call.calls / call.cpu_seconds


def items_per_second(call: Call) -> float:
    return call.items / call.wall_seconds


def ideal_seconds(call: Call) -> float:
    """Return what a schedule takes in which nothing but the server's latency takes time.

    An ensemble asks its members at once, so it takes as long as one call.
    """
    return math.ceil(call.items / call.concurrency) * call.latency_ms / 1e3


def efficiency(call: Call) -> float:
    return ideal_seconds(call) / call.wall_seconds


def over_ideal(call: Call) -> float:
    return call.wall_seconds / ideal_seconds(call)


class Results:
    """What was measured, by contestant and job."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self.calls = list(calls)

    def of(self, contestant: str, job: str) -> list[Call]:
        return [c for c in self.calls if (c.contestant, c.job) == (contestant, job)]

    def spread(self, contestant: str, job: str, measure: Measure) -> Spread | None:
        return Spread.of([measure(call) for call in self.of(contestant, job)])

    def ratio(self, ours: str, theirs: str, job: str, measure: Measure) -> Spread | None:
        first, second = (
            {call.round: measure(call) for call in self.of(name, job)} for name in (ours, theirs)
        )
        return ratios(first, second)


def rows_and_tables(
    found: Findings,
    calls: list[Call],
    contestants: tuple[Contestant, ...],
    jobs: Collection[str],
    *,
    whole: bool,
) -> None:
    """Add to `found` what the calls say of the targets, a table for each job, and the calls."""
    results = Results(calls)
    failures = {failure.who for failure in found.failures}
    found.rows += [
        _row(target, results, failures, whole=whole) for target in _TARGETS if target.job in jobs
    ]
    for job in (job for job in _TITLES if job in jobs):
        table = (_calls_table if job == CALLS else _schedule_table)(results, contestants, job)
        found.tables += [table] if table.rows else []
    found.samples += [{"measurement": call.job} | asdict(call) for call in calls]


@dataclass(frozen=True)
class _Target:
    """What the calls of one job must show.

    Attributes:
        what: Is measured.
        value: Returns it; None if it was not measured.
        least: It must be.
        most: It may be.
    """

    job: str
    what: str
    value: Callable[[Results], Spread | None]
    least: float | None = None
    most: float | None = None
    unit: str = ""

    @property
    def bound(self) -> str:
        """The target, to be read."""
        word, number = ("at least", self.least) if self.most is None else ("at most", self.most)
        return f"{word} {number:,} {self.unit}".rstrip()

    def is_met(self, value: float) -> bool:
        return value <= self.most if self.most is not None else value >= (self.least or 0)


_TARGETS: Final = (
    _Target(
        CALLS,
        f"{DIRECT}: CPU per call at latency 0, over the bare openai SDK's",
        lambda found: found.ratio(DIRECT, BARE, CALLS, cpu_per_call),
        most=0.15,
        unit="x",
    ),
    _Target(
        CALLS,
        f"{SDK}: CPU per call at latency 0, over the bare openai SDK's",
        lambda found: found.ratio(SDK, BARE, CALLS, cpu_per_call),
        most=1.1,
        unit="x",
    ),
    _Target(
        CALLS,
        f"{DIRECT}: calls a second of CPU",
        lambda found: found.spread(DIRECT, CALLS, calls_per_cpu_second),
        least=4000,
    ),
    _Target(
        CALLS,
        f"{DIRECT}: calls a second of CPU, over inspect-ai's",
        lambda found: found.ratio(DIRECT, INSPECT, CALLS, calls_per_cpu_second),
        least=60,
        unit="x",
    ),
    _Target(
        EFFICIENCY,
        f"{DIRECT}: efficiency at latency 200 ms, concurrency 100",
        lambda found: found.spread(DIRECT, EFFICIENCY, efficiency),
        least=0.97,
    ),
    _Target(
        LONG,
        f"{DIRECT}: efficiency at latency 1 s, concurrency 1,000, 20,000 calls",
        lambda found: found.spread(DIRECT, LONG, efficiency),
        least=0.95,
    ),
    _Target(
        VOTE,
        f"{DIRECT}: ensemble of five and a vote, latency 50 ms, wall over one call's schedule",
        lambda found: found.spread(DIRECT, VOTE, over_ideal),
        most=1.1,
        unit="x",
    ),
    # At 50 ms that takes 50,000 calls a second; at 5 s no more than a core can make.
    _Target(
        LONG_VOTE,
        f"{DIRECT}: the same at latency 5 s",
        lambda found: found.spread(DIRECT, LONG_VOTE, over_ideal),
        most=1.1,
        unit="x",
    ),
    _Target(
        VOTE,
        f"{DIRECT}: ensemble of five and a vote, latency 50 ms, items a second over inspect-ai's",
        lambda found: found.ratio(DIRECT, INSPECT, VOTE, items_per_second),
        least=30,
        unit="x",
    ),
)


def _row(target: _Target, results: Results, failures: Collection[str], *, whole: bool) -> Row:
    value = target.value(results)
    if value is None:
        whose = SDK if target.what.startswith(SDK) else DIRECT
        failed = next((who for who in (whose, BARE, INSPECT) if who in failures), whose)
        because = f"{failed} failed, see below"
        return Row(target.what, target.bound, "not measured", None, because)
    shown = value.show(target.unit)
    if not whole:
        because = "smaller than the target is about"
        return Row(target.what, target.bound, shown, None, because)
    return Row(target.what, target.bound, shown, target.is_met(value.median))


def _shown(spread: Spread | None, unit: str = "") -> str:
    return "-" if spread is None else spread.show(unit)


def _calls_table(results: Results, contestants: tuple[Contestant, ...], job: str) -> Table:
    rows, whole = [], []
    for who in (c for c in contestants if results.of(c.name, job)):
        calls = results.of(who.name, job)
        rows.append(
            (
                who.name,
                f"{calls[0].calls:,}",
                _shown(results.spread(who.name, job, cpu_per_call)),
                _shown(results.ratio(who.name, BARE, job, cpu_per_call)),
                _shown(results.spread(who.name, job, calls_per_cpu_second)),
                _shown(results.spread(who.name, job, lambda c: c.calls / c.wall_seconds)),
                _shown(
                    results.spread(who.name, job, lambda c: c.server_cpu_seconds / c.calls * 1e3)
                ),
            )
        )
        if all("whole_cpu_seconds" in call.more for call in calls):
            cpu = Spread.of([c.more["whole_cpu_seconds"] / c.calls * 1e3 for c in calls])
            whole.append(f"{who.name}, from reading the grid to its summary: {_shown(cpu, 'ms')}.")
    header = (
        "", "calls", "CPU per call, ms", f"over {BARE}", "calls/s of CPU", "calls/s of wall",
        "server's CPU per call, ms",
    )  # fmt: skip
    return Table(_TITLES[job], header, rows, " ".join(whole))


def _schedule_table(results: Results, contestants: tuple[Contestant, ...], job: str) -> Table:
    rows = []
    for who in (c for c in contestants if results.of(c.name, job)):
        calls = results.of(who.name, job)
        rows.append(
            (
                who.name,
                f"{calls[0].items:,}",
                f"{calls[0].calls:,}",
                number(ideal_seconds(calls[0])),
                _shown(results.spread(who.name, job, lambda c: c.wall_seconds)),
                _shown(results.spread(who.name, job, efficiency)),
                _shown(results.spread(who.name, job, items_per_second)),
                _shown(results.spread(who.name, job, cpu_per_call)),
                f"{max(call.max_in_flight for call in calls):,}",
            )
        )
    header = (
        "", "items", "calls", "schedule, s", "wall, s", "efficiency", "items/s",
        "CPU per call, ms", "most in flight",
    )  # fmt: skip
    calls_in_flight = KINDS[job].concurrency * KINDS[job].draws
    notes = f"As many as {calls_in_flight:,} calls may be in flight."
    return Table(_TITLES[job], header, rows, notes)
