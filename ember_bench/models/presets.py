"""Servers that many people use, as a model's card would describe them.

A preset fills in the fields that a card leaves out. It is data: whatever differs between servers
is a field here that a card has, too, so a model of a preset is the model of a card that says the
same, in its answers, its identity and its stored calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from ember_bench.models.extras import merged
from ember_bench.models.price_list import listed, price_list_version

_OF_OTHER_SERVERS: Final = ("top_k", "min_p", "repetition_penalty")
"""Parameters of servers of open models that OpenAI's API does not have."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What a card would say about the models of one server.

    Attributes:
        source: The documentation that it was read from.
        base_url: The server's address; None if it is the user's own.
        key_variable: The variable of the environment that holds the key; None if none is needed,
            or the provider has its own.
        provider: The provider that speaks the server's wire format.
        options: The provider's options.
        unsupported: Parameters that the server refuses, or drops without a word.
        prefix: Stands before the name of each model.
        priced: Whether the price list is asked for prices. It is not for servers that state the
            price of each answer, and for those of users.
    """

    source: str
    base_url: str | None = None
    key_variable: str | None = None
    provider: str = "openai"
    options: Mapping[str, Any] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()
    prefix: str = ""
    priced: bool = False

    @property
    def is_sold(self) -> bool:
        """Whether the server is somebody's who charges, and not the user's own."""
        return self.key_variable is not None


PRESETS: Final[Mapping[str, Preset]] = {
    "azure": Preset(
        source="https://learn.microsoft.com/azure/ai-foundry/openai/reference",
        options={"azure": {"api_version": "2024-10-21"}},
    ),
    "bedrock": Preset(
        source="https://docs.litellm.ai/docs/providers/bedrock",
        provider="litellm",
        prefix="bedrock/",
        priced=True,
    ),
    "cerebras": Preset(
        source="https://inference-docs.cerebras.ai/api-reference/chat-completions",
        base_url="https://api.cerebras.ai/v1",
        key_variable="CEREBRAS_API_KEY",
        options={"max_tokens_field": "max_completion_tokens"},
        unsupported=_OF_OTHER_SERVERS,
        priced=True,
    ),
    "deepseek": Preset(
        source="https://api-docs.deepseek.com/api/create-chat-completion",
        base_url="https://api.deepseek.com",
        key_variable="DEEPSEEK_API_KEY",
        unsupported=(
            *_OF_OTHER_SERVERS,
            "seed",
            "frequency_penalty",  # taken, and without effect
            "presence_penalty",
            "logit_bias",
            "verbosity",
            "parallel_tool_calls",
            "service_tier",
            "metadata",
            "response_format",  # it has `json_object`, and no schemas
        ),
        priced=True,
    ),
    "fireworks": Preset(
        source="https://docs.fireworks.ai/api-reference/post-chatcompletions",
        base_url="https://api.fireworks.ai/inference/v1",
        key_variable="FIREWORKS_API_KEY",
        priced=True,
    ),
    "groq": Preset(
        source="https://console.groq.com/docs/api-reference#chat-create",
        base_url="https://api.groq.com/openai/v1",
        key_variable="GROQ_API_KEY",
        options={"max_tokens_field": "max_completion_tokens"},
        unsupported=(*_OF_OTHER_SERVERS, "logit_bias", "top_logprobs", "metadata"),
        priced=True,
    ),
    "llamacpp": Preset(
        source="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        base_url="http://127.0.0.1:8080/v1",
        options={"fields": {"repetition_penalty": "repeat_penalty"}},
    ),
    "lmstudio": Preset(
        source="https://lmstudio.ai/docs/developer/openai-compat/chat-completions",
        base_url="http://127.0.0.1:1234/v1",
        options={"fields": {"repetition_penalty": "repeat_penalty"}},
    ),
    "mistral": Preset(
        source="https://docs.mistral.ai/api/endpoint/chat",
        base_url="https://api.mistral.ai/v1",
        key_variable="MISTRAL_API_KEY",
        options={"fields": {"seed": "random_seed"}},
        unsupported=(
            *_OF_OTHER_SERVERS,
            "top_logprobs",
            "logit_bias",
            "verbosity",
            "service_tier",
        ),
        priced=True,
    ),
    "moonshot": Preset(
        source="https://platform.kimi.ai/docs/api/chat",
        base_url="https://api.moonshot.ai/v1",
        key_variable="MOONSHOT_API_KEY",
        options={"max_tokens_field": "max_completion_tokens"},
        unsupported=(*_OF_OTHER_SERVERS, "seed", "logit_bias", "verbosity"),
        priced=True,
    ),
    "nvidia": Preset(
        source="https://docs.api.nvidia.com/nim/reference/llm-apis",
        base_url="https://integrate.api.nvidia.com/v1",
        key_variable="NVIDIA_API_KEY",
    ),
    "ollama": Preset(
        source="https://docs.ollama.com/api/openai-compatibility",
        base_url="http://127.0.0.1:11434/v1",
        unsupported=_OF_OTHER_SERVERS,
    ),
    "openrouter": Preset(
        source="https://openrouter.ai/docs/use-cases/reasoning-tokens",
        base_url="https://openrouter.ai/api/v1",
        key_variable="OPENROUTER_API_KEY",
        options={
            "fields": {
                "reasoning_effort": "reasoning.effort",
                "thinking_tokens": "reasoning.max_tokens",
            }
        },
    ),
    "qwen": Preset(
        source="https://www.alibabacloud.com/help/en/model-studio/qwen-api-via-openai-chat-completions",
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        key_variable="DASHSCOPE_API_KEY",
    ),
    "sglang": Preset(
        source="https://docs.sglang.io/docs/basic_usage/openai_api_completions",
        base_url="http://127.0.0.1:30000/v1",
    ),
    "together": Preset(
        source="https://docs.together.ai/reference/chat-completions",
        base_url="https://api.together.xyz/v1",
        key_variable="TOGETHER_API_KEY",
        priced=True,
    ),
    "vertex": Preset(
        source="https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
        provider="google",
        options={"vertex": {"location": "global"}},
        priced=True,
    ),
    "vllm": Preset(
        source="https://docs.vllm.ai/en/latest/serving/openai_compatible_server",
        base_url="http://127.0.0.1:8000/v1",
    ),
    "watsonx": Preset(
        source="https://docs.litellm.ai/docs/providers/watsonx",
        provider="litellm",
        prefix="watsonx/",
    ),
    "xai": Preset(
        source="https://docs.x.ai/developers/model-capabilities/text/comparison",
        base_url="https://api.x.ai/v1",
        key_variable="XAI_API_KEY",
        options={"api": "responses"},  # its chat completions are deprecated, and hide thoughts
        unsupported=("service_tier",),
        priced=True,
    ),
    "zai": Preset(
        source="https://docs.z.ai/api-reference/llm/chat-completion",
        base_url="https://api.z.ai/api/paas/v4",
        key_variable="ZAI_API_KEY",
        unsupported=(
            *_OF_OTHER_SERVERS,
            "seed",
            "frequency_penalty",
            "presence_penalty",
            "logit_bias",
            "top_logprobs",
            "parallel_tool_calls",
            "verbosity",
            "service_tier",
            "metadata",
        ),
        priced=True,
    ),
}
"""Presets by the names that cards give them."""


def preset_of(data: Mapping[str, Any]) -> Preset | None:
    """Return the preset of a model's fields; None if they have none, or an unknown one.

    It is named by `preset`, or by what stands before the colon of `model_id` if no provider is
    named.
    """
    if (named := data.get("preset")) is not None:
        return PRESETS.get(named) if isinstance(named, str) else None
    provider = data.get("provider")
    if provider is not None and dict(provider).get("name"):
        return None
    return PRESETS.get(str(data.get("model_id")).partition(":")[0])


def filled(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's fields with those that its preset, if it has one, fills in.

    A field that is given stays. `provider` and `options` are filled in field by field.
    """
    fields = dict(data)
    if (preset := preset_of(data)) is None:
        return fields
    prefix, _, name = str(data.get("model_id")).partition(":")
    fields.setdefault("preset", prefix)
    server = {
        "name": preset.provider,
        "base_url": preset.base_url,
        "key_variable": preset.key_variable,
    }
    given = {k: v for k, v in dict(data.get("provider") or {}).items() if v not in (None, "")}
    fields["provider"] = {**{k: v for k, v in server.items() if v is not None}, **given}
    fields["model_name"] = data.get("model_name") or f"{preset.prefix}{name}"
    if preset.options and isinstance(data.get("options", {}), Mapping):
        fields["options"] = merged(preset.options, data.get("options", {}))
    if preset.unsupported and "unsupported_parameters" not in data:
        fields["unsupported_parameters"] = preset.unsupported
    if preset.priced and "cost" not in data:
        fields.update(_price(fields))
    return fields


def _price(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the price of a model as the price list has it; nothing if it does not."""
    provider, today = fields["provider"], datetime.now(UTC).date()
    found = listed(provider["name"], fields["model_name"], provider.get("base_url"), today)
    if found is None:
        return {}
    source = {"price_source": price_list_version()} if fields.get("price_source") is None else {}
    return {"cost": found.cost, **source}
