"""The calls of a trial, as its result has them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ember_bench.models.strand import CallRecord


class CallEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One call of a trial, as its row keeps it; the key finds prompt and answer in the store."""

    key: bytes
    model: str
    node: str
    role: str
    started: float
    latency_seconds: float | None
    cost_usd: float | None
    input_tokens: int | None
    output_tokens: int | None
    made: bool
    uncached_usd: float | None = None


def counts_of(calls: Sequence[CallEntry], wasted: int) -> tuple[int, int, int, int]:
    """Return the number of calls, the requests among them, and their tokens sent and received.

    Args:
        calls: The calls.
        wasted: Requests beside them, whose answers could not be used.
    """
    made, input_tokens, output_tokens = wasted, 0, 0
    for entry in calls:
        made += entry.made
        input_tokens += entry.input_tokens or 0
        output_tokens += entry.output_tokens or 0
    return len(calls) + wasted, made, input_tokens, output_tokens


def in_order(calls: list[CallRecord]) -> list[CallRecord]:
    """Return calls in the order in which they were begun."""
    if len(calls) < 2:
        return calls
    return sorted(calls, key=lambda call: (call.started, call.node, call.key))


def critical_path(calls: list[CallRecord], clock: float) -> float | None:
    """Return the critical path in seconds; None if the duration of a call is unknown."""
    return None if any(call.latency_seconds is None for call in calls) else clock


def entries(calls: list[CallRecord]) -> tuple[CallEntry, ...]:
    """Return calls as results have them."""
    return tuple(
        CallEntry(
            call.key,
            call.model_id,
            call.node,
            call.role,
            call.started,
            call.latency_seconds,
            call.cost_usd,
            call.usage.input_tokens,
            call.usage.output_tokens,
            not call.stored,
            call.uncached_usd,
        )
        for call in calls
    )
