from __future__ import annotations

from datetime import date, timedelta

import pytest
from pydantic import ValidationError

from ember_bench.models import ModelCost, ModelInfo, ModelRegistry, ProviderInfo
from ember_bench.models.price_list import price_list_version
from ember_bench.models.prices import (
    LongContext,
    PriceCheck,
    PriceStatus,
    TokenPrices,
    check_prices,
    listed,
)
from ember_bench.models.providers.base import provider_class
from ember_bench.registry import Cards, builtin_root

# The list knows what was paid when: o3 became cheaper on 2025-06-10, and what is announced for a
# later day is on it too.
TODAY = date(2026, 11, 22)
BEFORE_THE_CUT = date(2025, 6, 9)

O3 = {"input": 2.0, "cached_input": 0.5, "output": 8.0}


def model(name: str = "openai:o3", paid: dict[str, float] | None = O3, **more: object) -> ModelInfo:
    cost = None
    if paid is not None:
        cost = ModelCost.model_validate(
            {f"{kind}_cost_per_million": price for kind, price in paid.items()}
        )
    return ModelInfo.model_validate({"model_id": name, "cost": cost} | more)


def prices(fresh: float, cached: float, output: float) -> TokenPrices:
    """Return prices of a model that charges for writing to its cache as for any input."""
    return TokenPrices(fresh, cached, output, fresh, fresh)


def check(model: ModelInfo, today: date = TODAY) -> PriceCheck:
    (found,) = check_prices([model], today)
    return found


