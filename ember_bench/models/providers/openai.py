"""Models behind OpenAI's chat completions or responses, at OpenAI, Azure or any such server.

vLLM, Ollama, llama.cpp and most gateways speak chat completions: give the model's provider a
`base_url`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models.providers import _openai_chat as chat
from ember_bench.models.providers import _openai_responses as responses
from ember_bench.models.providers._openai_batch import OpenAIBatches
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
from ember_bench.models.providers.base import Provider, provider
from ember_bench.models.types import Completion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openai import APIStatusError, AsyncOpenAI, OpenAIError

    from ember_bench.documents import Document
    from ember_bench.models.call import Call, Request
    from ember_bench.models.info import Feature, ModelInfo
    from ember_bench.models.strand import TrialContext

KEY_VARIABLE: Final = "OPENAI_API_KEY"
URL_VARIABLE: Final = "OPENAI_BASE_URL"
AZURE_KEY_VARIABLE: Final = "AZURE_OPENAI_API_KEY"
AZURE_URL_VARIABLE: Final = "AZURE_OPENAI_ENDPOINT"

_ANY_SERVER: Final = (
    " (or, for a server of your own that needs none, `provider: {name: openai, base_url: ...}` "
    "in the model's card)"
)


class AzureOptions(BaseModel):
    """A model that Azure serves; its provider's `base_url` is the endpoint.

    Attributes:
        api_version: Of Azure's API, such as `2024-10-21`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_version: str = Field(min_length=1)


