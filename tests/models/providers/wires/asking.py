"""Asking a model through its adapter, and what is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from ember_bench.models.call import Call, Request
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.base import provider_class
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import Completion, Message, ToolCall, ToolDefinition
from tests.models.providers.wires import Adapter

PASSING = [408, 409, 429, 500, 502, 503, 504, 529]
REFUSED = [400, 401, 403, 404, 413, 422]
QUESTION = (Message("user", "What is the capital of France?"),)
WEATHER = ToolDefinition(
    "get_weather",
    "The weather in a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)


def ask_all(info: ModelInfo, requests: Sequence[Request]) -> list[Completion]:
    async def main() -> list[Completion]:
        provider = provider_class(info.provider_name)(info)
        strand = Strand(TrialContext())
        try:
            calls = [Call.place(request, strand, "0", "") for request in requests]
            return await asyncio.gather(*map(provider.complete, calls))
        finally:
            await provider.close()

    return asyncio.run(main())


def ask(
    adapter: Adapter, server: str, messages: tuple[Message, ...] = QUESTION, **asked: Any
) -> Completion:
    info = adapter.info(server)
    return ask_all(info, [Request(info, messages, **asked)])[0]


def normal(calls: tuple[ToolCall, ...], adapter: Adapter) -> list[tuple[str, str, Any]]:
    """Return calls without what protocols do not keep: white space in arguments, and some ids."""
    return [(c.id if adapter.has_call_ids else "", c.name, json.loads(c.arguments)) for c in calls]
