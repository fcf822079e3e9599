"""Comparison of the prices on cards with the price list `genai-prices`, offline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ember_bench.models import price_list
from ember_bench.models.presets import PRESETS
from ember_bench.models.providers.base import provider_class

if TYPE_CHECKING:
    from ember_bench.models.cost import CostChange, LongPromptCost, ModelCost
    from ember_bench.models.info import ModelInfo

# Factors of service tiers are rounded on the list.
_TIER_TOLERANCE: Final = 0.01


class PriceStatus(StrEnum):
    """The result of a comparison of a card's prices with the list."""

    SAME = "same"
    DRIFTED = "drifted"
    UNPRICED = "no price on the card"
    UNKNOWN = "not on the list"
    OWN_SERVER = "a server of one's own"


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """US dollars per million tokens of each kind.

    Attributes:
        input: Fresh input.
        cached_input: Input from the provider's cache.
        output: Output.
        cache_write: Input that goes into the cache.
        cache_write_1h: Input that is kept there for one hour.
    """

    input: float
    cached_input: float
    output: float
    cache_write: float
    cache_write_1h: float

    @classmethod
    def of(cls, cost: ModelCost | LongPromptCost | CostChange) -> TokenPrices:
        """Return a model's prices; those that are not given are those of any input."""
        fresh, read, written, written_1h = cost.input_rates
        prices = (fresh, read, cost.output_cost_per_thousand, written, written_1h)
        # Twelve digits are more than any price has, and fewer than a division leaves.
        return cls(*(float(f"{1000 * price:.12g}") for price in prices))

    def differing(self, other: TokenPrices) -> list[str]:
        """Return the names of the prices that `other` has otherwise."""
        return [n for n in KINDS if not math.isclose(getattr(self, n), getattr(other, n))]


KINDS: Final = tuple(field.name for field in fields(TokenPrices))


@dataclass(frozen=True, slots=True)
class LongContext:
    """The prices of a request whose prompt has more than `over_tokens` tokens."""

    over_tokens: int
    prices: TokenPrices


@dataclass(frozen=True, slots=True)
class Change:
    """Prices that the provider has announced."""

    start: date
    prices: TokenPrices


@dataclass(frozen=True, slots=True)
class Listed:
    """The entry of the price list for a model.

    Attributes:
        name: `provider:model`, as the list has it.
        prices: On the day asked for; of short prompts, where long ones cost more.
        long_context: What long prompts cost, shortest first.
        changes: What is announced for later days.
        service_tiers: Factors on all prices by service tier.
    """

    name: str
    prices: TokenPrices
    long_context: list[LongContext]
    changes: list[Change]
    service_tiers: dict[str, float]


@dataclass(frozen=True, slots=True)
class PriceCheck:
    """A model's prices on its card and on the list.

    Attributes:
        model: Its id.
        status: What came of it.
        drifted: What differs: a kind of token of `TokenPrices`, `long_context`, `changes`,
            `service_tiers`.
        card: The card's prices; None if it has none.
        card_long_context: Its prices of long prompts, shortest first.
        card_changes: Its prices of later days.
        listed: The list's; None if it does not know the model.
        price_date: When the card's prices were read.
        age_days: How long ago that is.
    """

    model: str
    status: PriceStatus
    drifted: list[str]
    card: TokenPrices | None
    card_long_context: list[LongContext]
    card_changes: list[Change]
    listed: Listed | None
    price_date: date | None
    age_days: int | None


def check_prices(models: Iterable[ModelInfo], today: date) -> list[PriceCheck]:
    """Compare the prices of `models` with those that the list has for `today`.

    Models that nobody is paid for, simulated and recorded ones, are left out.
    """
    return [_checked(model, today) for model in models if _is_paid(model)]


def listed(model: ModelInfo, day: date) -> Listed | None:
    """Return what the list says about `model` on `day`; None if it does not know it."""
    server = model.provider
    found = price_list.listed(model.provider_name, model.model_name, server.base_url, day)
    if found is None:
        return None
    cost = found.cost
    return Listed(
        found.name,
        TokenPrices.of(cost),
        _long_context(cost),
        _changes(cost),
        dict(cost.service_tiers),
    )


def _is_paid(model: ModelInfo) -> bool:
    provider = provider_class(model.provider_name)
    return not (provider.simulated or provider.replays)


def _is_sold(model: ModelInfo) -> bool:
    """Whether a preset says that somebody sells what is at the model's address."""
    preset = None if model.preset is None else PRESETS[model.preset]
    return preset is not None and preset.base_url == model.provider.base_url and preset.is_sold


def _checked(model: ModelInfo, today: date) -> PriceCheck:
    cost = model.cost.on(today) if model.cost is not None else None
    found = listed(model, today)
    drifted: list[str] = []
    if found is None:
        own = model.provider.base_url is not None and not _is_sold(model)
        status = PriceStatus.OWN_SERVER if own else PriceStatus.UNKNOWN
    elif cost is None:
        status = PriceStatus.UNPRICED
    else:
        drifted = list(_drifted(cost, found))
        status = PriceStatus.DRIFTED if drifted else PriceStatus.SAME
    read = model.price_date
    return PriceCheck(
        model.model_id,
        status,
        drifted,
        TokenPrices.of(cost) if cost is not None else None,
        _long_context(cost) if cost is not None else [],
        _changes(cost) if cost is not None else [],
        found,
        read,
        None if read is None else (today - read).days,
    )


def _drifted(cost: ModelCost, found: Listed) -> Iterator[str]:
    """Yield the names of what the list has otherwise."""
    yield from TokenPrices.of(cost).differing(found.prices)
    if not _are_same(_long_context(cost), found.long_context):
        yield "long_context"
    if _changes(cost) != found.changes:
        yield "changes"
    for tier, factor in cost.service_tiers.items():
        listed_factor = found.service_tiers.get(tier, factor)
        if not math.isclose(factor, listed_factor, rel_tol=_TIER_TOLERANCE):
            yield "service_tiers"
            return


def _long_context(cost: ModelCost) -> list[LongContext]:
    return [LongContext(tier.input_tokens, TokenPrices.of(tier)) for tier in cost.above]


def _changes(cost: ModelCost) -> list[Change]:
    return [Change(change.start, TokenPrices.of(change)) for change in cost.changes]


def _are_same(ours: Sequence[LongContext], theirs: Sequence[LongContext]) -> bool:
    return len(ours) == len(theirs) and all(
        mine.over_tokens == other.over_tokens and not mine.prices.differing(other.prices)
        for mine, other in zip(ours, theirs, strict=True)
    )
