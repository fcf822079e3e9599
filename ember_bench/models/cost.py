"""Prices of models, and the arithmetic on them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Self

from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ember_bench.models.types import Usage

# Names of the tier whose prices are on cards.
_STANDARD_TIERS: Final = frozenset({"default", "standard", "standard_only"})
# The server chooses the tier.
_ANY_TIER: Final = "auto"


class _Rates(BaseModel):
    """What tokens of each kind cost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_cost_per_thousand: float = Field(ge=0, allow_inf_nan=False)
    output_cost_per_thousand: float = Field(ge=0, allow_inf_nan=False)
    cached_input_cost_per_thousand: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    cache_write_cost_per_thousand: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    cache_write_1h_cost_per_thousand: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _from_millions(cls, data: Any) -> Any:
        """Accept `*_cost_per_million` too, the unit that providers print."""
        if not isinstance(data, dict):
            return data
        converted = {}
        for name, value in data.items():
            if name.endswith("_per_million") and isinstance(value, int | float):
                thousand = name.removesuffix("million") + "thousand"
                if data.get(thousand) is not None:
                    raise ValueError(f"give either {name} or {thousand}, not both")
                try:
                    converted[thousand] = value / 1000
                except OverflowError:
                    raise ValueError(f"{name}: too large a number") from None
            else:
                converted[name] = value
        return converted

    def known(self, usage: Usage) -> float:
        """Return the price of the tokens that are known, in US dollars."""
        fresh, read, written, written_1h = self.input_rates
        cached, for_an_hour = usage.cached_input_tokens, usage.cache_write_1h_tokens
        shorter = usage.cache_write_tokens - for_an_hour
        rest = max(0, (usage.input_tokens or 0) - cached - usage.cache_write_tokens)
        return (
            rest * fresh
            + cached * read
            + shorter * written
            + for_an_hour * written_1h
            + (usage.output_tokens or 0) * self.output_cost_per_thousand
        ) / 1000

    def is_known(self, usage: Usage) -> bool:
        """Whether the price of `usage` is known: an unknown count does no harm if it is free."""
        return (usage.input_tokens is not None or not any(self.input_rates)) and (
            usage.output_tokens is not None or not self.output_cost_per_thousand
        )

    @property
    def dearest_input_per_thousand(self) -> float:
        """The most that input can cost, whatever the provider does with it."""
        return max(self.input_rates)

    @property
    def input_rates(self) -> tuple[float, float, float, float]:
        """Prices of fresh input, input from the cache, and input kept for 5 minutes or an hour."""
        fresh, written = self.input_cost_per_thousand, self.cache_write_cost_per_thousand
        written = fresh if written is None else written
        read, written_1h = (
            self.cached_input_cost_per_thousand,
            self.cache_write_1h_cost_per_thousand,
        )
        return (
            fresh,
            fresh if read is None else read,
            written,
            written if written_1h is None else written_1h,
        )

    def times(self, factor: float) -> Self:
        """Return the prices multiplied by `factor`."""
        prices = {name: getattr(self, name) for name in _Rates.model_fields}
        scaled = {name: p * factor for name, p in prices.items() if p is not None}
        return self.model_copy(update=scaled)


class LongPromptCost(_Rates):
    """What a request costs, all of it, whose prompt is longer than most.

    Attributes:
        input_tokens: It has more than so many.
        input_cost_per_thousand: As `ModelCost` has it.
        output_cost_per_thousand: The same.
        cached_input_cost_per_thousand: The same.
        cache_write_cost_per_thousand: The same.
        cache_write_1h_cost_per_thousand: The same.
    """

    input_tokens: int = Field(gt=0)


