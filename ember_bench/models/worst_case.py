"""Upper bounds of a call's cost."""

from __future__ import annotations

from typing import Final

import msgspec

from ember_bench.models.call import Request
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.base import provider_class
from ember_bench.models.types import SamplingParameters, Usage

# The most tokens that a provider adds to a prompt with tools.
_TOKENS_FOR_TOOLS: Final = 1_000

_encode = msgspec.json.encode


def worst_case_usd(request: Request) -> float | None:
    """Return the most that `request` can cost, in US dollars; None if nothing limits it.

    None also where the model's price is unknown. Recorded answers cost nothing.
    """
    model = request.model
    provider = provider_class(model.provider_name)
    if provider.replays:
        return 0.0
    if model.price is None:
        return None
    if model.price.is_free:
        return 0.0  # however long prompt and answer are
    tokens = _most_tokens(request)
    return None if tokens is None else model.price.most(*tokens)


def bounds_usd(request: Request, usage: Usage) -> tuple[float, float] | None:
    """Return the least and the most that an answer to `request` can have cost, in US dollars.

    None if nothing limits it.

    Args:
        request: The request.
        usage: The tokens of the answer, as far as they are known.
    """
    price, tokens = request.model.price, _most_tokens(request)
    return None if price is None or tokens is None else price.bounds(usage, *tokens)


def _most_tokens(request: Request) -> tuple[int, int] | None:
    """Return the most input and output tokens of a request; None if nothing limits them."""
    model = request.model
    most_out = provider_class(model.provider_name).longest_answer(request)
    most_in, context = _longest_prompt(request), model.context_tokens
    if most_in is None or most_out is None:
        return None
    return most_in if context is None else min(most_in, context), most_out


def unbounded(model: ModelInfo, max_tokens: int | None) -> str | None:
    """Return why no budget can be kept with this model; None if one can."""
    request = Request(model, (), SamplingParameters(max_tokens=max_tokens))
    if worst_case_usd(request) is not None:
        return None
    if model.cost is None:
        return f"the price of {model.model_id} is unknown (`cost` on its card)"
    return (
        f"nothing limits what an answer of {model.model_id} costs: give max_tokens, or its "
        "card `context_tokens`"
    )


def _longest_prompt(request: Request) -> int | None:
    """Return the most input tokens: one for each byte of the request as JSON.

    No tokeniser makes more tokens than there are bytes, and what wraps a message on its way to the
    model has fewer than its JSON. What an image has depends on its size and on the model: at most
    all of the context.
    """
    if any(message.images for message in request.messages):
        return request.model.context_tokens
    most = len(request.encoded_messages)
    if request.response_format is not None:
        most += len(_encode(request.response_format))
    if request.tools:
        most += len(_encode(request.tools)) + _TOKENS_FOR_TOOLS
    return most
