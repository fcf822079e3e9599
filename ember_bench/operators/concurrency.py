"""Runs plain functions at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ember_bench import bridge
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.strand import Strand

T = TypeVar("T")


def parallel(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run plain functions at the same time and return their results in order.

    If one fails, the others are cancelled where they wait, and its exception is raised.
    """
    interception.refuse("parallel() was called")
    if not bridge.is_bridged():
        return bridge.wait(bridge.run(parallel, calls))
    if not calls:
        return []
    outer = strands.current.get()
    if outer is None:
        return bridge.wait(bridge.gather([bridge.run(call) for call in calls]))
    branches = outer.fork(range(len(calls)))
    placed = zip(branches, calls, strict=True)
    try:
        results = bridge.wait(bridge.gather([bridge.run(_on_strand, b, c) for b, c in placed]))
    except BaseException:
        outer.give_up(branches)
        raise
    outer.join(branches)
    return results


def _on_strand(strand: Strand, call: Callable[[], T]) -> T:
    strands.current.set(strand)  # the task's own context
    return call()