class _Prices(_Rates):
    """What requests cost, those with long prompts among them."""

    above: tuple[LongPromptCost, ...] = ()

    @field_validator("above")
    @classmethod
    def _rises(cls, value: tuple[LongPromptCost, ...]) -> tuple[LongPromptCost, ...]:
        lengths = [tier.input_tokens for tier in value]
        if lengths != sorted(set(lengths)):
            raise ValueError("give each `input_tokens` once, the fewest first")
        return value

    def of(self, usage: Usage) -> float | None:
        """Return the price of one request's `usage` in US dollars.

        None if tokens that have a price are unknown.
        """
        if usage.input_tokens is not None and usage.output_tokens is not None and not self.above:
            return self.known(usage)  # the usual case
        rates = self._rates(usage)
        return rates[0].known(usage) if all(r.is_known(usage) for r in rates) else None

    def bounds(self, usage: Usage, most_input: int, most_output: int) -> tuple[float, float]:
        """Return the least and the most that one request can have cost, in US dollars.

        Both are the price if all tokens are known.

        Args:
            usage: Its tokens, as far as they are known.
            most_input: The most input tokens that it can have had.
            most_output: The most output tokens.
        """
        if (price := self.of(usage)) is not None:
            return price, price
        least = min(rates.known(usage) for rates in self._rates(usage))
        output = most_output if usage.output_tokens is None else usage.output_tokens
        if usage.input_tokens is None:
            most = self.most(most_input, output)
        else:
            most = self._rates(usage)[0].known(replace(usage, output_tokens=output))
        return least, max(least, most)

    def without_cache(self, usage: Usage, usd: float) -> float | None:
        """Return the cost of a request if the provider kept no prompts; None if it is unknown.

        Args:
            usage: Its tokens.
            usd: Its cost. It may be of another day's prices or of another service tier: what the
                cache saves is taken to be the same part of it.
        """
        if not (usage.cached_input_tokens or usage.cache_write_tokens):
            return usd
        fresh = {"cached_input_tokens": 0, "cache_write_tokens": 0, "cache_write_1h_tokens": 0}
        price, without = self.of(usage), self.of(replace(usage, **fresh))
        return usd * without / price if price and without is not None else None

    @property
    def is_free(self) -> bool:
        """Whether nothing is charged, however long prompt and answer are."""
        return not any(
            rates.dearest_input_per_thousand or rates.output_cost_per_thousand
            for rates in (self, *self.above)
        )

    def most(self, input_tokens: int, output_tokens: int) -> float:
        """Return the most that a request can cost with up to so many tokens, in US dollars."""
        # A longer prompt need not be the dearer one: each price is taken at its longest.
        lengths = [tier.input_tokens for tier in self.above if tier.input_tokens < input_tokens]
        return max(
            (
                length * rates.dearest_input_per_thousand
                + output_tokens * rates.output_cost_per_thousand
            )
            / 1000
            for length in (*lengths, input_tokens)
            for rates in self._rates(Usage(length, output_tokens))
        )

    def _rates(self, usage: Usage) -> tuple[_Rates, ...]:
        """Return the prices that apply to a request: several if its input is unknown."""
        if usage.input_tokens is None:
            return (self, *self.above)
        reached = [tier for tier in self.above if usage.input_tokens > tier.input_tokens]
        return (reached[-1] if reached else self,)

    def times(self, factor: float) -> Self:
        """Return the prices multiplied by `factor`."""
        above = tuple(tier.times(factor) for tier in self.above)
        return super().times(factor).model_copy(update={"above": above})


class CostChange(_Prices):
    """The prices from a day on.

    Attributes:
        start: The first day, in UTC; `from` on a card.
        input_cost_per_thousand: As `ModelCost` has it.
        output_cost_per_thousand: The same.
        cached_input_cost_per_thousand: The same.
        cache_write_cost_per_thousand: The same.
        cache_write_1h_cost_per_thousand: The same.
        above: The same.
    """

    model_config = ConfigDict(populate_by_name=True)

    start: date = Field(alias="from")


class ModelCost(_Prices):
    """A model's price.

    Attributes:
        input_cost_per_thousand: US dollars per 1,000 input tokens.
        output_cost_per_thousand: US dollars per 1,000 output tokens.
        cached_input_cost_per_thousand: US dollars per 1,000 input tokens that the provider had
            cached; None charges them as any input token.
        cache_write_cost_per_thousand: US dollars per 1,000 input tokens that the provider writes to
            its cache, for five minutes
            or as long as it likes; None charges them as any input token.
        cache_write_1h_cost_per_thousand: The same for tokens that it keeps for one hour; None
            charges them as those that are kept for less.
        above: What requests with long prompts cost instead, the shortest first.
        service_tiers: Factors on all prices by service tier: `{flex: 0.5, priority: 2}`.
        changes: Prices that hold from a later day on, the earliest first.
    """

    service_tiers: Mapping[str, float] = Field(default_factory=dict)
    changes: tuple[CostChange, ...] = ()

    @field_validator("service_tiers")
    @classmethod
    def _are_factors(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        for tier, factor in value.items():
            if not 0 <= factor < float("inf"):
                raise ValueError(f"{tier}: expected a factor on the prices, found {factor:g}")
        return value

    @field_validator("changes")
    @classmethod
    def _in_order(cls, value: tuple[CostChange, ...]) -> tuple[CostChange, ...]:
        days = [change.start for change in value]
        if days != sorted(set(days)):
            raise ValueError("give each day (`from`) once, the earliest first")
        return value

    def on(self, day: date) -> ModelCost:
        """Return the price of a request that is made on `day` (UTC)."""
        if not self.changes:
            return self
        reached = [change for change in self.changes if change.start <= day]
        if not reached:
            return self
        prices = {name: getattr(reached[-1], name) for name in _Prices.model_fields}
        return self.model_copy(update={**prices, "changes": self.changes[len(reached) :]})

    def at(self, asked: str | None, served: str | None = None) -> ModelCost | None:
        """Return the price at a service tier; None if it is unknown.

        Args:
            asked: The tier that was asked for; None for the server's default.
            served: The tier that the answer states. It is charged, if the card knows it.
        """
        if asked is None and served is None:
            return self
        known = served in _STANDARD_TIERS or served in self.service_tiers
        tier = served if known else asked
        if tier is None or tier in _STANDARD_TIERS or tier == _ANY_TIER:
            return self
        factor = self.service_tiers.get(tier)
        return None if factor is None else self.times(factor)

    def dearest(self, asked: str | None) -> ModelCost | None:
        """Return the highest price that a request may be charged; None if it is unknown.

        Args:
            asked: The service tier that it asks for.
        """
        if asked == _ANY_TIER:
            return self.times(max(1.0, *self.service_tiers.values(), 1.0))
        return self.at(asked)

    def times(self, factor: float) -> Self:
        """Return the prices multiplied by `factor`."""
        changes = tuple(change.times(factor) for change in self.changes)
        return super().times(factor).model_copy(update={"changes": changes})
