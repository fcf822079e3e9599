"""The driver of a run whose trials other processes run.

The driver alone has the stores, the budget and the statistics. Workers ask it before each call, so
that none is made twice, no cent is spent twice, and the limits of a model's card hold for all. What
a worker that is lost had under way is given to others. A request that it had sent may have been
charged: its worst case is spent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ember_bench.engines.allowance import Allowance
from ember_bench.engines.messages import (
    Answer,
    Ask,
    Claim,
    Done,
    GiveBack,
    Pay,
    Permit,
    Put,
    Refused,
    Release,
    Reserve,
    Serve,
    Settle,
    Tell,
    packed,
    unpacked,
)
from ember_bench.errors import (
    BudgetExhaustedError,
    CallGivenUpError,
    EmberBenchError,
    StoreError,
)
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import Trial
from ember_bench.models.budget import Held
from ember_bench.models.info import ModelInfo
from ember_bench.models.limits import RateLimitWait
from ember_bench.models.servers import Server
from ember_bench.models.store.payments import Payment
from ember_bench.models.store.response_store import CallStore
from ember_bench.models.types import Completion

T = TypeVar("T")


@dataclass(eq=False)
class Link:
    """The driver's side of one worker.

    Attributes:
        name: Where it is, for messages.
        send: Sends it a message, with others of the same moment.
        trials: Those that it was handed and that have not ended, with their fingerprints.
        claims: Keys of the calls that it may make.
        storing: Those of them whose answers are being stored.
        reserved: Its reservations by number, with their model and amount.
        permits: Its requests in flight by number.
        waiting: Its questions that wait for money or limits.
        waits: Its waits for rate limits.
        lost: Whether it is there no more.
        drained: Set when it has no request in flight.
    """

    name: str
    send: Callable[[Tell], None]
    trials: dict[Trial, bytes] = field(default_factory=dict)
    claims: set[bytes] = field(default_factory=set)
    storing: set[bytes] = field(default_factory=set)
    reserved: dict[int, tuple[Held, Reserve]] = field(default_factory=dict)
    permits: dict[int, Permit] = field(default_factory=dict)
    waiting: dict[int, asyncio.Task[str | None]] = field(default_factory=dict)
    waits: list[RateLimitWait] = field(default_factory=list)
    lost: bool = False
    drained: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Claimed:
    """A call that a worker makes, and the questions of others that wait for its answer."""

    link: Link
    waiting: deque[tuple[Link, int]] = field(default_factory=deque)


class Driver:
    """Answers what workers ask, with the store, the budget and the limits of the run.

    Args:
        experiment: The experiment; its service has the store.

    Raises:
        EmberBenchError: if its service has no store.
    """

    def __init__(self, experiment: Experiment) -> None:
        store = experiment.service.store
        if store is None:
            raise EmberBenchError("a run on several machines needs a response store")
        self._store: CallStore = store
        self._account = experiment.account
        self._budget = experiment.budget
        self._service = experiment.service
        self._registry = experiment.service.registry
        self._models = {model.model_id: model for model in experiment.models}
        self._claimed: dict[bytes, _Claimed] = {}
        self._servers: dict[str, Server] = {}
        self._allowances: dict[tuple[str, int], Allowance] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def heard(self, link: Link, ask: Ask) -> None:
        """Answer a question of a worker."""
        match ask:
            case Claim():
                self._claim(link, ask)
            case Put():
                link.storing.add(ask.call.key)
                self._spawn(self._put(link, ask))
            case Release(key, error):
                self._settle(key, unpacked(error))
            case Reserve():
                self._wait(link, ask.number, self._reserve(link, ask))
            case Settle():
                self._settle_money(link, ask)
            case Permit():
                self._permit(link, ask)
            case GiveBack():
                self._give_back(link, ask)
            case Serve():
                self._wait(link, ask.number, self._serve(ask))
            case Pay():
                self._spawn(self._pay(link, ask))

    def wind_down(self) -> None:
        """Let no further request begin."""
        self._closed = True
        for link in {claimed.link for claimed in self._claimed.values()}:
            for task in link.waiting.values():
                task.cancel()

    def lost(self, link: Link) -> None:
        """Free what a worker had that is there no more; requests in flight are taken at worst."""
        link.lost = True
        for task in link.waiting.values():
            task.cancel()
        self._spend_at_worst(link)
        for claimed in self._claimed.values():
            claimed.waiting = deque(w for w in claimed.waiting if w[0] is not link)
        for key in link.claims - link.storing:
            self._settle(key, None)

    async def settled(self) -> None:
        """Wait until what was to be stored is stored."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spend_at_worst(self, link: Link) -> None:
        """Pay for the requests that a lost worker had in flight, and free its other money.

        Which reservation is for which request is not known: the largest of the model are spent.
        """
        in_flight: dict[str, int] = {}
        for permit in link.permits.values():
            in_flight[permit.model] = in_flight.get(permit.model, 0) + 1
            self._allowance(permit).give_back(permit.tokens, permit.tokens)
            payment = Payment(self._account, None, permit.most_usd, answered=False)
            self._spawn(self._kept(payment))
        link.permits.clear()
        for held, ask in sorted(link.reserved.values(), key=lambda r: r[1].usd, reverse=True):
            sent = in_flight.get(ask.model, 0)
            in_flight[ask.model] = sent - 1
            held.settle(None if sent > 0 else 0.0)
        link.reserved.clear()

    def _claim(self, link: Link, ask: Claim) -> None:
        try:
            known = self._store.get(ask.key)
        except EmberBenchError as error:
            link.send(Refused(ask.number, packed(error)))
            return
        if known is not None or not ask.makes:
            link.send(Answer(ask.number, known))
        elif (claimed := self._claimed.get(ask.key)) is not None:
            claimed.waiting.append((link, ask.number))
        else:
            self._grant(link, ask.number, ask.key)

    def _grant(self, link: Link, number: int, key: bytes) -> None:
        self._claimed[key] = _Claimed(link)
        link.claims.add(key)
        link.send(Answer(number, None))

    def _settle(self, key: bytes, outcome: Completion | BaseException | None) -> None:
        """Tell those who wait for a call how it went; one of them makes it if nobody did."""
        claimed = self._claimed.pop(key, None)
        if claimed is None:
            return
        claimed.link.claims.discard(key)
        waiting = claimed.waiting
        # Who has no money for it, or is given up, does not speak for others.
        spoken = isinstance(outcome, Exception) and not isinstance(
            outcome, BudgetExhaustedError | CallGivenUpError
        )
        while waiting:
            link, number = waiting.popleft()
            if isinstance(outcome, Completion):
                link.send(Answer(number, outcome))
            elif spoken and outcome is not None:
                link.send(Refused(number, packed(outcome)))
            else:
                self._grant(link, number, key)
                self._claimed[key].waiting = waiting
                return

    async def _put(self, link: Link, ask: Put) -> None:
        try:
            first = await self._store.put(
                ask.call, account=ask.account, spend_usd=ask.spend_usd, patient=ask.patient
            )
        except EmberBenchError as error:
            link.send(Refused(ask.number, packed(error)))
            if link.lost:
                self._settle(ask.call.key, error)
        else:
            if (server := self._servers.get(ask.call.model)) is not None:
                server.served(ask.call.completion.usage)
            same = first is ask.call.completion
            link.send(Answer(ask.number, None if same else first))
            self._settle(ask.call.key, first)
        finally:
            link.storing.discard(ask.call.key)

    async def _pay(self, link: Link, ask: Pay) -> None:
        try:
            await self._store.pay(ask.payment)
        except EmberBenchError as error:
            link.send(Refused(ask.number, packed(error)))
        else:
            link.send(Done(ask.number))

    async def _kept(self, payment: Payment) -> None:
        with suppress(StoreError):  # the next answer that is to be stored tells
            await self._store.pay(payment)

    async def _reserve(self, link: Link, ask: Reserve) -> None:
        if self._budget is None:
            raise EmberBenchError("money was asked for, and there is no budget")
        held = await self._budget.reserve(ask.usd, ask.model, ask.cell)
        if link.lost:
            held.settle(0.0)
        else:
            link.reserved[ask.number] = held, ask

    def _settle_money(self, link: Link, ask: Settle) -> None:
        if (reserved := link.reserved.pop(ask.number, None)) is not None:
            reserved[0].settle(ask.usd, known=ask.known)
        elif (task := link.waiting.get(ask.number)) is not None:
            task.cancel()

    def _permit(self, link: Link, ask: Permit) -> None:
        try:
            allowance = self._allowance(ask)
            if self._closed:
                raise CallGivenUpError(f"{ask.model}: not asked, as the run is to stop")
        except EmberBenchError as error:
            link.send(Refused(ask.number, packed(error)))
            return
        if allowance.take_now():
            link.permits[ask.number] = ask
            link.send(Done(ask.number))
        else:
            self._wait(link, ask.number, self._permitted(link, ask, allowance))

    async def _permitted(self, link: Link, ask: Permit, allowance: Allowance) -> None:
        await allowance.take(ask.tokens)
        if link.lost:
            allowance.give_back(ask.tokens, 0.0)
        else:
            link.permits[ask.number] = ask

    def _give_back(self, link: Link, ask: GiveBack) -> None:
        if (permit := link.permits.pop(ask.number, None)) is not None:
            self._allowance(permit).give_back(permit.tokens, ask.tokens)
        elif (task := link.waiting.get(ask.number)) is not None:
            task.cancel()

    def _allowance(self, ask: Permit) -> Allowance:
        place = ask.model, ask.lane
        if place not in self._allowances:
            self._allowances[place] = Allowance.of(self._model(ask.model), ask.lane)
        return self._allowances[place]

    async def _serve(self, ask: Serve) -> str:
        """Return the address of a model's server, once it can be asked."""
        if self._closed:
            raise CallGivenUpError(f"{ask.model}: not asked, as the run is to stop")
        if (server := self._service.servers.of(self._model(ask.model))) is None:
            raise EmberBenchError(f"{ask.model}: its card has no `launch` here")
        self._servers[ask.model] = server
        return await server.ready()

    def _model(self, model_id: str) -> ModelInfo:
        return self._models.get(model_id) or self._registry.get(model_id)

    def _wait(self, link: Link, number: int, waiting: Coroutine[Any, Any, str | None]) -> None:
        """Answer once `waiting` is over, whether it goes well or not."""

        def over(task: asyncio.Task[str | None]) -> None:
            del link.waiting[number]
            error: BaseException | None
            if task.cancelled():
                error = CallGivenUpError("not asked, as the run is to stop")
            else:
                error = task.exception()
            if error is None:
                link.send(Done(number, task.result() or ""))
            else:
                link.send(Refused(number, packed(error)))

        # Not in the task itself, which may be cancelled before it has begun.
        link.waiting[number] = self._spawn(waiting)
        link.waiting[number].add_done_callback(over)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
