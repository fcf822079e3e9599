"""Time limits of calls and of programs, by the clock on the wall."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from ember_bench import bridge
from ember_bench.errors import TimeLimitError
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.strand import Strand

T = TypeVar("T")


async def limited(awaitable: Awaitable[T], seconds: float, what: str) -> T:
    """Await, but no longer than `seconds`.

    A request that was sent goes on to its answer, which is stored.

    Raises:
        TimeLimitError: if it took longer, naming `what`.
        ValueError: if `seconds` is not above 0.
    """
    check_seconds(seconds)
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await awaitable
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimeLimitError(f"{what}: no result within {seconds:g} s (timeout)") from None


def run_limited(function: Callable[[], T], seconds: float, what: str) -> T:
    """Run synchronous code, but no longer than `seconds`; see `limited`.

    What it asks belongs to a branch of the strand, as how far it came depends on timing: calls
    that follow are the same whether it was in time or not.
    """
    check_seconds(seconds)
    interception.settle("a program with a time limit begins")
    if not bridge.is_bridged():
        again: Callable[[], T] = partial(run_limited, function, seconds, what)
        return bridge.wait(bridge.run(again))
    outer = strands.current.get()
    if outer is None:
        return bridge.wait(limited(bridge.run(function), seconds, what))
    (branch,) = outer.fork([0])
    began = outer.clock
    try:
        result = bridge.wait(limited(bridge.run(_on, branch, function), seconds, what))
    except BaseException:
        outer.give_up([branch])
        outer.clock = max(branch.clock, began)
        raise
    outer.join([branch])
    return result


def check_seconds(seconds: float) -> None:
    """Check a time limit.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is not above 0.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"timeout must be a number of seconds, found {seconds!r}")
    if not seconds > 0:
        raise ValueError(f"timeout must be above 0 seconds, found {seconds:g}")


def _on(strand: Strand, function: Callable[[], T]) -> T:
    token = strands.current.set(strand)
    try:
        return function()
    finally:
        strands.current.reset(token)
