"""Comparison of the prices on cards with the price list `genai-prices`, offline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ember_bench.models.providers.base import provider_class

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo as ListedModel

    from ember_bench.models.cost import LongPromptCost, ModelCost
    from ember_bench.models.info import ModelInfo

# litellm's names of providers -> those of the price list, where they differ.
_LITELLM_PROVIDERS: Final = {
    "bedrock": "aws",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "together_ai": "together",
    "vertex_ai": "google",
    "xai": "x-ai",
}


class PriceStatus(StrEnum):
    """The result of a comparison of a card's prices with the list."""

    SAME = "same"
    DRIFTED = "drifted"
    UNPRICED = "no price on the card"
    UNKNOWN = "not on the list"
    OWN_SERVER = "a server of one's own"


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """US dollars per million tokens of each kind."""

    input: float
    cached_input: float
    output: float

    @classmethod
    def of_card(cls, cost: ModelCost | LongPromptCost) -> TokenPrices:
        """Return a card's prices; input that the provider had cached has one in any case."""
        cached = cost.cached_input_cost_per_thousand
        if cached is None:
            cached = cost.input_cost_per_thousand
        prices = (cost.input_cost_per_thousand, cached, cost.output_cost_per_thousand)
        # Twelve digits are more than any price has, and fewer than a division leaves.
        return cls(*(float(f"{1000 * price:.12g}") for price in prices))

    def differing(self, other: TokenPrices) -> list[str]:
        """Return the names of the prices that `other` has otherwise."""
        names = ("input", "cached_input", "output")
        return [n for n in names if not math.isclose(getattr(self, n), getattr(other, n))]


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
    """

    name: str
    prices: TokenPrices
    long_context: list[LongContext]
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class PriceCheck:
    """A model's prices on its card and on the list.

    Attributes:
        model: Its id.
        status: What came of it.
        drifted: Which prices differ: `input`, `cached_input`, `output`, `long_context`.
        card: The card's prices; None if it has none.
        card_long_context: What it says that long prompts cost, shortest first.
        listed: The list's; None if it does not know the model, or was not asked.
        price_date: When the card's prices were read.
        age_days: How long ago that is.
    """

    model: str
    status: PriceStatus
    drifted: list[str]
    card: TokenPrices | None
    card_long_context: list[LongContext]
    listed: Listed | None
    price_date: date | None
    age_days: int | None


def check_prices(models: Iterable[ModelInfo], today: date) -> list[PriceCheck]:
    """Compare the prices of `models` with those that the list has for `today`.

    Models that nobody is paid for, simulated and recorded ones, are left out.
    """
    return [_checked(model, today) for model in models if _is_paid(model)]


def price_list_version() -> str:
    """Return the list's name and version, which dates its prices."""
    import genai_prices  # noqa: PLC0415 - large, and only now is it needed

    return f"genai-prices {genai_prices.__version__}"


def listed(model: ModelInfo, day: date) -> Listed | None:
    """Return what the list says about `model` on `day`; None if it does not know it."""
    from genai_prices import Usage, calc_price  # noqa: PLC0415 - see `price_list_version`

    provider, name = _listed_name(model)
    noon = datetime.combine(day, time(12), UTC)
    try:
        found = calc_price(
            Usage(input_tokens=0, output_tokens=0),
            name,
            provider_id=provider,
            genai_request_timestamp=noon,
        )
    except LookupError:
        return None
    if (prices := _prices(found.model_price)) is None:
        return None
    return Listed(
        f"{found.provider.id}:{found.model.id}",
        prices,
        list(_long_context(found.model_price)),
        list(_changes(found.model, day)),
    )


def _is_paid(model: ModelInfo) -> bool:
    provider = provider_class(model.provider_name)
    return not (provider.simulated or provider.replays)


def _checked(model: ModelInfo, today: date) -> PriceCheck:
    card = TokenPrices.of_card(model.cost) if model.cost is not None else None
    long = [
        LongContext(tier.input_tokens, TokenPrices.of_card(tier))
        for tier in (model.cost.above if model.cost is not None else ())
    ]
    own_server = model.provider.base_url is not None
    found = None if own_server else listed(model, today)
    drifted: list[str] = []
    if own_server:
        status = PriceStatus.OWN_SERVER
    elif found is None:
        status = PriceStatus.UNKNOWN
    elif card is None:
        status = PriceStatus.UNPRICED
    else:
        drifted = card.differing(found.prices)
        if not _are_same(long, found.long_context):
            drifted.append("long_context")
        status = PriceStatus.DRIFTED if drifted else PriceStatus.SAME
    read = model.price_date
    age = None if read is None else (today - read).days
    return PriceCheck(model.model_id, status, drifted, card, long, found, read, age)


def _are_same(ours: Sequence[LongContext], theirs: Sequence[LongContext]) -> bool:
    return len(ours) == len(theirs) and all(
        mine.over_tokens == other.over_tokens and not mine.prices.differing(other.prices)
        for mine, other in zip(ours, theirs, strict=True)
    )


def _listed_name(model: ModelInfo) -> tuple[str, str]:
    """Return the provider and the model as the list names them."""
    if model.provider_name != "litellm":
        return model.provider_name, model.model_name
    provider, slash, name = model.model_name.partition("/")
    # litellm takes a model without a provider for OpenAI's.
    return (_LITELLM_PROVIDERS.get(provider, provider), name) if slash else ("openai", provider)


def _prices(price: Any, over: int | None = None) -> TokenPrices | None:
    """Return the prices of short prompts, or of those with more than `over` tokens.

    None if input or output is not paid by the token.
    """
    sent, received = _rate(price, "input_mtok", over), _rate(price, "output_mtok", over)
    if sent is None or received is None:
        return None
    cached = _rate(price, "cache_read_mtok", over)
    return TokenPrices(sent, sent if cached is None else cached, received)


def _rate(price: Any, name: str, over: int | None) -> float | None:
    """Return one price: a number, or one that rises with the prompt's length."""
    value = getattr(price, name, None)
    if value is None or not hasattr(value, "tiers"):
        return None if value is None else float(value)
    reached = [tier.price for tier in value.tiers if over is not None and tier.start <= over]
    return float(reached[-1] if reached else value.base)


def _long_context(price: Any) -> Iterator[LongContext]:
    tiers = getattr(getattr(price, "input_mtok", None), "tiers", ())
    for start in sorted({tier.start for tier in tiers}):
        if (prices := _prices(price, start)) is not None:
            yield LongContext(start, prices)


def _changes(model: ListedModel, day: date) -> Iterator[Change]:
    if not isinstance(model.prices, list):
        return
    for later in model.prices:
        start = getattr(later.constraint, "start_date", None)
        if start is not None and start > day and (prices := _prices(later.prices)) is not None:
            yield Change(start, prices)
