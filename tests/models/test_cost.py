"""Prices, also of tokens that nobody counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.errors import ProviderError
from ember_bench.models import Completion, ModelCost, ModelInfo, Usage
from ember_bench.models.types import UnusableAnswerError

PRICE = ModelCost(
    input_cost_per_thousand=1.0,
    output_cost_per_thousand=4.0,
    cached_input_cost_per_thousand=0.1,
    cache_write_cost_per_thousand=1.25,
    cache_write_1h_cost_per_thousand=2.0,
)
LONG = {"input_tokens": 500, "input_cost_per_thousand": 2.0, "output_cost_per_thousand": 6.0}
TIERED = ModelCost.model_validate(PRICE.model_dump() | {"above": [LONG]})
FREE = ModelCost(input_cost_per_thousand=0, output_cost_per_thousand=0)

MOST_INPUT, MOST_OUTPUT = 1_000, 400
tokens = st.integers(0, MOST_INPUT)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Return usage of which all is known."""
    sent = draw(tokens)
    cached = draw(st.integers(0, sent))
    written = draw(st.integers(0, sent - cached))
    return Usage(
        sent,
        draw(st.integers(0, MOST_OUTPUT)),
        cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=draw(st.integers(0, written)),
    )


class TestCacheWrites:
    def test_have_a_price_for_each_duration(self) -> None:
        usage = Usage(1000, 0, 100, cache_write_tokens=600, cache_write_1h_tokens=200)
        assert PRICE.of(usage) == pytest.approx(0.3 * 1.0 + 0.1 * 0.1 + 0.4 * 1.25 + 0.2 * 2.0)

    def test_for_an_hour_cost_what_shorter_ones_do_where_no_price_is_given(self) -> None:
        price = PRICE.model_copy(update={"cache_write_1h_cost_per_thousand": None})
        usage = Usage(1000, 0, cache_write_tokens=1000, cache_write_1h_tokens=400)
        assert price.of(usage) == pytest.approx(1.25)

    def test_cost_what_any_input_does_where_no_price_is_given(self) -> None:
        price = ModelCost(input_cost_per_thousand=1.0, output_cost_per_thousand=4.0)
        assert price.of(Usage(1000, 0, cache_write_tokens=1000)) == pytest.approx(1.0)

    def test_may_be_priced_by_the_million(self) -> None:
        price = ModelCost.model_validate(
            {
                "input_cost_per_million": 3,
                "output_cost_per_million": 15,
                "cache_write_cost_per_million": 3.75,
                "cache_write_1h_cost_per_million": 6,
            }
        )
        assert price.cache_write_cost_per_thousand == pytest.approx(0.00375)
        assert price.cache_write_1h_cost_per_thousand == pytest.approx(0.006)

    def test_count_for_the_most_that_a_request_can_cost(self) -> None:
        assert PRICE.most(1000, 0) == pytest.approx(2.0)


class TestUnknownTokens:
    @pytest.mark.parametrize("usage", [Usage(), Usage(10, None), Usage(None, 10)])
    def test_have_no_price(self, usage: Usage) -> None:
        assert PRICE.of(usage) is None
        assert TIERED.of(usage) is None

    @pytest.mark.parametrize("usage", [Usage(), Usage(10, None), Usage(None, 10)])
    def test_cost_nothing_if_all_tokens_are_free(self, usage: Usage) -> None:
        assert FREE.of(usage) == 0

    def test_do_no_harm_in_a_half_that_is_free(self) -> None:
        price = ModelCost(input_cost_per_thousand=0, output_cost_per_thousand=4.0)
        assert price.of(Usage(None, 500)) == pytest.approx(2.0)
        assert price.of(Usage(500, None)) is None

    @given(usages(), st.sampled_from([PRICE, TIERED, FREE]), st.booleans(), st.booleans())
    def test_are_within_bounds(
        self, usage: Usage, price: ModelCost, sent: bool, received: bool
    ) -> None:
        reported = Usage(
            usage.input_tokens if sent else None,
            usage.output_tokens if received else None,
            usage.cached_input_tokens if sent else 0,
            cache_write_tokens=usage.cache_write_tokens if sent else 0,
            cache_write_1h_tokens=usage.cache_write_1h_tokens if sent else 0,
        )
        least, most = price.bounds(reported, MOST_INPUT, MOST_OUTPUT)
        charged = price.of(usage)
        assert charged is not None
        assert least - 1e-12 <= charged <= most + 1e-12
        if sent and received:
            assert least == most == charged


class TestCharge:
    MODEL = ModelInfo(model_id="openai:m", cost=PRICE)
    UNPRICED = ModelInfo(model_id="openai:m")

    def test_is_the_price_of_the_tokens(self) -> None:
        answer = Completion("ok", Usage(1000, 0), stated_usd=7.0)
        assert self.MODEL.charge(answer) == pytest.approx(1.0)

    def test_is_the_stated_one_where_the_card_has_none_or_the_tokens_are_unknown(self) -> None:
        answer = Completion("ok", Usage(1000, 0), stated_usd=7.0)
        assert self.UNPRICED.charge(answer) == 7.0
        assert self.MODEL.charge(Completion("ok", stated_usd=7.0)) == 7.0

    def test_is_the_exact_one_where_the_provider_knows_it(self) -> None:
        answer = Completion("ok", Usage(1000, 0), cost_usd=3.0, stated_usd=7.0)
        assert self.MODEL.charge(answer) == 3.0

    def test_is_unknown_where_nobody_tells(self) -> None:
        assert self.MODEL.charge(Completion("ok")) is None
        assert self.UNPRICED.charge(Completion("ok", Usage(1000, 0))) is None

    def test_of_an_answer_that_cannot_be_used_is_that_of_any(self) -> None:
        error = UnusableAnswerError("no text in it", usage=Usage(1000, 500))
        assert isinstance(error, ProviderError)
        assert self.MODEL.charge(error) == pytest.approx(3.0)
