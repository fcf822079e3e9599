"""Requests to one model: limits, budget and retries."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from typing import Final

import msgspec

from ember_bench.errors import (
    BudgetExhaustedError,
    CallGivenUpError,
    NoAnswerError,
    ProviderError,
)
from ember_bench.models.batch.queue import BatchQueue
from ember_bench.models.budget import Funds
from ember_bench.models.call import Call
from ember_bench.models.coordination import Coordination, Permit
from ember_bench.models.limits import Gate, RateLimitWait, Refusals, Ticket, WindowHistory
from ember_bench.models.paying import Ledger, Tab, Unkept, price_of, utc_today
from ember_bench.models.providers.base import Provider
from ember_bench.models.recorded.places import Place
from ember_bench.models.retry import RATE_LIMITED, Deadline, RetryPolicy
from ember_bench.models.servers import Server, moved
from ember_bench.models.storable import as_kept
from ember_bench.models.transport.headers import LISTENER
from ember_bench.models.transport.listening import Silence
from ember_bench.models.types import Completion
from ember_bench.models.under_way import EndpointNow, Unanswered

_CHARACTERS_PER_TOKEN: Final = 4
# What an answer is taken to have until there are some.
_FIRST_OUTPUT_TOKENS: Final = 300.0
_SHARE_OF_THE_LATEST: Final = 0.05
_UNAUTHORIZED: Final = 401
_PAYMENT_REQUIRED: Final = 402


class _TooLateError(ProviderError):
    """The deadline passed before the model could be asked again, of which that tells nothing."""


def _is_of_the_key(error: ProviderError) -> bool:
    """Whether another key may be answered at once: this one is refused, or has no money left."""
    if error.status == RATE_LIMITED:
        return not error.retryable
    return error.status in (_UNAUTHORIZED, _PAYMENT_REQUIRED)


class Endpoint:
    """One model's provider on one loop.

    Args:
        provider: What asks the model.
        retry: When and how to ask again.
        budget: Caps on calls whose trial has no budget; None for none.
        batches: Where calls wait for their batch; None asks them one by one.
        today: Today's date in UTC, by which prices change; injected in tests.
        server: Is started when it is first needed; None asks without.
        coordination: Has the limits that the model's card states, for all processes of the run;
            None keeps them here.
    """

    def __init__(
        self,
        provider: Provider,
        retry: RetryPolicy,
        budget: Funds | None = None,
        batches: BatchQueue | None = None,
        today: Callable[[], date] = utc_today,
        server: Server | None = None,
        coordination: Coordination | None = None,
    ) -> None:
        self.provider = provider
        self._server = server
        self._retry = retry.of(provider.model)
        self._budget = budget
        self._batches = batches
        self._today = today
        self._providers: tuple[Provider, ...] = ()
        self._address = provider.model.provider.base_url
        self._coordination = coordination
        self._gate = Gate(provider.model, clock=retry.clock, buckets=coordination is None)
        self._refusals = Refusals(provider.model.model_id, retry.clock)
        self._output_tokens = _FIRST_OUTPUT_TOKENS
        self._answers = 0
        self._unanswered: dict[bytes, Unanswered] = {}

    @property
    def window_history(self) -> WindowHistory:
        """The changes of the limit of requests in flight."""
        return self._gate.history

    @property
    def now(self) -> EndpointNow:
        """Its limits now."""
        return self._gate.now

    def unanswered(self, key: bytes) -> Unanswered | None:
        """Return the state of a call that is asked for here; None if there is none."""
        return self._unanswered.get(key)

    @property
    def rate_limit_wait(self) -> RateLimitWait | None:
        """The wait for the provider's rate limit that is going on, if there is one."""
        return self._refusals.wait

    async def complete(self, call: Call, ledger: Ledger | None = None) -> Completion:
        """Return the model's answer, its cost and latency filled in as far as they are known.

        Args:
            call: The call.
            ledger: Where payments for unusable answers are kept; None forgets them.

        Raises:
            StoreError: if a payment could not be kept.
            ProviderError: if there is none.
            BudgetExhaustedError: if there is no money for it.
            CallGivenUpError: if it was not made, or left in its batch, as of `wind_down`.
            ConfigError: if the call asks for something that the model does not take, or a budget
                cannot be kept as nothing limits what the call costs.
        """
        self.provider.refuse_unsupported(call.request)
        purse = call.trial.purse
        try:
            budget = self._budget if purse is None or purse.budget is None else purse.budget
            if self.provider.replays:
                budget = None
            if self._batches is None and not self.provider.instant:
                self._unanswered[call.key] = Unanswered()
            tab = Tab(call, budget, ledger if ledger is not None else Unkept(), self._today)
            try:
                await tab.begin()
                completion = await self._complete(call, tab)
                tab.settle(completion)
                return completion
            finally:
                tab.close()
        except (BudgetExhaustedError, CallGivenUpError):
            if purse is not None:
                purse.exhausted = True  # the trial has no result in this run
            raise
        finally:
            self._unanswered.pop(call.key, None)

    def replay(self, call: Call) -> tuple[Completion, Place | None]:
        """Return the answer of a recording, which takes neither time nor money, and its place.

        Raises:
            ProviderError: if there is none.
            ConfigError: as `complete`.
        """
        self.provider.refuse_unsupported(call.request)
        completion, place = self.provider.replay(call)
        return as_kept(completion, price_of(call.request, completion, self._today())), place

    def stored(self, call: Call) -> None:
        """Hear that the answer to a call is in the response store."""
        if self._batches is not None:
            self._batches.stored(call.key)

    def wind_down(self) -> None:
        """Send no further request; those in flight go on, and submitted batches stay open."""
        self._gate.close()
        if self._server is not None:
            self._server.give_up()
        if self._batches is not None:
            self._batches.leave()

    async def close(self) -> None:
        """Let go of connections."""
        if self._batches is not None:
            await self._batches.close()
        for provider in dict.fromkeys((self.provider, *self._providers)):
            await provider.close()

    async def _complete(self, call: Call, tab: Tab) -> Completion:
        if self._batches is not None:
            completion = await self._batches.complete(call, tab)
        elif self.provider.instant:
            completion = await self.provider.complete(call)
        else:
            completion = await self._retry.run(
                lambda deadline: self._watched(call, deadline, tab), self._gate.rest
            )
        return as_kept(completion, tab.charge(completion))

    async def _watched(self, call: Call, deadline: Deadline, tab: Tab) -> Completion:
        """Ask once, as `_attempt` does; count refusals for the rate limit."""
        if self._server is not None and (address := await self._server.ready()) != self._address:
            await self._move(address)
        try:
            completion = await self._attempt(call, deadline, tab)
        except ProviderError as error:
            if error.status == RATE_LIMITED:
                self._refusals.refused(error.retry_after)
            elif error.status is None and self._server is not None:
                self._server.unheard()
            self._state_of(call).fail(str(error))
            raise
        self._refusals.answered()
        if self._server is not None:
            self._server.served(completion.usage)
        return completion

    async def _attempt(self, call: Call, deadline: Deadline, tab: Tab) -> Completion:
        """Ask once, when limits and budget allow it; an answer that cannot be used is paid."""
        try:
            return await self._within_limits(call, deadline, tab)
        except ProviderError as error:
            await tab.fail(error)
            raise

    async def _within_limits(self, call: Call, deadline: Deadline, tab: Tab) -> Completion:
        """Ask once, when the limits allow it; and with another key where one is refused."""
        if not self._providers:
            self._providers = self._for_each_key()
        await tab.begin()
        gate = self._gate
        tokens = self._estimate(call) if gate.counts_tokens else 0.0
        while True:
            if deadline.has_begun:
                ticket = await self._enter_again(tokens, deadline)
            else:
                ticket = await gate.enter(tokens, deadline.seconds)
                deadline.begin()
            used, permit = 0.0, None
            try:
                if self._coordination is not None:
                    permit = await self._permit(self._coordination, ticket, tokens, tab)
                    ticket = self._restart(ticket, deadline)
                completion = await self._heeded(call, ticket, deadline, tab)
                used = float(completion.usage.known_tokens) or tokens
                self._learn(completion)
                return completion
            except ProviderError as error:
                deadline.failed()
                if not (_is_of_the_key(error) and gate.bar(ticket, error)):
                    raise
            except BaseException:
                used = tokens
                raise
            finally:
                if permit is not None:
                    permit.give_back(used)
                gate.settle(ticket, tokens, used)
                gate.leave(ticket)

    async def _permit(
        self, coordination: Coordination, ticket: Ticket, tokens: float, tab: Tab
    ) -> Permit:
        """Wait for the limits that all processes of the run have in common."""
        try:
            return await coordination.permit(
                self.provider.model, ticket.lane, tokens, tab.most_usd()
            )
        except BaseException:
            self._gate.abandoned(ticket)
            raise

    def _restart(self, ticket: Ticket, deadline: Deadline) -> Ticket:
        """Let a request begin now that has waited; the wait does not count."""
        restarted = self._gate.restart(ticket)
        deadline.excuse(restarted.sent - ticket.sent)
        return restarted

    async def _enter_again(self, tokens: float, deadline: Deadline) -> Ticket:
        """Wait until a call may be made again; time in which others are answered does not count."""
        ticket = await self._gate.enter(tokens, deadline.left)
        last = min(ticket.sent, self._gate.answered_at(ticket))
        deadline.excuse(max(0.0, last - deadline.failed_at))
        return ticket

    async def _move(self, address: str) -> None:
        """Ask at another address from now on, where the server was started."""
        self._address, left = address, self._providers
        if left:
            self._providers = self._at_address()
        for provider in left:
            await provider.close()

    def _at_address(self) -> tuple[Provider, ...]:
        provider = self.provider
        if self._address != provider.model.provider.base_url:
            provider = type(provider)(moved(provider.model, self._address))
        return provider.for_each_key()

    def _for_each_key(self) -> tuple[Provider, ...]:
        """Return what asks the model with each of its keys.

        Raises:
            ConfigError: if a key is missing.
        """
        providers = self._at_address()
        keys = [key.get_secret_value() for p in providers if (key := p.model.key) is not None]
        if len(keys) > 1:
            self._gate.split(keys)
        return providers

    async def _heeded(self, call: Call, ticket: Ticket, deadline: Deadline, tab: Tab) -> Completion:
        """Ask once, and tell the limits how it ended."""
        gate = self._gate
        try:
            if deadline.left <= 0:
                raise _TooLateError(
                    f"{call.request.model.model_id}: no answer within {deadline.seconds:g} s "
                    "(deadline_seconds)"
                )
            tab.check()
            completion = await self._timed(call, ticket, deadline)
        except _TooLateError:
            gate.abandoned(ticket)
            raise
        except ProviderError as error:
            # A key that is refused is refused for every call.
            if error.retryable or error.status == _UNAUTHORIZED:
                began = min(gate.turn(ticket), self._retry.clock())
                deadline.excuse(began - ticket.sent)
                gate.failed(ticket, call.key, error)
                if gate.has_other(ticket):
                    error.retry_after = None  # that is for this key
                gate.check()  # or it would wait for nothing before it is turned away
            else:
                gate.declined(ticket)
            raise
        except BaseException:
            gate.abandoned(ticket)
            raise
        gate.answered(ticket)
        return completion

    async def _timed(self, call: Call, ticket: Ticket, deadline: Deadline) -> Completion:
        """Ask once; the server may be silent for so long, counted from the request's turn."""
        attempt = self._retry.attempt_timeout_seconds
        seconds = min(attempt, deadline.left)
        silence = Silence(
            lambda: min(attempt, deadline.left), lambda: self._gate.left(ticket, seconds)
        )
        started = time.perf_counter()
        self._state_of(call).begin()
        try:
            async with silence:
                stated = LISTENER.set(lambda headers: self._gate.told(ticket, headers))
                try:
                    completion = await self._providers[ticket.lane].complete(call)
                finally:
                    LISTENER.reset(stated)
        except TimeoutError:
            if not silence.is_exceeded:
                raise
            raise NoAnswerError(
                f"{call.request.model.model_id}: {_missing(silence, deadline)}",
                retryable=True,
                may_be_charged=True,
            ) from None
        if completion.latency_seconds is not None:
            return completion
        elapsed = time.perf_counter() - started
        return msgspec.structs.replace(completion, latency_seconds=elapsed)

    def _state_of(self, call: Call) -> Unanswered:
        # Without a store, equal calls are asked side by side, and the first to end takes it away.
        return self._unanswered.get(call.key) or Unanswered()

    def _estimate(self, call: Call) -> float:
        """Return the tokens that a call is going to have, as far as one can tell before it."""
        characters = sum(len(message.content) for message in call.request.messages)
        limit = call.request.parameters.max_tokens
        return characters / _CHARACTERS_PER_TOKEN + (limit or self._output_tokens)

    def _learn(self, completion: Completion) -> None:
        """Remember how long answers are, the latest most."""
        if tokens := completion.usage.output_tokens:
            self._answers += 1
            share = max(_SHARE_OF_THE_LATEST, 1 / self._answers)
            self._output_tokens += share * (tokens - self._output_tokens)


def _missing(silence: Silence, deadline: Deadline) -> str:
    """Return what did not come in time."""
    if not silence.was_broken:
        return f"no answer within {silence.seconds:g} s"
    if deadline.left <= 0:
        return f"no end of the answer within {deadline.seconds:g} s (deadline_seconds)"
    return f"a part of an answer, and then nothing for {silence.seconds:g} s"
