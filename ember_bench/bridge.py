"""Synchronous code at event-loop speed.

Code that looks synchronous runs in a greenlet. Where it has to wait, `wait(awaitable)` hands the
awaitable to the asyncio task that drives the greenlet and parks; the loop goes on with others.
So thousands of plain functions are in flight on one thread, and nobody writes `async`. The idea
and its shape are those of SQLAlchemy's asyncio extension (`sqlalchemy/util/concurrency.py`).

Called where no greenlet is driven, `wait` runs the awaitable on a loop in a background thread and
blocks, so the same code works in a script, a REPL, a notebook or a worker thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import os
import sys
import threading
import types
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, ParamSpec, TypeVar, cast

from greenlet import getcurrent, greenlet

from ember_bench import host
from ember_bench.errors import EmberBenchError

P = ParamSpec("P")
T = TypeVar("T")

# More than any run has blocking operators at once: with fewer, those that wait for others could
# hold all the threads that these need.
_MOST_THREADS: Final = 10_000

# The loop that drives the calling code, seen from the tasks and worker threads it started.
_home_loop: contextvars.ContextVar[asyncio.AbstractEventLoop | None] = contextvars.ContextVar(
    "ember_bench_home_loop", default=None
)
# The worker thread's way of hearing that nobody waits for it any more.
_worker: contextvars.ContextVar[_Worker | None] = contextvars.ContextVar(
    "ember_bench_worker", default=None
)

# Of each loop, the turns of functions that compute.
_turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
    weakref.WeakKeyDictionary()
)


class _Bridged(greenlet):  # type: ignore[misc]  # greenlet ships no types
    """A greenlet driven by an asyncio task; shares that task's context variables."""

    def __init__(self, run: Callable[..., Any], driver: Any) -> None:
        super().__init__(run, driver)
        self.gr_context = driver.gr_context


async def run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a synchronous `function` so that each `wait` inside it waits on this loop.

    Cancelling the task that awaits this raises `CancelledError` inside `function` where it waits.
    """
    before = _home_loop.get()
    _home_loop.set(asyncio.get_running_loop())
    try:
        bridged = _Bridged(function, getcurrent())
        result = bridged.switch(*args, **kwargs)
        while not bridged.dead:
            try:
                value = await result
            except BaseException:
                # Raised again inside the greenlet, so the user's code sees it with its own frames.
                result = bridged.throw(*sys.exc_info())
            else:
                result = bridged.switch(value)
    finally:
        _home_loop.set(before)
    return cast("T", result)


def is_bridged() -> bool:
    """Whether the calling code runs in a greenlet that `run` drives."""
    return isinstance(getcurrent(), _Bridged)


def wait(awaitable: Awaitable[T]) -> T:
    """Return the result of `awaitable` to synchronous code; see the module's docstring.

    Raises:
        EmberBenchError: when called from a coroutine on the loop itself, which must use `await`.
        CancelledError: in a worker thread that nobody waits for any more.
    """
    current = getcurrent()
    if isinstance(current, _Bridged):
        return cast("T", current.parent.switch(awaitable))
    running = _running_loop()
    home = _home_loop.get()
    if running is not None and (running is home or running is _background.loop):
        _dismiss(awaitable)
        raise EmberBenchError(
            "a model was called synchronously from inside a coroutine; "
            "there, use the async form (`await lm.acall(prompt)`)"
        )
    worker = _worker.get()
    if worker is not None and worker.cancelled:
        _dismiss(awaitable)
        raise asyncio.CancelledError
    loop = home if home is not None and home.is_running() else _background.start()
    future = asyncio.run_coroutine_threadsafe(_as_coroutine(awaitable), loop)
    try:
        return future.result() if worker is None else worker.wait(future)
    except concurrent.futures.CancelledError:
        # An `Exception`, which the user's code may swallow: not so where greenlets wait.
        raise asyncio.CancelledError from None
    except BaseException:
        future.cancel()  # an interrupt of this thread; does nothing if the future is done
        raise


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run an `async def` to its end from synchronous code.

    In a greenlet, the coroutine runs in that greenlet, so synchronous model calls inside it work.
    """
    if not is_bridged():
        try:
            return wait(_drive_bridged(coroutine))
        finally:
            coroutine.close()  # if it was never begun
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            awaited = coroutine.throw(error) if error is not None else coroutine.send(value)
        except StopIteration as stop:
            return cast("T", stop.value)
        value, error = None, None
        try:
            value = wait(_relay(awaited))
        except BaseException as raised:
            error = raised


