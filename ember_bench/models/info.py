"""Registered models: provider, price, limits."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import UTC, date, datetime
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, Protocol, Self, get_args
from urllib.parse import urlsplit

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    field_serializer,
    field_validator,
    model_validator,
)

from ember_bench import secrets
from ember_bench.errors import did_you_mean
from ember_bench.models.cost import ModelCost
from ember_bench.models.extras import check_body, check_headers
from ember_bench.models.launching import Launch
from ember_bench.models.presets import PRESETS, filled
from ember_bench.models.price_list import listed, price_list_version
from ember_bench.models.types import Usage

Feature = Literal[
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "reasoning_effort",
    "thinking_tokens",
    "top_logprobs",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "logit_bias",
    "verbosity",
    "tool_choice",
    "parallel_tool_calls",
    "server_tools",
    "safety_settings",
    "service_tier",
    "cache",
    "metadata",
    "headers",
    "extra_body",
    "system",
    "images",
    "image_urls",
    "image_detail",
    "pdfs",
    "audio",
    "file_urls",
    "tools",
    "response_format",
]
"""Features of a request that some models do not support."""

_LIST: Final = "list"
_PRESET_SCHEMA: Final = {"anyOf": [{"type": "string", "enum": [*PRESETS]}, {"type": "null"}]}

FEATURES: Final[tuple[Feature, ...]] = get_args(Feature)


class Charged(Protocol):
    """An answer, or what came in place of one, that the provider charges for."""

    @property
    def usage(self) -> Usage:
        """Its tokens."""

    @property
    def cost_usd(self) -> float | None:
        """Its exact price, if the provider knows it."""

    @property
    def stated_usd(self) -> float | None:
        """The price that the server stated."""

    @property
    def service_tier(self) -> str | None:
        """The service tier that the server stated."""


class RateLimit(BaseModel):
    """Rate limits of a provider; None means no known limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens_per_minute: int | None = Field(default=None, gt=0)
    """The most tokens in a minute, of prompts and answers."""
    requests_per_minute: int | None = Field(default=None, gt=0)
    """The most requests in a minute."""