class OpenAIOptions(BaseModel):
    """The `options` of an OpenAI model.

    Attributes:
        api: Which of OpenAI's two APIs is spoken. Few other servers know `responses`.
        max_tokens_field: What chat completions call `max_tokens`. OpenAI's reasoning models take
            `max_completion_tokens` only; most other servers know the older name only.
        reasoning_effort: For calls that do not give theirs; None leaves it to the model.
        azure: For models that Azure serves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    api: Literal["chat", "responses"] = "chat"
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    reasoning_effort: str | None = None
    azure: AzureOptions | None = None


@provider("openai")
class OpenAI(Provider):
    """Asks a model through the official SDK.

    Raises:
        ConfigError: if an option is unknown or the server's address is none.
    """

    batches: ClassVar[bool] = True

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self._options = read_options(model, OpenAIOptions)
        self._url = _url(model, self._options)
        self._client: AsyncOpenAI | None = None
        self._errors = WireErrors(model.model_id, lambda: secrets_of(self._key, self._url))

    async def complete(self, call: Call) -> Completion:
        """Ask once; the SDK's own retries are off."""
        client, arguments = self.connected(), self.arguments(call)
        with self.explained():
            if self._options.api == "chat":
                return chat.completion(await client.chat.completions.create(**arguments))
            return responses.completion(await client.responses.create(**arguments))

    def batch_api(self) -> OpenAIBatches:
        """Return what submits batches of calls.

        Raises:
            ConfigError: if Azure serves the model.
        """
        if self._options.azure is not None:
            raise ConfigError(_no_azure_batches(self.model))
        return OpenAIBatches(self, self._options.api, self._errors)

    def connected(self) -> AsyncOpenAI:
        """Return the SDK's client."""
        if self._client is None:
            self._client = self._connect()
        return self._client

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Make a `ProviderError` of whatever goes wrong between the SDK and the server."""
        import openai  # noqa: PLC0415 - takes a second, and only now is it needed

        try:
            yield
        except openai.OpenAIError as error:
            raise self._explained(error) from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            # The SDK lets a body that is not JSON, or not text, through as it is.
            raise self._errors.malformed(f"not JSON: {error}") from None
        except MalformedError as error:
            raise self._errors.malformed(error.reason, error.content) from None
        except responses.FailedError as error:
            raise self._errors.other(error.said, retryable=error.retryable) from None

    def arguments(self, call: Call) -> dict[str, Any]:
        """Return the body of the request for `call`, as the API has it."""
        options = self._options
        if options.api == "responses":
            return responses.arguments(call.request, options.reasoning_effort)
        return chat.arguments(call, options.max_tokens_field, options.reasoning_effort)

    def context(self, trial: TrialContext) -> str:
        """Return the server, where the environment and not the model says which."""
        del trial
        return "" if self.model.provider.base_url else self._url or ""

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    @classmethod
    def lacks(cls, model: ModelInfo) -> Mapping[Feature, str]:
        """Return what the API that the model is asked through has no place for."""
        spoken = read_options(model, OpenAIOptions).api
        return responses.LACKS if spoken == "responses" else chat.LACKS

    @classmethod
    def unsupported(cls, request: Request) -> list[str]:
        """Add what OpenAI would answer with 400; other servers have bounds of their own."""
        problems, model = super().unsupported(request), request.model
        if read_options(model, OpenAIOptions).azure is None and find_url(model, URL_VARIABLE):
            return problems
        values = chat.refused_values(request.parameters)
        return [*problems, *(f"{model.model_id}: {problem}" for problem in values)]

    @classmethod
    def models_of(cls, document: Document) -> list[ModelInfo]:
        """Return the model of a card."""
        models = super().models_of(document)
        if "options" in document.data:
            options = document.sub("options").parse(OpenAIOptions)
            if options.azure is not None and (batched := models[0]).mode == "batch":
                raise ConfigError(document.problem(_no_azure_batches(batched), "mode"))
        return models

    @classmethod
    def check(cls, models: Iterable[ModelInfo]) -> None:
        """See that `models` can be asked; models of other providers are ignored.

        Raises:
            ConfigError: naming those that have no key, and where to put one.
        """
        check_each(models, "openai", lambda model: cls(model)._key)

    @cached_property
    def _key(self) -> SecretStr:
        # Asked for when it is needed: stored answers can be had without one.
        if self._options.azure is not None:
            return find_key(self.model, AZURE_KEY_VARIABLE)
        return find_key(self.model, KEY_VARIABLE, optional=self._url is not None, hint=_ANY_SERVER)

    def _connect(self) -> AsyncOpenAI:
        import openai  # noqa: PLC0415 - see `complete`
        from openai import DEFAULT_CONNECTION_LIMITS  # noqa: PLC0415 - see `complete`

        size = self.model.max_concurrency
        # The SDK is built on httpx in 2.x and on httpx2 in 3.x; its own limits tell which.
        limits = type(DEFAULT_CONNECTION_LIMITS)(
            max_connections=size, max_keepalive_connections=size
        )
        http_client = openai.DefaultAsyncHttpxClient(
            limits=limits, event_hooks={"response": [bound_answer]}
        )
        key = self._key.get_secret_value()
        if self._options.azure is not None and self._url is not None:
            client = openai.AsyncAzureOpenAI(
                api_key=key,
                azure_endpoint=self._url,
                api_version=self._options.azure.api_version,
                max_retries=0,
                http_client=http_client,
            )
            # 2.x prefers AZURE_OPENAI_AD_TOKEN to the key that it is given.
            client._azure_ad_token = None
            return client
        return openai.AsyncOpenAI(
            api_key=key, base_url=self._url, max_retries=0, http_client=http_client
        )

    def _explained(self, error: OpenAIError) -> ProviderError:
        import openai  # noqa: PLC0415 - see `complete`

        if isinstance(error, openai.APITimeoutError):
            return self._errors.timeout()
        if isinstance(error, openai.APIConnectionError):
            return self._errors.connection(error)
        if isinstance(error, openai.APIStatusError):
            return self._errors.status(
                error.status_code,
                _said(error),
                error.response.headers,
                # An exhausted budget answers with 429 too, and no waiting helps.
                final=error.code == "insufficient_quota",
            )
        if isinstance(error, openai.APIResponseValidationError):
            return self._errors.malformed(str(error))
        return self._errors.other(error)


def _url(model: ModelInfo, options: OpenAIOptions) -> str | None:
    """Return where the server is; None for OpenAI's own.

    Raises:
        ConfigError: if that is no address, or Azure's is not known.
    """
    if options.azure is None:
        return find_url(model, URL_VARIABLE)
    if (url := find_url(model, AZURE_URL_VARIABLE)) is None:
        raise ConfigError(
            f"{model.model_id}: Azure's endpoint is missing: `provider: {{name: openai, base_url: "
            f"https://<resource>.openai.azure.com}}` in the model's card, or {AZURE_URL_VARIABLE} "
            "in the environment"
        )
    return url


def _no_azure_batches(model: ModelInfo) -> str:
    return f"{model.model_id}: mode: batch: not for models that Azure serves"


def _said(error: APIStatusError) -> str:
    """Return the server's own words."""
    message = error.body.get("message") if isinstance(error.body, dict) else error.body
    return message if isinstance(message, str) and message else error.message
