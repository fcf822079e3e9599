"""The local engine: all trials as greenlets on one event loop."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from ember_bench import bridge
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import Trial, TrialResult, fingerprint, run_trial

# Trials that one worker runs at most before the event loop is seen to.
_TURN: Final = 5

# Python's own is 5 ms, longer than a commit.
_TURN_SECONDS: Final = 0.0005

# As many objects as a thousand trials make that are freed by counting references.
_COLLECT_AFTER: Final = 50_000


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
        with _rare_collection(), _short_turns():
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


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Have the garbage collector look seldom, and not at what is there for as long as trials run.

    Trials leave nearly nothing that is not freed at once, but make so many objects that it would
    look through all of them all the time: it takes a seventh of a simulated trial.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    if thresholds[0]:  # else it never looks
        gc.set_threshold(max(_COLLECT_AFTER, thresholds[0]), *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


@contextmanager
def _short_turns() -> Iterator[None]:
    """Have threads wait less long for the interpreter: calls wait for the one that stores them.

    It takes the interpreter half a dozen times for a commit, and each time may wait for a turn.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(_TURN_SECONDS, interval))
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


async def _work(
    experiment: Experiment,
    source: Iterator[Trial],
    stop: asyncio.Event,
    finished: list[TrialResult],
    news: asyncio.Event,
) -> None:
    # One greenlet for many trials: to make one takes as long as a fifth of a simulated trial.
    await bridge.run(_run_trials, experiment, source, stop, finished, news)


def _run_trials(
    experiment: Experiment,
    source: Iterator[Trial],
    stop: asyncio.Event,
    finished: list[TrialResult],
    news: asyncio.Event,
) -> None:
    for count, trial in enumerate(source, start=1):
        if stop.is_set():
            return
        cell = experiment.cells[trial.cell]
        questions = experiment.questions[cell.dataset]
        item = questions.items[trial.item]
        identity = fingerprint(cell, item, questions.evaluator, trial.epoch)
        result = run_trial(trial, cell, item, questions.evaluator, identity)
        if result is not None:
            finished.append(result)
            news.set()
        del result  # whoever takes the batch is to be the last that holds it
        if count % _TURN == 0:
            # Trials whose answers are all stored wait for nothing; others must have their turn.
            bridge.wait(asyncio.sleep(0))
