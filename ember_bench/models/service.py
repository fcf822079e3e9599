"""The service through which every call to a model goes.

request -> call key -> response store -> (one request in flight) -> budget -> retry ->
limits -> provider
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from ember_bench import bridge
from ember_bench.errors import ConfigError, EmberBenchError, ProviderError
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.batch.journal import BATCHES, BatchJournal, open_journal
from ember_bench.models.batch.queue import BatchQueue
from ember_bench.models.budget import Budget
from ember_bench.models.call import Call, Request, answered
from ember_bench.models.client import Client, or_error, record_of
from ember_bench.models.clients import Clients
from ember_bench.models.coordination import Coordination
from ember_bench.models.endpoint import Endpoint
from ember_bench.models.info import ModelInfo
from ember_bench.models.limits import RateLimitWait
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.providers.base import Provider, provider_class
from ember_bench.models.retry import RetryPolicy
from ember_bench.models.servers import LocalServers, Servers
from ember_bench.models.store.payments import Accounts, Paid, Payment
from ember_bench.models.store.response_store import CallStore, ReplayStore, ResponseStore
from ember_bench.models.strand import OutsideDraws, Strand, TrialContext
from ember_bench.models.tasks import own_strand
from ember_bench.models.thoughts import response_of
from ember_bench.models.types import Completion, Message, Response, SamplingParameters
from ember_bench.models.usage import UsageService

# So long providers keep the results of a batch.
_RESULTS_SECONDS: Final = 29 * 86_400


class ModelService:
    """Asks models by id.

    Args:
        registry: The models that may be asked.
        usage_service: Counts the calls; one of its own if not given.
        store: Where finished calls are kept and looked up, or the file of a `ResponseStore`; each
            call is a new request without one.
        offline: Make no request: a call that is not in the store is an `OfflineError`.
        asks_judges: Make the requests of evaluations all the same.
        retry: When and how to ask again.
        account: Account that requests are paid on, see `paid`; a trial may have another.
        budget: Caps on spending, of trials that have no budget of their own; None for none.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        usage_service: UsageService | None = None,
        *,
        store: CallStore | Path | str | None = None,
        offline: bool = False,
        asks_judges: bool = False,
        retry: RetryPolicy | None = None,
        account: str = "",
        budget: Budget | None = None,
    ) -> None:
        if not isinstance(registry, ModelRegistry):
            raise TypeError(f"registry: expected a ModelRegistry, found {type(registry).__name__}")
        self.registry = registry
        self.usage_service = usage_service or UsageService()
        self._store: CallStore | None
        self._store = ResponseStore(Path(store)) if isinstance(store, Path | str) else store
        self._offline = offline
        self._asks_judges = asks_judges
        self._account = account
        self._budget = budget
        self.retry = retry or RetryPolicy()
        self._clients = Clients(self._connect)
        self.servers: Servers = LocalServers()
        self._journal: BatchJournal | None = None
        self._calls_in_batches = 0
        # Of calls that are counted, and of others.
        self._outside_draws = tuple(OutsideDraws(counted=counted) for counted in (False, True))
        self._outside = Strand(TrialContext(outside=True))
        self._accounts = Accounts()
        self._coordination: Coordination | None = None
        # Of other processes that make calls of the same run.
        self.waits_elsewhere: Callable[[], list[RateLimitWait]] = list

    def __copy__(self) -> ModelService:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ModelService:
        """Return the service itself: copies of a program ask through one service, as it does."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the service is made of; connections and counts stay here.

        Raises:
            TypeError: if it has a budget, which two services would each spend.
        """
        if self._budget is not None:
            raise TypeError("a ModelService with a budget cannot be pickled: each would spend it")
        options: dict[str, Any] = {
            "store": self._store,
            "offline": self._offline,
            "asks_judges": self._asks_judges,
            "retry": self.retry,
            "account": self._account,
        }
        return partial(ModelService, self.registry, **options), ()

    @property
    def store(self) -> CallStore | None:
        """The store of finished calls."""
        return self._store

    def attach(
        self,
        store: CallStore,
        *,
        offline: bool | None = None,
        coordination: Coordination | None = None,
    ) -> None:
        """Use another store; only before the first call, or after `close`.

        Args:
            store: Where finished calls are kept and looked up.
            offline: Whether to make no request; None for as it was.
            coordination: Knows the calls of other processes that use the store with this one.

        Raises:
            EmberBenchError: if calls were made already, which went to the store before.
        """
        if self._clients.in_use:
            raise EmberBenchError("a store is attached to a service before its first call")
        self._store = store
        self._coordination = coordination
        if offline is not None:
            self._offline = offline

    def __call__(
        self,
        model: str | Enum | ModelInfo,
        prompt: str,
        *,
        system: str | None = None,
        **parameters: Any,
    ) -> Response:
        """Ask `model` to answer `prompt`.

        Args:
            model: Its id, its bare name, or an enum member with either as value.
            prompt: The user's message.
            system: The system message, if any.
            parameters: Fields of `SamplingParameters`: `temperature`, `max_tokens`, ...

        Raises:
            UnknownNameError: if no such model is registered.
            ProviderError: if it does not answer.
        """
        interception.settle("a ModelService was asked directly, and not through an LM module")
        told = () if system is None else (Message("system", system),)
        messages = (*told, Message("user", prompt))
        request = Request(self.registry.get(model), messages, SamplingParameters(**parameters))
        return bridge.wait(self.ask(request))

    async def ask(self, request: Request, module: object = None) -> Response:
        """Answer `request`, made by the LM module `module`, as the strand's next step."""
        strand = self._strand()
        client, call = self._place(request, module, strand)
        began = strand.clock
        response = await self._answer(client, call, strand)
        strand.spent(began, response.latency or 0.0)
        return response

    async def ask_each(
        self, requests: Sequence[tuple[Request, object]]
    ) -> list[Response | ProviderError]:
        """Answer as `ask_all` does; the error of a model that does not answer is its response."""
        return await self._ask_together(requests, each=True)

    async def ask_all(self, requests: Sequence[tuple[Request, object]]) -> list[Response]:
        """Answer (request, LM module) pairs at the same time, as one step of the strand.

        Identities are given in the order of `requests`, however long each answer takes. If one
        fails, those after it are no longer waited for, and those before it are: the failure that is
        raised is the first in order. The answers that have come are accounted for.
        """
        if len(requests) == 1:
            return [await self.ask(*requests[0])]
        return cast("list[Response]", await self._ask_together(requests, each=False))

    async def _ask_together(
        self, requests: Sequence[tuple[Request, object]], *, each: bool
    ) -> list[Response | ProviderError]:
        """Answer as one step; with `each`, the error of a model is its response."""
        strand = self._strand()
        placed = [self._place(request, module, strand) for request, module in requests]
        began, answers = strand.clock, list[Response | ProviderError]()
        # A task for each call costs more than an answer that is there already.
        for client, call in placed:
            try:
                found = client.at_hand(call, self._account_of(strand))
            except ProviderError as error:
                if not each:
                    raise
                answers.append(error)
                continue
            if found is None:
                break
            answers.append(self._response(client, call, strand, *found))
        rest = [self._answer(*asked, strand) for asked in placed[len(answers) :]]
        if rest:
            waiting = [or_error(answer) for answer in rest] if each else rest
            answers += await bridge.gather(waiting, settle=True)
        strand.spent(
            began, max([a.latency or 0.0 for a in answers if isinstance(a, Response)], default=0.0)
        )
        return answers

    def paid(self, account: str) -> Paid:
        """Return what requests on `account` were made and cost.

        With a store, that is all that were ever answered, whoever still waited for the answer.
        """
        return (self._accounts if self._store is None else self._store).paid(account)

    @property
    def clients(self) -> list[Client]:
        """The clients of the running loop, one for each way to a model."""
        return self._clients.open()

    @property
    def rate_limit_waits(self) -> list[RateLimitWait]:
        """The models that answer nothing but "too many requests", on this loop and elsewhere."""
        waits = (client.rate_limit_wait for client in self.clients)
        return [*self.waits_elsewhere(), *(wait for wait in waits if wait is not None)]

    def flush(self) -> None:
        """Wait until what recordings answered is in the store; other answers are before their use.

        Raises:
            StoreError: if it cannot be kept.
        """
        if isinstance(self._store, ReplayStore):
            self._store.flush()

    async def drain(self) -> None:
        """Wait until each request in flight is answered and stored, whoever still wants it."""
        await asyncio.gather(*(client.drain() for client in self.clients))

    def wind_down(self) -> None:
        """Send no further request on this loop, until the service is closed.

        Requests in flight go on to their answer. Calls that wait to ask, or to ask again, end at
        once with `CallGivenUpError`, and so do those that come later, unless their answer is stored
        or takes no time. Nobody waits for a batch any more; what was submitted stays open, and
        whoever asks for the same calls later waits for it.
        """
        self._clients.wind_down()

    @property
    def is_winding_down(self) -> bool:
        """Whether no further request is sent on this loop."""
        return self._clients.is_winding_down

    @property
    def calls_in_batches(self) -> int:
        """The number of calls in batches whose answers are not stored yet; also when closed."""
        if self._journal is not None:
            self._calls_in_batches = self._journal.open_calls()
        return self._calls_in_batches

    def asks(self, *, judges: bool) -> bool:
        """Whether requests are made, of evaluations (`judges`) or of others."""
        return not self._offline or (judges and self._asks_judges)

    async def close(self, *, abandon: bool = False) -> None:
        """Close this loop's clients and the store, once the requests in flight are done.

        Args:
            abandon: Do not wait for requests that are not answered yet.
        """
        for client in self._clients.take():
            await client.close(abandon=abandon)
        await self.servers.close()
        if self._journal is not None:
            self._calls_in_batches = self.calls_in_batches
            self._journal.close()
            self._journal = None
        if self._store is not None:
            self._store.close()

    def _strand(self) -> Strand:
        interception.check_allowed()
        strand = strands.current.get()
        return self._outside if strand is None else own_strand(strand)

    def _place(self, request: Request, module: object, strand: Strand) -> tuple[Client, Call]:
        client = self._clients.of(request.model)
        context = client.provider.context(strand.trial)
        # The seed of a call depends on which draw it is.
        counted = self._store is not None or request.parameters.seed is not None
        return client, Call.place(
            request,
            strand,
            strand.replica(module),
            context,
            self._outside_draws[counted],
            by_turn=client.provider.by_turn(request.role),
        )

    def _connect(self, model: ModelInfo) -> Client:
        provider = provider_class(model.provider_name)(model)
        batches = self._batches(model, provider)
        coordination = self._coordination
        endpoint = Endpoint(
            provider,
            self.retry,
            self._budget,
            batches,
            server=self.servers.of(model),
            coordination=coordination,
        )
        return Client(
            endpoint,
            self._store,
            self._accounts,
            offline=self._offline,
            asks_judges=self._asks_judges,
            coordination=coordination,
        )

    def _batches(self, model: ModelInfo, provider: Provider) -> BatchQueue | None:
        """Return where the calls to a model wait for their batch; None if they do not.

        Raises:
            ConfigError: if there can be no batches.
        """
        if model.mode == "standard":
            return None
        api = provider.batch_api()
        store = self._store
        if not isinstance(store, ResponseStore):
            raise ConfigError(
                f"{model.model_id}: mode: batch: answers come a day later, and there is no "
                "response store on disk to keep them: ModelService(store=...)"
            )
        if self._journal is None:
            self._journal = open_journal(store.path.with_name(BATCHES))
            oldest = time.time() - _RESULTS_SECONDS
            self._journal.tidy(lambda key: store.get(key) is not None, oldest)
        return BatchQueue(api, self._journal, self.retry)

    def _account_of(self, strand: Strand) -> str:
        purse = strand.trial.purse
        return (purse.account if purse is not None else "") or self._account

    async def _answer(self, client: Client, call: Call, strand: Strand) -> Response:
        found = await client.answer(call, self._account_of(strand))
        return self._response(client, call, strand, *found)

    def _response(
        self, client: Client, call: Call, strand: Strand, completion: Completion, stored: bool
    ) -> Response:
        """Account for an answer; `stored` says that it was there, or under way, already."""
        free = client.provider.replays
        if self._store is None:
            self._accounts.add(Payment(self._account_of(strand), client.spend(completion)))
        model = call.request.model
        latency = completion.latency_seconds
        spend = 0.0 if stored or free else completion.cost_usd or 0.0
        if strand is not self._outside:
            record = record_of(call, strand, completion, stored=stored, spend_usd=spend)
            for log in (strand.trial, *strands.measuring.get()):
                log.calls.append(record)
            if (tell := answered.get()) is not None:
                tell(call, completion, record)
        self.usage_service.add(
            model.provider_name,
            model.model_id,
            completion.usage,
            completion.cost_usd,
            latency,
            stored=stored,
            free=free,
        )
        return response_of(model.model_id, completion, stored=stored)
