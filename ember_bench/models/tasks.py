"""asyncio tasks that a coroutine in a trial starts, such as those of `asyncio.gather`.

The coroutine runs along a strand; each task it starts that asks a model becomes a branch of that
strand, in the order in which the tasks were started. Nothing tells us of a task but its first
question, so where tasks do not ask in that order (the first waits for something else before), the
identities of their calls would depend on timing: that is refused, and `parallel` does it instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, ParamSpec, TypeVar

from ember_bench import bridge
from ember_bench.errors import EmberBenchError
from ember_bench.models import strand as strands
from ember_bench.models.strand import Strand

P = ParamSpec("P")
T = TypeVar("T")

# What asyncio calls a task that was given no name, with a number that counts up.
_NAME: Final = "Task-"
_INSTEAD: Final = "use parallel() from ember_bench, which gives each function its place"


class _Home:
    """A strand, and the task whose code runs along it.

    Args:
        strand: Where the task asks.
        task: Who asks.

    Attributes:
        branches: Tasks that it has started and that have asked since it last asked itself.
    """

    def __init__(self, strand: Strand, task: asyncio.Task[Any]) -> None:
        self.strand = strand
        self.task = task
        self.branches: list[_Home] = []

    def branch(self, task: asyncio.Task[Any]) -> _Home:
        """Return the branch of a task that asks for the first time."""
        placed = not self.strand.trial.outside  # else the identities are those of no place
        if placed and self.branches and not _was_started_before(self.branches[-1].task, task):
            raise EmberBenchError(
                "asyncio tasks asked models in another order than they were started in, so which "
                f"call is which would depend on timing; {_INSTEAD}"
            )
        (strand,) = self.strand.fork([len(self.branches)])
        self.branches.append(_Home(strand, task))
        return self.branches[-1]

    def join(self) -> None:
        """Go on after all branches; outside a trial, after those whose tasks have ended.

        Raises:
            EmberBenchError: if one of their tasks still runs in a trial.
        """
        if not self.branches:
            return
        running = [branch for branch in self.branches if not branch.task.done()]
        if running and not self.strand.trial.outside:
            raise EmberBenchError(
                "a coroutine asked a model, or ended, while asyncio tasks that it had started and "
                f"that ask models still ran; await them first, or {_INSTEAD}"
            )
        self.branches = [branch for branch in self.branches if branch not in running]
        for branch in self.branches:
            branch.join()
        joined = [branch.strand for branch in self.branches]
        if any(branch.task.cancelled() for branch in self.branches):
            self.give_up()
        else:
            self.strand.join(joined)
        self.branches = running

    def give_up(self) -> None:
        """Go on after the branches have been cancelled, or are not waited for."""
        joined = [branch.strand for branch in self.branches]
        self.strand.clock = max([self.strand.clock, *(strand.clock for strand in joined)])
        self.strand.give_up(joined)
        self.branches = []


_home: ContextVar[_Home | None] = ContextVar("ember_bench_home", default=None)


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run an `async def` as `bridge.run_coroutine` does; its tasks are branches of its strand."""
    strand = strands.current.get()
    if strand is None or not bridge.is_bridged():
        return bridge.run_coroutine(coroutine)
    with along(strand):
        return bridge.run_coroutine(coroutine)


@contextmanager
def along(strand: Strand) -> Iterator[None]:
    """Run the code of the running task along `strand`; tasks that it starts are branches of it.

    Without a running task, nothing tells which task was started when.
    """
    if (task := _running_task()) is None:
        yield
        return
    home = _Home(strand, task)
    token = _home.set(home)
    try:
        yield
        home.join()
    except BaseException:
        home.give_up()
        raise
    finally:
        _home.reset(token)


async def along_strand(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a task of its own that asks for the task that started it."""
    _home.set(None)  # in the task's own context
    return await coroutine


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what blocks as `bridge.run_in_thread` does; it asks along the strand that it is on."""
    token = _home.set(None)
    try:
        return await bridge.run_in_thread(function, *args, **kwargs)
    finally:
        _home.reset(token)


def own_strand(strand: Strand) -> Strand:
    """Return the strand of the running task, where the context's is `strand`.

    Raises:
        EmberBenchError: if it cannot be told independently of timing.
    """
    home = _home.get()
    if home is None or home.strand is not strand:
        return strand
    task = _running()
    if task.get_loop() is not home.task.get_loop():
        return strand  # synchronous code in a notebook: its calls wait for each other
    if task is home.task:
        home.join()
        return strand
    branch = home.branch(task)
    _home.set(branch)  # in the task's own context
    strands.current.set(branch.strand)
    return branch.strand


def _running_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return None


def _running() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - calls are made in tasks
    return task


def _was_started_before(one: asyncio.Task[Any], two: asyncio.Task[Any]) -> bool:
    names = one.get_name(), two.get_name()
    first, second = (name.removeprefix(_NAME) for name in names)
    return all(n.startswith(_NAME) for n in names) and int(first) < int(second)
