"""Models that litellm can ask: IBM watsonx, Bedrock, Mistral, Ollama and a hundred others.

It comes with the extra `litellm`. A model is named as litellm names it, `provider/model`, behind
our own prefix: `litellm:mistral/mistral-large-latest`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict

from ember_bench.errors import ConfigError
from ember_bench.models.extras import expanded, expanded_headers, merged, with_headers
from ember_bench.models.providers.base import EXTRAS, Provider, provider
from ember_bench.models.providers.credentials import google_credentials, no_aws_credentials
from ember_bench.models.providers.litellm_features import (
    ANTHROPIC,
    lacks,
    load,
    refused_extras,
    served_by,
    supported,
)
from ember_bench.models.transport.headers import tell
from ember_bench.models.wire import openai_chat
from ember_bench.models.wire.adapting import (
    check_each,
    find_keys,
    find_url,
    read_options,
    secrets_of,
)
from ember_bench.models.wire.chat_tools import ReturnedThoughts
from ember_bench.models.wire.counts import field
from ember_bench.models.wire.failures import BlockedError, UnreadableError, WireErrors, plain

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ember_bench.errors import ProviderError
    from ember_bench.models.call import Call, Request
    from ember_bench.models.info import Feature, ModelInfo
    from ember_bench.models.types import Completion

# litellm's own; shorter limits are the caller's.
_LONGEST_ANSWER_SECONDS: Final = 6000.0

# A mark on the system message and at the end of the prompt, as Anthropic has it.
_MARKED: Final = (
    {"location": "message", "role": "system"},
    {"location": "message", "index": -1},
)

# "litellm.RateLimitError: RateLimitError: OpenAIException - slow down": the server said the end.
_PREFIX: Final = re.compile(r"^litellm\.\w+: (?:[\w ]+: )?(?:\w+Exception - )?")
_NO_CONNECTION: Final = re.compile(
    r"(?i)connection error|cannot connect|connect call failed|server disconnected"
)

# Which variable holds a provider's key only litellm knows.
_SECRET_NAME: Final = re.compile(r"(?i)key|token|secret|password|credential")
_SHORTEST_SECRET: Final = 8


# What litellm does not name by itself: of each group one variable must be set.
_NEEDS: Final[Mapping[str, Sequence[Sequence[str]]]] = {
    "azure": (
        ("AZURE_API_KEY", "AZURE_AD_TOKEN", "AZURE_CLIENT_ID"),
        ("AZURE_API_BASE",),
    ),
    "watsonx": (
        ("WATSONX_API_KEY", "WATSONX_TOKEN", "WATSONX_APIKEY", "WATSONX_ZENAPIKEY", "WX_API_KEY"),
        ("WATSONX_URL", "WATSONX_API_BASE", "WX_URL", "WML_URL"),
        (
            *("WATSONX_PROJECT_ID", "WATSONX_SPACE_ID", "WATSONX_DEPLOYMENT_SPACE_ID"),
            *("WX_PROJECT_ID", "WX_SPACE_ID", "PROJECT_ID", "SPACE_ID"),
        ),
    ),
}
# A card's `base_url` takes the place of these.
_ADDRESSES: Final = frozenset({"AZURE_API_BASE", "WATSONX_URL"})


class LiteLLMOptions(BaseModel):
    """The `options` of a litellm model.

    Attributes:
        reasoning_effort: For calls that do not give theirs; None leaves it to the model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reasoning_effort: str | None = None


