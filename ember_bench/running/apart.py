"""Runs in a thread of their own, beside an event loop of the caller's thread."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final, TypeVar

T = TypeVar("T")

_POLL_SECONDS: Final = 0.2
# The first ends the work in order, the second at once; then nobody waits for it any more.
_PATIENCE: Final = 2


def run_apart(work: Callable[[], T], interrupt: Callable[[], None] = lambda: None) -> T:
    """Return the result of `work`, which runs in a thread and may run an event loop there.

    Args:
        work: The work.
        interrupt: Called for each KeyboardInterrupt of the waiting thread; makes `work` end.

    Raises:
        KeyboardInterrupt: after `work` has ended, if there was one; at the third one at once.
    """
    future = _started(work)
    interrupts = 0
    while not future.done():
        try:
            # On Windows no wait without an end can be interrupted.
            wait([future], _POLL_SECONDS)
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts > _PATIENCE:
                raise
            interrupt()
    if interrupts:
        raise KeyboardInterrupt from future.exception()
    return future.result()


async def await_apart(work: Callable[[], T], interrupt: Callable[[], None]) -> T:
    """Return the result of `work` as `run_apart` does, without blocking the running loop.

    Cancelling the task that awaits this calls `interrupt`.

    Raises:
        CancelledError: after `work` has ended, if the task was cancelled.
    """
    future = asyncio.wrap_future(_started(work))
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
            interrupt()
    if cancelled is not None:
        raise cancelled from future.exception()
    return future.result()


def _started(work: Callable[[], T]) -> Future[T]:
    """Start `work` in a thread with the caller's context."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    context = contextvars.copy_context()
    # A daemon: at the third interrupt the program ends without it.
    threading.Thread(target=context.run, args=[run], name="ember-bench-run", daemon=True).start()
    return future
