"""Anthropic's message batches: a list of requests in, a file of results out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ember_bench.models.batch.api import (
    CLOCK_SKEW_SECONDS,
    Adapter,
    BatchRequest,
    OpenBatch,
    Outcome,
    UndecidedError,
)
from ember_bench.models.wire import anthropic_messages
from ember_bench.models.wire.failures import (
    MalformedError,
    UnreadableError,
    WireErrors,
    as_text,
    plain,
)

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types.messages import MessageBatch

    from ember_bench.models.call import Call

# What the API would have answered with, had it been asked directly.
_STATUS: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_COUNTS: Final = ("processing", "succeeded", "errored", "canceled", "expired")
_PAGE: Final = 100

# Around each request's body in the list.
_ENTRY_BYTES: Final = 120


class AnthropicBatches:
    """Submits batches for one model.

    A batch has no label to be found by, so its token stands in the id of each of its requests.

    Args:
        provider: Its adapter.
        errors: Makes its errors.
    """

    most_requests: Final = 100_000
    most_bytes: Final = 240_000_000  # of 256 MB

    def __init__(self, provider: Adapter[AsyncAnthropic], errors: WireErrors) -> None:
        self._provider = provider
        self._errors = errors

    def request(self, call: Call) -> BatchRequest:
        """Return `call` as a batch has it."""
        return BatchRequest.of(call, self._provider.arguments(call), _ENTRY_BYTES)

    async def submit(self, requests: Sequence[BatchRequest], token: str) -> str:
        """Submit a batch; return Anthropic's id of it."""
        entries: Any = [
            {"custom_id": f"{token}-{request.key}", "params": request.body} for request in requests
        ]
        with self._provider.explained():
            batch = await self._provider.connected().messages.batches.create(requests=entries)
            if not isinstance(batch_id := getattr(batch, "id", None), str):
                raise MalformedError("no id in it: ", batch)
            return batch_id

    async def find(self, batch: OpenBatch, others: Collection[str]) -> str | None:
        """Return the id of the batch whose requests have this token; None if there is none.

        Raises:
            UndecidedError: while a batch of the same size goes on: only its results have its
                requests' ids.
        """
        undecided = False
        with self._provider.explained():
            async for found in self._provider.connected().messages.batches.list(limit=_PAGE):
                if _created(found) < batch.begun - CLOCK_SKEW_SECONDS:
                    break  # the newest come first
                if found.id in others or _count(found) != batch.count:
                    continue
                if found.processing_status != "ended":
                    undecided = True
                elif found.results_url and await self._first_id(found.id) == batch.token:
                    return found.id
        if undecided:
            raise UndecidedError(f"{batch.model}: a batch of {batch.count:,} calls goes on")
        return None

    async def results(
        self, batch: OpenBatch, batch_id: str, places: Mapping[int, str]
    ) -> Mapping[str, Outcome] | None:
        """Return what became of each request; None as long as the batch goes on."""
        del batch, places
        outcomes: dict[str, Outcome] = {}
        with self._provider.explained():
            api = self._provider.connected().messages.batches
            found = await api.retrieve(batch_id)
            if found.processing_status != "ended":
                return None
            async for line in await api.results(batch_id):
                if isinstance(line.custom_id, str):
                    outcomes[line.custom_id.rpartition("-")[2]] = self._outcome(line.result)
        return outcomes

    async def _first_id(self, batch_id: str) -> str | None:
        """Return the token in a batch's first result."""
        lines = await self._provider.connected().messages.batches.results(batch_id)
        try:
            async for line in lines:
                return str(line.custom_id).partition("-")[0]
            return None
        finally:
            await lines.close()

    def _outcome(self, result: Any) -> Outcome:
        """Return what one result says; what cannot be read may be asked again."""
        kind = getattr(result, "type", None)
        if kind == "succeeded":
            try:
                return anthropic_messages.completion(plain(getattr(result, "message", None)))
            except UnreadableError as problem:
                return self._errors.unreadable(problem)
        if kind == "errored":
            error = getattr(getattr(result, "error", None), "error", None)
            name, said = getattr(error, "type", None), getattr(error, "message", None)
            body = as_text(getattr(result, "error", None))
            return self._errors.status(_STATUS.get(str(name), 500), said or name, body=body)
        return self._errors.other(f"not done in its batch: {kind}", retryable=True)


def _created(batch: MessageBatch) -> float:
    """Return when a batch was made, in seconds since the epoch."""
    made: object = batch.created_at
    if isinstance(made, str):  # the SDK leaves a date as it is that it cannot read
        raise MalformedError("no date in it: ", made)
    return made.astimezone(UTC).timestamp() if isinstance(made, datetime) else 0.0


def _count(batch: MessageBatch) -> int:
    return sum(getattr(batch.request_counts, name, 0) or 0 for name in _COUNTS)
