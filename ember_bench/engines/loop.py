"""The event loop that trials run on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine as `asyncio.run` does, on uvloop where that is installed.

    A call over HTTP then takes 6 to 40 % less CPU (`benchmarks/NOTES.md`).
    """
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - only where there is one
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)
