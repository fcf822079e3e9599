"""The queue of calls to a provider's batch API.

Half the price, answers within a day. What is submitted is written down first (`BatchJournal`), so
that whoever asks for the same call later, after a crash too, waits for the batch that it is in:

gathered -> written down -> submitted -> its id written down -> polled -> answers -> response store

A process that is killed before the id was written down leaves a batch that may or may not exist:
the provider is asked for it before any of its calls is submitted again.
"""

from __future__ import annotations

import asyncio
import copy
import os
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, Final

from ember_bench import bridge
from ember_bench.errors import BatchesOpenError, ConfigError, ProviderError
from ember_bench.host import lives
from ember_bench.models.batch.api import (
    BatchApi,
    BatchFailedError,
    BatchRequest,
    OpenBatch,
    Outcome,
    Payer,
    UndecidedError,
    with_blocked,
)
from ember_bench.models.batch.journal import BatchJournal
from ember_bench.models.call import Call
from ember_bench.models.retry import RATE_LIMITED, RetryPolicy
from ember_bench.models.types import Completion

QUIET_SECONDS: Final = 1.0
"""A batch is submitted when for so long no further call came."""

_FIRST_PAUSE_SECONDS: Final = 1.0
_PAUSE_GROWTH: Final = 1.5
_LONGEST_PAUSE_SECONDS: Final = 300.0

# A request that was cut off on its way may still make a batch a moment later.
_LATE_SECONDS: Final = 60.0
_LONGEST_SUBMISSION_SECONDS: Final = 900.0
_CLOSING_SECONDS: Final = 10.0
# Calls that were stored are forgotten in groups: each group is a disk flush.
_FORGET_SECONDS: Final = 0.1

# Where more tokens wait than a provider lets wait, a batch is halved, but not below this.
_LEAST_REQUESTS: Final = 10


