"""LM modules: callables that bind a model to sampling parameters."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from enum import Enum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ember_bench import bridge
from ember_bench.errors import did_you_mean
from ember_bench.models import interception
from ember_bench.models.call import Request
from ember_bench.models.extras import check_body, check_headers
from ember_bench.models.info import ModelInfo
from ember_bench.models.media import File, Image
from ember_bench.models.model_registry import ModelRegistry, default_registry
from ember_bench.models.schemas import response_format as format_of
from ember_bench.models.service import ModelService
from ember_bench.models.text_stream import TextStream
from ember_bench.models.time_limit import check_seconds, limited
from ember_bench.models.types import (
    Message,
    Response,
    ResponseFormat,
    SamplingParameters,
    ToolDefinition,
)

_PARAMETERS = SamplingParameters.__struct_fields__

# In a description also if they are not given: so it was when there were no others.
_ALWAYS_DESCRIBED = frozenset(
    {"temperature", "top_p", "max_tokens", "stop", "seed", "persona"}
    | {"reasoning_effort", "thinking_tokens", "top_logprobs"}
)

Prompt = str | list[Message] | tuple[Message, ...]

service_in_force: Final[ContextVar[ModelService | None]] = ContextVar(
    "ember_bench_service", default=None
)
"""The service that answers all LM modules of a trial, also those that a user's code made."""