class TestACard:
    def test_with_the_lists_prices_is_the_same(self) -> None:
        found = check(model())
        assert found.status is PriceStatus.SAME
        assert found.listed is not None
        assert found.listed.name == "openai:o3"
        assert found.listed.prices == prices(*O3.values())

    @pytest.mark.parametrize("kind", ["input", "cached_input", "output"])
    def test_with_other_prices_of_long_prompts_has_drifted_in_them(self, kind: str) -> None:
        gemini = {"input": 1.25, "cached_input": 0.125, "output": 10.0}
        long = {"input": 2.5, "cached_input": 0.25, "output": 15.0}

        def found(tiers: list[tuple[int, dict[str, float]]]) -> list[str]:
            above = [
                {"input_tokens": n, **{f"{k}_cost_per_million": p for k, p in prices.items()}}
                for n, prices in tiers
            ]
            card = model("google:gemini-2.5-pro", gemini)
            assert card.cost is not None
            cost = ModelCost.model_validate(card.cost.model_dump() | {"above": above})
            return check(card.model_copy(update={"cost": cost})).drifted

        assert found([(200_000, long)]) == []
        assert found([(200_000, long | {kind: 1.0})]) == ["long_context"]
        assert found([(128_000, long)]) == found([]) == ["long_context"]

    @pytest.mark.parametrize("kind", ["cached_input", "output", "cache_write", "cache_write_1h"])
    def test_with_another_price_has_drifted_in_it(self, kind: str) -> None:
        written = {"cache_write": 2.0, "cache_write_1h": 2.0}
        found = check(model(paid=O3 | written | {kind: 1.99}))
        assert found.status is PriceStatus.DRIFTED
        assert found.drifted == [kind]

    def test_is_compared_with_the_prices_of_the_day(self) -> None:
        drifted = check(model(), BEFORE_THE_CUT).drifted
        assert drifted == ["input", "output", "cache_write", "cache_write_1h", "changes"]

    def test_without_a_price_of_cached_input_pays_it_in_full(self) -> None:
        found = check(model(paid={"input": 2.0, "output": 8.0}))
        assert found.card == prices(2.0, 2.0, 8.0)
        assert found.drifted == ["cached_input"]

    def test_without_prices_shows_those_of_the_list(self) -> None:
        found = check(model(paid=None))
        assert (found.status, found.card, found.drifted) == (PriceStatus.UNPRICED, None, [])
        assert found.listed is not None

    @pytest.mark.parametrize("name", ["openai:gpt-4o-of-my-own", "counted:a"])
    def test_that_the_list_does_not_know_is_said_to_be_unknown(self, name: str) -> None:
        import tests.support.counted  # noqa: F401 - registers the provider

        found = check(model(name))
        assert (found.status, found.listed) == (PriceStatus.UNKNOWN, None)

    def test_of_a_server_of_ones_own_is_not_compared_with_the_list(self) -> None:
        server = ProviderInfo(name="openai", base_url="http://127.0.0.1:8000/v1")
        found = check(model(provider=server))
        assert (found.status, found.listed) == (PriceStatus.OWN_SERVER, None)

    def test_is_as_old_as_the_day_its_prices_were_read(self) -> None:
        found = check(model(price_date=TODAY - timedelta(days=40)))
        assert found.age_days == 40
        assert check(model()).age_days is None

    def test_is_not_asked_for_where_nobody_is_paid(self) -> None:
        assert check_prices([model("simulated:small")], TODAY) == []

    def test_has_prices_free_of_what_divisions_leave(self) -> None:
        cost = ModelCost.model_validate(
            {"input_cost_per_million": 0.075, "output_cost_per_million": 4.4}
        )
        assert TokenPrices.of(cost) == prices(0.075, 0.075, 4.4)

    def test_is_compared_in_what_it_announces(self) -> None:
        announced = {"input": 0.75, "cached_input": 0.075, "output": 3.75}
        doubled = {f"{kind}_cost_per_million": 2 * price for kind, price in announced.items()}
        for start, drifted in [("2027-01-01", []), ("2027-01-02", ["changes"])]:
            card = model("google:gemini-3.8-flash", announced)
            assert card.cost is not None
            cost = card.cost.model_dump() | {"changes": [doubled | {"from": start}]}
            changed = card.model_copy(update={"cost": ModelCost.model_validate(cost)})
            assert check(changed).drifted == drifted
        # On the day itself the new price is the price.
        cost = card.cost.model_dump() | {"changes": [doubled | {"from": "2027-01-01"}]}
        changed = card.model_copy(update={"cost": ModelCost.model_validate(cost)})
        assert check(changed, date(2027, 1, 1)).drifted == []

    @pytest.mark.parametrize(("factor", "drifted"), [(0.5, []), (0.6, ["service_tiers"])])
    def test_is_compared_in_the_service_tiers_that_it_has(
        self, factor: float, drifted: list[str]
    ) -> None:
        card = model()
        assert card.cost is not None
        cost = card.cost.model_copy(update={"service_tiers": {"flex": factor, "mine": 3.0}})
        assert check(card.model_copy(update={"cost": cost})).drifted == drifted

    def test_of_a_server_that_the_list_knows_is_compared(self) -> None:
        groq = {"name": "openai", "base_url": "https://api.groq.com/openai/v1"}
        found = check(model("openai:llama-3.3-70b-versatile", provider=groq))
        assert found.listed is not None
        assert found.listed.name == "groq:llama-3.3-70b-versatile"
        assert found.status is PriceStatus.DRIFTED


