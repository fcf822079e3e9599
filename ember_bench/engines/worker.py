"""A worker: runs the trials that the driver of a run hands it, on an event loop of its own.

It has no store, no budget and no limits: for these it asks the driver, with messages that gather
while the last ones are on their way. So a worker that is killed loses nothing that was paid and
told; what it had under way, others do again.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Iterator
from typing import Final

from ember_bench import bridge
from ember_bench.engines.local import run_as_asked, run_in_turns
from ember_bench.engines.messages import (
    Answer,
    Ask,
    Assign,
    Claim,
    Done,
    Drain,
    Drained,
    Failed,
    Finished,
    GiveBack,
    Pay,
    Permit,
    Put,
    Refused,
    Release,
    Reserve,
    Settle,
    Stop,
    Tell,
    Waits,
    decoded_tells,
    encoded,
    packed,
    sendable,
    unpacked,
)
from ember_bench.errors import StoreError
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import Trial, TrialResult
from ember_bench.models.info import ModelInfo
from ember_bench.models.store.payments import Paid, Payment
from ember_bench.models.store.rows import StoredCall
from ember_bench.models.strand import Purse
from ember_bench.models.types import Completion

# Some hundred kilobytes, as answers are.
_MOST_MESSAGES: Final = 512
_WAITS_SECONDS: Final = 1.0


class Questions:
    """The questions to the driver that are not answered yet."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._open: dict[int, asyncio.Future[Completion | None]] = {}
        self._outbox: list[Ask] = []
        self._news = asyncio.Event()

    def say(self, message: Ask) -> None:
        """Tell the driver something that it does not answer."""
        self._outbox.append(message)
        self._news.set()

    def number(self) -> int:
        """Return the number of the next question."""
        return next(self._numbers)

    async def ask(self, question: Claim | Put | Pay | Reserve | Permit) -> Completion | None:
        """Ask the driver, and return its answer.

        Raises:
            EmberBenchError: if what was asked for is refused.
        """
        future: asyncio.Future[Completion | None] = asyncio.get_running_loop().create_future()
        self._open[question.number] = future
        self.say(question)
        try:
            return await future
        finally:
            del self._open[question.number]

    def answered(self, number: int, answer: Completion | BaseException | None) -> None:
        """Hear an answer, for which nobody may wait any more."""
        future = self._open.get(number)
        if future is None or future.done():
            return
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    async def gathered(self) -> bytes:
        """Return the next messages to the driver, once there are some."""
        await self._news.wait()
        await asyncio.sleep(0)  # others of the same moment
        return self.taken()

    def taken(self) -> bytes:
        """Return messages that were not sent yet."""
        batch, self._outbox[:_MOST_MESSAGES] = self._outbox[:_MOST_MESSAGES], []
        if not self._outbox:
            self._news.clear()
        try:
            return encoded(batch)
        except (TypeError, UnicodeEncodeError):  # texts of a user's code
            return encoded([sendable(message) for message in batch])


class _Held:
    """Money that the driver keeps for one call."""

    def __init__(self, questions: Questions, number: int) -> None:
        self._questions = questions
        self._number = number

    def settle(self, usd: float | None, *, known: float | None = None) -> None:
        """Spend `usd` of it and free the rest; see `Reservation.settle`."""
        if self._number >= 0:
            self._questions.say(Settle(self._number, usd, known))
            self._number = -1


class DriverFunds:
    """The budget of the driver."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    async def reserve(self, usd: float, model_id: str, cell: str = "") -> _Held:
        """Reserve what a call may cost at most; see `Budget.reserve`."""
        number = self._questions.number()
        try:
            await self._questions.ask(Reserve(number, usd, model_id, cell))
        except asyncio.CancelledError:
            # Given meanwhile, or later: a reservation that is settled early is not made.
            self._questions.say(Settle(number, 0.0, None))
            raise
        return _Held(self._questions, number)


class _Permit:
    """The driver's leave to have one request in flight."""

    def __init__(self, questions: Questions, number: int) -> None:
        self._questions = questions
        self._number = number

    def give_back(self, tokens: float) -> None:
        """End the request."""
        self._questions.say(GiveBack(self._number, tokens))


class DriverStore:
    """The response store of the driver (`CallStore`), and what it coordinates (`Coordination`)."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._failure: StoreError | None = None

    def get(self, key: bytes) -> Completion | None:  # noqa: ARG002 - of the protocol
        """Return None: only `claim` knows."""
        return None

    async def claim(self, key: bytes, *, makes: bool) -> Completion | None:
        """Return the answer to a call, or None for leave to make it; see `Coordination.claim`."""
        number = self._questions.number()
        return await self._questions.ask(Claim(number, key, makes))

    def release(self, key: bytes, error: BaseException) -> None:
        """Give up a call that was claimed."""
        self._questions.say(Release(key, packed(error)))

    async def permit(
        self, model: ModelInfo, lane: int, tokens: float, most_usd: float | None
    ) -> _Permit:
        """Wait for leave to send a request; see `Coordination.permit`."""
        number = self._questions.number()
        try:
            await self._questions.ask(Permit(number, model.model_id, lane, tokens, most_usd))
        except asyncio.CancelledError:
            self._questions.say(GiveBack(number, 0.0))
            raise
        return _Permit(self._questions, number)

    async def put(
        self,
        call: StoredCall,
        *,
        account: str = "",
        spend_usd: float | None = 0.0,
        patient: bool = False,
    ) -> Completion:
        """Have the driver keep a call; returns the first answer that it had, once it is durable."""
        number = self._questions.number()
        first = await self._asked(Put(number, call, account, spend_usd, patient))
        return call.completion if first is None else first

    async def pay(self, payment: Payment) -> None:
        """Have the driver keep a payment; it is durable on return."""
        await self._asked(Pay(self._questions.number(), payment))

    def check(self) -> None:
        """See that answers can be kept, as far as was heard."""
        if self._failure is not None:
            raise StoreError(str(self._failure))

    def paid(self, account: str) -> Paid:  # noqa: ARG002 - of the protocol
        """Return nothing: the driver counts."""
        return Paid(0, 0.0)

    def close(self) -> None:
        """Do nothing: the driver has the files."""

    async def _asked(self, question: Put | Pay) -> Completion | None:
        try:
            return await self._questions.ask(question)
        except StoreError as error:
            self._failure = error
            raise


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
            case Done(number):
                self._questions.answered(number, None)
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
