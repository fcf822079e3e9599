from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ember_bench.models import ModelCost, ModelInfo, ProviderInfo, RateLimit, Usage

PRICE = ModelCost(input_cost_per_thousand=0.03, output_cost_per_thousand=0.06)
TIERED = ModelCost.model_validate(
    {
        "input_cost_per_thousand": 1,
        "output_cost_per_thousand": 2,
        "above": [
            {
                "input_tokens": 1_000,
                "input_cost_per_million": 10_000,
                "output_cost_per_million": 20_000,
            },
            {
                "input_tokens": 5_000,
                "input_cost_per_thousand": 2,
                "cached_input_cost_per_thousand": 0.5,
                "output_cost_per_thousand": 3,
            },
        ],
    }
)


class TestCost:
    def test_is_per_thousand_tokens(self) -> None:
        assert PRICE.of(Usage(1000, 500)) == pytest.approx(0.03 + 0.03)

    def test_may_be_given_per_million_as_providers_print_it(self) -> None:
        cost = ModelCost.model_validate(
            {"input_cost_per_million": 30.0, "output_cost_per_million": 60}
        )
        assert cost == PRICE

    def test_of_cached_tokens_is_their_own(self) -> None:
        cost = PRICE.model_copy(update={"cached_input_cost_per_thousand": 0.01})
        assert cost.of(Usage(1000, 0, cached_input_tokens=400)) == pytest.approx(0.018 + 0.004)

    def test_of_cached_tokens_is_the_full_one_where_none_is_given(self) -> None:
        assert PRICE.of(Usage(1000, 0, cached_input_tokens=400)) == pytest.approx(0.03)

    def test_of_reasoning_is_within_that_of_the_output(self) -> None:
        assert PRICE.of(Usage(0, 1000, reasoning_tokens=900)) == pytest.approx(0.06)

    @pytest.mark.parametrize("field", ["input_cost_per_thousand", "output_cost_per_thousand"])
    def test_is_not_negative(self, field: str) -> None:
        with pytest.raises(ValidationError, match=field):
            ModelCost.model_validate(PRICE.model_dump() | {field: -1})

    def test_of_one_thing_is_given_once(self) -> None:
        with pytest.raises(ValidationError, match="input_cost_per_million"):
            ModelCost.model_validate(
                {
                    "input_cost_per_thousand": 1,
                    "input_cost_per_million": 5,
                    "output_cost_per_thousand": 1,
                }
            )

    def test_of_a_long_prompt_is_that_of_its_length_for_all_of_the_request(self) -> None:
        assert TIERED.of(Usage(1_000, 1_000)) == pytest.approx(1 + 2)
        assert TIERED.of(Usage(1_001, 1_000)) == pytest.approx(10.01 + 20)
        assert TIERED.of(Usage(5_001, 1_000, 5_001)) == pytest.approx(5_001 * 0.5 / 1000 + 3)

    @given(tokens=st.integers(0, 10_000), answer=st.integers(0, 1_000), less=st.integers(0, 10_000))
    def test_at_most_is_that_of_no_shorter_prompt(
        self, tokens: int, answer: int, less: int
    ) -> None:
        most = TIERED.most(tokens, answer)
        assert most >= TIERED.of(Usage(min(less, tokens), answer))
        reached = [n for n in (tokens, 1_000, 5_000) if n <= tokens]
        assert most in [TIERED.of(Usage(n, answer)) for n in reached]

    def test_times_a_factor_is_more_or_less_for_long_prompts_too(self) -> None:
        half = TIERED.times(0.5)
        for tokens in (500, 2_000, 6_000):
            usage = Usage(tokens, 10, 3)
            assert half.of(usage) == pytest.approx(TIERED.of(usage) / 2)

    def test_is_nothing_only_if_long_prompts_cost_nothing(self) -> None:
        free = ModelCost(input_cost_per_thousand=0, output_cost_per_thousand=0)
        assert free.is_free
        assert not free.model_copy(update={"above": TIERED.above}).is_free

    @pytest.mark.parametrize("lengths", [(2, 1), (1, 1)])
    def test_of_long_prompts_is_given_in_order_and_once(self, lengths: tuple[int, int]) -> None:
        rates = PRICE.model_dump(exclude={"above", "changes", "service_tiers"})
        tiers = [rates | {"input_tokens": n} for n in lengths]
        with pytest.raises(ValidationError, match="the fewest first"):
            ModelCost.model_validate(PRICE.model_dump() | {"above": tiers})


class TestModelInfo:
    def test_takes_provider_and_name_from_the_id(self) -> None:
        model = ModelInfo(model_id="openai:org/m:free")
        assert (model.provider.name, model.model_name) == ("openai", "org/m:free")
        assert model.provider_name == "openai"

    @pytest.mark.parametrize("model_id", ["gpt-4o", ":gpt-4o", "openai:", ""])
    def test_an_id_has_a_provider_and_a_name(self, model_id: str) -> None:
        with pytest.raises(ValidationError, match="provider:model"):
            ModelInfo(model_id=model_id)

    def test_a_misspelt_field_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="rate_limits"):
            ModelInfo.model_validate({"model_id": "a:b", "rate_limits": {}})

    @pytest.mark.parametrize("field", ["tokens_per_minute", "requests_per_minute"])
    def test_a_rate_limit_is_positive(self, field: str) -> None:
        with pytest.raises(ValidationError, match=field):
            RateLimit.model_validate({field: 0})

    def test_its_key_comes_before_the_providers(self) -> None:
        provider = ProviderInfo(name="OpenAI", default_api_key="theirs")
        own = ModelInfo(model_id="openai:m", provider=provider, api_key="own")
        assert own.key is not None
        assert own.key.get_secret_value() == "own"
        theirs = ModelInfo(model_id="openai:m", provider=provider).key
        assert theirs is not None
        assert theirs.get_secret_value() == "theirs"
        assert ModelInfo(model_id="openai:m").key is None

    def test_a_key_is_never_printed(self) -> None:
        provider = ProviderInfo(name="OpenAI", default_api_key="sk-secret")
        model = ModelInfo(model_id="openai:m", provider=provider, api_key="sk-secret")
        shown = f"{model} {model!r} {model.model_dump()} {model.model_dump_json()} {vars(model)}"
        assert "sk-secret" not in shown
        assert "sk-secret" not in model.fingerprint

    def test_asking_for_the_fingerprint_changes_no_model(self) -> None:
        one, two = ModelInfo(model_id="a:b"), ModelInfo(model_id="a:b")
        assert one.fingerprint
        assert one == two


class TestUnsupportedParameters:
    def test_change_no_answer(self) -> None:
        reasoning = ModelInfo(model_id="p:m", unsupported_parameters=("temperature", "images"))
        assert reasoning.fingerprint == ModelInfo(model_id="p:m").fingerprint

    def test_an_unknown_one_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(ValidationError, match=r"unknown parameter 'temprature'.*'temperature'"):
            ModelInfo.model_validate({"model_id": "p:m", "unsupported_parameters": ["temprature"]})
