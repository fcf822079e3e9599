"""OpenAI's batches: a file of requests in, a file of answers and one of errors out."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from ember_bench.models.batch.api import (
    CLOCK_SKEW_SECONDS,
    Adapter,
    BatchFailedError,
    BatchRequest,
    OpenBatch,
    Outcome,
)
from ember_bench.models.retry import RATE_LIMITED
from ember_bench.models.wire import openai_chat, openai_responses
from ember_bench.models.wire.failures import MalformedError, UnreadableError, WireErrors

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import Batch

    from ember_bench.models.call import Call

_Endpoint = Literal["/v1/chat/completions", "/v1/responses"]
_ENDPOINTS: Final[Mapping[str, _Endpoint]] = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
}
# What finds a batch whose id was lost.
_LABEL: Final = "ember_bench"
_PAGE: Final = 100

# More tokens than the account may have waiting.
_TOO_MUCH: Final = "token_limit_exceeded"

# Around each request's body in the file.
_LINE_BYTES: Final = 200


class OpenAIBatches:
    """Submits batches for one model.

    Args:
        provider: Its adapter.
        api: `chat` or `responses`.
        errors: Makes its errors.
    """

    most_requests: Final = 50_000
    most_bytes: Final = 190_000_000  # of 200 MB

    def __init__(self, provider: Adapter[AsyncOpenAI], api: str, errors: WireErrors) -> None:
        self._provider = provider
        self._api = api
        self._errors = errors

    def request(self, call: Call) -> BatchRequest:
        """Return `call` as a batch has it."""
        return BatchRequest.of(call, self._provider.arguments(call), _LINE_BYTES)

    async def submit(self, requests: Sequence[BatchRequest], token: str) -> str:
        """Submit a batch that is labelled with `token`; return OpenAI's id of it."""
        url = _ENDPOINTS[self._api]
        lines = (
            {"custom_id": request.key, "method": "POST", "url": url, "body": request.body}
            for request in requests
        )
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        client = self._provider.connected()
        with self._provider.explained():
            file = await client.files.create(file=(f"{token}.jsonl", content), purpose="batch")
            batch = await client.batches.create(
                input_file_id=self._id(file),
                endpoint=url,
                completion_window="24h",
                metadata={_LABEL: token},
            )
        return self._id(batch)

    async def find(self, batch: OpenBatch, others: Collection[str]) -> str | None:
        """Return the id of the batch with this label; None if there is none."""
        del others
        with self._provider.explained():
            async for found in self._provider.connected().batches.list(limit=_PAGE):
                if (found.metadata or {}).get(_LABEL) == batch.token:
                    return self._id(found)
                if (found.created_at or 0) < batch.begun - CLOCK_SKEW_SECONDS:
                    break  # the newest come first
        return None

    async def results(
        self, batch: OpenBatch, batch_id: str, places: Mapping[int, str]
    ) -> Mapping[str, Outcome] | None:
        """Return what became of each request; None as long as the batch goes on."""
        del batch, places
        with self._provider.explained():
            found = await self._provider.connected().batches.retrieve(batch_id)
        if found.status == "failed":
            raise self._failed(found)
        if found.status not in ("completed", "expired", "cancelled"):
            return None
        outcomes: dict[str, Outcome] = {}
        for file_id in (found.error_file_id, found.output_file_id):
            if file_id:
                outcomes |= dict(self._outcomes(await self._content(file_id)))
        return outcomes

    async def _content(self, file_id: str) -> str:
        with self._provider.explained():
            file = await self._provider.connected().files.content(file_id)
            return file.content.decode()

    def _outcomes(self, content: str) -> Iterator[tuple[str, Outcome]]:
        for text in content.split("\n"):
            if text.strip():
                with self._provider.explained():
                    line = json.loads(text)
                if isinstance(line, dict) and isinstance(key := line.get("custom_id"), str):
                    yield key, self._outcome(line)

    def _outcome(self, line: dict[str, Any]) -> Outcome:
        """Return what one line says; whatever cannot be read may be asked again."""
        answer, error = line.get("response"), _object(line.get("error"))
        if not isinstance(answer, dict):
            code, said = error.get("code"), error.get("message")
            # Nothing was done, so nothing speaks against doing it: also for codes to come.
            return self._errors.other(f"{code or 'no answer'}: {said}", retryable=True)
        status, body = answer.get("status_code"), answer.get("body")
        if status != 200:
            known = status if isinstance(status, int) else 500
            return openai_chat.refusal(self._errors, known, {}, body)
        if not isinstance(body, dict):
            return self._errors.malformed("no body in it: ", str(line))
        try:
            return (
                openai_chat.completion(body)
                if self._api == "chat"
                else openai_responses.completion(body)
            )
        except UnreadableError as error:
            return self._errors.unreadable(error)

    def _failed(self, found: Batch) -> BatchFailedError:
        """Return the error for a batch that was refused as a whole."""
        errors = getattr(found.errors, "data", None) or []
        code = next((error.code for error in errors), None)
        said = "; ".join(f"{error.code}: {error.message}" for error in errors[:3])
        why = said or "OpenAI does not say why"
        problem = self._errors.other(f"batch {found.id} failed: {why}")
        too_much = code == _TOO_MUCH
        status = RATE_LIMITED if too_much else None
        return BatchFailedError(str(problem), retryable=too_much, status=status)

    def _id(self, made: object) -> str:
        """Return the id of what was made."""
        if not isinstance(found := getattr(made, "id", None), str):
            raise MalformedError("no id in it: ", made)
        return found


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
