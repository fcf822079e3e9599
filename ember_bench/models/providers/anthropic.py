"""Models behind Anthropic's messages API, at Anthropic or at any server that speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ember_bench.errors import ProviderError
from ember_bench.models.providers import _anthropic_messages as messages
from ember_bench.models.providers._anthropic_batch import AnthropicBatches
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
    from anthropic import AnthropicError, APIStatusError, AsyncAnthropic

    from ember_bench.documents import Document
    from ember_bench.models.call import Call, Request
    from ember_bench.models.info import Feature, ModelInfo
    from ember_bench.models.strand import TrialContext

KEY_VARIABLE: Final = "ANTHROPIC_API_KEY"
URL_VARIABLE: Final = "ANTHROPIC_BASE_URL"

# What the API takes at most for one answer. The SDK's own ten minutes would have it refuse to
# ask for more than 21,333 tokens; shorter limits are the caller's.
_LONGEST_ANSWER_SECONDS: Final = 3600.0
_CONNECT_SECONDS: Final = 10.0

# Only the older API has them, and the SDK no longer knows them.
_SAMPLING: Final = ("temperature", "top_p")
_OLD_API: Final = "2023-06-01"

# A limit of the account: it answers with 429, and no waiting helps.
_SPENT: Final = frozenset({"contract_spend_limit_reached", "enforced_spend_limit_reached"})


class AnthropicOptions(BaseModel):
    """The `options` of an Anthropic model.

    Attributes:
        api_version: Of the API, a date. The newer one takes neither `temperature` nor `top_p`, of
            no model; the older one takes them for Claude 4.6 and before.
        max_tokens: For calls that do not give theirs: the API insists on a number. A call's
            `thinking_tokens` come on top.
        reasoning_effort: For calls that do not give theirs; None leaves it to the model.
        thinking: For calls without `thinking_tokens`: `adaptive` lets the model decide how much
            it thinks; None leaves even that to the model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_version: Literal["2026-10-21", "2023-06-01"] = "2026-10-21"
    max_tokens: int = Field(default=4096, gt=0)
    reasoning_effort: str | None = None
    thinking: Literal["adaptive", "between_tools", "disabled"] | None = None


@provider("anthropic")
class Anthropic(Provider):
    """Asks a model through the official SDK.

    Raises:
        ConfigError: if an option is unknown or the server's address is none.
    """

    batches: ClassVar[bool] = True

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self._options = read_options(model, AnthropicOptions)
        self._url = find_url(model, URL_VARIABLE)
        self._client: AsyncAnthropic | None = None
        self._errors = WireErrors(model.model_id, lambda: secrets_of(self._key, self._url))

    async def complete(self, call: Call) -> Completion:
        """Ask once; the SDK's own retries are off."""
        client, body = self.connected(), self.arguments(call)
        sampling = {name: body.pop(name) for name in _SAMPLING if name in body}
        with self.explained():
            answer = await client.messages.create(**body, extra_body=sampling or None)
            return messages.completion(answer)

    def batch_api(self) -> AnthropicBatches:
        """Return what submits batches of calls."""
        return AnthropicBatches(self, self._errors)

    def connected(self) -> AsyncAnthropic:
        """Return the SDK's client."""
        if self._client is None:
            self._client = self._connect()
        return self._client

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Make a `ProviderError` of whatever goes wrong between the SDK and the server."""
        import anthropic  # noqa: PLC0415 - takes a second, and only now is it needed

        try:
            yield
        except anthropic.AnthropicError as error:
            raise self._explained(error) from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            # The SDK lets a body that is not JSON, or not text, through as it is.
            raise self._errors.malformed(f"not JSON: {error}") from None
        except MalformedError as error:
            raise self._errors.malformed(error.reason, error.content) from None

    def arguments(self, call: Call) -> dict[str, Any]:
        """Return the body of the request for `call`, as the API has it.

        Raises:
            ConfigError: if the API cannot take it.
        """
        options = self._options
        return messages.arguments(
            call.request, options.max_tokens, options.reasoning_effort, options.thinking
        )

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
        """Return what the version of the API that the model is asked by has no place for."""
        if read_options(model, AnthropicOptions).api_version == _OLD_API:
            return messages.LACKS
        advice = (
            f'leave it out, or, for Claude 4.6 and before, `options: {{api_version: "{_OLD_API}"}}`'
        )
        return {**messages.LACKS, "temperature": advice, "top_p": advice}

    @classmethod
    def unsupported(cls, request: Request) -> list[str]:
        """Return what cannot be had, and values that the API refuses."""
        problems = super().unsupported(request)
        if not problems:
            refused = messages.refused_values(request.parameters)
            problems = [f"{request.model.model_id}: {problem}" for problem in refused]
        return problems

    @classmethod
    def models_of(cls, document: Document) -> list[ModelInfo]:
        """Return the model of a card."""
        models = super().models_of(document)
        if "options" in document.data:
            document.sub("options").parse(AnthropicOptions)
        return models

    @classmethod
    def check(cls, models: Iterable[ModelInfo]) -> None:
        """See that `models` can be asked; models of other providers are ignored.

        Raises:
            ConfigError: naming those that have no key, and where to put one.
        """
        check_each(models, "anthropic", lambda model: cls(model)._key)

    @cached_property
    def _key(self) -> SecretStr:
        # Asked for when it is needed: stored answers can be had without one.
        return find_key(self.model, KEY_VARIABLE, optional=self._url is not None)

    def _connect(self) -> AsyncAnthropic:
        import anthropic  # noqa: PLC0415 - see `complete`

        size = self.model.max_concurrency
        # The SDK takes httpx2's limits and no others; its own tell where they are.
        limits = type(anthropic.DEFAULT_CONNECTION_LIMITS)(
            max_connections=size, max_keepalive_connections=size
        )
        return anthropic.AsyncAnthropic(
            api_key=self._key.get_secret_value(),
            base_url=self._url,
            max_retries=0,
            timeout=anthropic.Timeout(_LONGEST_ANSWER_SECONDS, connect=_CONNECT_SECONDS, pool=None),
            default_headers={"anthropic-version": self._options.api_version},
            http_client=anthropic.DefaultAsyncHttpxClient(
                limits=limits, event_hooks={"response": [bound_answer]}
            ),
        )

    def _explained(self, error: AnthropicError) -> ProviderError:
        import anthropic  # noqa: PLC0415 - see `complete`

        if isinstance(error, anthropic.APITimeoutError):
            return self._errors.timeout()
        if isinstance(error, anthropic.APIConnectionError):
            return self._errors.connection(error)
        if isinstance(error, anthropic.APIStatusError):
            said, code = _said(error)
            return self._errors.status(
                error.status_code, said, error.response.headers, final=code in _SPENT
            )
        if isinstance(error, anthropic.APIResponseValidationError):
            return self._errors.malformed(str(error))
        return self._errors.other(error)


def _said(error: APIStatusError) -> tuple[str, str | None]:
    """Return the server's own words, and its code for them if it has one.

    Read from the body: the SDK has attributes for them only in later releases of 2.
    """
    body = error.body.get("error") if isinstance(error.body, dict) else None
    told = body if isinstance(body, dict) else {}
    said, details = told.get("message"), told.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    return (
        said if isinstance(said, str) and said else error.message,
        code if isinstance(code, str) else None,
    )
