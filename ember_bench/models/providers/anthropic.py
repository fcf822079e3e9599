"""Models behind Anthropic's messages API, at Anthropic or at any server that speaks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ember_bench.models.batch.anthropic import AnthropicBatches
from ember_bench.models.extras import expanded_headers, merged, with_headers
from ember_bench.models.info import Feature
from ember_bench.models.providers.base import provider
from ember_bench.models.providers.generated_sdk import GeneratedProvider, known_to, pooled
from ember_bench.models.providers.http_messages import Address, Answer
from ember_bench.models.wire import anthropic_messages
from ember_bench.models.wire.adapting import custom_headers, read_options, version_advice
from ember_bench.models.wire.assembling import Assembler, MessagesAssembler

if TYPE_CHECKING:
    from types import ModuleType

    from anthropic import AsyncAnthropic

    from ember_bench.errors import ProviderError
    from ember_bench.models.call import Call, Request
    from ember_bench.models.info import ModelInfo
    from ember_bench.models.types import Completion
    from ember_bench.models.wire.streaming import Stream

# In the order in which the SDK looks. Both are sent as bearers.
KEY_VARIABLES: Final = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
URL_VARIABLE: Final = "ANTHROPIC_BASE_URL"

_OWN_URL: Final = "https://api.anthropic.com"

# What the API takes at most for one answer. The SDK's own ten minutes would have it refuse to
# ask for more than 21,333 tokens; shorter limits are the caller's.
_LONGEST_ANSWER_SECONDS: Final = 3600.0

# Only it has `temperature`, `top_p` and `top_k`; the SDK no longer knows them.
_OLD_API: Final = "2023-06-01"
_SAMPLING: Final[tuple[Feature, ...]] = ("temperature", "top_p", "top_k")


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
class Anthropic(GeneratedProvider["AsyncAnthropic"]):
    """Asks a model of Anthropic, or of any server that speaks as it does.

    Raises:
        ConfigError: if an option is unknown or the server's address is none.
    """

    batches: ClassVar[bool] = True
    registered: ClassVar[str] = "anthropic"
    card_options: ClassVar[type[BaseModel]] = AnthropicOptions
    key_variables: ClassVar[tuple[str, ...]] = KEY_VARIABLES
    url_variable: ClassVar[str] = URL_VARIABLE
    connect_seconds: ClassVar[float] = 10.0

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self._options = read_options(model, AnthropicOptions)

    def batch_api(self) -> AnthropicBatches:
        """Return what submits batches of calls."""
        return AnthropicBatches(self, self._errors)

    def arguments(self, call: Call) -> dict[str, Any]:
        """Return the body of the request for `call`, as the API has it.

        Raises:
            ConfigError: if the API cannot take it.
        """
        options = self._options
        body = anthropic_messages.arguments(
            call.request, options.max_tokens, options.reasoning_effort, options.thinking
        )
        return merged(body, self._extra_body(call.request))

    @classmethod
    def default_max_tokens(cls, model: ModelInfo) -> int:
        """Return the option `max_tokens`."""
        return read_options(model, AnthropicOptions).max_tokens

    @classmethod
    def lacks(cls, model: ModelInfo) -> Mapping[Feature, str]:
        """Return what the version of the API that the model is asked by has no place for."""
        if read_options(model, AnthropicOptions).api_version == _OLD_API:
            return anthropic_messages.LACKS
        advice = (
            f'leave it out, or, for Claude 4.6 and before, `options: {{api_version: "{_OLD_API}"}}`'
        )
        sampling = dict.fromkeys(_SAMPLING, advice)
        return {**anthropic_messages.LACKS, **sampling}

    @classmethod
    def _refused_values(cls, request: Request) -> Iterator[str]:
        return anthropic_messages.refused_values(request.parameters)

    def _advice(self, status: int) -> str:
        if status != HTTPStatus.NOT_FOUND:
            return ""
        return version_advice(self._url, "v1", given=False)

    def _address(self) -> Address:
        headers = {
            "Authorization": f"Bearer {self._key.get_secret_value()}",
            **custom_headers("ANTHROPIC_CUSTOM_HEADERS"),
            "anthropic-version": self._options.api_version,
        }
        return Address(f"{(self._url or _OWN_URL).rstrip('/')}/v1/messages", headers)

    def _completion(self, body: Any, *, stops: bool) -> Completion:
        del stops  # the API says itself whether one ended the answer
        return anthropic_messages.completion(body)

    def _refusal(self, status: int, headers: Mapping[str, str], body: Any) -> ProviderError:
        return anthropic_messages.refusal(self._errors, status, headers, body)

    @classmethod
    def _sdk(cls) -> tuple[ModuleType, type[Exception]]:
        import anthropic  # noqa: PLC0415 - takes a second, and only now is it needed

        return anthropic, anthropic.AnthropicError

    async def _ask(
        self, client: AsyncAnthropic, arguments: dict[str, Any], stream: Stream | None
    ) -> Answer:
        api = client.messages
        answer: Any = await api.with_raw_response.create(**known_to(api.create, arguments))
        return await Answer.of(answer.http_response, stream)

    def _assembler(self) -> Assembler:
        return MessagesAssembler()

    def _connect(self) -> AsyncAnthropic:
        import anthropic  # noqa: PLC0415 - see `_sdk`

        connect = self.connect_seconds
        return anthropic.AsyncAnthropic(
            api_key=self._key.get_secret_value(),
            base_url=self._url,
            max_retries=0,
            timeout=anthropic.Timeout(_LONGEST_ANSWER_SECONDS, connect=connect, pool=None),
            default_headers=with_headers(
                {"anthropic-version": self._options.api_version},
                expanded_headers(self.model.headers),
            ),
            http_client=pooled(anthropic, self.model.max_concurrency),
        )