@provider("litellm")
class LiteLLM(Provider):
    """Asks a model through litellm.

    Raises:
        ConfigError: if an option is unknown or the server's address is none.
    """

    extras: ClassVar[frozenset[str]] = EXTRAS

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self._options = read_options(model, LiteLLMOptions)
        self._url = find_url(model)
        self._errors = WireErrors(model.model_id, self._secrets)
        # Its connections are of its own making, and as many as there are requests.
        self._slots = asyncio.Semaphore(model.max_concurrency)
        self._thoughts = ReturnedThoughts()

    async def complete(self, call: Call) -> Completion:
        """Ask once; litellm's own retries are off."""
        try:
            return await self._thoughts.ask(call.request, lambda: self._complete(call))
        except BlockedError as blocked:
            return blocked.completion

    async def _complete(self, call: Call) -> Completion:
        litellm, arguments = load(), self.arguments(call)
        key = self._key.get_secret_value() if self._key is not None else None
        try:
            async with self._slots:
                answer = await litellm.acompletion(
                    **arguments,
                    api_key=key,
                    api_base=self._url,
                    timeout=_LONGEST_ANSWER_SECONDS,
                    num_retries=0,
                    max_retries=0,
                    drop_params=False,
                )
            tell((getattr(answer, "_response_headers", None) or {}).items())
            return openai_chat.completion(_body(answer), stops=bool(call.request.parameters.stop))
        except UnreadableError as error:
            raise self._errors.unreadable(error) from None
        except Exception as error:
            # Its errors have no class in common, nor has what it stumbles over in an answer.
            raise self._explained(error) from None

    def arguments(self, call: Call) -> dict[str, Any]:
        """Return what litellm's `completion` takes for `call`."""
        request, asked = call.request, call.request.parameters
        effort, returned = self._options.reasoning_effort, self._thoughts.wanted
        body = openai_chat.arguments(call, "max_tokens", effort, thoughts=returned)
        if (budget := asked.thinking_tokens) is not None:
            body["thinking"] = {"type": "enabled", "budget_tokens": budget}
        if asked.cache and served_by(request.model) == ANTHROPIC:
            del body["prompt_cache_key"]
            body["cache_control_injection_points"] = [dict(mark) for mark in _MARKED]
        if safety := asked.safety_settings:
            body["safety_settings"] = [
                {"category": name, "threshold": threshold} for name, threshold in safety.items()
            ]
        headers = with_headers(
            expanded_headers(self.model.headers), expanded_headers(asked.headers or {})
        )
        extra = merged(expanded(self.model.extra_body), expanded(asked.extra_body or {}))
        added = {"extra_headers": headers, "extra_body": extra}
        return body | {name: fields for name, fields in added.items() if fields}

    @classmethod
    def lacks(cls, model: ModelInfo) -> Mapping[Feature, str]:
        """Return what litellm cannot pass on to this model's own provider.

        Raises:
            ConfigError: if it does not know that, or is not installed.
        """
        return lacks(model)

    @classmethod
    def unsupported(cls, request: Request) -> list[str]:
        """Return what `request` or its model's card has that cannot be passed on."""
        return [*super().unsupported(request), *refused_extras(request.model)]

    @classmethod
    def check(cls, models: Iterable[ModelInfo]) -> None:
        """See that `models` can be asked; models of other providers are ignored.

        Raises:
            ConfigError: naming those that have no key, and where to put one; or that litellm is
                not installed.
        """
        check_each(models, "litellm", _check)

    @cached_property
    def _key(self) -> SecretStr | None:
        """The key, where it is not litellm that looks for it in the environment."""
        if self.model.key is not None or self.model.provider.key_variable is not None:
            return find_keys(self.model)[0]
        needs_key = served_by(self.model) in _NEEDS  # at any address
        if self._url is not None and not needs_key and _missing_keys(self.model):
            return find_keys(self.model, optional=True)[0]
        return None

    def _secrets(self) -> Iterator[str]:
        yield from secrets_of(self._key, self._url)
        for name, value in os.environ.items():
            if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET:
                yield value

    def _explained(self, error: Exception) -> ProviderError:
        status = getattr(error, "status_code", None)
        headers = getattr(error, "litellm_response_headers", None)
        if not isinstance(status, int):
            return self._errors.malformed(f"{type(error).__name__}: ", str(error))
        said = _said(error)
        if status < 400:
            return self._errors.malformed("", said)
        if headers is None and status >= 500:
            # litellm made the status up: no server said anything, or nothing that it could read.
            if _NO_CONNECTION.search(said):
                return self._errors.connection(ConnectionError(said))
            return self._errors.malformed("", said)
        if headers is None and status == 408:
            return self._errors.timeout()
        body = {name: getattr(error, name, None) for name in ("code", "type", "body", "message")}
        body["error"] = {"type": type(error).__name__}  # content filters have one of their own
        body["response"] = _sent(error)
        return self._errors.status(status, said, headers, body=body)