class LMModuleConfig(BaseModel):
    """A model and its sampling parameters; None stands for the model's default.

    Attributes:
        model_name: Id or bare name in the registry.
        temperature: 0 is greedy.
        top_p: Nucleus sampling.
        max_tokens: Maximum length of the answer, in tokens.
        stop: Texts at which the answer ends.
        seed: For models that can be seeded.
        reasoning_effort: Effort of a reasoning model: `low`, `medium`, `high`, or another word
            that the model knows (`reasoning_efforts` on its card).
        thinking_tokens: Maximum number of thinking tokens.
        top_logprobs: Number of most likely tokens to return at each position of the answer.
        top_k: Number of most likely tokens to sample from.
        min_p: Least probability of a token, relative to that of the likeliest.
        frequency_penalty: Penalty on tokens by how often they occurred.
        presence_penalty: Penalty on tokens that occurred.
        repetition_penalty: Factor by which tokens that occurred become less likely; 1 is none.
        logit_bias: Additions to the logits of tokens, by token id.
        verbosity: Length of answers: `low`, `medium`, `high`.
        tool_choice: `auto`, `none`, `required` (some tool must be called), or a tool's name.
        parallel_tool_calls: Whether one answer may call several tools.
        server_tools: Tools that the provider runs itself, such as `{type: web_search}`, as its API
            writes them. What they cost is unknown.
        safety_settings: Thresholds of Gemini's safety filters, by category.
        service_tier: `flex`, `priority`, or another word that the provider knows.
        cache: Whether the provider is to keep the prompt for later calls that begin as it does:
            they pay less for it, and the first may pay more.
        metadata: Labels that the provider keeps with the request.
        headers: More HTTP headers; `${NAME}` in a value is that variable of the environment.
        extra_body: More fields of the request's body, as the API writes them; `${NAME}` as in
            `headers`.
        persona: System message.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model_name: str
    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, gt=0)
    stop: tuple[str, ...] = ()
    seed: int | None = None
    reasoning_effort: str | None = None
    thinking_tokens: int | None = Field(default=None, ge=0)
    top_logprobs: int | None = Field(default=None, ge=0)
    top_k: int | None = Field(default=None, gt=0)
    min_p: float | None = Field(default=None, ge=0, le=1)
    frequency_penalty: float | None = Field(default=None, allow_inf_nan=False)
    presence_penalty: float | None = Field(default=None, allow_inf_nan=False)
    repetition_penalty: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    logit_bias: Mapping[str, float] | None = None
    verbosity: str | None = None
    tool_choice: str | None = None
    parallel_tool_calls: bool | None = None
    server_tools: tuple[Mapping[str, Any], ...] = ()
    safety_settings: Mapping[str, str] | None = None
    service_tier: str | None = None
    cache: bool = False
    metadata: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    extra_body: Mapping[str, Any] | None = None
    persona: str | None = None

    @field_validator("model_name", mode="before")
    @classmethod
    def _from_enum(cls, value: Any) -> Any:
        return value.value if isinstance(value, Enum) else value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: Mapping[str, str] | None) -> Mapping[str, str] | None:
        check_headers(value or {})
        return value

    @field_validator("extra_body")
    @classmethod
    def _are_fields(cls, value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        check_body(value or {})
        return value

    def describe(self) -> dict[str, Any]:
        """Return what makes two modules of one model different, as JSON-like data."""
        described = self.model_dump(mode="json", exclude={"model_name"})
        given = self.model_dump(exclude_defaults=True)
        return {n: v for n, v in described.items() if n in _ALWAYS_DESCRIBED or n in given}

    @property
    def parameters(self) -> SamplingParameters:
        """The sampling parameters alone."""
        return SamplingParameters(**{name: getattr(self, name) for name in _PARAMETERS})


class LMModule:
    """A callable bound to a model and its sampling parameters: `lm(prompt) -> str`.

    Args:
        config: The model and its parameters.
        model_registry: The known models; by default the cards of the registries in force.
        service: Makes the calls; by default a service for the registry, without a store. In an
            experiment the service of the experiment makes them.

    Raises:
        UnknownNameError: if the registry has no such model.
    """

    def __init__(
        self,
        config: LMModuleConfig,
        model_registry: ModelRegistry | None = None,
        *,
        service: ModelService | None = None,
    ) -> None:
        _check_config(config)
        if service is None:
            # Not `or`: an empty registry is falsy.
            service = _service_for(default_registry() if model_registry is None else model_registry)
        self.config = config
        self._service = service
        known = service.registry if model_registry is None else model_registry
        self.model: ModelInfo = known.get(config.model_name)
        self.parameters = config.parameters
        self._system = (Message("system", config.persona),) if config.persona else ()

    def describe(self) -> dict[str, Any]:
        """Return, as JSON-like data, everything that can change its answers."""
        return {
            "model": self.model.fingerprint,
            "config": self.config.describe(),
        }

    @property
    def service(self) -> ModelService:
        """The service that makes the calls."""
        return service_in_force.get() or self._service

    def __call__(self, prompt: Prompt, **kwargs: Any) -> str:
        """Return the model's answer; the arguments are those of `generate_response`."""
        return self.respond(prompt, **kwargs).data

    def generate_response(self, prompt: Prompt, **kwargs: Any) -> str:
        """Return the model's answer to `prompt`.

        Args:
            prompt: The user's message, or the whole conversation.
            kwargs: `temperature` and the other sampling parameters, for this call alone; the
                arguments of `request`; and `timeout`, in seconds, after which the call is given
                up. Its request goes on, and its answer is stored.

        Raises:
            TimeLimitError: if there is no answer in time.
            TypeError: if the prompt is neither a text nor a list of messages.
            ProviderError: if the model does not answer.
            ConfigError: if the model does not support a parameter, images or tools.
        """
        return self.respond(prompt, **kwargs).data

    def respond(self, prompt: Prompt, *, timeout: float | None = None, **kwargs: Any) -> Response:
        """Return the whole response, with tool calls, log-probabilities, usage, cost, latency."""
        check_prompt(prompt)
        request = self.request(prompt, **kwargs)
        interception.settle("a model is called by code that is not rewritten")
        if timeout is not None:
            check_seconds(timeout)
        return bridge.wait(self._ask(request, timeout))

    async def _ask(self, request: Request, timeout: float | None) -> Response:
        asked = self.service.ask(request, self)
        return await (asked if timeout is None else limited(asked, timeout, self.model.model_id))

    def stream(
        self, prompt: Prompt, *, timeout: float | None = None, **kwargs: Any
    ) -> TextStream[Response]:
        """Return the parts of the model's answer while they arrive: `for part in lm.stream(...)`.

        The call is the same as that of `lm(prompt)`: a stored answer comes as one part. In a
        coroutine, `async for` reads them.

        Args:
            prompt: As for `generate_response`.
            timeout: Seconds from the first reading to the end of the answer.
            kwargs: As for `request`.

        Raises:
            TypeError: as `generate_response`; its other errors while reading.
        """
        interception.settle("a stream of text was asked for")
        check_prompt(prompt)
        if timeout is not None:
            check_seconds(timeout)
        request = self.request(prompt, **kwargs)
        return TextStream(lambda: self._ask(request, timeout), self.model.model_id)

    async def acall(self, prompt: Prompt, *, timeout: float | None = None, **kwargs: Any) -> str:
        """Return the model's answer, as a coroutine; the arguments of `generate_response`."""
        interception.settle("a coroutine asked an LM module")
        check_prompt(prompt)
        if timeout is not None:
            check_seconds(timeout)
        return (await self._ask(self.request(prompt, **kwargs), timeout)).data

    def request(
        self,
        prompt: Prompt,
        *,
        role: str = "generate",
        about: Sequence[str] = (),
        response_format: ResponseFormat | type[BaseModel] | None = None,
        images: Sequence[Image] = (),
        files: Sequence[File] = (),
        tools: Sequence[ToolDefinition] = (),
        **overrides: Any,
    ) -> Request:
        """Return the request for `prompt`.

        Args:
            prompt: The user's message; or the conversation so far, with the results of tools,
                before which the persona is inserted.
            role: The purpose of the call: `generate`, `verify`, `judge`, ...
            about: The candidate answers in the prompt, for simulated models.
            response_format: A schema for the answer, or a pydantic model of it.
            images: Placed before the prompt.
            files: Documents and sounds, placed before the prompt.
            tools: Tools that the model may call, by `tool_calls` of the response.
            overrides: Sampling parameters for this call alone.
        """
        parameters = self.parameters
        if overrides:
            for name in overrides:
                if name not in _PARAMETERS:
                    hint = did_you_mean(name, _PARAMETERS)
                    raise TypeError(f"{name!r} cannot be changed for one call{hint}")
            parameters = LMModuleConfig(**{**self.config.model_dump(), **overrides}).parameters
        if isinstance(response_format, type):
            response_format = format_of(response_format)
        return Request(
            self.model,
            (*self._system, *_messages(prompt, images, files)),
            parameters,
            response_format,
            role,
            tuple(about),
            tuple(tools),
        )

    def __repr__(self) -> str:
        given = self.config.model_dump(exclude_defaults=True, exclude={"model_name"})
        return (
            ", ".join([f"LMModule({self.model.model_id}", *(f"{k}={v}" for k, v in given.items())])
            + ")"
        )


