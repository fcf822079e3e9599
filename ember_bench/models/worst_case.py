"""Upper bounds of a call's cost."""

from __future__ import annotations

from datetime import date
from typing import Final

import msgspec

from ember_bench.models.call import Request
from ember_bench.models.cost import ModelCost
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.base import provider_class
from ember_bench.models.types import SamplingParameters, Usage

# The most tokens that a provider adds to a prompt with tools.
_TOKENS_FOR_TOOLS: Final = 1_000

_encode = msgspec.json.encode


def worst_case_usd(request: Request, day: date) -> float | None:
    """Return the most that `request` can cost, in US dollars; None if nothing limits it.

    None also where the model's price is unknown. Recorded answers cost nothing.

    Args:
        request: The request.
        day: The day on which it is made, in UTC.
    """
    model = request.model
    provider = provider_class(model.provider_name)
    if provider.replays:
        return 0.0
    price = _dearest(request, day)
    if price is None:
        return None
    if price.is_free:
        return 0.0  # however long prompt and answer are
    if request.parameters.server_tools:
        return None  # each use is charged, and results come as input tokens
    tokens = _most_tokens(request)
    return None if tokens is None else price.most(*tokens)


def bounds_usd(request: Request, usage: Usage, day: date) -> tuple[float, float] | None:
    """Return the least and the most that an answer to `request` can have cost, in US dollars.

    None if nothing limits it.

    Args:
        request: The request.
        usage: The tokens of the answer, as far as they are known.
        day: The day on which it was made, in UTC.
    """
    price, tokens = _dearest(request, day), _most_tokens(request)
    if request.parameters.server_tools:
        return None
    return None if price is None or tokens is None else price.bounds(usage, *tokens)


def _dearest(request: Request, day: date) -> ModelCost | None:
    price = request.model.price(day)
    return None if price is None else price.dearest(request.parameters.service_tier)


def _most_tokens(request: Request) -> tuple[int, int] | None:
    """Return the most input and output tokens of a request; None if nothing limits them."""
    model = request.model
    most_out = provider_class(model.provider_name).longest_answer(request)
    most_in, context = _longest_prompt(request), model.context_tokens
    if most_in is None or most_out is None:
        return None
    return most_in if context is None else min(most_in, context), most_out


def unbounded(model: ModelInfo, parameters: SamplingParameters, day: date) -> str | None:
    """Return why no budget can be kept with this model; None if one can.

    Args:
        model: The model.
        parameters: Of its calls.
        day: The day of the calls, in UTC.
    """
    request = Request(model, (), parameters)
    if worst_case_usd(request, day) is not None:
        return None
    if model.cost is None:
        return f"the price of {model.model_id} is unknown (`cost` on its card)"
    if _dearest(request, day) is None:
        return (
            f"the price of {model.model_id} at the service tier {parameters.service_tier!r} is "
            "unknown (`cost.service_tiers` on its card)"
        )
    if parameters.server_tools:
        return f"the price of the server_tools of {model.model_id} is unknown"
    return (
        f"nothing limits what an answer of {model.model_id} costs: give max_tokens, or its "
        "card `max_output_tokens` or `context_tokens`"
    )


def unaffordable(
    model: ModelInfo, parameters: SamplingParameters, day: date, usd: float
) -> str | None:
    """Return why `usd` US dollars are not enough for one call; None if they are.

    Args:
        model: The model.
        parameters: Of its calls.
        day: The day of the calls, in UTC.
        usd: The budget.
    """
    request = Request(model, (), parameters)
    least = worst_case_usd(request, day)
    if least is None or least <= usd:
        return None
    tokens = _most_tokens(request)
    length = "" if tokens is None else f" for an answer of up to {tokens[1]:,} tokens"
    price = f"{least:,.2f}" if least >= 0.01 else f"{least:.2g}"
    return (
        f"one call of {model.model_id} reserves ${price}{length}, more than ${usd:,.10g}: "
        "give a smaller max_tokens or raise the budget"
    )


def _longest_prompt(request: Request) -> int | None:
    """Return the most input tokens: one for each byte of the request as JSON.

    No tokeniser makes more tokens than there are bytes, and what wraps a message on its way to the
    model has fewer than its JSON. What an image or a file has depends on its size and on the model:
    at most all of the context.
    """
    if any(message.images or message.files for message in request.messages):
        return request.model.context_tokens
    most = len(request.encoded_messages)
    if request.response_format is not None:
        most += len(_encode(request.response_format))
    if request.tools:
        most += len(_encode(request.tools)) + _TOKENS_FOR_TOOLS
    return most
