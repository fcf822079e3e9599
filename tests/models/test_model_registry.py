from __future__ import annotations

from enum import Enum
from pathlib import Path

import pytest
import yaml

from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.models import ModelInfo, ModelRegistry
from ember_bench.registry import Cards, builtin_root


class Models(Enum):
    GPT = "openai:gpt-4o"
    BARE = "gpt-4o"


@pytest.fixture
def registry() -> ModelRegistry:
    registry = ModelRegistry()
    for model_id in ("openai:gpt-4o", "openai:gpt-4o-mini", "anthropic:claude"):
        registry.register_model(ModelInfo(model_id=model_id))
    return registry


@pytest.mark.parametrize("name", ["openai:gpt-4o", "gpt-4o", Models.GPT, Models.BARE])
def test_a_model_is_found_by_id_bare_name_or_enum(
    registry: ModelRegistry, name: str | Enum
) -> None:
    assert registry.get(name).model_id == "openai:gpt-4o"


def test_a_model_is_found_by_itself(registry: ModelRegistry) -> None:
    stranger = ModelInfo(model_id="x:y")
    assert registry.get(stranger) is stranger


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("openai:gpt4o", "openai:gpt-4o"),
        ("gtp-4o", "gpt-4o"),
        ("claud", "claude"),
        ("mini", "openai:gpt-4o-mini"),
    ],
)
def test_an_unknown_name_lists_near_matches(registry: ModelRegistry, name: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match="did you mean") as caught:
        registry.get(name)
    assert repr(near) in str(caught.value)


def test_an_unknown_name_is_a_key_error_with_a_readable_message(registry: ModelRegistry) -> None:
    with pytest.raises(KeyError) as caught:
        registry.get("nonsense")
    assert str(caught.value).startswith("unknown model 'nonsense'")


def test_a_bare_name_that_several_have_lists_their_ids(registry: ModelRegistry) -> None:
    registry.register_model(ModelInfo(model_id="azure:gpt-4o"))
    with pytest.raises(ConfigError, match=r"azure:gpt-4o, openai:gpt-4o; give the whole id"):
        registry.get("gpt-4o")
    assert registry.get("azure:gpt-4o").preset == "azure"


def test_an_id_belongs_to_one_model(registry: ModelRegistry) -> None:
    registry.register_model(ModelInfo(model_id="openai:gpt-4o"))  # the same again
    assert len(registry) == 3
    with pytest.raises(ConfigError, match="already registered as 'openai:gpt-4o'"):
        registry.register_model(ModelInfo(model_id="openai:gpt-4o", max_concurrency=1))


def test_it_can_be_asked_what_it_has(registry: ModelRegistry) -> None:
    assert "gpt-4o" in registry
    assert "gpt-5" not in registry
    assert [m.model_name for m in registry] == ["gpt-4o", "gpt-4o-mini", "claude"]


class TestCards:
    def registry(self, folder: Path, *texts: str) -> ModelRegistry:
        (folder / "models").mkdir(exist_ok=True)
        for number, text in enumerate(texts):
            (folder / "models" / f"{number}.yaml").write_text(text)
        return ModelRegistry.from_cards(Cards([folder]))

    def test_the_built_in_ones_can_all_be_read(self) -> None:
        registry = ModelRegistry.from_cards(Cards([builtin_root()]))
        assert {"simulated:small", "openai:gpt-4o"} <= {m.model_id for m in registry}
        for model in registry:
            assert model.cost is not None

    def test_name_is_the_id(self, tmp_path: Path) -> None:
        registry = self.registry(tmp_path, "name: simulated:mine\noptions: {accuracy: 0.9}")
        assert registry.get("mine").options == {"accuracy": 0.9}

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("text", "where", "message"),
        [
            ("purpose: x\nname: mine", "2:1", "expected `provider:model`, found 'mine'"),
            ("name: simulatd:mine", "1:1", "unknown provider 'simulatd'; did you mean 'simulated'"),
            ("name: simulated:m\nmax_concurency: 3", "2:1", "did you mean 'max_concurrency'"),
            ("name: simulated:m\nmax_concurrency: lots", "2:1", "expected a whole number"),
            ("name: simulated:m\ncost:\n  input_cost: 3", "3:3", "unknown field 'input_cost'"),
            ("name: simulated:m\noptions:\n  acuracy: 1", "3:3", "did you mean 'accuracy'"),
            ("name: simulated:m\noptions:\n  accuracy: 2", "3:3", "must be at most 1"),
        ],
    )
    def test_a_mistake_is_reported_at_its_place(
        self, tmp_path: Path, text: str, where: str, message: str
    ) -> None:
        name = yaml.safe_load(text)["name"]
        with pytest.raises(ConfigError) as caught:
            self.registry(tmp_path, text).get(name)
        assert f"0.yaml:{where}: " in str(caught.value)
        assert message in str(caught.value)

    def test_a_broken_card_breaks_only_its_own_models(self, tmp_path: Path) -> None:
        registry = self.registry(tmp_path, "name: one", "name: [", "name: simulated:fine")
        assert registry.get("fine").model_id == "simulated:fine"
        with pytest.raises(ConfigError, match="expected `provider:model`"):
            registry.get("one")

    def test_an_unknown_model_may_be_that_of_a_card_that_cannot_be_read(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(ConfigError) as caught:
            self.registry(tmp_path, "name: [").get("simulated:other")
        unknown, broken = map(str, caught.value.problems)
        assert "unknown model 'simulated:other'" in unknown
        assert "0.yaml:1:" in broken
