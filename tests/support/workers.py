"""An engine whose workers are on the loop of the driver; they can be lost as processes are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from ember_bench.engines.dispatch import Dispatcher, Outbox
from ember_bench.engines.driver import Driver, Link
from ember_bench.engines.worker import Worker
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import Trial


class LostError(Exception):
    """What is heard of a worker that is there no more."""


class Workers:
    """Runs trials on some workers.

    Args:
        opening: Opens the experiment for a worker.
        count: Number of workers.
        on_batch: Called with each batch of results.
    """

    def __init__(
        self,
        opening: Callable[[], Experiment],
        count: int = 2,
        on_batch: Callable[[Workers], None] = lambda _: None,
    ) -> None:
        self._opening = opening
        self._count = count
        self._on_batch = on_batch
        self.dispatcher: Dispatcher | None = None
        self.driver: Driver | None = None
        self.there: list[tuple[Worker, Link, asyncio.Task[None]]] = []
        self.most_trials = 0
        self._experiment: Experiment | None = None

    async def run(self, experiment: Experiment, trials: Iterable[Trial], stop: Any) -> Any:
        if self.dispatcher is None:
            self._experiment = experiment
            self.driver = Driver(experiment)
            self.dispatcher = Dispatcher(self.driver)
            for _ in range(self._count):
                self.add()
        async for batch in self.dispatcher.run(experiment, trials, stop):
            self._on_batch(self)
            yield batch

    def add(self) -> None:
        """Start one more worker."""
        assert self._experiment is not None
        assert self.dispatcher is not None
        experiment = self._experiment
        worker = Worker(self._opening(), experiment.account, budgeted=experiment.budget is not None)
        link = Link("here", Outbox(worker.deliver).send)
        self.dispatcher.joined(link)
        task = asyncio.get_running_loop().create_task(self._serve(worker, link))
        self.there.append((worker, link, task))

    async def _serve(self, worker: Worker, link: Link) -> None:
        assert self.dispatcher is not None
        while True:
            data = await worker.poll()
            self.most_trials = max(self.most_trials, *(len(one.trials) for _, one, _ in self.there))
            await asyncio.sleep(0)
            self.dispatcher.heard(link, data)

    def kill(self, number: int = 0) -> None:
        """Lose a worker: what it says from now on is not heard, and its work ends."""
        assert self.dispatcher is not None
        worker, link, task = self.there.pop(number)
        task.cancel()
        self.dispatcher.left(link, LostError("it was killed"))
        for running in worker._running:
            running.cancel()
        for client in worker._experiment.service._clients.open():
            for leading in client._leading:
                leading.cancel()