def _said(error: Exception) -> str:
    """Return the server's own words, which litellm may give as it got them."""
    said = _PREFIX.sub("", str(getattr(error, "message", error)))
    try:
        body = json.loads(said)
    except ValueError:
        return said
    inner = body.get("error") if isinstance(body, dict) else None
    message = inner.get("message") if isinstance(inner, dict) else None
    return message if isinstance(message, str) else said


def _sent(error: Exception) -> Any:
    """Return the JSON that the server sent with an error, of which litellm may repeat nothing."""
    try:
        return json.loads(getattr(getattr(error, "response", None), "text", ""))
    except (TypeError, ValueError):
        return None


def _body(answer: Any) -> Any:
    """Return the body of the answer as OpenAI would have written it.

    A refusal, which litellm keeps aside, is put where OpenAI's answers have it.
    """
    body = plain(answer)
    for choice in body.get("choices") or ():
        message = field(choice, "message")
        refusal = field(field(message, "provider_specific_fields"), "refusal")
        if isinstance(refusal, str):
            message["refusal"] = refusal
    return body


def _no_aws() -> str | None:
    """Return what to do about missing credentials of AWS; None if there are some."""
    return None if os.environ.get("AWS_BEARER_TOKEN_BEDROCK") else no_aws_credentials()


def _no_google() -> str | None:
    """Return what to do about missing credentials of Google; None if there are some."""
    if os.environ.get("VERTEXAI_CREDENTIALS"):
        return None
    try:
        google_credentials()
    except ConfigError as error:
        return str(error)
    return None


# Clouds whose own libraries look for credentials, in files too.
_CLOUDS: Final[Mapping[str, Callable[[], str | None]]] = {
    "bedrock": _no_aws,
    "sagemaker": _no_aws,
    "vertex_ai": _no_google,
}


def _check(model: ModelInfo) -> None:
    """See that `model` can be asked.

    Raises:
        ConfigError: if not.
    """
    asked = LiteLLM(model)
    supported(model)
    if problems := refused_extras(model):
        raise ConfigError(*problems)
    expanded(model.extra_body)
    expanded_headers(model.headers)
    if asked._key is None and (missing := _missing_keys(model)):
        raise ConfigError(f"no key for {model.model_id}: set {missing} in the environment")
    if missing := _missing_settings(model):
        raise ConfigError(f"{model.model_id}: set {missing} in the environment")
    check_cloud = _CLOUDS.get(served_by(model))
    if asked._key is None and check_cloud and (problem := check_cloud()) is not None:
        raise ConfigError(f"{model.model_id}: {problem}")


def _missing_keys(model: ModelInfo) -> str:
    """Return the variables for the key of the model's own provider; "" if one of them is set."""
    if (needs := _NEEDS.get(served_by(model))) is not None:
        return _unset(needs[0])
    named = load().validate_environment(model.model_name)["missing_keys"]
    # It also names addresses that have a default, and what may be in a file of the provider's.
    return " or ".join(name for name in named if name.endswith(("_API_KEY", "_API_TOKEN")))


def _missing_settings(model: ModelInfo) -> str:
    """Return the variables, beside the key, that the model's own provider misses."""
    _, *settings = _NEEDS.get(served_by(model), [()])
    url = model.provider.base_url
    return " and ".join(
        missing
        for group in settings
        if (missing := _unset(group)) and not (url and _ADDRESSES & {*group})
    )


def _unset(group: Sequence[str]) -> str:
    """Return the names that most people use of variables none of which is set; "" if one is."""
    return "" if any(map(os.environ.get, group)) else " or ".join(group[:2])
