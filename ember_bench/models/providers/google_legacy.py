"""Models behind Google's Gemini API, through google-generativeai, which has had its last release.

For those who must ask as they always did; `google:` can do more. It comes with the extra
`google-legacy`.
"""

from __future__ import annotations

import asyncio
import re
import threading
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from pydantic import BaseModel

from ember_bench.errors import ConfigError
from ember_bench.models.extras import expanded_headers, with_headers
from ember_bench.models.providers.base import provider
from ember_bench.models.providers.google import (
    LONGEST_ANSWER_SECONDS,
    Google,
    GoogleOptions,
    RefusedError,
)
from ember_bench.models.wire import gemini
from ember_bench.models.wire.adapting import body_of, require
from ember_bench.models.wire.failures import BlockedError, UnreadableError
from ember_bench.models.wire.gemini_schema import SchemaError, openapi_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ember_bench.errors import ProviderError
    from ember_bench.models.call import Call, Request
    from ember_bench.models.info import Feature, ModelInfo
    from ember_bench.models.types import Completion, ToolDefinition

T = TypeVar("T")

_LACKS: Final[Mapping[Feature, str]] = {
    **dict.fromkeys(
        (
            "seed",
            "reasoning_effort",
            "thinking_tokens",
            "service_tier",
            "extra_body",
        ),
        "ask through `google:`",
    ),
    **gemini.LACKS,
}
# What its `Tool` knows.
_SERVER_TOOLS: Final = frozenset({"google_search_retrieval", "google_search", "code_execution"})
_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")
_AS_THE_API_WRITES: Final = {
    "preserving_proto_field_name": False,
    "use_integers_for_enums": False,
    "including_default_value_fields": False,
}


class GoogleLegacyOptions(GoogleOptions):
    """The `options` of such a model: none, as its SDK knows nothing of thinking."""

    reasoning_effort: None = None
    vertex: None = None


@provider("google-legacy")
class GoogleLegacy(Google):
    """Asks a model through the old SDK, over REST and in threads: its own coroutines are broken.

    Raises:
        ConfigError: if an option is unknown or the server's address is none.
    """

    batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    extras: ClassVar[frozenset[str]] = frozenset({"headers"})
    streams: ClassVar[bool] = False
    registered: ClassVar[str] = "google-legacy"
    card_options: ClassVar[type[BaseModel]] = GoogleLegacyOptions

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self._service: Any = None

    async def complete(self, call: Call) -> Completion:
        """Ask once; the SDK's own retries are off."""
        sdk = _sdk()
        if self._service is None:
            self._service = self._serve()
        service = self._service
        question = sdk.protos.GenerateContentRequest(self.arguments(call))
        headers = self._headers(call.request)
        try:
            body = await _in_thread(lambda: self._generate(service, question, headers))
            return gemini.completion(body, stops=bool(call.request.parameters.stop))
        except BlockedError as blocked:
            return blocked.completion
        except UnreadableError as error:
            raise self._errors.unreadable(error) from None

    def arguments(self, call: Call) -> dict[str, Any]:
        """Return the fields of the SDK's `GenerateContentRequest` for `call`.

        Raises:
            ConfigError: if the API cannot take it.
        """
        request = call.request
        name = request.model.model_name
        config = gemini.sampling(request.parameters)
        if (wanted := request.response_format) is not None:
            config["response_mime_type"] = "application/json"
            config["response_schema"] = _schema(wanted.json_schema, wanted.name, request)
        arguments: dict[str, Any] = {
            "model": name if "/" in name else f"models/{name}",
            "contents": gemini.contents(request, signed=False),
            "generation_config": config,
        }
        if (system := gemini.system(request)) is not None:
            arguments["system_instruction"] = {"parts": [{"text": system}]}
        tools = [_snake(tool) for tool in request.parameters.server_tools]
        if request.tools:
            declared = [_declared(tool, request) for tool in request.tools]
            tools.append({"function_declarations": declared})
        chosen = {**gemini.choices(request), "tools": tools}
        kept = ("tools", "tool_config", "safety_settings")
        return arguments | {name: chosen[name] for name in kept if chosen.get(name)}

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        """Return the headers that the card and the request add, as the SDK takes them."""
        own = expanded_headers(self.model.headers)
        added = with_headers(own, expanded_headers(request.parameters.headers or {}))
        return [(name.lower(), value) for name, value in added.items()]

    @classmethod
    def _refused_values(cls, request: Request) -> Iterator[str]:
        yield from super()._refused_values(request)
        for tool in map(_snake, request.parameters.server_tools):
            if unknown := sorted(set(tool) - _SERVER_TOOLS):
                known = ", ".join(sorted(_SERVER_TOOLS))
                yield f"server_tools: google-generativeai knows {known}; found {unknown[0]}"

    async def close(self) -> None:
        """Close the connections."""
        if self._service is not None:
            self._service.transport.close()
            self._service = None

    @classmethod
    def lacks(cls, model: ModelInfo) -> Mapping[Feature, str]:
        """Return what the old SDK has no place for."""
        del model
        return _LACKS

    @classmethod
    def check(cls, models: Iterable[ModelInfo]) -> None:
        """See that `models` can be asked; models of other providers are ignored.

        Raises:
            ConfigError: naming those that have no key; and if the SDK is not installed.
        """
        mine = [model for model in models if model.provider_name == cls.registered]
        if mine:
            super().check(mine)
            require("google.generativeai", cls.registered)

    def _serve(self) -> Any:
        """Return a client of this model's own: the SDK's `configure` is for the whole process."""
        from google.ai.generativelanguage import GenerativeServiceClient  # noqa: PLC0415 - see _sdk
        from requests.adapters import HTTPAdapter  # noqa: PLC0415 - comes with it

        options = {"api_key": self._key.get_secret_value()}
        if self._url is not None:
            options["api_endpoint"] = self._url
        service = GenerativeServiceClient(transport="rest", client_options=options)
        size = self.model.max_concurrency
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=size, pool_block=True)
        session = service.transport._session
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        # Before the SDK sees it: that would ask again after a 401, and cannot read every error.
        session.hooks["response"].append(_raise_for_status)
        return service

    def _generate(self, service: Any, question: Any, headers: list[tuple[str, str]]) -> Any:
        """Return the answer's body, parsed; runs in a thread."""
        from requests import exceptions  # noqa: PLC0415 - comes with the SDK

        timeout = self.model.attempt_timeout_seconds or LONGEST_ANSWER_SECONDS
        try:
            answer = service.generate_content(
                question, retry=None, timeout=timeout, metadata=headers
            )
        except RefusedError as error:
            raise self._refused(error.response) from None
        except exceptions.Timeout:
            raise self._errors.timeout() from None
        except exceptions.ContentDecodingError as error:
            raise self._errors.malformed(str(error)) from None
        except exceptions.RequestException as error:
            sent = not isinstance(error, exceptions.ConnectTimeout)
            raise self._errors.connection(error, sent=sent) from None
        except Exception as error:
            # The SDK trusts a body to be what it expects, and fails in any way on another.
            raise self._errors.malformed(f"{type(error).__name__}: {error}") from None
        return _integral(type(answer).to_dict(answer, **_AS_THE_API_WRITES))

    def _refused(self, response: Any) -> ProviderError:
        from requests import exceptions  # noqa: PLC0415 - comes with the SDK

        try:
            body = body_of(response.content)
        except exceptions.RequestException:
            body = response.reason
        return self._refusal(response.status_code, response.headers, body)