class TestCostOfTheList:
    @pytest.mark.parametrize(
        ("server", "name"),
        [
            ("https://openrouter.ai/api/v1", "deepseek/deepseek-chat"),
            ("https://api.together.xyz/v1", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
            ("https://api.groq.com/openai/v1", "llama-3.3-70b-versatile"),
            ("https://api.deepseek.com", "deepseek-chat"),
            ("https://api.moonshot.ai/v1", "kimi-k2-0905-preview"),
            (None, "o3"),
        ],
    )
    def test_is_that_of_the_server_and_the_model(self, server: str | None, name: str) -> None:
        card = {"name": "openai", "base_url": server}
        info = ModelInfo.model_validate(
            {"model_id": "openai:m", "model_name": name, "provider": card, "cost": "list"}
        )
        found = listed(info, date.today())
        assert info.cost is not None
        assert found is not None
        assert TokenPrices.of(info.cost) == found.prices
        assert info.price_source == price_list_version()

    def test_that_has_none_is_a_mistake(self) -> None:
        own = {"name": "openai", "base_url": "http://127.0.0.1:8000/v1"}
        with pytest.raises(
            ValidationError, match=r"has no price of 'm' at http://127\.0\.0\.1:8000"
        ):
            ModelInfo.model_validate({"model_id": "openai:m", "provider": own, "cost": "list"})

    def test_has_all_that_is_charged(self) -> None:
        opus, astra = (
            ModelInfo.model_validate({"model_id": name, "cost": "list"}).cost
            for name in ("anthropic:claude-opus-5-5", "openai:gpt-6-astra")
        )
        assert opus is not None
        assert astra is not None
        assert TokenPrices.of(opus) == TokenPrices(4.0, 0.2, 20.0, 5.0, 8.0)
        assert astra.service_tiers == {"fast": 2.0, "flex": 0.5, "priority": 2.0}
        [long] = astra.above
        assert (long.input_tokens, TokenPrices.of(long).cache_write) == (272_000, 25.0)


class TestTheList:
    def test_has_what_long_prompts_cost(self) -> None:
        found = listed(model("google:gemini-2.5-pro", provider={"name": "google"}), TODAY)
        assert found is not None
        assert found.prices == prices(1.25, 0.125, 10.0)
        assert found.long_context == [LongContext(200_000, prices(2.5, 0.25, 15.0))]

    def test_has_what_is_announced(self) -> None:
        found = listed(model("openai:o3"), BEFORE_THE_CUT)
        assert found is not None
        (change,) = found.changes
        assert (change.start, change.prices) == (date(2025, 6, 10), prices(*O3.values()))

    def test_knows_litellms_models_by_their_own_providers_names(self) -> None:
        litellm = ProviderInfo(name="litellm")
        for name, expected in [
            ("mistral/mistral-medium-3-5", "mistral:mistral-medium-3-5"),
            ("gemini/gemini-2.5-pro", "google:gemini-2.5-pro"),
            ("gpt-4o", "openai:gpt-4o"),
        ]:
            found = listed(ModelInfo(model_id=f"litellm:{name}", provider=litellm), TODAY)
            assert found is not None
            assert found.name == expected

    def test_does_not_know_what_is_not_paid_by_the_token(self) -> None:
        assert listed(model("openai:whisper-1"), TODAY) is None


class TestBuiltInCards:
    @pytest.fixture
    def paid(self) -> list[ModelInfo]:
        registry = ModelRegistry.from_cards(Cards([builtin_root()]))
        kinds = ((model, provider_class(model.provider_name)) for model in registry)
        return [model for model, kind in kinds if not (kind.simulated or kind.replays)]

    def test_say_what_a_card_of_a_paid_model_must(self, paid: list[ModelInfo]) -> None:
        assert {model.provider_name for model in paid} >= {"openai"}
        for model in paid:
            assert model.cost is not None, model.model_id
            assert model.cost.cached_input_cost_per_thousand is not None, model.model_id
            assert model.price_date is not None, model.model_id
            assert model.price_source is not None, model.model_id
            assert model.price_source.startswith("https://"), model.model_id
            assert model.context_tokens is not None, model.model_id

    def test_have_the_prices_of_the_day_they_were_read(self, paid: list[ModelInfo]) -> None:
        """A later list may correct an earlier one; `ember-bench models check` says so."""
        for model in paid:
            assert model.price_date is not None
            assert model.price_source is not None
            if not model.price_source.endswith(price_list_version()):
                continue
            found = check(model, model.price_date)
            assert found.status is PriceStatus.SAME, found


def test_a_server_of_a_preset_is_nobodys_own_unless_it_needs_no_key() -> None:
    sold = ModelInfo(model_id="qwen:nonsense")
    assert check(sold).status is PriceStatus.UNKNOWN
    assert check(ModelInfo(model_id="vllm:nonsense")).status is PriceStatus.OWN_SERVER
    elsewhere = ModelInfo.model_validate(
        {"model_id": "qwen:m", "provider": {"base_url": "http://gateway/v1"}}
    )
    assert check(elsewhere).status is PriceStatus.OWN_SERVER
