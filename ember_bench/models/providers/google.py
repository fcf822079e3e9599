"""Models behind Google's Gemini API, through google-genai."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from ember_bench.errors import ConfigError
from ember_bench.models.batch.google import GoogleBatches
from ember_bench.models.extras import expanded_headers
from ember_bench.models.providers.base import no_batches, provider
from ember_bench.models.providers.credentials import (
    Bearer,
    google_bearer,
    google_credentials,
)
from ember_bench.models.providers.http_messages import Address, Answer
from ember_bench.models.providers.http_provider import (
    WireProvider,
    body_failure,
)
from ember_bench.models.schemas import recursive_reference
from ember_bench.models.transport.sdk_pool import connecting
from ember_bench.models.wire import gemini
from ember_bench.models.wire.adapting import body_of, bound_answer, find_url, read_options
from ember_bench.models.wire.assembling import Assembler, GeminiAssembler
from ember_bench.models.wire.counts import RESPONSE_COST
from ember_bench.models.wire.failures import UnreadableError
from ember_bench.models.wire.streaming import Stream

if TYPE_CHECKING:
    from google.genai.client import Client
    from httpx2 import AsyncClient, Response

    from ember_bench.documents import Document
    from ember_bench.errors import ProviderError
    from ember_bench.models.call import Call, Request
    from ember_bench.models.info import Feature, ModelInfo
    from ember_bench.models.types import Completion

# In the order in which the SDK looks.
KEY_VARIABLES: Final = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
URL_VARIABLE: Final = "GOOGLE_GEMINI_BASE_URL"
VERTEX_URL_VARIABLE: Final = "GOOGLE_VERTEX_BASE_URL"
PROJECT_VARIABLE: Final = "GOOGLE_CLOUD_PROJECT"

_OWN_URL: Final = "https://generativelanguage.googleapis.com"

# JSON schemas, seeds and thinking are in no other version.
_API_VERSION: Final = "v1beta"
_VERTEX_VERSION: Final = "v1beta1"

# The API's own; shorter limits are the caller's.
LONGEST_ANSWER_SECONDS: Final = 600.0
# The server ends a stream after as long as it is told, however much of it there is.
_SERVER_TIMEOUT: Final = "X-Server-Timeout"
_LONGEST_STREAM_SECONDS: Final = 3600.0


class VertexOptions(BaseModel):
    """A model that is asked at Vertex AI, with Google's application default credentials.

    Attributes:
        location: The region, or `global`.
        project: The project that pays; by default that of GOOGLE_CLOUD_PROJECT.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    location: str = Field(default="global", pattern=r"^[a-z0-9-]+$")
    project: str | None = Field(default=None, pattern=r"^[a-z0-9:.-]+$")


