"""Tokens and prices that answers report, in the forms in which servers send them.

A count that is missing, null or unreadable is unknown, never 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ember_bench.models.types import Completion, Usage
from ember_bench.models.wire.failures import FailedError, UnreadableError, blocked_answer

# Of one request. What claims more is no count, and sums of such do not fit into any database.
_MOST_TOKENS: Final = 10**9
_WHOLE: Final = re.compile(r"\d{1,12}(?:\.0+)?")
# Of one request, in US dollars.
_MOST_USD: Final = 10_000.0
_PRICES: Final = frozenset({"cost", "total_cost", "estimated_cost", "cost_in_usd_ticks"})
# Where some servers have what others state in details.
_PARTS: Final = frozenset(
    {
        "reasoning_tokens",
        "prompt_cache_hit_tokens",
        "cached_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    }
)
# xAI: ten billion ticks are a dollar.
_TICKS_PER_DOLLAR: Final = 10**10

RESPONSE_COST: Final = "x-litellm-response-cost"
"""The header in which LiteLLM's proxy states the price."""


def field(value: Any, name: str) -> Any:
    """Return a field of a JSON object; None if it is missing, or there is no object."""
    return value.get(name) if isinstance(value, dict) else None


def count(details: Any, *names: str) -> int | None:
    """Return a number of tokens from the first of `names` that has one; None if it is unknown.

    Some servers write whole numbers as `10.0` or `"10"`.
    """
    if not isinstance(details, dict):
        return None
    for name in names:
        value = details.get(name)
        if value is not None and (read := _whole(value)) is not None:
            return read
    return None


def _whole(value: Any) -> int | None:
    if type(value) is int:  # the usual case; a bool is an int, and would not be read back as one
        return value if 0 <= value <= _MOST_TOKENS else None
    if isinstance(value, str) and _WHOLE.fullmatch(text := value.strip()):
        value = float(text)
    if isinstance(value, float) and value.is_integer() and value <= _MOST_TOKENS:
        return int(value) if value >= 0 else None
    return None


def openai_usage(usage: Any) -> Usage:
    """Return the tokens as OpenAI's two APIs, and the many that speak them, report them.

    Some servers count what was thought beside the completion. The total then has both, and all of
    it but the prompt is billed as output.
    """
    if not isinstance(usage, dict):
        return Usage()
    sent = count(usage, "prompt_tokens", "input_tokens")
    received = count(usage, "completion_tokens", "output_tokens")
    total = count(usage, "total_tokens")
    inside = _details(usage, "prompt_tokens_details", "input_tokens_details")
    outside = _details(usage, "completion_tokens_details", "output_tokens_details")
    thought = count(outside, "reasoning_tokens")
    if thought is None:
        thought = count(usage, "reasoning_tokens") or 0
    if total is not None and sent is None and received is not None and total > received:
        sent = total - received
    if received is not None and thought > received and (total is None or total < (sent or 0)):
        received += thought
    if total is not None and sent is not None and total >= sent + (received or 0):
        received = total - sent
    if inside is None and outside is None and _PARTS.isdisjoint(usage):
        return Usage(sent, received)
    cached = count(inside, "cached_tokens")
    if cached is None:
        names = ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")
        cached = count(usage, *names) or 0
    written = count(inside, "cache_write_tokens", "cache_creation_tokens")
    if written is None:
        written = count(usage, "cache_creation_input_tokens") or 0
    for_an_hour = count(field(inside, "cache_creation_token_details"), "ephemeral_1h_input_tokens")
    cached = _within(cached, sent)
    written = _within(written, None if sent is None else sent - cached)
    return Usage(
        sent,
        received,
        cached,
        _within(thought, received),
        written,
        _within(count(inside, "audio_tokens") or 0, sent),
        _within(count(outside, "audio_tokens") or 0, received),
        min(for_an_hour or 0, written),
    )


_BESIDE_INPUT: Final = ("cache_read_input_tokens", "cache_creation_input_tokens")


def anthropic_usage(usage: Any) -> Usage:
    """Return the tokens as Anthropic reports them.

    Its input tokens are those that neither came from its cache nor went into it.
    """
    fresh = count(usage, "input_tokens", "prompt_tokens")
    # Of input that neither is free nor known, no part is known: the rest would be too little.
    if any(_unreadable(usage, name) for name in _BESIDE_INPUT):
        fresh = None
    read = count(usage, "cache_read_input_tokens") or 0
    by_duration = field(usage, "cache_creation")
    for_an_hour = count(by_duration, "ephemeral_1h_input_tokens") or 0
    shorter = count(by_duration, "ephemeral_5m_input_tokens") or 0
    written = max(count(usage, "cache_creation_input_tokens") or 0, for_an_hour + shorter)
    received = count(usage, "output_tokens", "completion_tokens")
    thought = count(field(usage, "output_tokens_details"), "thinking_tokens") or 0
    return Usage(
        None if fresh is None else fresh + read + written,
        received,
        read,
        _within(thought, received),
        written,
        cache_write_1h_tokens=for_an_hour,
    )


