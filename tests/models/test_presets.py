"""What presets fill in on a model's card; their wire formats are in providers/test_presets.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError
from ember_bench.models import ModelInfo, Provider, provider
from ember_bench.models.model_registry import models_of_card
from ember_bench.models.presets import PRESETS
from ember_bench.models.price_list import price_list_version
from ember_bench.models.providers.base import provider_class

NAMES = st.sampled_from(sorted(PRESETS))
DOCS = Path(__file__).parents[2] / "docs" / "models.md"


def card(text: str) -> ModelInfo:
    [model] = models_of_card(parse_document(text, Path("card.yaml")))
    return model


def written_out(name: str, model_id: str) -> ModelInfo:
    """Return the model of a card that says itself what a preset fills in."""
    preset = PRESETS[name]
    server = {"name": preset.provider, "base_url": preset.base_url}
    return ModelInfo.model_validate(
        {
            "model_id": model_id,
            "model_name": f"{preset.prefix}m",
            "provider": {**server, "key_variable": preset.key_variable},
            "options": dict(preset.options),
            "unsupported_parameters": preset.unsupported,
        }
    )


class TestIdentity:
    @pytest.mark.parametrize("name", PRESETS)
    def test_is_that_of_a_card_that_says_the_same(self, name: str) -> None:
        short, long = ModelInfo(model_id=f"{name}:m"), written_out(name, f"{name}:m")
        assert short.fingerprint == long.fingerprint
        assert short.provider == long.provider
        assert short.unsupported_parameters == long.unsupported_parameters

    @pytest.mark.parametrize("name", PRESETS)
    def test_named_or_before_the_colon_is_one(self, name: str) -> None:
        model = {"model_id": f"{name}:m"}
        assert ModelInfo.model_validate(model) == ModelInfo.model_validate(
            {**model, "preset": name}
        )

    def test_of_a_model_without_a_preset_is_as_it_was(self) -> None:
        model = ModelInfo.model_validate(
            {"model_id": "openai:x", "provider": {"name": "openai", "base_url": "http://a/v1"}}
        )
        assert model.preset is None
        assert model.fingerprint == "0f630aad353bffdec37b7addb2762455"


class TestACard:
    @given(NAMES, st.sampled_from(["http://a/v1", None]), st.sampled_from(["MY_KEY", None]))
    def test_wins_over_its_preset(self, name: str, url: str | None, variable: str | None) -> None:
        server = {"base_url": url, "key_variable": variable}
        model = ModelInfo.model_validate(
            {
                "model_id": "mine:m",
                "preset": name,
                "model_name": "other",
                "provider": {k: v for k, v in server.items() if v},
                "options": {"reasoning_effort": "low"},
                "unsupported_parameters": ["tools"],
                "cost": None,
            }
        )
        preset = PRESETS[name]
        assert model.provider_name == preset.provider
        assert model.provider.base_url == (url or preset.base_url)
        assert model.provider.key_variable == (variable or preset.key_variable)
        assert model.model_name == "other"
        assert model.options == {**preset.options, "reasoning_effort": "low"}
        assert model.unsupported_parameters == ("tools",)
        assert model.cost is None

    def test_replaces_one_option_and_keeps_the_others(self) -> None:
        model = card("name: groq:m\noptions: {max_tokens_field: max_tokens}")
        assert model.options == {"max_tokens_field": "max_tokens"}
        model = card("name: mistral:m\noptions: {fields: {thinking_tokens: budget}}")
        assert model.options == {"fields": {"seed": "random_seed", "thinking_tokens": "budget"}}

    def test_may_give_the_address_of_a_server_alone(self) -> None:
        model = card("name: vllm:m\nprovider: {base_url: 'http://gpu:8000/v1'}")
        assert model.provider_name == "openai"
        assert model.provider.base_url == "http://gpu:8000/v1"

    def test_of_another_provider_has_no_preset(self) -> None:
        model = ModelInfo.model_validate(
            {"model_id": "groq:m", "provider": {"name": "openai", "base_url": "http://a/v1"}}
        )
        assert (model.preset, model.options) == (None, {})

    def test_with_an_unknown_preset_is_told_the_near_ones(self) -> None:
        with pytest.raises(ConfigError, match=r"card\.yaml:2:1: .*'opnrouter'.*'openrouter'"):
            card("name: mine:m\npreset: opnrouter")
        with pytest.raises(ValidationError, match="did you mean 'deepseek'"):
            ModelInfo(model_id="mine:m", preset="deepsek")


class TestPrices:
    def test_come_from_the_price_list(self) -> None:
        model = ModelInfo(model_id="deepseek:deepseek-v4-pro")
        listed = ModelInfo.model_validate(
            {
                "model_id": "openai:x",
                "model_name": "deepseek-v4-pro",
                "provider": {"name": "openai", "base_url": "https://api.deepseek.com"},
                "cost": "list",
            }
        )
        assert model.cost == listed.cost is not None
        assert model.price_source == price_list_version()

    @pytest.mark.parametrize(
        "model_id", ["deepseek:nonsense", "openrouter:openai/gpt-4o", "vllm:m"]
    )
    def test_are_unknown_if_nobody_lists_them(self, model_id: str) -> None:
        model = ModelInfo(model_id=model_id)
        assert (model.cost, model.price_source) == (None, None)


class TestKeys:
    def test_are_in_the_servers_own_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
        monkeypatch.delenv("GROQ_API_KEY", raising=False)
        model = ModelInfo(model_id="groq:m")
        openai = provider_class("openai")
        with pytest.raises(ConfigError, match="no key for groq:m: set GROQ_API_KEY in the env"):
            openai.check([model])
        monkeypatch.setenv("GROQ_API_KEY", "gsk-of-groq")
        [key] = openai(model).all_keys()
        assert key.get_secret_value() == "gsk-of-groq"

    def test_are_not_needed_by_servers_of_ones_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        for name in ("llamacpp", "lmstudio", "ollama", "sglang", "vllm"):
            provider_class("openai").check([ModelInfo(model_id=f"{name}:m")])

    def test_of_anthropic_may_be_a_token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
        monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-of-mine")
        asked = provider_class("anthropic")(ModelInfo(model_id="anthropic:m"))
        assert [key.get_secret_value() for key in asked.all_keys()] == ["token-of-mine"]
        monkeypatch.setenv("ANTHROPIC_API_KEY", "key-of-mine")
        asked = provider_class("anthropic")(ModelInfo(model_id="anthropic:m"))
        assert [key.get_secret_value() for key in asked.all_keys()] == ["key-of-mine"]


class TestFields:
    @pytest.mark.parametrize("fields", [{"seed": "messages"}, {"seed": "a..b"}, {"top_p": "p"}])
    def test_that_cannot_be_are_refused(self, fields: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match=r"card\.yaml:2"):
            card(f"name: openai:m\noptions: {{fields: {fields}}}")


def test_a_provider_cannot_take_the_name_of_a_preset() -> None:
    with pytest.raises(ConfigError, match="a preset has this name"):
        provider("groq")(Provider)


def test_the_page_has_them_all() -> None:
    page = DOCS.read_text("utf-8").partition("## Presets")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in page.splitlines() if line.count("|") == 6]
    _, _, *rows = [[cell.strip() for cell in line] for line in lines]
    assert [name.strip("`") for name, *_ in rows] == [*PRESETS]
    for name, server, key, requests, prices in rows:
        preset = PRESETS[name.strip("`")]
        assert preset.base_url is None or server == f"`{preset.base_url}`"
        assert preset.key_variable is None or key == f"`{preset.key_variable}`"
        said, _, lacking = requests.partition("no `")
        assert re.findall(r"`(\w+)`", f"`{lacking}") == [*preset.unsupported]
        names = preset.options.get("fields", {})
        assert dict(re.findall(r"`(\w+)` is `([\w.]+)`", said)) == names
        if "max_tokens_field" in preset.options:
            assert f"`{preset.options['max_tokens_field']}`" in said
        assert ("responses" in said) == (preset.options.get("api") == "responses")
        assert (prices == "price list") == preset.priced
