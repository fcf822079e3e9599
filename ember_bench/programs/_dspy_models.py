"""Language models of DSPy over LM modules: as the engine of a `dspy.LM`, and as a `dspy.BaseLM`.

Imported only where DSPy is installed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import dspy
from dspy import lm15

from ember_bench.errors import ConfigError
from ember_bench.models.providers.base import provider_class
from ember_bench.models.types import Response
from ember_bench.operators.lm import LMModule, LMModuleConfig
from ember_bench.programs.asking import PLACE, ask
from ember_bench.programs.openai_chat import chat_completion


def engine_lm(module: LMModule) -> dspy.LM:
    """Return the `dspy.LM` whose engine is an LM module."""
    engine = ServiceEngine(module)
    return dspy.LM(
        module.model.model_id,
        engine=engine,
        async_engine=AsyncServiceEngine(engine),
        cache=False,
        num_retries=0,
    )


class _Abilities:
    """What DSPy asks of a model before it sends tools, or a schema."""

    module: LMModule

    @property
    def supports_function_calling(self) -> bool:
        """Whether the model takes tools."""
        return not _lacks(self.module, "tools")

    @property
    def supports_response_schema(self) -> bool:
        """Whether the model takes a schema of its answers."""
        return not _lacks(self.module, "response_format")


class ServiceEngine(_Abilities):
    """An engine of DSPy: one `lm15.Request`, one `lm15.Response`.

    Args:
        module: Makes the calls.
    """

    def __init__(self, module: LMModule) -> None:
        self.module = module

    @property
    def supported_params(self) -> frozenset[str]:
        """Parameters that DSPy gives only to models that take them."""
        return frozenset({"response_format"} if self.supports_response_schema else ())

    def complete(self, request: lm15.Request) -> lm15.Response:
        """Answer a request.

        Raises:
            ConfigError: if it has what cannot be passed on.
            ProviderError: if the model does not answer.
        """
        (response,) = ask(self.module, chat_body(request), dspy.settings.get(PLACE))
        body = chat_completion(self.module.model.model_id, [response])
        if body["usage"] is None:
            del body["usage"]
        return lm15.response_from_openai_chat(body, model=request.model)

    def stream(self, request: lm15.Request) -> Iterator[Any]:
        """Yield the answer as events; it comes as a whole."""
        yield from lm15.response_to_events(self.complete(request))

    def close(self) -> None:
        """Do nothing: the service is that of others."""

    def dump_state(self) -> dict[str, Any]:
        """Return the model and its parameters, for DSPy's `save`."""
        return self.module.config.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def load_state(cls, state: Mapping[str, Any]) -> ServiceEngine:
        """Return the engine with this state; its service is one for the cards in force."""
        return cls(LMModule(LMModuleConfig(**state)))


class AsyncServiceEngine:
    """The same for coroutines: calls wait in a thread."""

    def __init__(self, engine: ServiceEngine) -> None:
        self.engine = engine

    async def complete(self, request: lm15.Request) -> lm15.Response:
        """Answer a request; see `ServiceEngine.complete`."""
        return await asyncio.to_thread(self.engine.complete, request)

    async def stream(self, request: lm15.Request) -> AsyncIterator[Any]:
        """Yield the answer as events; it comes as a whole."""
        for event in lm15.response_to_events(await self.complete(request)):
            yield event

    async def aclose(self) -> None:
        """Do nothing: the service is that of others."""

    def dump_state(self) -> dict[str, Any]:
        """Return the model and its parameters."""
        return self.engine.dump_state()

    @classmethod
    def load_state(cls, state: Mapping[str, Any]) -> AsyncServiceEngine:
        """Return the engine with this state."""
        return cls(ServiceEngine.load_state(state))