def _unreadable(details: Any, name: str) -> bool:
    """Return whether a number is given that cannot be read."""
    return field(details, name) is not None and count(details, name) is None


def gemini_usage(counts: Any) -> Usage:
    """Return the tokens as Gemini reports them.

    Its count of the candidates leaves out what was thought, and its count of the prompt what its
    own tools added. The total has both: it tells them if an SDK does not know their names. A count
    of 0 is left out.
    """
    sent = count(counts, "promptTokenCount")
    if sent is not None:
        used = count(counts, "toolUsePromptTokenCount")
        sent = None if _unreadable(counts, "toolUsePromptTokenCount") else sent + (used or 0)
    said, total = count(counts, "candidatesTokenCount"), count(counts, "totalTokenCount")
    thought = count(counts, "thoughtsTokenCount")
    received = None if said is None else said + (thought or 0)
    if total is not None and sent is None and received is not None and total > received:
        sent = total - received
    if total is not None and sent is not None and total >= sent + (received or 0):
        received = total - sent
        if thought is None:
            thought = received - (said or 0)
    return Usage(
        sent,
        received,
        _within(count(counts, "cachedContentTokenCount") or 0, sent),
        _within(thought or 0, received),
        0,
        _within(_audio(field(counts, "promptTokensDetails")), sent),
        _within(_audio(field(counts, "candidatesTokensDetails")), said),
    )


def _details(usage: dict[str, Any], *names: str) -> dict[str, Any] | None:
    for name in names:
        if isinstance(found := usage.get(name), dict):
            return found
    return None


def _within(part: int, whole: int | None) -> int:
    return part if whole is None else min(part, max(0, whole))


def _audio(details: Any) -> int:
    found = details if isinstance(details, list) else ()
    return sum(
        count(entry, "tokenCount") or 0 for entry in found if field(entry, "modality") == "AUDIO"
    )


def stated_usd(usage: Any) -> float | None:
    """Return the price that a gateway states in an answer's usage; None if it does not.

    `cost` is OpenRouter's and its relatives' (a number) or Perplexity's (an object with a total),
    `estimated_cost` DeepInfra's, `cost_in_usd_ticks` xAI's.
    """
    if not isinstance(usage, dict) or _PRICES.isdisjoint(usage):
        return None
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = field(cost, "total_cost")
    price = dollars(cost)
    if price is None:
        price = dollars(field(usage, "total_cost"))
    if price is None:
        price = dollars(field(usage, "estimated_cost"))
    if price is None:
        ticks = dollars(field(usage, "cost_in_usd_ticks"), math.inf)
        price = None if ticks is None else dollars(ticks / _TICKS_PER_DOLLAR)
    if price is not None and field(usage, "is_byok") is True:
        # With a key of one's own the gateway's fee comes beside the provider's price.
        upstream = dollars(field(field(usage, "cost_details"), "upstream_inference_cost"))
        return None if upstream is None else price + upstream
    return price


def dollars(value: Any, most: float = _MOST_USD) -> float | None:
    """Return a price that a server states, as a number or a text; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        price = float(value)
    except (ValueError, OverflowError):
        return None
    return price if math.isfinite(price) and 0 <= price <= most else None


def metered(
    usage: Usage, price: float | None, read: Callable[[], Completion], tier: Any = None
) -> Completion:
    """Return the answer that `read` returns, with its usage and its stated price.

    Args:
        usage: Tokens that the body reports.
        price: The price that it states.
        read: Reads the rest of the body.
        tier: The service tier that the body states; it may be of any type.

    Raises:
        UnreadableError: if there is no answer; it has usage and price, as they are charged.
    """
    try:
        completion = read()
    except UnreadableError as error:
        if isinstance(error, FailedError) and error.blocked:
            completion = blocked_answer()
        else:
            error.usage, error.stated_usd = _credible(usage, is_empty=True), price
            raise
    is_empty = not (completion.text or completion.tool_calls or completion.thoughts)
    return msgspec.structs.replace(
        completion,
        usage=_credible(usage, is_empty=is_empty),
        stated_usd=price,
        service_tier=tier if isinstance(tier, str) else None,
    )


def _credible(usage: Usage, *, is_empty: bool) -> Usage:
    """Return `usage` without counts of 0 for what is there: the server did not count it."""
    sent, received = usage.input_tokens or None, usage.output_tokens
    if received == 0 and not is_empty:
        received = None
    if sent is None and not received:
        return Usage()
    if (sent, received) == (usage.input_tokens, usage.output_tokens):
        return usage
    return msgspec.structs.replace(usage, input_tokens=sent, output_tokens=received)


def header_usd(headers: Mapping[str, str]) -> float | None:
    """Return the price that a gateway states in a header; None if it does not."""
    return dollars(headers.get(RESPONSE_COST))