async def run_in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a `function` that really blocks in a worker thread; model calls in it still work.

    Cancelling the task that awaits this raises `CancelledError` inside `function` where it waits
    for a model, or when it next would; a thread that computes cannot be stopped.
    """
    loop, worker = asyncio.get_running_loop(), _Worker()
    context = contextvars.copy_context()
    context.run(_home_loop.set, loop)
    context.run(_worker.set, worker)
    try:
        return await loop.run_in_executor(
            _background.threads(), functools.partial(context.run, function, *args, **kwargs)
        )
    except asyncio.CancelledError:
        worker.cancel()
        raise


async def compute(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a `function` that keeps a processor busy in a worker thread, as many as there are.

    What waits for its turn is cancelled at once; see `run_in_thread` for what runs.
    """
    loop = asyncio.get_running_loop()
    if (turns := _turns.get(loop)) is None:
        turns = _turns[loop] = asyncio.Semaphore(os.cpu_count() or 1)
    async with turns:
        return await run_in_thread(function, *args, **kwargs)


async def gather(calls: Sequence[Coroutine[Any, Any, T]], *, settle: bool = False) -> list[T]:
    """Wait for all; on the first failure cancel the rest and let them end before raising it.

    Args:
        calls: What to wait for.
        settle: After a failure, see to an end what is earlier, and raise the failure that is first
            in the order of `calls`, whatever the timing.
    """
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        if not settle:
            return await asyncio.gather(*tasks)
        # What fails first in time need not be first in order.
        with suppress(Exception):
            return await asyncio.gather(*tasks)
        raise await _first_failure(tasks)
    except BaseException:
        await cancel_all(tasks)
        raise


async def _first_failure(tasks: Sequence[asyncio.Task[Any]]) -> BaseException:
    """Return the failure that is first in order; some task has failed."""
    while True:
        first, failure = next((n, f) for n, task in enumerate(tasks) if (f := _failure(task)))
        if all(task.done() for task in tasks[:first]):
            return failure
        await cancel_all(tasks[first + 1 :])
        await asyncio.wait(tasks[:first], return_when=asyncio.FIRST_EXCEPTION)


def _failure(task: asyncio.Task[Any]) -> BaseException | None:
    if not task.done():
        return None
    return asyncio.CancelledError() if task.cancelled() else task.exception()


async def until(event: asyncio.Event, waiting: Awaitable[object]) -> None:
    """Await `waiting`, but no longer than until `event` is set."""
    tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(event.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until nothing of them runs."""
    pending = list(tasks)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


async def _drive_bridged(coroutine: Coroutine[Any, Any, T]) -> T:
    return await run(run_coroutine, coroutine)


@types.coroutine
def _relay(awaited: Any) -> Generator[Any, Any, Any]:
    """Yield to the event loop exactly what a coroutine yielded."""
    return (yield awaited)


async def _as_coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _dismiss(awaitable: Awaitable[Any]) -> None:
    if asyncio.iscoroutine(awaitable):
        awaitable.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _Worker:
    """The waits of a worker thread, which can be cancelled."""

    def __init__(self) -> None:
        self.cancelled = False
        self._waits: set[concurrent.futures.Future[Any]] = set()

    def wait(self, future: concurrent.futures.Future[T]) -> T:
        self._waits.add(future)
        if self.cancelled:  # since it was last looked at
            future.cancel()
        try:
            return future.result()
        finally:
            self._waits.discard(future)

    def cancel(self) -> None:
        self.cancelled = True
        for future in list(self._waits):
            future.cancel()


class _Background:
    """The event loop for model calls made outside any engine, and the threads of blocking code.

    Both are started on first use.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the loop and the threads: a fork has the objects, but runs neither."""
        self.loop: asyncio.AbstractEventLoop | None = None
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def start(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self.loop is None:
                self.loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self.loop.run_forever, name="ember-bench-loop", daemon=True
                ).start()
            return self.loop

    def threads(self) -> concurrent.futures.ThreadPoolExecutor:
        with self._lock:
            if self._threads is None:
                self._threads = concurrent.futures.ThreadPoolExecutor(
                    _MOST_THREADS, thread_name_prefix="ember-bench-blocking"
                )
            return self._threads


_background = _Background()
# The lock too may have been held when the process was forked.
host.after_fork(_background.reset)
