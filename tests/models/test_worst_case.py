"""Upper bounds of a call's cost."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.models import (
    Image,
    LongPromptCost,
    Message,
    ModelCost,
    ModelInfo,
    ModelRegistry,
    Request,
)
from ember_bench.models.providers.base import provider_class
from ember_bench.models.types import ResponseFormat, SamplingParameters, ToolDefinition, Usage
from ember_bench.models.worst_case import bounds_usd, unaffordable, unbounded, worst_case_usd
from ember_bench.registry import Cards, builtin_root
from tests.support.models import scripted, simulated

TODAY = date(2026, 11, 22)
PRICE = ModelCost(input_cost_per_thousand=1.0, output_cost_per_thousand=2.0)


async def never(call: Any) -> str:
    raise AssertionError


class TestWorstCase:
    MODEL = scripted(never, cost=PRICE, context_tokens=10_000)

    def worst(self, text: str = "", model: ModelInfo = MODEL, **fields: Any) -> float | None:
        parameters = SamplingParameters(max_tokens=fields.pop("max_tokens", 100))
        message = Message("user", text, fields.pop("images", ()))
        return worst_case_usd(Request(model, (message,), parameters, **fields), TODAY)

    @given(st.text(max_size=300))
    def test_has_a_token_for_every_byte_and_the_longest_answer(self, text: str) -> None:
        worst = self.worst(text)
        assert worst is not None
        assert worst >= (len(text.encode("utf-8", "replace")) * 1.0 + 100 * 2.0) / 1000

    def test_has_the_whole_context_where_max_tokens_is_not_given(self) -> None:
        worst = self.worst("q", max_tokens=None)
        assert worst is not None
        assert worst >= 10_000 * 2.0 / 1000

    def test_is_limited_by_the_context(self) -> None:
        assert self.worst("q" * 100_000) == pytest.approx((10_000 * 1.0 + 100 * 2.0) / 1000)

    def test_has_the_dearest_price_that_the_prompt_can_reach(self) -> None:
        dear = LongPromptCost(
            input_tokens=5_000, input_cost_per_thousand=3.0, output_cost_per_thousand=4.0
        )
        model = scripted(
            never, cost=PRICE.model_copy(update={"above": (dear,)}), context_tokens=10_000
        )
        assert self.worst("q", model=model) == self.worst("q")
        assert self.worst("q" * 9_999, model=model) == pytest.approx(
            (10_000 * 3.0 + 100 * 4.0) / 1000
        )

    def test_counts_tools_and_schemas(self) -> None:
        plain = self.worst("q")
        schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
        tool = ToolDefinition("t", "description", schema)
        with_schema = self.worst("q", response_format=ResponseFormat("r", schema))
        with_tools = self.worst("q", tools=(tool,))
        assert plain is not None
        assert with_schema is not None
        assert with_tools is not None
        assert min(with_schema, with_tools) > plain

    def test_has_what_providers_add_to_a_prompt_with_tools(self) -> None:
        plain = self.worst("q")
        tool = ToolDefinition("t", "d", {})
        with_tools = self.worst("q", tools=(tool,))
        assert plain is not None
        assert with_tools is not None
        assert with_tools - plain == pytest.approx(
            (1_000 + len(msgspec.json.encode((tool,)))) * 1.0 / 1000
        )

    def test_has_the_whole_context_for_an_image(self) -> None:
        worst = self.worst("q", images=(Image("image/png", "AAAA"),))
        assert worst == pytest.approx((10_000 * 1.0 + 100 * 2.0) / 1000)

    def test_is_unknown_without_a_price_or_a_limit(self) -> None:
        assert self.worst(model=scripted(never)) is None
        assert self.worst(model=scripted(never, cost=PRICE), max_tokens=None) is None

    def test_is_nothing_for_an_answer_that_was_recorded(self) -> None:
        model = ModelInfo(model_id="recorded:set/m", cost=PRICE)
        assert self.worst("q", model=model) == 0.0
        assert unbounded(model, None, TODAY) is None

    def test_is_nothing_for_what_costs_nothing(self) -> None:
        free = ModelCost(input_cost_per_thousand=0, output_cost_per_thousand=0)
        assert self.worst(model=scripted(never, cost=free), max_tokens=None) == 0

    def test_of_a_simulated_model_is_that_of_the_longest_answer_it_can_draw(self) -> None:
        model = simulated(output_tokens=10, spread=0.0).model_copy(update={"cost": PRICE})
        worst = self.worst("q", model=model)
        assert worst is not None
        assert 10 * 2.0 / 1000 <= worst <= (10 * 2.0 + 200) / 1000

    def test_bounds_are_unknown_without_a_price_or_a_limit(self) -> None:
        request = Request(scripted(never, context_tokens=100), (), SamplingParameters())
        assert bounds_usd(request, Usage(1, None), TODAY) is None
        request = Request(scripted(never, cost=PRICE), (), SamplingParameters())
        assert bounds_usd(request, Usage(1, None), TODAY) is None

    def test_why_it_is_unknown_is_said(self) -> None:
        five, unlimited = SamplingParameters(max_tokens=5), SamplingParameters()
        assert unbounded(self.MODEL, unlimited, TODAY) is None
        price = unbounded(scripted(never), five, TODAY)
        length = unbounded(scripted(never, cost=PRICE), unlimited, TODAY)
        assert "price" in (price or "")
        assert "max_tokens" in (length or "")


class TestOutputLimits:
    """A budget reserves no more output than the model can write."""

    def longest(self, model: ModelInfo, **parameters: Any) -> int | None:
        request = Request(model, (), SamplingParameters(**parameters))
        return provider_class(model.provider_name).longest_answer(request)

    def test_are_the_cards_where_max_tokens_is_not_given_or_larger(self) -> None:
        model = ModelInfo(model_id="openai:m", context_tokens=1_000_000, max_output_tokens=128_000)
        assert self.longest(model) == 128_000
        assert self.longest(model, max_tokens=500_000) == 128_000
        assert self.longest(model, max_tokens=100) == 100

    def test_are_what_anthropic_is_sent_where_max_tokens_is_not_given(self) -> None:
        opus = ModelInfo(
            model_id="anthropic:m", context_tokens=1_000_000, options={"max_tokens": 32_000}
        )
        assert self.longest(opus) == 32_000
        assert self.longest(opus, thinking_tokens=2_000) == 34_000

    def test_keep_a_call_of_the_dearest_built_in_models_affordable(self) -> None:
        registry = ModelRegistry.from_cards(Cards([builtin_root()]))
        for name in (
            "anthropic:claude-opus-5-5",
            "anthropic:claude-fable-5-2",
            "openai:gpt-6.1-sol",
        ):
            assert unaffordable(registry.get(name), SamplingParameters(), TODAY, 10.0) is None


class TestAffordable:
    MODEL = ModelInfo.model_validate(
        {
            "model_id": "openai:m",
            "context_tokens": 1_000_000,
            "cost": {"input_cost_per_million": 4, "output_cost_per_million": 20},
        }
    )

    def test_is_what_one_call_reserves(self) -> None:
        said = unaffordable(self.MODEL, SamplingParameters(), TODAY, 10.0)
        assert said is not None
        assert (
            "one call of openai:m reserves $20.00 for an answer of up to 1,000,000 tokens" in said
        )
        assert "more than $10: give a smaller max_tokens or raise the budget" in said
        assert unaffordable(self.MODEL, SamplingParameters(max_tokens=32_000), TODAY, 1.0) is None

    def test_is_no_call_with_tools_whose_price_nobody_knows(self) -> None:
        searching = SamplingParameters(max_tokens=5, server_tools=({"type": "web_search"},))
        assert "the price of the server_tools" in (unbounded(self.MODEL, searching, TODAY) or "")

    def test_is_no_call_at_a_service_tier_whose_price_nobody_knows(self) -> None:
        flex = SamplingParameters(max_tokens=5, service_tier="flex")
        said = unbounded(self.MODEL, flex, TODAY)
        assert said is not None
        assert "service tier 'flex' is unknown (`cost.service_tiers` on its card)" in said