class ProviderInfo(BaseModel):
    """The provider of a model.

    Attributes:
        name: The provider's name, in any case: `OpenAI`, `simulated`. On a model, the preset's, or
            what stands before the colon of its id, if it is not given.
        default_api_key: Key for models of this provider that have none of their own.
        base_url: Where the provider's API is, if not at its usual place.
        key_variable: The variable of the environment that holds the key, if it is not the
            provider's usual one; the key is then required.
        credentials: `entra` for Microsoft Entra's default credential in place of a key, for models
            that Azure serves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="", min_length=1)
    default_api_key: SecretStr | None = None
    base_url: str | None = None
    key_variable: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$")
    credentials: Literal["entra"] | None = None

    @field_validator("default_api_key", "base_url")
    @classmethod
    def _is_remembered(cls, value: SecretStr | str | None) -> SecretStr | str | None:
        return _remembered(value)

    @field_serializer("base_url", when_used="json")
    def _without_password(self, value: str | None) -> str | None:
        return value and secrets.redacted(value)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        shown = dict(super().__repr_args__())
        return (shown | {"base_url": self.base_url and secrets.redacted(self.base_url)}).items()

    def __getstate__(self) -> dict[Any, Any]:
        return _without_key(self, super().__getstate__(), "default_api_key")


class ModelInfo(BaseModel):
    """A model: something that answers a prompt.

    Attributes:
        model_id: Unique, `provider:model`.
        preset: A server that many people use (`PRESETS`), which fills in the fields that are not
            given; by default what stands before the colon, if that is one.
        model_name: The name the provider knows it by.
        provider: Who serves it; taken from `model_id` if not given.
        cost: Its price; None if unknown, and then its costs are reported as unknown. `list` takes
            it from the price list genai-prices, by `base_url` and model.
        rate_limit: What the provider allows.
        context_tokens: Longest input and output together, in tokens.
        max_output_tokens: Longest output, in tokens, thoughts included.
        price_source: Where `cost` was read.
        price_date: When it was read.
        mode: `batch` asks through the provider's batch API: cheaper, and answered within a day.
        batch_discount: The share of `cost` that is not charged then.
        transport: `direct` speaks the provider's wire format over pooled connections, `sdk` goes
            through its SDK, which costs ten times the CPU; the answers are the same. None takes
            `direct` where the model, or the environment, names a server, else `sdk`.
        stream: Whether answers come as streams, for which `attempt_timeout_seconds` limits the
            silence and not the whole. None has those that may take long come so, from servers
            that can.
        max_concurrency: Most requests in flight at once from one process.
        attempt_timeout_seconds: How long one request may take, or nothing may arrive of a stream;
            by default as `RetryPolicy` says.
        deadline_seconds: How long a call may take, with all its requests and the waits between
            them; by default as `RetryPolicy` says.
        unsupported_parameters: What the model does not take, though its provider's API has a place
            for it (`FEATURES`); asking for it is an error before anything is sent.
        reasoning_efforts: The values of `reasoning_effort` that the model takes; empty for any.
        headers: HTTP headers of every request; `${NAME}` in a value is that variable of the
            environment.
        extra_body: Fields of the body of every request, as the API writes them; `${NAME}` as in
            `headers`.
        options: What else the provider needs to know, such as a simulated model's skill.
        api_key: The key for this model, or several, to which requests are spread; else the
            provider's, else the environment's.
        launch: How the server of a local model is started; None if it is there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model_id: str
    preset: Annotated[str | None, WithJsonSchema(_PRESET_SCHEMA)] = None
    model_name: str = ""
    provider: ProviderInfo = None  # type: ignore[assignment]  # filled by _complete
    cost: ModelCost | None = None
    rate_limit: RateLimit = RateLimit()
    context_tokens: int | None = Field(default=None, gt=0)
    max_output_tokens: int | None = Field(default=None, gt=0)
    price_source: str | None = None
    price_date: date | None = None
    mode: Literal["standard", "batch"] = "standard"
    batch_discount: float = Field(default=0.5, ge=0, le=1)
    transport: Literal["direct", "sdk"] | None = None
    stream: bool | None = None
    max_concurrency: int = Field(default=100, gt=0)
    attempt_timeout_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    deadline_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    unsupported_parameters: tuple[Feature, ...] = ()
    reasoning_efforts: tuple[str, ...] = ()
    headers: dict[str, str] = Field(default_factory=dict)
    extra_body: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    api_key: SecretStr | tuple[SecretStr, ...] | None = None
    launch: Launch | None = None

    @field_validator("model_id")
    @classmethod
    def _has_provider(cls, value: str) -> str:
        provider, colon, name = value.partition(":")
        if not (provider and colon and name):
            raise ValueError("expected `provider:model`, such as `openai:gpt-4o`")
        return value

    @field_validator("preset")
    @classmethod
    def _is_preset(cls, value: str | None) -> str | None:
        if value is not None and value not in PRESETS:
            raise ValueError(f"unknown preset {value!r}{did_you_mean(value, PRESETS)}")
        return value

    @field_validator(
        "cost", mode="before", json_schema_input_type=ModelCost | Literal["list"] | None
    )
    @classmethod
    def _from_list(cls, value: Any, info: ValidationInfo) -> Any:
        provider, name = info.data.get("provider"), info.data.get("model_name")
        if value != _LIST or provider is None or name is None:
            return value
        found = listed(provider.name.lower(), name, provider.base_url, datetime.now(UTC).date())
        if found is None:
            where = secrets.redacted(provider.base_url) if provider.base_url else provider.name
            raise ValueError(f"{price_list_version()} has no price of {name!r} at {where}")
        return found.cost

    @field_validator("unsupported_parameters", mode="before")
    @classmethod
    def _are_features(cls, value: Any) -> Any:
        for name in value if isinstance(value, list | tuple) else ():
            if name not in FEATURES:
                raise ValueError(f"unknown parameter {name!r}{did_you_mean(str(name), FEATURES)}")
        return value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: dict[str, str]) -> dict[str, str]:
        check_headers(value)
        return value

    @field_validator("extra_body")
    @classmethod
    def _are_fields(cls, value: dict[str, Any]) -> dict[str, Any]:
        check_body(value)
        return value

    @field_validator("api_key", mode="before")
    @classmethod
    def _is_key_or_keys(cls, value: Any) -> Any:
        keys = value if isinstance(value, list | tuple) else (value or "",)
        if not keys or not all(isinstance(key, SecretStr | str) for key in keys):
            raise ValueError("expected a key, or a list of keys")
        return value

    @field_validator("api_key")
    @classmethod
    def _is_remembered(
        cls, value: SecretStr | tuple[SecretStr, ...] | None
    ) -> SecretStr | tuple[SecretStr, ...] | None:
        for key in value if isinstance(value, tuple) else (value,):
            _remembered(key)
        return value

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.launch is not None:
            base_url = self.provider.base_url
            if base_url is None or urlsplit(base_url).port is None:
                raise ValueError("launch: takes a base_url of the provider that names the port")
        return self

    def __getstate__(self) -> dict[Any, Any]:
        return _without_key(self, super().__getstate__(), "api_key")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        """Fill in what the preset says; take provider and bare name from `model_id` if need be."""
        if not isinstance(data, dict) or not isinstance(data.get("model_id"), str):
            return data
        provider, _, name = data["model_id"].partition(":")
        data = filled(data)
        data["model_name"] = data.get("model_name") or name or "?"
        server = data.get("provider") or {}
        if isinstance(server, ProviderInfo | dict) and not dict(server).get("name"):
            data["provider"] = {**dict(server), "name": provider or "?"}
        if data.get("cost") == _LIST and data.get("price_source") is None:
            data["price_source"] = price_list_version()
        return data

    @property
    def provider_name(self) -> str:
        """The provider's name in lower case."""
        return self.provider.name.lower()

    @property
    def key(self) -> SecretStr | None:
        """The API key to use, where one was given in settings; the first of several."""
        return next(iter(self.keys), None)

    @property
    def keys(self) -> tuple[SecretStr, ...]:
        """The API keys to use, where any were given in settings."""
        given = self.api_key or self.provider.default_api_key
        if given is None:
            return ()
        return given if isinstance(given, tuple) else (given,)

    def price(self, day: date) -> ModelCost | None:
        """Return the price of a call on `day` (UTC): `cost`, less the discount for batches."""
        if self.cost is None:
            return None
        price = self.cost.on(day)
        return price if self.mode == "standard" else price.times(1 - self.batch_discount)

    def charge(self, answer: Charged, day: date, service_tier: str | None = None) -> float | None:
        """Return the price of an answer in US dollars; None if it is unknown.

        It is the exact price, if the provider knows it, else the price of the tokens, else the
        price that the server stated.

        Args:
            answer: The answer.
            day: The day of the request, in UTC.
            service_tier: The service tier that was asked for.
        """
        if (exact := answer.cost_usd) is not None:
            return exact
        price = self.price(day)
        if price is not None:
            price = price.at(service_tier, answer.service_tier)
        usd = None if price is None else price.of(answer.usage)
        return answer.stated_usd if usd is None else usd

    @cached_property
    def connection(self) -> Hashable:
        """Equal for models that one client may serve: the same in answers, key and limits."""
        taken = (self.unsupported_parameters, self.reasoning_efforts)
        limits = (self.max_concurrency, self.rate_limit)
        seconds = (self.attempt_timeout_seconds, self.deadline_seconds)
        carried = (self.mode, self.transport, self.stream)
        keys = (self.keys, self.provider.key_variable, self.provider.credentials)
        return (self.fingerprint, keys, *carried, *taken, *limits, *seconds)

    @cached_property
    def fingerprint(self) -> str:
        """Changes with everything about the model that can change its answers.

        Price, limits, mode, transport, streams and keys are not part of it: a new price list makes
        no old answer wrong.
        """
        content = (
            self.model_id,
            self.model_name,
            self.provider_name,
            self.provider.base_url,
            self.options,
            *([self.headers, self.extra_body] if self.headers or self.extra_body else []),
        )
        encoded = orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
        return sha256(encoded).hexdigest()[:32]


def _remembered(value: SecretStr | str | None) -> SecretStr | str | None:
    """Keep a key, or the password in an address, out of every text from now on."""
    if isinstance(value, SecretStr):
        secrets.remember(value.get_secret_value())
    elif value is not None:
        for password in secrets.passwords(value):
            secrets.remember(password)
    return value


def _without_key(model: BaseModel, state: dict[Any, Any], key: str) -> dict[Any, Any]:
    """Return what is pickled of a model: its key stays here, and is looked up where it goes."""
    # Its fields, and no property that was cached: one may hold the key.
    known = type(model).model_fields
    fields = {name: value for name, value in vars(model).items() if name in known}
    return state | {"__dict__": fields | {key: None}}
