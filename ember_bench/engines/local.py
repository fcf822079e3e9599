"""The local engine: all trials as greenlets on one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from ember_bench import bridge
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import Trial, TrialResult, fingerprint, run_trial
from ember_bench.models import strand as strands
from ember_bench.models.strand import CallLog, Purse

# Trials that one worker runs at most before the event loop is seen to.
_TURN: Final = 5

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class UnderWay:
    """A trial that is not done yet.

    Attributes:
        purse: Its money, by which its calls are known.
        began: When it began, in seconds of `time.monotonic`.
        log: Its calls so far, those of its judges among them.
    """

    purse: Purse
    began: float = field(default_factory=time.monotonic)
    log: CallLog = field(default_factory=CallLog)


class LocalEngine:
    """Runs trials in this process, `in_flight` of them at once.

    Attributes:
        under_way: The trials that are not done yet, in the order in which they began.
    """

    def __init__(self) -> None:
        self.under_way: dict[Trial, UnderWay] = {}

    async def run(
        self, experiment: Experiment, trials: Iterable[Trial], stop: asyncio.Event
    ) -> AsyncGenerator[list[TrialResult], None]:
        """Yield the results of trials as they come, in batches.

        After `stop` is set no further trial is begun; those under way are finished. If the
        iteration is given up, or a worker fails, the trials under way are cancelled and nothing
        is left running.
        """
        finished: list[TrialResult] = []
        news = asyncio.Event()
        source = iter(trials)
        workers = [
            asyncio.create_task(self._work(experiment, source, stop, finished, news))
            for _ in range(min(experiment.spec.in_flight, len(experiment)))
        ]
        everything = asyncio.gather(*workers)
        everything.add_done_callback(lambda _: news.set())
        try:
            over = False
            while not over:
                await news.wait()
                news.clear()
                # Looked at first: nothing more comes after the last batch, and a failure does
                # not wait until the other workers have nothing to do.
                over = everything.done()
                batch, finished[:] = list(finished), []
                if batch:
                    yield batch
            everything.result()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(everything, *workers, return_exceptions=True)

    async def _work(
        self,
        experiment: Experiment,
        source: Iterator[Trial],
        stop: asyncio.Event,
        finished: list[TrialResult],
        news: asyncio.Event,
    ) -> None:
        def run_one(trial: Trial) -> None:
            purse = experiment.purse(experiment.cells[trial.cell])
            under_way = self.under_way[trial] = UnderWay(purse)
            token = strands.measuring.set((*strands.measuring.get(), under_way.log))
            try:
                identity = identity_of(experiment, trial)
                result = run_as_asked(experiment, trial, identity, purse)
            finally:
                strands.measuring.reset(token)
                del self.under_way[trial]
            if result is not None:
                finished.append(result)
                news.set()

        # One greenlet for many trials: to make one takes as long as a fifth of a simulated trial.
        await bridge.run(run_in_turns, run_one, source, stop)


def run_in_turns(run_one: Callable[[T], None], source: Iterator[T], stop: asyncio.Event) -> None:
    """Run trials one after the other, until there are none, or `stop` is set; in a greenlet."""
    for count, trial in enumerate(source, start=1):
        if stop.is_set():
            return
        run_one(trial)
        if count % _TURN == 0:
            # Trials whose answers are all stored wait for nothing; others must have their turn.
            bridge.wait(asyncio.sleep(0))


def identity_of(experiment: Experiment, trial: Trial) -> bytes:
    """Return the fingerprint of a trial of an experiment."""
    cell = experiment.cells[trial.cell]
    questions = experiment.questions[cell.dataset]
    return fingerprint(cell, questions.items[trial.item], questions.evaluator, trial.epoch)


def run_as_asked(
    experiment: Experiment, trial: Trial, identity: bytes, purse: Purse
) -> TrialResult | None:
    """Run a trial of an experiment, see `run_trial`."""
    cell = experiment.cells[trial.cell]
    questions = experiment.questions[cell.dataset]
    item, evaluator = questions.items[trial.item], questions.evaluator
    return run_trial(trial, cell, item, evaluator, identity, purse, questions.baseline)


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine as `asyncio.run` does, on uvloop if it is installed.

    A call over HTTP then takes 6 to 40 % less CPU (`benchmarks/NOTES.md`).
    """
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - an optional dependency
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)
