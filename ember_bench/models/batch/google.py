"""Gemini's batches: a list of requests in, a list of responses in the same order out."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ember_bench.models.batch.api import (
    CLOCK_SKEW_SECONDS,
    Adapter,
    BatchFailedError,
    BatchRequest,
    OpenBatch,
    Outcome,
)
from ember_bench.models.wire import gemini
from ember_bench.models.wire.failures import MalformedError, UnreadableError, WireErrors

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.types import BatchJob

    from ember_bench.models.call import Call

_ENDED: Final = frozenset(
    {
        "JOB_STATE_SUCCEEDED",
        "JOB_STATE_PARTIALLY_SUCCEEDED",
        "JOB_STATE_CANCELLED",
        "JOB_STATE_EXPIRED",
    }
)
_FAILED: Final = "JOB_STATE_FAILED"
# Of a request and, most of the time, of its response.
_KEY: Final = "key"
_PAGE: Final = 100

# Around each request's body in the list.
_ENTRY_BYTES: Final = 200

# Codes of google.rpc.Code for what cannot pass, or only later, and the HTTP status of each.
_STATUS: Final[Mapping[Any, int]] = {
    3: 400,
    5: 404,
    7: 403,
    8: 429,
    16: 401,
}


class GoogleBatches:
    """Submits batches for one model.

    Args:
        provider: Its adapter.
        errors: Makes its errors.
    """

    most_requests: Final = 10_000
    most_bytes: Final = 15_000_000  # of 20 MB in one request

    def __init__(self, provider: Adapter[Client], errors: WireErrors) -> None:
        self._provider = provider
        self._errors = errors

    def request(self, call: Call) -> BatchRequest:
        """Return `call` as a batch has it."""
        return BatchRequest.of(call, self._provider.arguments(call), _ENTRY_BYTES)

    async def submit(self, requests: Sequence[BatchRequest], token: str) -> str:
        """Submit a batch whose name to show is `token`; return Google's name of it."""
        entries: Any = []
        for request in requests:
            entries.append({**request.body, "metadata": {_KEY: request.key}})
        with self._provider.explained():
            job = await self._provider.connected().aio.batches.create(
                model=requests[0].body["model"], src=entries, config={"display_name": token}
            )
            if not job.name:
                raise MalformedError("no name in it: ", job)
            return job.name

    async def find(self, batch: OpenBatch, others: Collection[str]) -> str | None:
        """Return the name of the batch that shows this token; None if there is none."""
        del others
        with self._provider.explained():
            api = self._provider.connected().aio.batches
            async for job in await api.list(config={"page_size": _PAGE}):
                if job.display_name == batch.token and job.name:
                    return job.name
                if _created(job) < batch.begun - CLOCK_SKEW_SECONDS:
                    break  # the newest come first
        return None

    async def results(
        self, batch: OpenBatch, batch_id: str, places: Mapping[int, str]
    ) -> Mapping[str, Outcome] | None:
        """Return what became of each request; None as long as the batch goes on."""
        with self._provider.explained():
            job = await self._provider.connected().aio.batches.get(name=batch_id)
        state = job.state.value if job.state is not None else None
        if state == _FAILED:
            said = job.error.message if job.error is not None else "Google does not say why"
            problem = self._errors.other(f"batch {batch_id} failed: {said}")
            raise BatchFailedError(str(problem))
        if state not in _ENDED:
            return None
        lines = await self._lines(job)
        outcomes: dict[str, Outcome] = {}
        for place, line in enumerate(lines):
            key = line.get(_KEY) or _object(line.get("metadata")).get(_KEY)
            if key is None and len(lines) == batch.count:
                # Not every answer comes with what was said of its request, but in its place.
                key = places.get(place)
            if isinstance(key, str):
                outcomes[key] = self._outcome(line)
        return outcomes

    async def _lines(self, job: BatchJob) -> list[Mapping[str, Any]]:
        """Return the responses of a batch, which is a file if they are too large to be a list."""
        if job.dest is None:
            return []
        if job.dest.file_name:
            with self._provider.explained():
                content = await self._provider.connected().aio.files.download(
                    file=job.dest.file_name
                )
                lines = content.decode().split("\n")
                return [_object(json.loads(line)) for line in lines if line.strip()]
        # As the API wrote them, which is what the mapping reads.
        return [
            response.model_dump(mode="json", by_alias=True, exclude_none=True)
            for response in job.dest.inlined_responses or []
        ]

    def _outcome(self, line: Mapping[str, Any]) -> Outcome:
        """Return what one response says; what cannot be read may be asked again."""
        body = line if "candidates" in line else line.get("response")
        if body is None:
            error = _object(line.get("error"))
            status = _STATUS.get(error.get("code"), 500)
            return gemini.refusal(self._errors, status, "neither answer nor error", {}, line)
        try:
            return gemini.completion(body)
        except UnreadableError as problem:
            return self._errors.unreadable(problem)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _created(job: BatchJob) -> float:
    """Return when a batch was made, in seconds since the epoch."""
    return job.create_time.timestamp() if job.create_time is not None else 0.0
