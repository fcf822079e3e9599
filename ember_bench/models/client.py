"""Calls in flight to one model: each request is made once, and its answer stored before use."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from typing import TypeVar, cast

import msgspec

from ember_bench.errors import (
    BudgetExhaustedError,
    CallGivenUpError,
    EmberBenchError,
    OfflineError,
    ProviderError,
)
from ember_bench.models.call import Call
from ember_bench.models.coordination import Coordination
from ember_bench.models.endpoint import Endpoint
from ember_bench.models.limits import RateLimitWait
from ember_bench.models.paying import AccountLedger, cost_without_cache
from ember_bench.models.recorded.places import Place
from ember_bench.models.store.payments import Accounts, Payment
from ember_bench.models.store.response_store import CallStore, ReplayStore
from ember_bench.models.store.rows import StoredCall
from ember_bench.models.strand import CallRecord, Strand
from ember_bench.models.types import Completion
from ember_bench.models.under_way import EndpointNow, Unanswered

T = TypeVar("T")

# An answer, and whether it was there already: no request was made for it.
_Answer = tuple[Completion, bool]
# Those who wait for one request: each is told its answer, None if it is theirs to make now.
_Waiters = list["asyncio.Future[_Answer | None]"]

_encode_parameters = msgspec.json.Encoder(order="deterministic").encode


class Client:
    """Answers one model's calls on one loop: from the store, or with one request for all who ask.

    Args:
        endpoint: What asks the model.
        store: Where finished calls are kept and looked up; None makes each call a new request.
        accounts: Where payments are kept without a store.
        offline: Make no request: a call that is not in the store is an `OfflineError`.
        asks_judges: Make the requests of evaluations all the same.
        coordination: Knows the calls of the other processes of the run; None if there are none.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        store: CallStore | None,
        accounts: Accounts,
        *,
        offline: bool,
        asks_judges: bool = False,
        coordination: Coordination | None = None,
    ) -> None:
        self._accounts = accounts
        self.provider = endpoint.provider
        self._endpoint = endpoint
        self._store = store
        self._replays: ReplayStore | None = store if isinstance(store, ReplayStore) else None
        self._offline = offline
        self._asks_judges = asks_judges
        self._coordination = coordination
        self._in_flight: dict[bytes, _Waiters] = {}
        self._leading: set[asyncio.Task[None]] = set()
        self._waiting: dict[Call, float] = {}

    def at_hand(self, call: Call, account: str = "") -> _Answer | None:
        """Return what `answer` does if nothing has to be waited for, else None: ask `answer`.

        Raises:
            ProviderError: if a recording has no answer.
            StoreError: if answers cannot be read or kept.
        """
        if call.key in self._in_flight or self._coordination is not None:
            return None
        if self.provider.replays and (self._replays is not None or self._store is None):
            return self._replayed(call, account)
        return self._known(call)

    def _known(self, call: Call) -> _Answer | None:
        """Return the stored answer to a call."""
        known = None if self._store is None else self._store.get(call.key)
        return None if known is None else (known, True)

    def _replayed(self, call: Call, account: str) -> _Answer:
        """Return the answer of a recording; a new one is kept, which nobody waits for."""
        completion, place = self._endpoint.replay(call)
        known = False
        if (store := self._replays) is not None and not (known := store.knows(call.key)):
            store.keep(as_stored(call, completion, place), account=account)
        return completion, known

    async def answer(self, call: Call, account: str = "") -> _Answer:
        """Return the answer to `call` and whether it was there, or under way, already."""
        if (found := self.at_hand(call, account)) is not None:
            return found
        if self._store is None:
            if self._needs_network(call):
                raise self._not_stored(call)
            ledger = AccountLedger(account, self._pay, _no_check)
            return await self._endpoint.complete(call, ledger), False
        waited = self._coordination is not None
        while (waiters := self._in_flight.get(call.key)) is not None:
            waited = True
            # Who has no money for it does not speak for others, who have money of their own; and
            # a trial whose call is given up is told so itself.
            with suppress(BudgetExhaustedError, CallGivenUpError):
                if (answer := await self._outcome(call, waiters)) is not None:
                    return answer[0], True
        if waited and (found := self._known(call)) is not None:
            return found
        if self._coordination is None and self._needs_network(call):
            raise self._not_stored(call)
        waiters = self._in_flight[call.key] = []
        if self.provider.instant:
            return await self._lead(call, account, self._store, waiters)
        # A task of its own: a trial that is cancelled must not lose an answer that is
        # being paid for, nor take it from another trial that waits for the same one.
        task = asyncio.create_task(self._lead_alone(call, account, self._store, waiters))
        self._leading.add(task)
        task.add_done_callback(self._leading.discard)
        if (answer := await self._outcome(call, waiters)) is None:
            raise asyncio.CancelledError  # the service is being closed
        return answer

    @property
    def now(self) -> EndpointNow | None:
        """The limits now; None if the model answers without waiting for anything."""
        return None if self.provider.instant else self._endpoint.now

    def waiting(self) -> Iterator[tuple[Call, float, Unanswered | None]]:
        """Yield the calls whose answer is waited for.

        Each comes with the time since when, in seconds of `time.monotonic`, and its state; None if
        that is not known, as in a batch or another process.
        """
        for call, since in self._waiting.items():
            yield call, since, self._endpoint.unanswered(call.key)

    @property
    def rate_limit_wait(self) -> RateLimitWait | None:
        """The wait for the provider's rate limit that is going on, if there is one."""
        return self._endpoint.rate_limit_wait

    def wind_down(self) -> None:
        """Send no further request; those in flight go on, and submitted batches stay open."""
        self._endpoint.wind_down()

    async def drain(self) -> None:
        """Wait until no request is in flight, also of those for which nobody waits any more."""
        await asyncio.gather(*self._leading, return_exceptions=True)

    async def close(self, *, abandon: bool) -> None:
        """Close the endpoint once its requests in flight are done, or `abandon` them."""
        if abandon:
            # Answers that are on their way to the store still reach it when it is closed.
            for task in self._leading:
                task.cancel()
        await self.drain()
        await self._endpoint.close()

    async def _outcome(self, call: Call, waiters: _Waiters) -> _Answer | None:
        """Wait for a request that others may wait for too: being cancelled does not cancel it."""
        future = asyncio.get_running_loop().create_future()
        waiters.append(future)
        self._waiting[call] = time.monotonic()
        try:
            return cast("_Answer | None", await future)
        finally:
            del self._waiting[call]

    async def _lead_alone(
        self, call: Call, account: str, store: CallStore, waiters: _Waiters
    ) -> None:
        """Make the request for all who wait."""
        with suppress(Exception):  # they have been told
            await self._lead(call, account, store, waiters)

    async def _lead(self, call: Call, account: str, store: CallStore, waiters: _Waiters) -> _Answer:
        """Make the request for oneself and all who wait; None tells them to make it themselves."""
        outcome: _Answer | Exception | None = None
        try:
            if self._coordination is None:
                outcome = answer = await self._request_and_store(call, account, store), False
            else:
                outcome = answer = await self._claimed(self._coordination, call, account, store)
        except Exception as error:
            outcome = error
            raise
        finally:
            del self._in_flight[call.key]
            _tell(waiters, outcome)
            del outcome  # or a failure would hold itself, by its traceback
        return answer

    async def _claimed(
        self, coordination: Coordination, call: Call, account: str, store: CallStore
    ) -> _Answer:
        """Make the request, unless another process has made it."""
        makes = not self._needs_network(call)
        if (known := await coordination.claim(call.key, makes=makes)) is not None:
            return known, True
        if not makes:
            raise self._not_stored(call)
        try:
            return await self._request_and_store(call, account, store), False
        except BaseException as error:
            coordination.release(call.key, error)
            raise

    async def _request_and_store(self, call: Call, account: str, store: CallStore) -> Completion:
        ledger = AccountLedger(account, store.pay, store.check)
        place = None
        if self.provider.replays:
            completion, place = self._endpoint.replay(call)
        else:
            completion = await self._endpoint.complete(call, ledger)
        answer = await store.put(
            as_stored(call, completion, place),
            account=account,
            spend_usd=self.spend(completion),
            patient=self.provider.instant,  # who has waited for a model is not to wait here
        )
        self._endpoint.stored(call)
        return answer

    def spend(self, completion: Completion) -> float | None:
        """Return the new money that a request cost which was answered so; None if unknown."""
        return 0.0 if self.provider.replays else completion.cost_usd

    async def _pay(self, payment: Payment) -> None:
        self._accounts.add(payment)

    def _needs_network(self, call: Call) -> bool:
        """Whether the call needs a request that `offline` forbids."""
        if not self._offline or (self._asks_judges and call.trial.evaluation):
            return False
        return not (self.provider.simulated or self.provider.replays)

    def _not_stored(self, call: Call) -> OfflineError:
        return OfflineError(
            f"{call.request.model.model_id}: the answer to this call is not in the response "
            "store, and --offline forbids asking for it"
        )


