"""Cost, latency and tokens of each node of a cell's graph."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from ember_bench import stats
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.trial_calls import CallEntry


class NodeSummary(msgspec.Struct, frozen=True):
    """One node of a cell's graph, over all trials that did not fail.

    Attributes:
        node: Its name; "" for calls outside any node.
        roles: Roles of the model calls in it.
        models: Ids of the models called.
        calls: Calls per trial.
        cost_usd: Per trial; None if a price is unknown.
        uncached_usd: The cost per trial if providers kept no prompts; None if it is unknown.
        input_tokens: Per trial.
        output_tokens: Per trial.
        latency_seconds: Its part of a trial's critical path; None if a duration is unknown.
        cost_share: Share of the cell's cost, in [0, 1]; None if that is unknown or 0.
        token_share: Share of the cell's tokens, in and out.
        latency_share: Share of the cell's latency.
    """

    node: str
    roles: list[str]
    models: list[str]
    calls: float
    cost_usd: float | None
    uncached_usd: float | None
    input_tokens: float
    output_tokens: float
    latency_seconds: float | None
    cost_share: Quantity | None
    token_share: Quantity | None
    latency_share: Quantity | None


@dataclass(slots=True)
class _Sums:
    """One node's sums over the trials of each item."""

    roles: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    uncached: float | None = 0.0
    cost: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    latency: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    tokens: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, item: int, call: CallEntry) -> None:
        """Count one call."""
        self.roles[call.role] += 1
        self.models[call.model] += 1
        self.calls += 1
        sent, received = call.input_tokens or 0, call.output_tokens or 0
        self.input_tokens += sent
        self.output_tokens += received
        self.cost[item] += call.cost_usd or 0.0
        if self.uncached is not None:
            known = call.uncached_usd
            self.uncached = None if known is None else self.uncached + known
        self.tokens[item] += sent + received


def node_summaries(rows: TrialRows, cell: int) -> list[NodeSummary]:
    """Return the nodes of a cell that called models, in the order of their first calls.

    The unit is the item, its epochs taken together.
    """
    nodes: dict[str, _Sums] = {}
    trials, items = 0, set()
    priced = timed = True
    failed = {(i, e) for i, e, outcome in rows.columns(cell, ["outcome"]) if outcome == "error"}
    for item, epoch, calls in rows.all_calls(cell):
        if (item, epoch) in failed:
            continue
        trials += 1
        items.add(item)
        for call in calls:
            nodes.setdefault(call.node, _Sums()).add(item, call)
        priced &= all(call.cost_usd is not None for call in calls)
        timed &= all(call.latency_seconds is not None for call in calls)
        if timed:
            for index in _critical(calls) if calls else ():
                nodes[calls[index].node].latency[item] += calls[index].latency_seconds or 0.0
    order = sorted(items)
    asked = rows.description
    clusters = asked.items[asked.cells[cell].dataset].clusters(np.asarray(order, dtype=np.int64))
    total = {
        name: sum((_by_item(getattr(s, name), order) for s in nodes.values()), np.zeros(len(order)))
        for name in ("cost", "tokens", "latency")
    }

    def part(sums: _Sums, name: str) -> Quantity | None:
        found = stats.share(
            _by_item(getattr(sums, name), order), total[name], clusters=clusters, level=asked.level
        )
        return None if found is None else Quantity.of(found)

    return [
        NodeSummary(
            node=node,
            roles=list(sums.roles),
            models=list(sums.models),
            calls=sums.calls / trials,
            cost_usd=sum(sums.cost.values()) / trials if priced else None,
            uncached_usd=None if sums.uncached is None else sums.uncached / trials,
            input_tokens=sums.input_tokens / trials,
            output_tokens=sums.output_tokens / trials,
            latency_seconds=sum(sums.latency.values()) / trials if timed else None,
            cost_share=part(sums, "cost") if priced else None,
            token_share=part(sums, "tokens"),
            latency_share=part(sums, "latency") if timed else None,
        )
        for node, sums in nodes.items()
    ]


def _critical(calls: Sequence[CallEntry]) -> list[int]:
    if not any(call.started for call in calls):  # as in an ensemble: the slowest is waited for
        return [max(range(len(calls)), key=lambda i: calls[i].latency_seconds or 0.0)]
    return stats.critical_path(
        [call.started for call in calls], [call.latency_seconds or 0.0 for call in calls]
    )


def _by_item(values: dict[int, float], items: Sequence[int]) -> np.ndarray:
    return np.asarray([values.get(item, 0.0) for item in items])