class GoogleOptions(BaseModel):
    """The `options` of a Google model.

    Attributes:
        reasoning_effort: For calls that give neither theirs nor `thinking_tokens`; None leaves it
            to the model.
        vertex: For models that are asked at Vertex AI.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reasoning_effort: str | None = None
    vertex: VertexOptions | None = None


@provider("google")
class Google(WireProvider["Client"]):
    """Asks a model of Google's, or of any server that speaks as Google's does.

    Raises:
        ConfigError: if an option is unknown or the server's address is none.
    """

    batches: ClassVar[bool] = True
    batch_extras: ClassVar[bool] = False
    registered: ClassVar[str] = "google"
    card_options: ClassVar[type[BaseModel]] = GoogleOptions
    key_variables: ClassVar[tuple[str, ...]] = KEY_VARIABLES
    url_variable: ClassVar[str] = URL_VARIABLE
    connect_seconds: ClassVar[float] = LONGEST_ANSWER_SECONDS
    streams_elsewhere: ClassVar[bool] = True

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        options = read_options(model, GoogleOptions)
        self._effort, self._vertex = options.reasoning_effort, options.vertex
        self._http: AsyncClient | None = None

    def batch_api(self) -> GoogleBatches:
        """Return what submits batches of calls.

        Raises:
            ConfigError: if there is no such API.
        """
        if not self.batches:
            raise ConfigError(no_batches(self.model))
        if self._vertex is not None:
            raise ConfigError(_no_vertex_batches(self.model))
        return GoogleBatches(self, self._errors)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Make a `ProviderError` of whatever goes wrong between the SDK and the server."""
        import httpx2  # noqa: PLC0415 - comes with google-genai
        from google.genai import errors  # noqa: PLC0415 - takes a second, and is needed only now

        try:
            yield
        except RefusedError as refused:
            response = refused.response
            status, headers = response.status_code, response.headers
            raise self._refusal(status, headers, body_of(response.content)) from None
        except errors.APIError as error:
            raise self._refusal(error.code, {}, error.details) from None
        except httpx2.HTTPError as error:
            raise body_failure(self._errors, httpx2, error) from None
        except ValueError as error:  # neither JSON nor, at times, text
            raise self._errors.malformed(f"not JSON: {error}") from None
        except UnreadableError as error:
            raise self._errors.unreadable(error) from None

    def arguments(self, call: Call) -> dict[str, Any]:
        """Return what the SDK's `generate_content` takes for `call`.

        Raises:
            ConfigError: if the API cannot take it.
        """
        request = call.request
        config: dict[str, Any] = {
            **gemini.sampling(request.parameters),
            "system_instruction": gemini.system(request),
            "seed": call.seed,
            "thinking_config": self._thinking(request),
            **gemini.choices(request),
            # Nothing is to be called, or asked again, behind our back.
            "automatic_function_calling": {"disable": True},
        }
        if (wanted := request.response_format) is not None:
            schema = wanted.json_schema
            if (reference := recursive_reference(schema, required=True)) is not None:
                raise ConfigError(
                    f"{self.model.model_id}: the schema {wanted.name!r} refers to itself "
                    f"({reference}), which Gemini takes only in properties that are not required"
                )
            config["response_mime_type"] = "application/json"
            config["response_json_schema"] = schema
        if extra := self._extra_body(request):
            config["http_options"] = {"extra_body": extra}
        return {
            "model": request.model.model_name,
            "contents": gemini.contents(request),
            "config": {name: value for name, value in config.items() if value is not None},
        }

    @classmethod
    def lacks(cls, model: ModelInfo) -> Mapping[Feature, str]:
        """Return what the API has no place for."""
        del model
        return gemini.LACKS

    @classmethod
    def models_of(cls, document: Document) -> list[ModelInfo]:
        """Return the model of a card."""
        [model] = super().models_of(document)
        if model.mode == "batch" and read_options(model, GoogleOptions).vertex is not None:
            raise ConfigError(document.problem(_no_vertex_batches(model), "mode"))
        return [model]

    def _find_bearer(self) -> Bearer | None:
        return None if read_options(self.model, GoogleOptions).vertex is None else google_bearer()

    def _find_url(self) -> str | None:
        if read_options(self.model, GoogleOptions).vertex is None:
            return super()._find_url()
        return find_url(self.model, VERTEX_URL_VARIABLE)

    def _with_headers(
        self, arguments: dict[str, Any], headers: Mapping[str, str]
    ) -> dict[str, Any]:
        config = arguments["config"]
        options = {**config.get("http_options", {}), "headers": headers}
        return {**arguments, "config": {**config, "http_options": options}}

    @classmethod
    def _refused_values(cls, request: Request) -> Iterator[str]:
        return gemini.refused_values(request.parameters)

    def _address(self) -> Address:
        key = {"x-goog-api-key": self._key.get_secret_value()} if self._bearer is None else {}
        headers = {
            **key,
            _SERVER_TIMEOUT: str(int(LONGEST_ANSWER_SECONDS)),
        }
        return Address(self._method_url("generateContent"), headers)

    def _stream_url(self) -> str:
        return f"{self._method_url('streamGenerateContent')}?alt=sse"

    def _method_url(self, method: str) -> str:
        if self._vertex is not None:
            project, location = _project(self.model, self._vertex), self._vertex.location
            server = (self._url or _vertex_url(location)).rstrip("/")
            place = f"projects/{project}/locations/{location}/publishers/google/models"
            return f"{server}/{_VERTEX_VERSION}/{place}/{self.model.model_name}:{method}"
        resource = gemini.resource(self.model.model_name)
        return f"{(self._url or _OWN_URL).rstrip('/')}/{_API_VERSION}/{resource}:{method}"

    def _stream_fields(self) -> Sequence[Mapping[str, Any]]:
        return ({},)  # the address says it

    def _stream_headers(self) -> Mapping[str, str]:
        seconds = max(_LONGEST_STREAM_SECONDS, self.model.deadline_seconds or 0.0)
        return {_SERVER_TIMEOUT: str(math.ceil(seconds))}

    def _assembler(self) -> Assembler:
        return GeminiAssembler()

    def _body(self, arguments: dict[str, Any]) -> Mapping[str, Any]:
        return gemini.body(arguments)

    def _completion(self, body: Any, *, stops: bool) -> Completion:
        return gemini.completion(body, stops=stops)

    def _refusal(self, status: int, headers: Mapping[str, str], body: Any) -> ProviderError:
        return gemini.refusal(self._errors, status, body, headers, body)

    async def _ask(
        self, client: Client, arguments: dict[str, Any], stream: Stream | None
    ) -> Answer:
        if stream is not None:
            return await self._ask_for_stream(client, arguments, stream)
        # The SDK reads what it knows and fails on what it does not; we read the body ourselves.
        arguments["config"]["should_return_http_response"] = True
        answer = await client.aio.models.generate_content(**arguments)
        response = answer.sdk_http_response
        body = getattr(response, "body", None) or ""
        headers = getattr(response, "headers", None) or {}
        return Answer(body.encode(), headers.get(RESPONSE_COST))

    async def _ask_for_stream(
        self, client: Client, arguments: dict[str, Any], stream: Stream
    ) -> Answer:
        token = _stream.set(stream)
        try:
            async for _ in await client.aio.models.generate_content_stream(**arguments):
                pass
        except _StreamReadError as read:
            return read.answer
        finally:
            _stream.reset(token)
        return Answer(b"", None, stream)

    def _connect(self) -> Client:
        import httpx2  # noqa: PLC0415 - see `explained`
        from google import genai  # noqa: PLC0415 - see `explained`

        # Left to itself, the SDK takes aiohttp where that is installed, and asks again by itself.
        self._http = httpx2.AsyncClient(
            **connecting(httpx2, self.model.max_concurrency),
            event_hooks={"response": [bound_answer, _raise_for_status, _read_stream]},
        )
        options = genai.types.HttpOptions(
            base_url=self._url,
            api_version=_API_VERSION if self._vertex is None else _VERTEX_VERSION,
            headers=expanded_headers(self.model.headers),
            timeout=int(LONGEST_ANSWER_SECONDS * 1000),
            httpx_async_client=self._http,
        )
        if self._vertex is None:
            key = self._key.get_secret_value()
            return genai.Client(api_key=key, vertexai=False, http_options=options)
        return genai.Client(
            vertexai=True,
            project=_project(self.model, self._vertex),
            location=self._vertex.location,
            credentials=google_credentials(),
            http_options=options,
        )

    async def _disconnect(self, client: Client) -> None:
        client.close()
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def _thinking(self, request: Request) -> dict[str, Any] | None:
        asked = request.parameters
        if asked.thinking_tokens is not None:
            return {"thinking_budget": asked.thinking_tokens}
        effort = asked.reasoning_effort or self._effort
        return None if effort is None else {"thinking_level": effort.upper()}


