"""Models behind Google's Gemini API, through google-genai."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, SecretStr

from ember_bench.errors import ConfigError
from ember_bench.models.providers import _gemini as gemini
from ember_bench.models.providers._google_batch import GoogleBatches
from ember_bench.models.providers._wire import (
    MalformedError,
    WireErrors,
    bound_answer,
    check_each,
    find_key,
    find_url,
    read_options,
    secrets_of,
)
from ember_bench.models.providers.base import Provider, no_batches, provider
from ember_bench.models.types import Completion

if TYPE_CHECKING:
    from google.genai.client import Client
    from google.genai.errors import APIError
    from httpx2 import AsyncClient

    from ember_bench.documents import Document
    from ember_bench.errors import ProviderError
    from ember_bench.models.call import Call, Request
    from ember_bench.models.info import ModelInfo
    from ember_bench.models.strand import TrialContext

# In the order in which the SDK looks.
KEY_VARIABLES: Final = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
URL_VARIABLE: Final = "GOOGLE_GEMINI_BASE_URL"

# JSON schemas, seeds and thinking are in no other version.
_API_VERSION: Final = "v1beta"

# The API's own; shorter limits are the caller's.
LONGEST_ANSWER_SECONDS: Final = 600.0


class GoogleOptions(BaseModel):
    """The `options` of a Google model.

    Attributes:
        reasoning_effort: For calls that give neither theirs nor `thinking_tokens`; None leaves it
            to the model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reasoning_effort: str | None = None


@provider("google")
class Google(Provider):
    """Asks a model through the official SDK.

    Raises:
        ConfigError: if an option is unknown or the server's address is none.
    """

    batches: ClassVar[bool] = True
    registered: ClassVar[str] = "google"
    options: ClassVar[type[GoogleOptions]] = GoogleOptions

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self._options = read_options(model, self.options)
        self._url = find_url(model, URL_VARIABLE)
        self._client: Client | None = None
        self._http: AsyncClient | None = None
        self._errors = WireErrors(model.model_id, lambda: secrets_of(self._key, self._url))

    async def complete(self, call: Call) -> Completion:
        """Ask once; the SDK's own retries are off."""
        client, arguments = self.connected(), self.arguments(call)
        # The SDK reads what it knows and fails on what it does not; we read the body ourselves.
        arguments["config"]["should_return_http_response"] = True
        with self.explained():
            answer = await client.aio.models.generate_content(**arguments)
            content = getattr(answer.sdk_http_response, "body", None)
            return gemini.completion(json.loads(content or ""))

    def batch_api(self) -> GoogleBatches:
        """Return what submits batches of calls.

        Raises:
            ConfigError: if there is no such API.
        """
        if not self.batches:
            raise ConfigError(no_batches(self.model))
        return GoogleBatches(self, self._errors)

    def connected(self) -> Client:
        """Return the SDK's client."""
        if self._client is None:
            self._client = self._connect()
        return self._client

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Make a `ProviderError` of whatever goes wrong between the SDK and the server."""
        import httpx2  # noqa: PLC0415 - comes with google-genai
        from google.genai import errors  # noqa: PLC0415 - takes a second, and is needed only now

        try:
            yield
        except errors.APIError as error:
            raise self._explained(error) from None
        except httpx2.TimeoutException:
            raise self._errors.timeout() from None
        except httpx2.DecodingError as error:
            raise self._errors.malformed(str(error)) from None
        except httpx2.HTTPError as error:
            raise self._errors.connection(error) from None
        except ValueError as error:  # neither JSON nor, at times, text
            raise self._errors.malformed(f"not JSON: {error}") from None
        except MalformedError as error:
            raise self._errors.malformed(error.reason, error.content) from None

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
            "tools": _tools(request),
            # Nothing is to be called, or asked again, behind our back.
            "automatic_function_calling": {"disable": True},
        }
        if (wanted := request.response_format) is not None:
            config["response_mime_type"] = "application/json"
            config["response_json_schema"] = wanted.json_schema
        return {
            "model": request.model.model_name,
            "contents": gemini.contents(request),
            "config": {name: value for name, value in config.items() if value is not None},
        }

    def context(self, trial: TrialContext) -> str:
        """Return the server, where the environment and not the model says which."""
        del trial
        return "" if self.model.provider.base_url else self._url or ""

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    @classmethod
    def unsupported(cls, request: Request) -> list[str]:
        """Return what cannot be had, and values that the API refuses."""
        problems = super().unsupported(request)
        if not problems:
            refused = gemini.refused_values(request.parameters)
            problems = [f"{request.model.model_id}: {problem}" for problem in refused]
        return problems

    @classmethod
    def models_of(cls, document: Document) -> list[ModelInfo]:
        """Return the model of a card."""
        models = super().models_of(document)
        if "options" in document.data:
            document.sub("options").parse(cls.options)
        return models

    @classmethod
    def check(cls, models: Iterable[ModelInfo]) -> None:
        """See that `models` can be asked; models of other providers are ignored.

        Raises:
            ConfigError: naming those that have no key, and where to put one.
        """
        check_each(models, cls.registered, lambda model: cls(model)._key)

    @cached_property
    def _key(self) -> SecretStr:
        # Asked for when it is needed: stored answers can be had without one.
        return find_key(self.model, *KEY_VARIABLES, optional=self._url is not None)

    def _connect(self) -> Client:
        import httpx2  # noqa: PLC0415 - see `complete`
        from google import genai  # noqa: PLC0415 - see `complete`

        size = self.model.max_concurrency
        # Left to itself, the SDK takes aiohttp where that is installed, and asks again by itself.
        self._http = httpx2.AsyncClient(
            limits=httpx2.Limits(max_connections=size, max_keepalive_connections=size),
            event_hooks={"response": [bound_answer]},
        )
        return genai.Client(
            api_key=self._key.get_secret_value(),
            vertexai=False,
            http_options=genai.types.HttpOptions(
                base_url=self._url,
                api_version=_API_VERSION,
                timeout=int(LONGEST_ANSWER_SECONDS * 1000),
                httpx_async_client=self._http,
            ),
        )

    def _thinking(self, request: Request) -> dict[str, Any] | None:
        asked = request.parameters
        if asked.thinking_tokens is not None:
            return {"thinking_budget": asked.thinking_tokens}
        effort = asked.reasoning_effort or self._options.reasoning_effort
        return None if effort is None else {"thinking_level": effort.upper()}

    def _explained(self, error: APIError) -> ProviderError:
        headers = getattr(error.response, "headers", None) or {}
        said = error.message or error.details
        return gemini.refusal(self._errors, error.code, said, headers, error.details)


def _tools(request: Request) -> list[dict[str, Any]] | None:
    declared = [
        {"name": t.name, "description": t.description, "parameters_json_schema": t.json_schema}
        for t in request.tools
    ]
    return [{"function_declarations": declared}] if declared else None
