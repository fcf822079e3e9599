"""What a worker asks its driver: for answers, money, limits and servers.

Messages gather while the last ones are on their way.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from typing import Any, Final

from ember_bench.engines.messages import (
    Ask,
    Claim,
    GiveBack,
    Pay,
    Permit,
    Put,
    Release,
    Reserve,
    Serve,
    Settle,
    encoded,
    packed,
    sendable,
)
from ember_bench.errors import StoreError
from ember_bench.models.info import ModelInfo
from ember_bench.models.launching import Launch
from ember_bench.models.servers import Servers
from ember_bench.models.store.payments import Paid, Payment
from ember_bench.models.store.rows import StoredCall
from ember_bench.models.types import Completion, Usage

# Some hundred kilobytes, as answers are.
_MOST_MESSAGES: Final = 512


class Questions:
    """The questions to the driver that are not answered yet."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._open: dict[int, asyncio.Future[Any]] = {}
        self._outbox: list[Ask] = []
        self._news = asyncio.Event()

    def say(self, message: Ask) -> None:
        """Tell the driver something that it does not answer."""
        self._outbox.append(message)
        self._news.set()

    def number(self) -> int:
        """Return the number of the next question."""
        return next(self._numbers)

    async def ask(self, question: Claim | Put | Pay | Reserve | Permit | Serve) -> Any:
        """Ask the driver, and return its answer: a completion, an address, or None.

        Raises:
            EmberBenchError: if what was asked for is refused.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open[question.number] = future
        self.say(question)
        try:
            return await future
        finally:
            del self._open[question.number]

    def answered(self, number: int, answer: Completion | str | BaseException | None) -> None:
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
        question = Claim(self._questions.number(), key, makes)
        known: Completion | None = await self._questions.ask(question)
        return known

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
            first: Completion | None = await self._questions.ask(question)
            return first
        except StoreError as error:
            self._failure = error
            raise


class DriverServer:
    """The server of a local model, which the driver has started.

    Args:
        questions: To the driver.
        model_id: The model.
        launch: How it is started.
    """

    def __init__(self, questions: Questions, model_id: str, launch: Launch) -> None:
        self.launch = launch
        self._questions = questions
        self._model_id = model_id
        self._address = ""
        self._asking: asyncio.Task[str] | None = None

    async def ready(self) -> str:
        """Return its address once it can be asked; the driver starts it if need be.

        Raises:
            ProviderError: if it does not start, or has ended, with what it printed.
            CallGivenUpError: if the run is to stop.
        """
        if self._address:
            return self._address
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)  # others wait for it, too

    async def is_foreign(self) -> bool:
        """Return False: the driver knows."""
        return False

    def served(self, usage: Usage) -> None:
        """Do nothing: the driver counts what it stores."""

    def unheard(self) -> None:
        """Ask for its address again, where the last one does not answer."""
        self._address = ""

    def give_up(self) -> None:
        """Do nothing: the driver gives up."""

    async def close(self) -> None:
        """Wait for it no longer; the driver ends it."""
        if (asking := self._asking) is not None:
            asking.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await asking

    @property
    def report(self) -> str:
        """Return "": the driver has it."""
        return ""

    async def _ask(self) -> str:
        try:
            question = Serve(self._questions.number(), self._model_id)
            self._address = await self._questions.ask(question)
            return self._address
        finally:
            self._asking = None


class DriverServers(Servers):
    """The servers of the driver.

    Args:
        questions: To the driver.
    """

    def __init__(self, questions: Questions) -> None:
        super().__init__()
        self._questions = questions

    def made(self, model: ModelInfo, base_url: str, launch: Launch) -> DriverServer:
        """Return the server at an address."""
        del base_url
        return DriverServer(self._questions, model.model_id, launch)
