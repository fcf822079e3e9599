"""The local engine: how many at once, when it stops, what it does when something breaks."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from ember_bench.engines import LocalEngine
from ember_bench.errors import StoreError
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.runner import Run, trial_store
from ember_bench.experiment.trial import Trial, TrialResult
from ember_bench.models.call import Call
from ember_bench.models.limits.window import START
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.models.types import Completion
from tests.support.counted import Counted
from tests.support.workspace import Workspace, vote

pytestmark = pytest.mark.slow


class Gauge:
    """Counts the calls that are under way, and lets through those that `open` lets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.most = self.begun = self.cancelled = 0
        self.open: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0.001)
        answer = Counted.complete

        async def complete(provider: Counted, call: Call) -> Completion:
            self.now += 1
            self.begun += 1
            self.most = max(self.most, self.now)
            try:
                await self.open()
                return await answer(provider, call)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            finally:
                self.now -= 1

        monkeypatch.setattr(Counted, "complete", complete)


@pytest.fixture
def gauge(monkeypatch: pytest.MonkeyPatch) -> Gauge:
    return Gauge(monkeypatch)


Batches = AsyncGenerator[list[TrialResult], None]


def drive(experiment: Experiment, use: Callable[[Batches, asyncio.Event], Awaitable[Any]]) -> Any:
    """Run the engine alone, with no store, and see that it leaves nothing running."""

    async def main() -> Any:
        stop = asyncio.Event()
        batches = LocalEngine().run(experiment, experiment.trials(), stop)
        try:
            return await use(batches, stop)
        finally:
            await batches.aclose()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            await experiment.service.close()

    return asyncio.run(main())


async def collect(batches: Batches, _: asyncio.Event) -> list[TrialResult]:
    return [result async for batch in batches for result in batch]


@pytest.mark.parametrize("in_flight", [1, 3, 1000])
def test_so_many_trials_are_under_way_at_once(
    workspace: Workspace, gauge: Gauge, in_flight: int
) -> None:
    workspace.sums(30)
    workspace.grid(in_flight=in_flight)
    results = drive(workspace.experiment(), collect)
    assert len(results) == 30
    # A model's own window starts narrower than that, and opens as its answers come.
    assert min(in_flight, 30, START) <= gauge.most <= min(in_flight, 30)


def test_every_trial_comes_once(workspace: Workspace) -> None:
    workspace.grid(architectures=[vote([1, 3])], epochs=2, in_flight=4)
    experiment = workspace.experiment()
    trials = [result.trial for result in drive(experiment, collect)]
    assert len(trials) == len(experiment)
    assert set(trials) == set(experiment.trials())


def test_after_stop_none_is_begun_and_those_under_way_are_finished(
    workspace: Workspace, gauge: Gauge
) -> None:
    workspace.sums(100)
    workspace.grid(in_flight=5)

    async def stop_at_the_first(batches: Batches, stop: asyncio.Event) -> int:
        done = 0
        begun = 0
        async for batch in batches:
            done += len(batch)
            if not stop.is_set():
                stop.set()
                begun = gauge.begun
        assert gauge.begun == begun
        return done

    done = drive(workspace.experiment(), stop_at_the_first)
    assert done == gauge.begun < 20
    assert gauge.cancelled == 0


def test_a_stop_before_the_start_runs_nothing(workspace: Workspace, gauge: Gauge) -> None:
    async def stopped(batches: Batches, stop: asyncio.Event) -> list[TrialResult]:
        stop.set()
        return await collect(batches, stop)

    assert drive(workspace.experiment(), stopped) == []
    assert gauge.begun == 0


def test_a_broken_store_ends_the_run_and_leaves_nothing_running(
    workspace: Workspace, gauge: Gauge
) -> None:
    workspace.sums(300)
    workspace.grid(in_flight=3)
    experiment = workspace.experiment()
    answered = itertools.count()

    async def break_the_tenth() -> None:
        await asyncio.sleep(0.001)
        if next(answered) == 10:
            raise StoreError("the disk is full")

    gauge.open = break_the_tenth
    seen: list[TrialResult] = []

    async def use(batches: Batches, _: asyncio.Event) -> None:
        async for batch in batches:
            seen.extend(batch)

    with pytest.raises(StoreError, match="the disk is full"):
        drive(experiment, use)
    # One broken trial of three at a time is enough: the others do not go on.
    assert 5 <= len(seen) <= 15
    assert gauge.now == 0