class LegacyLM(_Abilities, dspy.BaseLM):  # type: ignore[misc]  # DSPy is not installed where types are checked
    """A language model with `forward`, the interface of DSPy up to 3.4.

    Args:
        module: Makes the calls.
    """

    def __init__(self, module: LMModule) -> None:
        super().__init__(module.model.model_id, cache=False, num_retries=0)
        self.module = module

    @property
    def supported_params(self) -> set[str]:
        """Parameters that DSPy gives only to models that take them."""
        return {"response_format"} if self.supports_response_schema else set()

    def forward(
        self,
        prompt: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the answers in the form of OpenAI's client."""
        asked = messages or [{"role": "user", "content": prompt}]
        body = {**self.kwargs, **kwargs, "messages": asked}
        responses = ask(self.module, body, dspy.settings.get(PLACE))
        return _as_objects(self.module.model.model_id, responses)

    async def aforward(
        self,
        prompt: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the answers in the form of OpenAI's client, as a coroutine."""
        return await asyncio.to_thread(self.forward, prompt, messages, **kwargs)

    def dump_state(self) -> dict[str, Any]:
        """Return the model and its parameters, for DSPy's `save`."""
        state: dict[str, Any] = super().dump_state()
        return state | {"config": self.module.config.model_dump(mode="json", exclude_defaults=True)}

    @classmethod
    def load_state(cls, state: Mapping[str, Any]) -> LegacyLM:
        """Return the model with this state; its service is one for the cards in force."""
        return cls(LMModule(LMModuleConfig(**state["config"])))


def _lacks(module: LMModule, what: str) -> bool:
    model = module.model
    return what in {
        *model.unsupported_parameters,
        *provider_class(model.provider_name).lacks(model),
    }


def _as_objects(model: str, responses: Sequence[Response]) -> Any:
    """Return a chat completion as an object with attributes; DSPy reads its usage as a mapping."""
    body = chat_completion(model, responses)
    usage = body.pop("usage") or {}
    made = json.loads(json.dumps(body), object_hook=lambda fields: SimpleNamespace(**fields))
    made.usage = usage
    return made


def chat_body(request: lm15.Request) -> dict[str, Any]:
    """Return a request in the form of chat completions.

    Raises:
        ConfigError: if it has parts that cannot be passed on.
    """
    messages: list[dict[str, Any]] = []
    if request.system is not None:
        parts = request.system
        content = parts if isinstance(parts, str) else _content(parts)
        messages.append({"role": "system", "content": content})
    for message in request.messages:
        messages += _messages(message)
    config = request.config
    body: dict[str, Any] = {
        "model": request.model,
        "messages": messages,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "top_k": config.top_k,
        "max_tokens": config.max_tokens,
        "stop": list(config.stop) or None,
        "seed": config.seed,
        "frequency_penalty": config.frequency_penalty,
        "presence_penalty": config.presence_penalty,
        "service_tier": config.service_tier,
        "user": config.user_id,
        "top_logprobs": config.logprobs,
        "response_format": config.response_format,
        "tools": [_tool(tool) for tool in request.tools] or None,
        **(config.extensions or {}),
    }
    if config.reasoning is not None:
        body["reasoning_effort"] = {"off": "none"}.get(
            config.reasoning.effort, config.reasoning.effort
        )
    if (choice := config.tool_choice) is not None:
        one = choice.allowed[0] if len(choice.allowed) == 1 else None
        body["tool_choice"] = {"function": {"name": one}} if one else choice.mode
        body["parallel_tool_calls"] = choice.parallel
    return {name: value for name, value in body.items() if value is not None}


def _messages(message: lm15.Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [
            {"role": "tool", "tool_call_id": part.id, "content": _content(part.content)}
            for part in message.parts
        ]
    calls = [
        {"id": part.id, "function": {"name": part.name, "arguments": json.dumps(part.input)}}
        for part in message.parts
        if part.type == "tool_call"
    ]
    shown = [part for part in message.parts if part.type not in ("tool_call", "thinking")]
    return [{"role": message.role, "content": _content(shown), "tool_calls": calls}]


def _content(parts: Sequence[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for part in parts:
        if part.type in ("text", "refusal"):
            found.append({"type": "text", "text": part.text})
        elif part.type == "data":
            found.append({"type": "text", "text": json.dumps(part.value)})
        elif part.type == "image" and (part.url or part.data):
            url = part.url or f"data:{part.media_type};base64,{part.data}"
            found.append({"type": "image_url", "image_url": {"url": url, "detail": part.detail}})
        else:
            raise ConfigError(f"texts and images can be passed on, found a part {part.type!r}")
    return found


def _tool(tool: Any) -> dict[str, Any]:
    if tool.type != "function":
        raise ConfigError(f"tool {tool.name!r}: only functions can be passed on")
    about = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": about}
