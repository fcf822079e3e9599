"""A worker: runs the trials that the driver of a run hands it, on an event loop of its own.

It has no store, no budget and no limits: for these it asks the driver. So a worker that is killed
loses nothing that was paid and told; what it had under way, others do again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Final

from ember_bench import bridge
from ember_bench.engines.local import run_as_asked, run_in_turns
from ember_bench.engines.messages import (
    Answer,
    Assign,
    Done,
    Drain,
    Drained,
    Failed,
    Finished,
    Refused,
    Stop,
    Tell,
    Waits,
    decoded_tells,
    packed,
    unpacked,
)
from ember_bench.engines.questions import DriverFunds, DriverServers, DriverStore, Questions
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import Trial, TrialResult
from ember_bench.models.strand import Purse

_WAITS_SECONDS: Final = 1.0


class _Queue(Iterator[tuple[Trial, bytes]]):
    """Trials that many take from, until there are none just now."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Trial, bytes]] = deque()

    def __next__(self) -> tuple[Trial, bytes]:
        if not self.waiting:
            raise StopIteration
        return self.waiting.popleft()


class Worker:
    """Runs the trials of an experiment that it is handed.

    Args:
        experiment: The same experiment as the driver's.
        account: Account that the driver's requests are paid on.
        budgeted: Whether the driver has a budget.
    """

    def __init__(self, experiment: Experiment, account: str, *, budgeted: bool) -> None:
        self._experiment = experiment
        self._account = account
        self._questions = Questions()
        self._funds = DriverFunds(self._questions) if budgeted else None
        store = DriverStore(self._questions)
        experiment.service.attach(store, coordination=store)
        experiment.service.servers = DriverServers(self._questions)
        self._queue = _Queue()
        self._stop = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._results: list[TrialResult] = []
        self._without: list[Trial] = []
        self._flushing = False
        self._watch: asyncio.Task[None] | None = None

    async def poll(self) -> bytes:
        """Return the next messages to the driver, once there are some."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._tell_waits())
        return await self._questions.gathered()

    def deliver(self, data: bytes) -> None:
        """Take messages of the driver."""
        for message in decoded_tells(data):
            self._heard(message)

    async def leave(self) -> bytes:
        """Give everything up; return the messages that were not sent, with answers to be stored."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._experiment.service.close(abandon=True)
        return self._questions.taken()

    def _heard(self, message: Tell) -> None:
        match message:
            case Answer(number, completion):
                self._questions.answered(number, completion)
            case Done(number, address):
                self._questions.answered(number, address or None)
            case Refused(number, error):
                self._questions.answered(number, unpacked(error))
            case Assign():
                self._assigned(message)
            case Stop(winding_down):
                self._stop_all(winding_down=winding_down)
            case Drain():
                task = asyncio.create_task(self._drain())
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    def _assigned(self, message: Assign) -> None:
        self._stop.clear()
        self._queue.waiting.extend(message.trials)
        free = message.in_flight - len(self._running)
        for _ in range(min(free, len(self._queue.waiting))):
            task = asyncio.create_task(self._run_some())
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run_some(self) -> None:
        try:
            await bridge.run(run_in_turns, self._run_one, self._queue, self._stop)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # answers cannot be kept: the driver ends the run
            self._questions.say(Failed(packed(error)))

    def _run_one(self, assigned: tuple[Trial, bytes]) -> None:
        trial, identity = assigned
        cell = self._experiment.cells[trial.cell]
        purse = Purse(cell.name, self._account, self._funds)
        result = run_as_asked(self._experiment, trial, identity, purse)
        if result is None:
            self._without.append(trial)
        else:
            self._results.append(result)
        self._flush_soon()

    def _flush_soon(self) -> None:
        """Tell the driver the results of one moment together."""
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        results, self._results = self._results, []
        without, self._without = self._without, []
        self._questions.say(Finished(results, without))

    def _stop_all(self, *, winding_down: bool) -> None:
        self._stop.set()
        if left := [trial for trial, _ in self._queue.waiting]:
            self._queue.waiting.clear()
            self._without += left
            self._flush_soon()
        if winding_down:
            self._experiment.service.wind_down()

    async def _drain(self) -> None:
        await self._experiment.service.drain()
        self._questions.say(Drained())

    async def _tell_waits(self) -> None:
        """Tell the driver each second what is waited for, as long as anything is."""
        told = False
        while True:
            await asyncio.sleep(_WAITS_SECONDS)
            waits = self._experiment.service.rate_limit_waits
            if waits or told:
                self._questions.say(Waits(waits))
            told = bool(waits)
