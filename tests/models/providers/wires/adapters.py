"""Every adapter, as the conformance tests run it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from _pytest.mark import ParameterSet

from ember_bench.models.providers.base import provider_class
from ember_bench.models.types import SamplingParameters
from tests.models.providers.wires import Adapter
from tests.models.providers.wires.anthropic import MessagesWire
from tests.models.providers.wires.google import GeminiWire
from tests.models.providers.wires.openai import ChatWire
from tests.models.providers.wires.openai_responses import API_VERSION, AzureWire, ResponsesWire

ANTHROPIC = {"seed", "top_logprobs"}
SAMPLING = {"temperature", "top_p"}

# A new adapter, or a new way in which one talks, is one line here and, where it speaks a protocol
# that no other does, one file beside wires/openai.py.
THROUGH_SDKS = (
    Adapter("openai", "openai", ChatWire(), "openai", lacks=frozenset({"thinking_tokens"})),
    Adapter(
        "openai-responses",
        "openai",
        ResponsesWire(),
        "openai",
        options={"api": "responses"},
        lacks=frozenset({"thinking_tokens", "stop", "seed"}),
    ),
    Adapter(
        "openai-azure",
        "openai",
        AzureWire(),
        "openai",
        options={"azure": {"api_version": API_VERSION}},
        lacks=frozenset({"thinking_tokens"}),
    ),
    Adapter(
        "anthropic",
        "anthropic",
        MessagesWire(),
        "anthropic",
        lacks=frozenset(ANTHROPIC | SAMPLING),
        defaults=SamplingParameters(max_tokens=4096),
    ),
    Adapter(
        "anthropic-2023",
        "anthropic",
        MessagesWire(),
        "anthropic",
        options={"api_version": "2023-06-01"},
        lacks=frozenset(ANTHROPIC),
        defaults=SamplingParameters(max_tokens=4096),
    ),
    Adapter(
        "google",
        "google",
        GeminiWire(),
        "google.genai",
        refusal="content_filter",
        aimock_reads_schemas=False,
    ),
    Adapter(
        "google-legacy",
        "google-legacy",
        GeminiWire(),
        "google.generativeai",
        lacks=frozenset({"seed", "reasoning_effort", "thinking_tokens"}),
        refusal="content_filter",
        aimock_reads_schemas=False,
        gives_thoughts=False,
        extra=True,
    ),
    Adapter(
        "litellm",
        "litellm",
        ChatWire(),
        "litellm",
        model="openai/test-model",
        lacks=frozenset({"thinking_tokens"}),
        judges_errors=True,
        extra=True,
    ),
)

# The same without the SDK: what holds for one holds for the other.
DIRECT = tuple(
    replace(adapter, name=f"{adapter.name}-direct", transport="direct")
    for adapter in THROUGH_SDKS
    if not adapter.extra and provider_class(adapter.provider).direct
)
# The same with answers that come as streams.
STREAMED = tuple(
    replace(adapter, name=f"{adapter.name}-streamed", stream=True)
    for adapter in (*THROUGH_SDKS, *DIRECT)
    if provider_class(adapter.provider).streams
)
ADAPTERS = (*THROUGH_SDKS, *DIRECT, *STREAMED)


def marks(adapter: Adapter) -> list[pytest.MarkDecorator]:
    """Return the marks of an adapter's tests: the default selection has each wire format once."""
    return [pytest.mark.extra] * adapter.extra + [pytest.mark.slow] * (adapter not in DIRECT)


def as_parameters(adapters: Iterable[Adapter]) -> list[ParameterSet]:
    """Return adapters as values of a parameter, marked."""
    return [pytest.param(adapter, id=str(adapter), marks=marks(adapter)) for adapter in adapters]