def as_messages(prompt: Prompt) -> list[Message]:
    """Return a prompt as messages."""
    return [Message("user", prompt)] if isinstance(prompt, str) else list(prompt)


def _messages(
    prompt: Prompt, images: Sequence[Image], files: Sequence[File]
) -> tuple[Message, ...]:
    # What stands for a text in a plan is no `str`.
    if not isinstance(prompt, list | tuple):
        return (Message("user", prompt, tuple(images), files=tuple(files)),)
    if images or files:
        raise TypeError(
            "in a conversation, images and files are part of its messages: Message(images=...)"
        )
    return tuple(prompt)


def check_prompt(prompt: object) -> None:
    """Check that a prompt can be asked.

    Raises:
        TypeError: if it is neither a text nor a list of messages.
    """
    if isinstance(prompt, str):
        return
    if not isinstance(prompt, list | tuple):
        kind = type(prompt)
        hint = "; its text is `.data`" if kind is Response else ""
        raise TypeError(
            f"prompt: expected a text or a list of messages, found {kind.__name__}{hint}"
        )
    if not prompt:
        raise TypeError("prompt: a conversation needs a message, found an empty list")
    for index, message in enumerate(prompt):
        if not isinstance(message, Message):
            raise TypeError(
                f"prompt[{index}]: expected a Message(role, content), found"
                f" {type(message).__name__}"
            )


def _check_config(given: object) -> None:
    """Check that a module is made of a config, and not of a name."""
    if not isinstance(given, LMModuleConfig):
        name = repr(given) if isinstance(given, str) else "..."
        raise TypeError(
            f"config: expected an LMModuleConfig, found {type(given).__name__}; write "
            f"LMModuleConfig(model_name={name})"
        )


def check_modules(given: object, holder: str) -> None:
    """Check that `given` is a list of LM modules.

    Raises:
        TypeError: naming what it is instead, and the operator that takes it.
    """
    if isinstance(given, LMModule):
        raise TypeError(f"{holder}: lm_modules is a list; write lm_modules=[lm]")
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"{holder}: lm_modules is a list of LM modules, found {given!r}")
    if not isinstance(given, Sequence):
        return  # what can be gone through only once is not looked at
    for index, entry in enumerate(given):
        if not isinstance(entry, LMModule):
            hint = (
                f"; write LMModule(LMModuleConfig(model_name={entry!r}))"
                if isinstance(entry, str)
                else ""
            )
            raise TypeError(
                f"{holder}: lm_modules[{index}]: expected an LMModule, found "
                f"{type(entry).__name__}{hint}"
            )


# By id of the registry, which the service keeps alive.
_services: weakref.WeakValueDictionary[int, ModelService] = weakref.WeakValueDictionary()


def _service_for(registry: ModelRegistry) -> ModelService:
    """Return the shared service for modules of `registry` without a service of their own."""
    service = _services.get(id(registry))
    if service is None:
        service = _services[id(registry)] = ModelService(registry)
    return service