def as_stored(call: Call, completion: Completion, place: Place | None = None) -> StoredCall:
    """Return a call and its answer as a store has them."""
    request = call.request
    return StoredCall(
        key=call.key,
        messages=request.encoded_messages.decode(),
        model=request.model.model_id,
        role=request.role,
        parameters=_encode_parameters(request.parameters).decode(),
        epoch=call.trial.epoch,
        replica=call.replica,
        draw=call.draw_text,
        completion=completion,
        place=place,
    )


def record_of(
    call: Call, strand: Strand, completion: Completion, *, stored: bool, spend_usd: float
) -> CallRecord:
    """Return the record of a call that was answered, which began at the time of its strand."""
    model = call.request.model
    return CallRecord(
        call.key,
        model.model_id,
        strand.node,
        call.request.role,
        completion.usage,
        completion.cost_usd,
        strand.clock,
        completion.latency_seconds,
        stored,
        spend_usd,
        cost_without_cache(model, completion),
    )


async def or_error(answer: Awaitable[T]) -> T | ProviderError:
    """Return an answer, or the error of a model that does not give one."""
    try:
        return await answer
    except OfflineError:  # it was not asked
        raise
    except ProviderError as error:
        return error


def _no_check() -> None:
    """Do nothing: without a store nothing is kept."""


def _tell(waiters: _Waiters, outcome: _Answer | Exception | None) -> None:
    """Tell those who wait how a request went."""
    for waiter in waiters:
        if waiter.done():
            continue  # cancelled
        if isinstance(outcome, EmberBenchError):
            # One of one's own: notes that a trial adds to it must not stand in another's.
            own = copy.copy(outcome).with_traceback(outcome.__traceback__)
            own.__notes__ = list(getattr(outcome, "__notes__", ()))
            own.__cause__ = outcome.__cause__
            waiter.set_exception(own)
        elif isinstance(outcome, Exception):
            waiter.set_exception(outcome)
        else:
            waiter.set_result(outcome)