def test_an_abandoned_iteration_cancels_what_is_under_way(
    workspace: Workspace, gauge: Gauge
) -> None:
    workspace.sums(50)
    workspace.grid(in_flight=8)
    gates = itertools.count()

    async def open_one() -> None:
        await asyncio.sleep(0.001 if next(gates) == 0 else 3600)

    gauge.open = open_one

    async def first(batches: Batches, _: asyncio.Event) -> int:
        return len(await anext(batches))

    assert drive(workspace.experiment(), first) == 1
    assert gauge.now == 0
    assert gauge.cancelled == 8


def test_an_error_of_the_consumer_cancels_what_is_under_way(
    workspace: Workspace, gauge: Gauge
) -> None:
    workspace.sums(50)
    workspace.grid(in_flight=8)
    experiment = workspace.experiment()

    async def main() -> None:
        results = workspace.root / "results"
        experiment.service.attach(ResponseStore(results / "responses.db"))
        store = trial_store(results / "trip", experiment)
        calls = itertools.count()

        def on_progress(_: object) -> None:
            if next(calls):
                raise ZeroDivisionError

        run = Run(experiment, store, LocalEngine(), on_progress)
        with pytest.raises(ZeroDivisionError):
            await run.trials()
        # Requests that are being paid for go on to the store; trials do not.
        trials = [t for t in asyncio.all_tasks() if "_work" in repr(t.get_coro())]
        assert trials == []
        await experiment.service.close()
        store.close()

    asyncio.run(main())


def test_a_cancelled_run_keeps_what_was_answered(workspace: Workspace, gauge: Gauge) -> None:
    workspace.sums(50)
    workspace.grid(in_flight=8)
    experiment = workspace.experiment()

    async def main() -> None:
        results = workspace.root / "results"
        experiment.service.attach(ResponseStore(results / "responses.db"))
        store = trial_store(results / "trip", experiment)
        run = asyncio.create_task(Run(experiment, store, LocalEngine()).trials())
        while gauge.begun < 20:
            await asyncio.sleep(0.0005)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await experiment.service.close()
        store.close()

    asyncio.run(main())
    begun = gauge.begun
    assert 20 <= begun < 40
    ran = workspace.run()
    assert ran.summary.run.status == "complete"
    assert gauge.begun == 50


def test_results_are_not_held(workspace: Workspace) -> None:
    workspace.sums(400)
    workspace.grid(in_flight=4)
    experiment = workspace.experiment()

    def there() -> int:
        return sum(isinstance(thing, TrialResult) for thing in gc.get_objects())

    async def count(batches: Batches, _: asyncio.Event) -> tuple[int, int]:
        total = most = 0
        async for batch in batches:
            assert there() >= len(batch)  # they can be seen
            total += len(batch)
            batch.clear()
            most = max(most, there())
        return total, most

    gc.freeze()  # else millions of objects of other tests are looked through each time
    try:
        total, most = drive(experiment, count)
    finally:
        gc.unfreeze()
    assert total == 400
    assert most < 40


def test_the_interpreter_of_the_caller_is_left_as_it_is(workspace: Workspace) -> None:
    workspace.sums(3)
    workspace.grid()

    def settings() -> tuple[object, ...]:
        return gc.get_threshold(), gc.get_freeze_count(), sys.getswitchinterval()

    async def meanwhile(batches: Batches, _: asyncio.Event) -> set[tuple[object, ...]]:
        return {settings() async for _ in batches}

    assert drive(workspace.experiment(), meanwhile) == {settings()}


def test_trials_are_taken_as_they_are_needed(workspace: Workspace) -> None:
    # Memory stays flat in the number of trials: none is taken out long before it is run.
    workspace.sums(200)
    workspace.grid(in_flight=4)
    experiment = workspace.experiment()
    taken: list[Trial] = []
    at: list[tuple[int, int]] = []

    def source() -> Iterator[Trial]:
        for trial in experiment.trials():
            taken.append(trial)
            yield trial

    async def main() -> None:
        done = 0
        async for batch in LocalEngine().run(experiment, source(), asyncio.Event()):
            done += len(batch)
            at.append((done, len(taken)))
        await experiment.service.close()

    asyncio.run(main())
    assert at[-1][0] == 200
    assert all(out - done <= 5 for done, out in at)


def test_an_empty_rest_is_no_run(workspace: Workspace) -> None:
    experiment = workspace.experiment()
    few = replace(experiment, spec=experiment.spec.model_copy(update={"in_flight": 2}))

    async def main() -> list[list[TrialResult]]:
        return [batch async for batch in LocalEngine().run(few, [], asyncio.Event())]

    assert asyncio.run(main()) == []
