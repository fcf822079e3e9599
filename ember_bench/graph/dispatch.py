"""Concurrent runs of tasks, each after the tasks that it depends on.

The nodes of a graph and the tasks of a plan are run here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from ember_bench import bridge

Outcome: TypeAlias = tuple[Any, float]
"""The result of a task, and the virtual time at which it is complete, in seconds."""


class Dependencies:
    """Dependencies between tasks, by index; created once for tasks that are run many times.

    Args:
        needs: For each task, the earlier tasks that must have ended.
    """

    __slots__ = ("first", "in_line", "needs", "waiting")

    def __init__(self, needs: Sequence[Sequence[int]]) -> None:
        self.needs = [tuple(sorted(set(earlier))) for earlier in needs]
        self.waiting: list[list[int]] = [[] for _ in self.needs]
        for index, earlier in enumerate(self.needs):
            for i in earlier:
                self.waiting[i].append(index)
        # Each task needs the one before it, so no two can run at the same time.
        self.in_line = all(i - 1 in earlier for i, earlier in enumerate(self.needs) if i)
        self.first = [index for index, earlier in enumerate(self.needs) if not earlier]


class Run:
    """One run of some tasks; call `all` in a greenlet of the bridge.

    Args:
        dependencies: The dependencies between the tasks.
        compute: Runs the task of an index that starts at a virtual time; it may wait.
        clock: Virtual time at which the first tasks start, in seconds.
        limit: Maximum number of tasks under way at once.
        begin: The same as `compute` as a coroutine, for tasks that need no greenlet.
        hold: Tells whether a task that is ready must wait for earlier ones to start.
        settle: Do not raise failures, and complete all tasks before the first failed one. So the
            first failure in order does not depend on timing.
        instead: Returns the outcome that stands for a failure, or None; the other tasks then run
            as if it had not failed.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        compute: Callable[[int, float], Outcome],
        *,
        clock: float,
        limit: int | None = None,
        begin: Callable[[int, float], Coroutine[Any, Any, Outcome] | None] | None = None,
        hold: Callable[[int], bool] | None = None,
        settle: bool = False,
        instead: Callable[[int, Exception], Outcome | None] | None = None,
    ) -> None:
        self._instead = instead
        self._dependencies = dependencies
        self._compute = compute
        self._clock = clock
        self._limit = limit
        self._begin = begin
        self._hold = hold
        self._settle = settle
        count = len(dependencies.needs)
        self.started = [False] * count
        self.outcomes: list[Outcome | None] = [None] * count
        self.errors: dict[int, Exception] = {}
        self._end = count  # index of the first failed task; later tasks are not started
        self._missing = [len(earlier) for earlier in dependencies.needs]
        self._ready = list(dependencies.first)
        self._tasks: dict[asyncio.Task[Outcome], int] = {}
        self._ended: list[asyncio.Task[Outcome]] = []
        self._woken: asyncio.Future[None] | None = None

    def all(self) -> list[Outcome | None]:
        """Run all tasks; with `settle`, the outcome of one that failed or did not run is None.

        Raises:
            Exception: that of a task; of several at once, the first in order. Tasks under way are
                cancelled before.
        """
        try:
            while self._ready or self._tasks:
                self._start_what_can()
                if self._tasks:
                    bridge.wait(self._some_end())
                    self._take_ended()
        except BaseException:
            bridge.wait(bridge.cancel_all(self._tasks))
            raise
        return self.outcomes

    def _start_what_can(self) -> None:
        while self._ready:
            if not self._tasks and (len(self._ready) == 1 or self._limit == 1):
                # No other task can run meanwhile, so it needs no asyncio task.
                self._ready.sort()
                self._run_here(self._ready.pop(0))
                continue
            self._ready.sort()
            kept = []
            for index in self._ready:
                if self._is_full() or (self._hold is not None and self._hold(index)):
                    kept.append(index)
                else:
                    self._start(index)
            self._ready = kept
            return

    def _is_full(self) -> bool:
        return self._limit is not None and len(self._tasks) >= self._limit

    def _run_here(self, index: int) -> None:
        self.started[index] = True
        start = self._start_time(index)
        try:
            coroutine = self._begin(index, start) if self._begin is not None else None
            if coroutine is not None:
                outcome = bridge.wait(coroutine)
            else:
                outcome = self._compute(index, start)
        except Exception as error:
            self._fail(index, error)
        else:
            self._finish(index, outcome)

    def _start(self, index: int) -> None:
        self.started[index] = True
        start = self._start_time(index)
        coroutine = self._begin(index, start) if self._begin is not None else None
        if coroutine is None:
            coroutine = bridge.run(self._compute, index, start)
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks[task] = index
        task.add_done_callback(self._wake)

    def _start_time(self, index: int) -> float:
        start = self._clock
        for i in self._dependencies.needs[index]:
            outcome = self.outcomes[i]
            if outcome is not None and outcome[1] > start:
                start = outcome[1]
        return start

    def _wake(self, task: asyncio.Task[Outcome]) -> None:
        self._ended.append(task)
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def _some_end(self) -> None:
        if not self._ended:
            self._woken = asyncio.get_running_loop().create_future()
            await self._woken

    def _take_ended(self) -> None:
        ended = [(self._tasks.pop(task), task) for task in self._ended]
        self._ended = []
        for _, task in ended:
            if not task.cancelled():
                task.exception()  # marks it as retrieved, even if another one is raised
        # Several may have failed at once: the first in order is raised.
        for index, task in sorted(ended, key=lambda entry: entry[0]):
            try:
                outcome = task.result()
            except Exception as error:
                self._fail(index, error)
            except asyncio.CancelledError:
                if index < self._end:
                    raise
            else:
                self._finish(index, outcome)

    def _finish(self, index: int, outcome: Outcome) -> None:
        self.outcomes[index] = outcome
        for i in self._dependencies.waiting[index]:
            self._missing[i] -= 1
            if not self._missing[i] and i < self._end:
                self._ready.append(i)

    def _fail(self, index: int, error: Exception) -> None:
        if self._instead is not None and (outcome := self._instead(index, error)) is not None:
            self._finish(index, outcome)
            return
        if not self._settle:
            raise error
        self.errors[index] = error
        self._end = min(self._end, index)
        self._ready = [i for i in self._ready if i < self._end]
        for task, i in self._tasks.items():
            if i > self._end:
                task.cancel()


def run_all(
    dependencies: Dependencies, compute: Callable[[int, float], Outcome], clock: float
) -> None:
    """Run all tasks, as `Run` does; tasks in a chain are run by a loop."""
    if not dependencies.in_line:
        Run(dependencies, compute, clock=clock).all()
        return
    for index in range(len(dependencies.needs)):
        _, clock = compute(index, clock)
