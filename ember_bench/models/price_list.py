"""Prices from the list `genai-prices`, a package: nobody is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from ember_bench.models.cost import CostChange, LongPromptCost, ModelCost

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo as ListedModel
    from genai_prices.types import PriceCalculation

# litellm's names of providers -> those of the price list, where they differ.
_LITELLM_PROVIDERS: Final = {
    "bedrock": "aws",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "together_ai": "together",
    "vertex_ai": "google",
    "xai": "x-ai",
}

# The list's names of prices -> ours.
_NAMES: Final = {
    "input_mtok": "input_cost_per_thousand",
    "output_mtok": "output_cost_per_thousand",
    "cache_read_mtok": "cached_input_cost_per_thousand",
    "cache_write_mtok": "cache_write_cost_per_thousand",
    "cache_write_1h_mtok": "cache_write_1h_cost_per_thousand",
}
_TIER: Final = "service_tier"
# Factors of one tier that differ by less are one factor, applied to rounded prices.
_SAME: Final = 1.01
# More digits than any price has, and fewer than a division leaves.
_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Listed:
    """The entry of the price list for a model.

    Attributes:
        name: `provider:model`, as the list has it.
        cost: Its price on the day asked for, and what is announced for later days.
    """

    name: str
    cost: ModelCost


def price_list_version() -> str:
    """Return the list's name and version, which dates its prices."""
    import genai_prices  # noqa: PLC0415 - large, and only now is it needed

    return f"genai-prices {genai_prices.__version__}"


def listed(provider: str, model_name: str, base_url: str | None, day: date) -> Listed | None:
    """Return the list's entry for a model on `day`; None if it has none.

    Where prices depend on the hour, the dearest is taken.

    Args:
        provider: The provider's name.
        model_name: The name that the provider knows the model by.
        base_url: The server's address; it decides who charges, if it is given.
        day: In UTC.
    """
    noon = datetime.combine(day, time(12), UTC)
    if (found := _found(provider, model_name, base_url, noon)) is None:
        return None
    if (rates := _dearest(found.model, day)) is None:
        return None
    cost = ModelCost(**rates, service_tiers=_tiers(found.model, day), changes=_changes(found, day))
    return Listed(f"{found.provider.id}:{found.model.id}", cost)


def _found(
    provider: str, model_name: str, base_url: str | None, when: datetime
) -> PriceCalculation | None:
    from genai_prices import Usage, calc_price  # noqa: PLC0415 - see `price_list_version`

    where: dict[str, Any] = {"provider_api_url": base_url}
    if base_url is None:
        provider, model_name = _listed_name(provider, model_name)
        where = {"provider_id": provider}
    nothing = Usage(input_tokens=0, output_tokens=0)
    try:
        return calc_price(nothing, model_name, genai_request_timestamp=when, **where)
    except LookupError:
        return None


def _listed_name(provider: str, model_name: str) -> tuple[str, str]:
    """Return the provider and the model as the list names them."""
    if provider != "litellm":
        return provider, model_name
    provider, slash, name = model_name.partition("/")
    # litellm takes a model without a provider for OpenAI's.
    return (_LITELLM_PROVIDERS.get(provider, provider), name) if slash else ("openai", provider)


def _dearest(model: ListedModel, day: date) -> dict[str, Any] | None:
    """Return the dearest prices of a day, in our names; None if tokens are not what is paid."""
    midnight = datetime.combine(day, time(), UTC)
    hours = [midnight + timedelta(hours=hour, minutes=1) for hour in range(24)]
    found = [rates for hour in hours if (rates := _rates(model.get_prices(hour))) is not None]
    return max(found, key=lambda rates: float(rates["output_cost_per_thousand"]), default=None)


def _rates(price: Any) -> dict[str, Any] | None:
    """Return prices in our names, with those of long prompts; None if tokens are not paid."""
    short = _at(price, None)
    if not {"input_cost_per_thousand", "output_cost_per_thousand"} <= short.keys():
        return None
    tiers = getattr(getattr(price, "input_mtok", None), "tiers", ())
    above = [
        LongPromptCost(input_tokens=start, **_at(price, start))
        for start in sorted({tier.start for tier in tiers})
    ]
    return {**short, "above": tuple(above)}


def _at(price: Any, over: int | None) -> dict[str, float]:
    """Return the prices of short prompts, or of those with more than `over` tokens."""
    found = ((ours, _rate(price, name, over)) for name, ours in _NAMES.items())
    return {ours: rate for ours, rate in found if rate is not None}


def _rate(price: Any, name: str, over: int | None) -> float | None:
    """Return one price per thousand: a number, or one that rises with the prompt's length."""
    value = getattr(price, name, None)
    if value is None:
        return None
    if hasattr(value, "tiers"):
        reached = [tier.price for tier in value.tiers if over is not None and tier.start <= over]
        value = reached[-1] if reached else value.base
    return float(f"{float(value) / 1000:.{_DIGITS}g}")


def _changes(found: PriceCalculation, day: date) -> tuple[CostChange, ...]:
    """Return what is announced for later days."""
    prices: Sequence[Any] = found.model.prices if isinstance(found.model.prices, list) else ()
    starts = {getattr(price.constraint, "start_date", None) for price in prices}
    later = sorted(start for start in starts if start is not None and start > day)
    announced = ((start, _dearest(found.model, start)) for start in later)
    return tuple(CostChange(start=day, **rates) for day, rates in announced if rates is not None)


def _tiers(model: ListedModel, day: date) -> dict[str, float]:
    """Return the factors of service tiers; none of a tier that changes prices by several."""
    noon = datetime.combine(day, time(12), UTC)
    usual = {name: rate for name, rate in _at(model.get_prices(noon), None).items() if rate}
    variants = model.price_variants or ()
    factors: dict[str, float] = {}
    for tier in sorted({str(v.when[_TIER]) for v in variants if set(v.when) == {_TIER}}):
        rates = _at(model.get_prices(noon, {_TIER: tier}), None)
        found = [rates[name] / usual[name] for name in usual]
        if found and max(found) <= min(found) * _SAME and not math.isclose(max(found), 1):
            factors[tier] = round(max(found), 3)
    return factors
