"""Models behind OpenAI's chat completions or responses, at OpenAI, Azure or any such server.

vLLM, Ollama, llama.cpp and most gateways speak chat completions: give the model's provider a
`base_url`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from ember_bench.errors import ConfigError
from ember_bench.models.batch.openai import OpenAIBatches
from ember_bench.models.extras import check_body, expanded_headers, merged
from ember_bench.models.providers.base import provider
from ember_bench.models.providers.credentials import Bearer, entra_bearer
from ember_bench.models.providers.generated_sdk import GeneratedProvider, known_to, pooled
from ember_bench.models.providers.http_messages import Address, Answer
from ember_bench.models.wire import openai_chat, openai_responses
from ember_bench.models.wire.adapting import (
    custom_headers,
    find_keys,
    find_url,
    read_options,
    version_advice,
)
from ember_bench.models.wire.assembling import Assembler, ChatAssembler, ResponsesAssembler
from ember_bench.models.wire.chat_tools import ReturnedThoughts

if TYPE_CHECKING:
    from types import ModuleType

    from openai import AsyncOpenAI

    from ember_bench.documents import Document
    from ember_bench.errors import ProviderError
    from ember_bench.models.call import Call, Request
    from ember_bench.models.info import Feature, ModelInfo
    from ember_bench.models.types import Completion, SamplingParameters
    from ember_bench.models.wire.streaming import Stream

KEY_VARIABLE: Final = "OPENAI_API_KEY"
URL_VARIABLE: Final = "OPENAI_BASE_URL"
AZURE_KEY_VARIABLE: Final = "AZURE_OPENAI_API_KEY"
AZURE_URL_VARIABLE: Final = "AZURE_OPENAI_ENDPOINT"

_OWN_URL: Final = "https://api.openai.com/v1"

_ANY_SERVER: Final = (
    " (or, for a server of your own that needs none, `provider: {name: openai, base_url: ...}` "
    "in the model's card)"
)


Renamed = Literal["reasoning_effort", "repetition_penalty", "seed", "thinking_tokens"]
"""Parameters that servers have under names of their own."""


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
        fields: What chat completions of a server call other parameters, if not as OpenAI does:
            `{seed: random_seed}`. A dot leads into an object.
        reasoning_effort: For calls that do not give theirs; None leaves it to the model.
        azure: For models that Azure serves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    api: Literal["chat", "responses"] = "chat"
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    fields: dict[Renamed, str] = Field(default_factory=dict)
    reasoning_effort: str | None = None
    azure: AzureOptions | None = None

    @field_validator("fields")
    @classmethod
    def _are_free(cls, value: dict[Renamed, str]) -> dict[Renamed, str]:
        for place in value.values():
            if not all(parts := place.split(".")):
                raise ValueError(f"expected a name, or several with dots between, found {place!r}")
            check_body({parts[0]: None})
        return value


@provider("openai")
class OpenAI(GeneratedProvider["AsyncOpenAI"]):
    """Asks a model of OpenAI, of Azure, or of any server that speaks as they do.

    Raises:
        ConfigError: if an option is unknown or the server's address is none.
    """

    batches: ClassVar[bool] = True
    registered: ClassVar[str] = "openai"
    card_options: ClassVar[type[BaseModel]] = OpenAIOptions
    connect_seconds: ClassVar[float] = 5.0
    entra: ClassVar[bool] = True

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self._options = read_options(model, OpenAIOptions)
        self._thoughts = ReturnedThoughts()

    async def _complete(self, call: Call, fields: Mapping[str, Any] | None) -> Completion:
        asked = super()._complete
        return await self._thoughts.ask(call.request, lambda: asked(call, fields))

    def batch_api(self) -> OpenAIBatches:
        """Return what submits batches of calls.

        Raises:
            ConfigError: if Azure serves the model.
        """
        if self._options.azure is not None:
            raise ConfigError(_no_azure_batches(self.model))
        return OpenAIBatches(self, self._options.api, self._errors)

    def arguments(self, call: Call) -> dict[str, Any]:
        """Return the body of the request for `call`, as the API has it."""
        options = self._options
        effort = options.reasoning_effort
        if options.api == "responses":
            body = openai_responses.arguments(call.request, effort)
        else:
            returned = self._thoughts.wanted
            body = openai_chat.arguments(call, options.max_tokens_field, effort, thoughts=returned)
            body = _renamed(body, call.request.parameters, options.fields)
        return merged(body, self._extra_body(call.request))

    @classmethod
    def lacks(cls, model: ModelInfo) -> Mapping[Feature, str]:
        """Return what the API that the model is asked through has no place for."""
        options = read_options(model, OpenAIOptions)
        if options.api == "responses":
            return openai_responses.LACKS
        other = _is_other_server(model, options)
        lacking = openai_chat.LACKS if other else openai_chat.OPENAI_LACKS
        return {name: advice for name, advice in lacking.items() if name not in options.fields}

    @classmethod
    def models_of(cls, document: Document) -> list[ModelInfo]:
        """Return the model of a card."""
        models = super().models_of(document)
        azure = read_options(models[0], OpenAIOptions).azure
        if azure is not None and (batched := models[0]).mode == "batch":
            raise ConfigError(document.problem(_no_azure_batches(batched), "mode"))
        return models

    def all_keys(self) -> tuple[SecretStr, ...]:
        """Return the keys that the model may be asked with.

        Raises:
            ConfigError: if there is none.
        """
        if self._bearer is not None:
            return super().all_keys()
        if self._options.azure is not None:
            return find_keys(self.model, AZURE_KEY_VARIABLE)
        free = self._url is not None
        return find_keys(self.model, KEY_VARIABLE, optional=free, hint=_ANY_SERVER)

    def _advice(self, status: int) -> str:
        if status != HTTPStatus.NOT_FOUND or self._options.azure is not None:
            return ""
        return version_advice(self._url, "v1", given=True)

    def _find_bearer(self) -> Bearer | None:
        return entra_bearer() if self.model.provider.credentials == "entra" else None

    def _find_url(self) -> str | None:
        return _url(self.model, read_options(self.model, OpenAIOptions))

    @classmethod
    def _refused_values(cls, request: Request) -> Iterator[str]:
        """Yield what OpenAI would answer with 400; other servers have bounds of their own."""
        model = request.model
        options = read_options(model, OpenAIOptions)
        if _is_other_server(model, options):
            return iter(())
        chat = options.api == "chat"
        return openai_chat.refused_values(request.parameters, chat=chat)

    def _address(self) -> Address:
        options = self._options
        key = self._key.get_secret_value() if self._bearer is None else None
        spoken = "responses" if options.api == "responses" else "chat/completions"
        if options.azure is not None and self._url is not None:
            deployment = quote(self.model.model_name, safe="")
            place = "" if options.api == "responses" else f"deployments/{deployment}/"
            version = urlencode({"api-version": options.azure.api_version})
            url = f"{self._url.rstrip('/')}/openai/{place}{spoken}?{version}"
            return Address(url, {**({"api-key": key} if key else {}), **_account()})
        url = f"{(self._url or _OWN_URL).rstrip('/')}/{spoken}"
        return Address(url, {**({"Authorization": f"Bearer {key}"} if key else {}), **_account()})

    def _completion(self, body: Any, *, stops: bool) -> Completion:
        if self._options.api == "responses":
            return openai_responses.completion(body)
        return openai_chat.completion(body, stops=stops)

    def _refusal(self, status: int, headers: Mapping[str, str], body: Any) -> ProviderError:
        return openai_chat.refusal(self._errors, status, headers, body)

    @classmethod
    def _sdk(cls) -> tuple[ModuleType, type[Exception]]:
        import openai  # noqa: PLC0415 - takes a second, and only now is it needed

        return openai, openai.OpenAIError

    async def _ask(
        self, client: AsyncOpenAI, arguments: dict[str, Any], stream: Stream | None
    ) -> Answer:
        api = client.chat.completions if self._options.api == "chat" else client.responses
        answer: Any = await api.with_raw_response.create(**known_to(api.create, arguments))
        return await Answer.of(answer.http_response, stream)

    def _stream_fields(self) -> Sequence[Mapping[str, Any]]:
        if read_options(self.model, OpenAIOptions).api == "responses":
            return super()._stream_fields()
        # Without the option few servers count tokens; with it a few refuse the request.
        return ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True})

    def _assembler(self) -> Assembler:
        return ResponsesAssembler() if self._options.api == "responses" else ChatAssembler()

    def _connect(self) -> AsyncOpenAI:
        import openai  # noqa: PLC0415 - see `_sdk`

        http_client = pooled(openai, self.model.max_concurrency)
        token = None if self._bearer is None else self._bearer.token
        key = self._key.get_secret_value()
        headers = expanded_headers(self.model.headers)
        if self._options.azure is not None and self._url is not None:
            client = openai.AsyncAzureOpenAI(
                api_key=key if token is None else None,
                azure_ad_token_provider=token,
                azure_endpoint=self._url,
                api_version=self._options.azure.api_version,
                max_retries=0,
                default_headers=headers,
                http_client=http_client,
            )
            # 2.x prefers AZURE_OPENAI_AD_TOKEN to the key that it is given.
            client._azure_ad_token = None
            return client
        return openai.AsyncOpenAI(
            api_key=token or key,
            base_url=self._url,
            max_retries=0,
            default_headers=headers,
            http_client=http_client,
        )


def _renamed(
    body: dict[str, Any], asked: SamplingParameters, names: Mapping[Renamed, str]
) -> dict[str, Any]:
    """Return the body of chat completions with the names that its server has."""
    for name, place in names.items():
        # Chat completions have no name for it, so it is not in the body.
        value = asked.thinking_tokens if name == "thinking_tokens" else body.pop(name, None)
        if value is not None:
            outer, *inner = place.split(".")
            for part in reversed(inner):
                value = {part: value}
            body = merged(body, {outer: value})
    return body


def _is_other_server(model: ModelInfo, options: OpenAIOptions) -> bool:
    """Whether neither OpenAI nor Azure serves the model."""
    return options.azure is None and find_url(model, URL_VARIABLE) is not None


def _account() -> Mapping[str, str]:
    """Return the headers that the SDK takes from the environment."""
    named = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
    given = {header: value for header, v in named.items() if (value := os.environ.get(v))}
    return {**given, **custom_headers("OPENAI_CUSTOM_HEADERS")}


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
