"""Prices, also of tokens that nobody counted."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

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


class TestWithoutCache:
    @given(usages())
    def test_all_input_is_charged_as_fresh(self, usage: Usage) -> None:
        cost = PRICE.of(usage)
        assert cost is not None
        fresh = PRICE.of(Usage(usage.input_tokens, usage.output_tokens))
        assert PRICE.without_cache(usage, cost) == pytest.approx(fresh)

    def test_a_cost_of_other_prices_changes_in_the_same_proportion(self) -> None:
        usage = Usage(1000, 0, 500)
        assert PRICE.without_cache(usage, 0.55) == pytest.approx(1.0)
        assert PRICE.without_cache(usage, 0.275) == pytest.approx(0.5)

    def test_is_unknown_where_the_price_of_the_tokens_is(self) -> None:
        assert PRICE.without_cache(Usage(1000, None, 500), 0.5) is None
        assert FREE.without_cache(Usage(1000, 0, 500), 0.5) is None

    def test_nothing_changes_where_nothing_was_cached(self) -> None:
        assert FREE.without_cache(Usage(1000, None), 0.5) == 0.5


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


TODAY = date(2026, 11, 22)


class TestCharge:
    MODEL = ModelInfo(model_id="openai:m", cost=PRICE)
    UNPRICED = ModelInfo(model_id="openai:m")

    def test_is_the_price_of_the_tokens(self) -> None:
        answer = Completion("ok", Usage(1000, 0), stated_usd=7.0)
        assert self.MODEL.charge(answer, TODAY) == pytest.approx(1.0)

    def test_is_the_stated_one_where_the_card_has_none_or_the_tokens_are_unknown(self) -> None:
        answer = Completion("ok", Usage(1000, 0), stated_usd=7.0)
        assert self.UNPRICED.charge(answer, TODAY) == 7.0
        assert self.MODEL.charge(Completion("ok", stated_usd=7.0), TODAY) == 7.0

    def test_is_the_exact_one_where_the_provider_knows_it(self) -> None:
        answer = Completion("ok", Usage(1000, 0), cost_usd=3.0, stated_usd=7.0)
        assert self.MODEL.charge(answer, TODAY) == 3.0

    def test_is_unknown_where_nobody_tells(self) -> None:
        assert self.MODEL.charge(Completion("ok"), TODAY) is None
        assert self.UNPRICED.charge(Completion("ok", Usage(1000, 0)), TODAY) is None

    def test_of_an_answer_that_cannot_be_used_is_that_of_any(self) -> None:
        error = UnusableAnswerError("no text in it", usage=Usage(1000, 500))
        assert isinstance(error, ProviderError)
        assert self.MODEL.charge(error, TODAY) == pytest.approx(3.0)


class TestChanges:
    COST = ModelCost.model_validate(
        {
            "input_cost_per_thousand": 1.0,
            "output_cost_per_thousand": 2.0,
            "service_tiers": {"flex": 0.5},
            "changes": [
                {
                    "from": "2026-12-01",
                    "input_cost_per_thousand": 2.0,
                    "output_cost_per_thousand": 4.0,
                },
                {
                    "from": "2027-02-01",
                    "input_cost_per_million": 500,
                    "output_cost_per_million": 1000,
                },
            ],
        }
    )

    @pytest.mark.parametrize(
        ("day", "usd"),
        [
            (date(2026, 11, 30), 3.0),
            (date(2026, 12, 1), 6.0),
            (date(2027, 1, 31), 6.0),
            (date(2027, 2, 1), 1.5),
            (date(2030, 1, 1), 1.5),
        ],
    )
    def test_hold_from_their_day_on(self, day: date, usd: float) -> None:
        model = ModelInfo(model_id="openai:m", cost=self.COST)
        assert model.charge(Completion("ok", Usage(1000, 1000)), day) == pytest.approx(usd)
        batch = model.model_copy(update={"mode": "batch"})
        assert batch.charge(Completion("ok", Usage(1000, 1000)), day) == pytest.approx(usd / 2)

    def test_of_later_days_stay_announced(self) -> None:
        assert [c.start for c in self.COST.on(date(2026, 12, 1)).changes] == [date(2027, 2, 1)]

    def test_keep_the_service_tiers(self) -> None:
        flex = self.COST.on(date(2026, 12, 1)).at("flex")
        assert flex is not None
        assert flex.of(Usage(1000, 1000)) == pytest.approx(3.0)

    @pytest.mark.parametrize("days", [("2027-01-01", "2026-01-01"), ("2027-01-01", "2027-01-01")])
    def test_are_given_in_order_and_once(self, days: tuple[str, str]) -> None:
        rates = {"input_cost_per_thousand": 1, "output_cost_per_thousand": 1}
        changes = [rates | {"from": day} for day in days]
        with pytest.raises(ValidationError, match="the earliest first"):
            ModelCost.model_validate(rates | {"changes": changes})


class TestServiceTiers:
    MODEL = ModelInfo.model_validate(
        {
            "model_id": "openai:m",
            "cost": {
                "input_cost_per_thousand": 1.0,
                "output_cost_per_thousand": 2.0,
                "service_tiers": {"flex": 0.5, "priority": 2},
            },
        }
    )

    @pytest.mark.parametrize(
        ("asked", "served", "usd"),
        [
            (None, None, 3.0),
            ("flex", None, 1.5),
            ("priority", None, 6.0),
            ("default", None, 3.0),
            ("auto", None, 3.0),
            # The tier that served the request is charged.
            ("priority", "default", 3.0),
            ("auto", "priority", 6.0),
            (None, "flex", 1.5),
            # A word that the card does not know says nothing.
            ("flex", "batch", 1.5),
            ("scale", None, None),
        ],
    )
    def test_multiply_the_price(
        self, asked: str | None, served: str | None, usd: float | None
    ) -> None:
        answer = Completion("ok", Usage(1000, 1000), service_tier=served)
        assert self.MODEL.charge(answer, TODAY, asked) == usd

    @pytest.mark.parametrize(
        ("asked", "usd"), [(None, 3.0), ("flex", 1.5), ("auto", 6.0), ("scale", None)]
    )
    def test_bound_what_is_reserved(self, asked: str | None, usd: float | None) -> None:
        price = self.MODEL.price(TODAY)
        assert price is not None
        dearest = price.dearest(asked)
        assert (dearest and dearest.of(Usage(1000, 1000))) == usd

    @pytest.mark.parametrize("factor", [-1, float("inf"), float("nan")])
    def test_are_factors(self, factor: float) -> None:
        with pytest.raises(ValidationError, match="expected a factor"):
            ModelCost(
                input_cost_per_thousand=1, output_cost_per_thousand=1, service_tiers={"a": factor}
            )
