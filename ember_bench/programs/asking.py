"""Requests of programs, made by LM modules at the place in the trial that the program has."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ember_bench.errors import ConfigError
from ember_bench.models import strand as strands
from ember_bench.models.types import Response
from ember_bench.operators.asking import ask_requests
from ember_bench.operators.lm import LMModule, LMModuleConfig
from ember_bench.programs.openai_chat import read_chat


def as_module(given: LMModule | str) -> LMModule:
    """Return an LM module, or that of a model's name.

    Raises:
        ConfigError: if it is neither, or there is no such model.
    """
    if isinstance(given, str):
        return LMModule(LMModuleConfig(model_name=given))
    if not isinstance(given, LMModule):
        raise ConfigError(f"expected an LM module or the name of a model, found {given!r}")
    return given


def ask(
    module: LMModule, body: Mapping[str, Any], place: contextvars.Context | None = None
) -> Sequence[Response]:
    """Make a request in the form of chat completions; `n` answers are asked for at the same time.

    Args:
        module: Makes the request, with its own parameters where the body gives none.
        body: The request.
        place: The context of the program, for threads that it started without theirs.

    Raises:
        ConfigError: if it cannot be passed on.
        ProviderError: if the model does not answer.
    """
    if place is not None and strands.current.get() is None:
        return place.copy().run(ask, module, body)
    chat = read_chat(body)
    request = module.request(list(chat.messages), **chat.overrides)
    return ask_requests([(module, request)] * chat.n)


def here() -> contextvars.Context:
    """Return the context of the running program, for the threads that it starts."""
    return contextvars.copy_context()


PLACE: Final = "ember_bench_place"
"""The name of a program's context among settings that a framework hands to its threads."""