class BatchQueue:
    """Answers one model's calls in batches, on one loop.

    Args:
        api: Submits them.
        journal: Where they are written down.
        retry: How often a call may fail, and when it is asked again; its clock is not used.
        now: Seconds since the epoch.
        quiet_seconds: How long to wait for further calls.
    """

    def __init__(
        self,
        api: BatchApi,
        journal: BatchJournal,
        retry: RetryPolicy,
        *,
        now: Callable[[], float] = time.time,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self._api = api
        self._journal = journal
        self._retry = retry
        self._now = now
        self._quiet_seconds = quiet_seconds
        self._most_requests = api.most_requests
        self._gathered: dict[str, tuple[BatchRequest, Call]] = {}
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: dict[str, asyncio.Future[Completion]] = {}
        self._batch_of: dict[str, str] = {}
        self._submitting: dict[str, asyncio.Task[None]] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, dict[str, Outcome]] = {}
        self._stored: list[bytes] = []
        self._forgetting: asyncio.TimerHandle | None = None
        self._leaving = asyncio.Event()

    async def complete(self, call: Call, payer: Payer | None = None) -> Completion:
        """Return the answer to `call`, from the batch that it is in or from a new one.

        What failed and may pass is asked again in another batch.

        Args:
            call: The call.
            payer: Pays for answers that cannot be used; None if nobody does.

        Raises:
            ProviderError: if there is none.
            BatchesOpenError: if it was not to be waited for any more.
            ConfigError: if the batch API cannot take it.
        """
        failures = refusals = 0
        while True:
            try:
                return await self._answer(call)
            except ProviderError as error:
                if payer is not None:
                    await payer.fail(error)
                if not error.retryable:
                    raise
                if self._may_fit_later(error):
                    refusals += 1
                    seconds = min(_LONGEST_PAUSE_SECONDS, 2.0**refusals)
                else:
                    failures += 1
                    if failures >= self._retry.attempts:
                        raise
                    seconds = 0.0
                seconds = max(seconds, self._retry.delay(failures + refusals, error.retry_after))
            await bridge.until(self._leaving, self._retry.sleep(seconds))
            if payer is not None:
                await payer.begin()

    def stored(self, key: bytes) -> None:
        """Hear that the answer to a call is in the response store."""
        self._stored.append(key)
        if self._forgetting is None:
            loop = asyncio.get_running_loop()
            self._forgetting = loop.call_later(_FORGET_SECONDS, self._forget)

    def leave(self) -> None:
        """Wait for no batch any more; those that were submitted stay open."""
        self._leaving.set()
        if self._timer is not None:
            self._timer.cancel()
        self._gathered.clear()
        for task in self._following.values():
            task.cancel()
        for key in list(self._waiting):
            self._settle(key, _left_open())

    async def close(self) -> None:
        """Stop, once what is being submitted is written down."""
        self.leave()
        tasks = [*self._submitting.values(), *self._following.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSING_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._forget()

    # --- one call

    async def _answer(self, call: Call) -> Completion:
        if self._leaving.is_set():
            raise _left_open()
        key = call.key.hex()
        batch = self._journal.batch_of(call.key)
        request = None if batch is not None else self._api.request(call)
        waiter: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._waiting[key] = waiter
        try:
            if request is not None:
                self._gather(request, call)
            elif batch is not None:
                self._adopt(batch, key)
            return await waiter
        finally:
            del self._waiting[key]
            self._batch_of.pop(key, None)
            if (unwanted := self._gathered.pop(key, None)) is not None:
                self._bytes -= unwanted[0].size

    def _settle(self, key: str, outcome: Completion | Exception) -> bool:
        """Tell who waits for a call what became of it; return whether anybody does."""
        waiter = self._waiting.get(key)
        if waiter is None or waiter.done():
            return False
        if isinstance(outcome, Exception):
            # One of its own: each place where it is raised is noted in it.
            waiter.set_exception(copy.copy(outcome))
        else:
            waiter.set_result(outcome)
        return True

    def _may_fit_later(self, error: ProviderError) -> bool:
        """Whether too much is queued at the provider, and a smaller batch may be taken."""
        too_much = isinstance(error, BatchFailedError) and error.status == RATE_LIMITED
        return too_much and (self._most_requests > _LEAST_REQUESTS or bool(self._following))

    # --- batches that are made

    def _gather(self, request: BatchRequest, call: Call) -> None:
        if self._gathered and self._bytes + request.size > self._api.most_bytes:
            self._submit()
        self._gathered[request.key] = request, call
        self._bytes += request.size
        if len(self._gathered) >= self._most_requests:
            self._submit()
            return
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._quiet_seconds, self._submit)

    def _submit(self) -> None:
        """Submit what has gathered, in a task of its own: it must not be lost half-way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._gathered, self._bytes = self._gathered, {}, 0
        if gathered:
            token = uuid.uuid4().hex[:16]
            self._start(self._submitting, token, self._submitted(token, gathered))

    async def _submitted(self, token: str, gathered: dict[str, tuple[BatchRequest, Call]]) -> None:
        calls = [call for _, call in gathered.values()]
        model = calls[0].request.model.model_id
        batch = OpenBatch(token, None, model, len(calls), self._now(), os.getpid())
        own = {key.hex() for key in self._journal.begin(batch, [call.key for call in calls])}
        for call in calls:
            key = call.key.hex()
            if key in own:
                self._batch_of[key] = token
            elif (other := self._journal.batch_of(call.key)) is not None:
                self._adopt(other, key)  # another process was faster
            else:
                self._settle(key, _not_in(batch))  # and has ended already
        requests = [request for key, (request, _) in gathered.items() if key in own]
        if not requests:
            return
        try:
            async with asyncio.timeout(_LONGEST_SUBMISSION_SECONDS):
                batch_id = await self._api.submit(requests, token)
        except TimeoutError:
            self._follow(token)
        except ConfigError:
            self._journal.drop(token)  # nothing was sent: there is no key, say
            raise
        except ProviderError as error:
            if _is_refusal(error):
                self._none_of(token, error)
            else:
                self._follow(token)  # it may have been taken
        else:
            self._journal.submitted(token, batch_id)
            self._follow(token)

    # --- batches that are waited for

    def _adopt(self, batch: OpenBatch, key: str) -> None:
        """Have `key`, for which somebody waits, answered from a batch that was submitted."""
        self._batch_of[key] = batch.token
        if (outcomes := self._ended.get(batch.token)) is not None:
            self._deliver(batch, {key: outcomes.pop(key, _not_in(batch))})
        elif batch.token not in self._submitting:
            self._follow(batch.token)

    def _follow(self, token: str) -> None:
        if token not in self._following and not self._leaving.is_set():
            self._start(self._following, token, self._followed(token))

    async def _followed(self, token: str) -> None:
        """Wait until a batch has ended, and give those who wait for its calls what it has."""
        pause, failures = _FIRST_PAUSE_SECONDS, 0
        while (batch := self._journal.batch(token)) is not None:
            try:
                if await self._has_ended(batch):
                    return
                failures = 0
            except BatchFailedError as error:
                self._none_of(token, error)
                return
            except ProviderError as error:
                failures += 1
                if not error.retryable or failures >= self._retry.attempts:
                    self._give_up(batch, error)
                    return
                pause = max(pause, error.retry_after or 0.0)
            await self._retry.sleep(pause)
            pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE_SECONDS)

    async def _has_ended(self, batch: OpenBatch) -> bool:
        if batch.id is None:
            await self._locate(batch)
            return False
        results = await self._api.results(batch, batch.id, self._journal.places(batch.token))
        if results is None:
            return False
        results = with_blocked(results)
        self._most_requests = min(2 * self._most_requests, self._api.most_requests)
        waiting = self._keys(batch.token)
        self._ended[batch.token] = {k: v for k, v in results.items() if k not in waiting}
        self._deliver(batch, {key: results.get(key, _not_in(batch)) for key in waiting})
        return True

    async def _locate(self, batch: OpenBatch) -> None:
        """Find out what became of a batch whose submission nobody saw the end of."""
        age = self._now() - batch.begun
        if batch.owner != os.getpid() and age < _LONGEST_SUBMISSION_SECONDS and lives(batch.owner):
            return  # it is just being submitted
        try:
            found = await self._api.find(batch, self._journal.ids())
        except UndecidedError:
            return
        if found is not None:
            self._journal.submitted(batch.token, found)
        elif age > _LATE_SECONDS:
            reason = f"{batch.model}: a batch of {batch.count:,} calls was not taken"
            raise BatchFailedError(reason, retryable=True)

    def _deliver(self, batch: OpenBatch, outcomes: dict[str, Outcome]) -> None:
        failed = [key for key, outcome in outcomes.items() if isinstance(outcome, ProviderError)]
        # Before anybody asks again: else the call would be looked for in the same batch.
        self._journal.done(map(bytes.fromhex, failed))
        for key, outcome in outcomes.items():
            if not self._settle(key, outcome) and key not in failed:
                self._ended.setdefault(batch.token, {})[key] = outcome

    def _none_of(self, token: str, error: ProviderError) -> None:
        """Forget a batch of which nothing was done; its calls may be asked again."""
        keys = self._keys(token)
        if error.status == RATE_LIMITED:
            self._most_requests = max(_LEAST_REQUESTS, min(self._most_requests, len(keys)) // 2)
        self._journal.drop(token)
        failed = BatchFailedError(
            str(error),
            retryable=error.retryable,
            status=error.status,
            retry_after=error.retry_after,
        )
        for key in keys:
            self._settle(key, failed)

    def _give_up(self, batch: OpenBatch, error: ProviderError) -> None:
        """Fail those who wait for a batch that cannot be asked for; it stays open."""
        name = f"batch {batch.id}" if batch.id is not None else "a batch"
        for key in self._keys(batch.token):
            self._settle(
                key,
                ProviderError(
                    f"{error}; {name} of {batch.count:,} calls stays open, and the same command "
                    f"asks for it again (to have its calls made anew, remove {self._journal.path})",
                    status=error.status,
                ),
            )

    def _keys(self, token: str) -> list[str]:
        """Return the calls of a batch for which somebody waits."""
        return [key for key, its in self._batch_of.items() if its == token]

    # --- the rest

    def _forget(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
            self._forgetting = None
        stored, self._stored = self._stored, []
        self._journal.done(stored)

    def _start(
        self, tasks: dict[str, asyncio.Task[None]], name: str, work: Coroutine[Any, Any, None]
    ) -> None:
        """Run `work` as one of `tasks`; if it cannot go on, nobody waits for it in vain."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # the journal's file, or a mistake of ours
                for key in list(self._waiting):
                    self._settle(key, error)
            finally:
                del tasks[name]

        tasks[name] = asyncio.create_task(guarded())


def _not_in(batch: OpenBatch) -> ProviderError:
    return ProviderError(f"{batch.model}: no answer in batch {batch.id}", retryable=True)


def _left_open() -> BatchesOpenError:
    return BatchesOpenError("not waited for any more: its batch stays open")


def _is_refusal(error: ProviderError) -> bool:
    """Whether the provider certainly took nothing; after any other failure it may have."""
    return error.status is not None and 400 <= error.status < 500 and error.status != 408