def _raise_for_status(response: Any, **_: Any) -> None:
    if response.status_code >= 400:
        raise RefusedError(response)


def _sdk() -> Any:
    """Import the SDK.

    Raises:
        ConfigError: if it is not installed.
    """
    require("google.generativeai", "google-legacy")
    with warnings.catch_warnings():
        # That it is no longer maintained is said in our documents.
        warnings.simplefilter("ignore", FutureWarning)
        import google.generativeai as sdk  # noqa: PLC0415 - takes seconds, and few have it

    return sdk


def _in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Run `function` in a thread of its own, which does not outlive the process.

    A pool's threads would: the process could not end before the last of them had its answer.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)

    future.set_running_or_notify_cancel()
    threading.Thread(target=run, name="google-legacy", daemon=True).start()
    return asyncio.wrap_future(future)


def _snake(value: Any) -> Any:
    """Return JSON-like data with the SDK's names in place of the API's."""
    if isinstance(value, Mapping):
        return {_CAPITAL.sub("_", name).lower(): _snake(part) for name, part in value.items()}
    return value


def _declared(tool: ToolDefinition, request: Request) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": tool.name, "description": tool.description}
    parameters = _schema(tool.json_schema, tool.name, request)
    # One without parameters must not have an empty object of them.
    return declared | ({"parameters": parameters} if "properties" in parameters else {})


def _schema(schema: dict[str, Any], name: str, request: Request) -> dict[str, Any]:
    try:
        return _renamed(openapi_schema(schema))
    except SchemaError as error:
        raise ConfigError(
            f"{request.model.model_id}: the schema {name!r} has {error}, which google-generativeai "
            "cannot send: ask through `google:`"
        ) from None


def _renamed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` with the SDK's names: it writes `type_` for `type`."""
    renamed = dict(schema)
    for name in ("type", "format"):
        if name in renamed:
            renamed[f"{name}_"] = renamed.pop(name)
    for name in ("minItems", "maxItems"):
        if name in renamed:
            renamed[f"{name[:3]}_items"] = renamed.pop(name)
    if "items" in renamed:
        renamed["items"] = _renamed(renamed["items"])
    if "properties" in renamed:
        renamed["properties"] = {k: _renamed(v) for k, v in renamed["properties"].items()}
    return renamed


def _integral(value: Any) -> Any:
    """Return `value` with whole numbers as they were: the SDK makes all arguments floats."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {k: _integral(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_integral(v) for v in value]
    return value
