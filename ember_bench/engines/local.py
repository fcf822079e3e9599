"""The local engine: all trials as greenlets on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from typing import Any, Final, TypeVar

from ember_bench import bridge
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import Trial, TrialResult, fingerprint, run_trial
from ember_bench.models.strand import Purse

# Trials that one worker runs at most before the event loop is seen to.
_TURN: Final = 5

T = TypeVar("T")


class LocalEngine:
    """Runs trials in this process, `in_flight` of them at once."""

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
            asyncio.create_task(_work(experiment, source, stop, finished, news))
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
    experiment: Experiment,
    source: Iterator[Trial],
    stop: asyncio.Event,
    finished: list[TrialResult],
    news: asyncio.Event,
) -> None:
    def run_one(trial: Trial) -> None:
        purse = experiment.purse(experiment.cells[trial.cell])
        result = run_as_asked(experiment, trial, identity_of(experiment, trial), purse)
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
