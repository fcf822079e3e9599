"""Trials for several workers: who gets which, and their results."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

from ember_bench.engines.driver import Driver, Link
from ember_bench.engines.local import identity_of
from ember_bench.engines.messages import (
    Assign,
    Drain,
    Drained,
    Failed,
    Finished,
    Stop,
    Tell,
    Waits,
    decoded_asks,
    encoded,
    unpacked,
)
from ember_bench.errors import EmberBenchError
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import Trial, TrialResult
from ember_bench.models.limits import RateLimitWait

_MOST_TRIALS: Final = 256
# So many wait at a worker beside those that are under way.
_AHEAD: Final = 64
# A trial may be what its workers die of.
_MOST_LOSSES: Final = 5
_LOOK_SECONDS: Final = 0.1


class WorkersLostError(EmberBenchError):
    """Workers end again and again, and the trials that they had with them."""


class Outbox:
    """Gathers the messages of one moment for a worker.

    Args:
        deliver: Sends them.
    """

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        self._messages: list[Tell] = []

    def send(self, message: Tell) -> None:
        """Send a message soon, after those before it."""
        self._messages.append(message)
        if len(self._messages) == 1:
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        batch, self._messages = self._messages, []
        self._deliver(encoded(batch))


class Dispatcher:
    """Hands trials out to workers that come and go, and takes their results.

    Args:
        driver: Answers what they ask.
    """

    def __init__(self, driver: Driver) -> None:
        self.links: list[Link] = []
        self._driver = driver
        self._source: Iterator[Trial] = iter(())
        self._again: deque[Trial] = deque()
        self._losses: Counter[Trial] = Counter()
        self._exhausted = True
        self._finished: list[TrialResult] = []
        self._failure: BaseException | None = None
        self._news = asyncio.Event()

    def joined(self, link: Link) -> None:
        """Take a worker up."""
        self.links.append(link)
        self._news.set()

    def left(self, link: Link, cause: BaseException) -> None:
        """Give the trials of a worker that is lost to others."""
        if link.lost:
            return
        self.links.remove(link)
        self._driver.lost(link)
        link.drained.set()
        for trial in link.trials:
            self._losses[trial] += 1
            if self._losses[trial] >= _MOST_LOSSES:
                self.failed(
                    WorkersLostError(
                        f"{link.name}: a trial was under way in {_MOST_LOSSES} workers that ended;"
                        f" the last: {cause}"
                    )
                )
        self._again.extend(link.trials)
        link.trials.clear()
        self._news.set()

    def failed(self, error: BaseException) -> None:
        """End the run with an error."""
        self._failure = self._failure or error
        self._news.set()

    def heard(self, link: Link, data: bytes) -> None:
        """Take the messages of a worker."""
        for message in decoded_asks(data):
            match message:
                case Finished(results, without):
                    self._ended(link, results, without)
                case Failed(error):
                    self.failed(unpacked(error))
                case Drained():
                    link.drained.set()
                case Waits(waits):
                    link.waits = waits
                case _:
                    self._driver.heard(link, message)

    async def run(
        self, experiment: Experiment, trials: Iterable[Trial], stop: asyncio.Event
    ) -> AsyncGenerator[list[TrialResult], None]:
        """Yield the results of trials as they come; see `Engine.run`.

        Raises:
            WorkersLostError: if workers end again and again.
            StoreError: if answers cannot be kept.
        """
        experiment.service.waits_elsewhere = self._waits
        self._source, self._exhausted = iter(trials), False
        stopping = asyncio.create_task(self._stop(experiment, stop))
        try:
            while not self._is_over(stop):
                self._hand_out(experiment, stop)
                if self._is_over(stop):
                    break
                await self._news.wait()
                self._news.clear()
                if self._failure is not None:
                    raise self._failure
                if batch := self._taken():
                    yield batch
            await self._drain()
            if batch := self._taken():
                yield batch
        finally:
            stopping.cancel()
            with suppress(asyncio.CancelledError):
                await stopping

    def _taken(self) -> list[TrialResult]:
        batch, self._finished = self._finished, []
        return batch

    def _ended(self, link: Link, results: list[TrialResult], without: list[Trial]) -> None:
        for trial in [*(result.trial for result in results), *without]:
            link.trials.pop(trial, None)
        self._finished += results
        self._news.set()

    def _is_over(self, stop: asyncio.Event) -> bool:
        if any(link.trials for link in self.links):
            return False
        return stop.is_set() or (self._exhausted and not self._again)

    def _hand_out(self, experiment: Experiment, stop: asyncio.Event) -> None:
        """Give each worker its share of the trials in flight, and some that wait."""
        for number, link in enumerate(self.links):
            share, rest = divmod(experiment.spec.in_flight, len(self.links))
            share += number < rest
            ahead = min(share, _AHEAD)
            free = share + ahead - len(link.trials)
            if free < min(ahead, _AHEAD) and link.trials:
                continue
            while free > 0 and not stop.is_set():
                batch = self._next(experiment, min(free, _MOST_TRIALS))
                if not batch:
                    break
                link.trials.update(batch)
                link.send(Assign(batch, share))
                free -= len(batch)

    def _next(self, experiment: Experiment, most: int) -> list[tuple[Trial, bytes]]:
        """Return the next trials with their fingerprints; those of lost workers come first."""
        batch: list[tuple[Trial, bytes]] = []
        while len(batch) < most:
            if self._again:
                trial = self._again.popleft()
            elif (found := next(self._source, None)) is not None:
                trial = found
            else:
                self._exhausted = True
                break
            batch.append((trial, identity_of(experiment, trial)))
        return batch

    async def _stop(self, experiment: Experiment, stop: asyncio.Event) -> None:
        """Tell the workers once the run is to stop, and once no request may begin."""
        await stop.wait()
        self._news.set()
        self._tell_all(Stop(winding_down=False))
        while not experiment.service.is_winding_down:
            await asyncio.sleep(_LOOK_SECONDS)
        self._driver.wind_down()
        self._tell_all(Stop(winding_down=True))

    def _waits(self) -> list[RateLimitWait]:
        """Return the longest of the workers' waits for each model."""
        found: dict[str, RateLimitWait] = {}
        for wait in (wait for link in self.links for wait in link.waits):
            if wait.model_id not in found or wait.seconds > found[wait.model_id].seconds:
                found[wait.model_id] = wait
        return list(found.values())

    def _tell_all(self, message: Tell) -> None:
        for link in self.links:
            link.send(message)

    async def _drain(self) -> None:
        """Wait for requests of trials that have failed; they are paid, and stored."""
        links = list(self.links)
        for link in links:
            link.drained.clear()
            link.send(Drain())
        for link in links:
            await link.drained.wait()
        await self._driver.settled()
