"""The features of requests that litellm can pass on, by the provider that serves a model."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ember_bench.errors import ConfigError
from ember_bench.models.wire.adapting import require

if TYPE_CHECKING:
    from ember_bench.models.info import Feature, ModelInfo

# litellm's names for what it may or may not be able to pass on.
_NAMES: Final[Mapping[Feature, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "stop": "stop",
    "seed": "seed",
    "reasoning_effort": "reasoning_effort",
    "thinking_tokens": "thinking",
    "top_logprobs": "logprobs",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "logit_bias": "logit_bias",
    "verbosity": "verbosity",
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "parallel_tool_calls",
    "service_tier": "service_tier",
    "tools": "tools",
    "response_format": "response_format",
}

# It keeps them for itself, or drops them.
_LACKS: Final[tuple[Feature, ...]] = ("metadata", "file_urls")

# It hands on what it has no name for, and does not say to whom. These providers have each been seen
# to be sent it as their API writes it (litellm 1.110); _SERVERS are those of its list that speak
# chat completions, and the rest are its names.
ANTHROPIC: Final = "anthropic"
_SERVERS: Final = "servers of chat completions"
_OLLAMA: Final = ("ollama", "ollama_chat")
_HANDED_ON: Final[Mapping[Feature, tuple[str, ...]]] = {
    "top_k": (_SERVERS, *_OLLAMA, ANTHROPIC, "gemini"),
    "min_p": (_SERVERS, *_OLLAMA),
    "repetition_penalty": (_SERVERS,),
    "cache": ("openai", "azure", ANTHROPIC),
    "server_tools": (_SERVERS, "openai", "azure", "mistral", ANTHROPIC, "gemini"),
    "safety_settings": ("gemini",),
    "extra_body": (
        _SERVERS,
        *_OLLAMA,
        "openai",
        "azure",
        "mistral",
        "gemini",
        "cohere_chat",
        "databricks",
        "watsonx",
    ),
}


def lacks(model: ModelInfo) -> Mapping[Feature, str]:
    """Return what litellm cannot pass on to a model's own provider.

    Raises:
        ConfigError: if it does not know that, or is not installed.
    """
    known, provider = set(supported(model)), served_by(model)
    kinds = {provider, _SERVERS} if _is_server(model, provider) else {provider}
    missing = [feature for feature, name in _NAMES.items() if name not in known]
    missing += [f for f, to in _HANDED_ON.items() if f not in known and kinds.isdisjoint(to)]
    return dict.fromkeys((*missing, *_LACKS), "")


def refused_extras(model: ModelInfo) -> list[str]:
    """Return why fields of a card cannot be added to the requests of its model."""
    if not (model.extra_body and "extra_body" in lacks(model)):
        return []
    return [f"{model.model_id}: extra_body: litellm does not pass it on to {served_by(model)}"]


def _is_server(model: ModelInfo, provider: str) -> bool:
    """Whether it is asked by chat completions, and may take more than OpenAI does."""
    if provider == "openai":
        return model.provider.base_url is not None
    return provider == "openrouter" or provider in load().openai_compatible_providers


def served_by(model: ModelInfo) -> str:
    """Return who serves a model, as litellm names it."""
    return model.model_name.partition("/")[0]


def supported(model: ModelInfo) -> list[str]:
    """Return litellm's names of the parameters that it can pass on.

    Raises:
        ConfigError: if it does not know the model's provider.
    """
    known: list[str] | None = load().get_supported_openai_params(model.model_name)
    if known is None:
        raise ConfigError(
            f"{model.model_id}: litellm does not know who serves it; name it as its documentation "
            "does, such as litellm:mistral/mistral-large-latest"
        )
    return known


def load() -> Any:
    """Import litellm.

    Raises:
        ConfigError: if it is not installed.
    """
    require("litellm", "litellm")
    # Or it fetches its price list when it is imported; ours is another.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm  # noqa: PLC0415 - takes seconds, and few have it

    litellm.suppress_debug_info = True  # it prints to standard output
    logging.getLogger("LiteLLM").setLevel(logging.ERROR)
    return litellm