def _project(model: ModelInfo, vertex: VertexOptions) -> str:
    """Return the project that pays.

    Raises:
        ConfigError: if it is not known.
    """
    if project := vertex.project or os.environ.get(PROJECT_VARIABLE):
        return project
    raise ConfigError(
        f"{model.model_id}: Vertex's project is missing: `options: {{vertex: {{project: ...}}}}` "
        f"in the model's card, or {PROJECT_VARIABLE} in the environment"
    )


def _vertex_url(location: str) -> str:
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _no_vertex_batches(model: ModelInfo) -> str:
    return f"{model.model_id}: mode: batch: not for models that are asked at Vertex AI"


class RefusedError(Exception):
    """A response whose status is no success; the SDKs cannot read every one."""

    def __init__(self, response: Any) -> None:
        super().__init__(response.status_code)
        self.response = response


# The one that is to read the answer to the current request.
_stream: Final[ContextVar[Stream | None]] = ContextVar("stream", default=None)


class _StreamReadError(Exception):
    """A stream that was read before the SDK saw it; the SDK cannot read every one."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


async def _read_stream(response: Response) -> None:
    if (stream := _stream.get()) is not None:
        raise _StreamReadError(await Answer.of(response, stream))


async def _raise_for_status(response: Response) -> None:
    if response.status_code >= 300:
        await response.aread()
        raise RefusedError(response)
