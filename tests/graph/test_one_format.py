"""An operator's card and an architecture's are read by the functions of both."""

from __future__ import annotations

from pathlib import Path

import pytest

import ember_bench as eb
from ember_bench.errors import ConfigError
from ember_bench.graph.architecture import load_architecture
from ember_bench.models import ModelRegistry, ModelService
from ember_bench.registry import Cards, builtin_root

SERVICE = ModelService(ModelRegistry.from_cards(Cards([builtin_root()])))
DEBATE = builtin_root() / "architectures" / "debate.yaml"


def lm() -> eb.LMModule:
    config = eb.LMModuleConfig(model_name="simulated:small", temperature=0.5)
    return eb.LMModule(config, service=SERVICE)


def saved(operator: eb.Operator, folder: Path) -> Cards:
    (folder / "architectures").mkdir()
    eb.save_operator(operator, folder / "architectures" / "mine.yaml")
    return Cards([builtin_root(), folder])


def test_a_saved_graph_is_an_architecture_with_its_nodes(tmp_path: Path) -> None:
    graph = eb.NoNGraphData(
        {"drafts": eb.EnsembleOperator(lm_modules=[lm(), lm()]), "vote": eb.MostCommonOperator()},
        {"vote": ["drafts"]},
    )
    mine = load_architecture("mine", saved(graph, tmp_path))
    assert mine.check({}) == {}
    assert mine.build({}, SERVICE).describe() == graph.describe()


def test_another_saved_operator_is_an_architecture_of_one_node(tmp_path: Path) -> None:
    chain = eb.EnsembleOperator(lm_modules=[lm()]) >> eb.MostCommonOperator()
    built = load_architecture("mine", saved(chain, tmp_path)).build({}, SERVICE)
    assert built.nodes["network"].describe() == chain.describe()


def test_mistakes_have_their_place_in_the_file(tmp_path: Path) -> None:
    cards = saved(eb.MostCommonOperator(ties="share"), tmp_path)
    file = tmp_path / "architectures" / "mine.yaml"
    file.write_text(file.read_text().replace("MostCommonOperator", "MostComonOperator"))
    with pytest.raises(ConfigError, match=r"mine.yaml:1:1: .*did you mean 'MostCommonOperator'"):
        load_architecture("mine", Cards([builtin_root(), tmp_path]))
    assert "mine" in cards.all("architectures")


def test_an_architecture_is_loaded_as_an_operator() -> None:
    given = {"models": ["simulated:small"], "each": 2}
    graph = eb.load_operator(DEBATE, SERVICE, parameters=given)
    architecture = load_architecture("debate", Cards([builtin_root()]))
    built = architecture.build(architecture.check(given), SERVICE)
    assert graph.describe() == built.describe()
    with pytest.raises(ConfigError, match=r"debate.yaml:\d+:\d+: missing parameter 'models'"):
        eb.load_operator(DEBATE, SERVICE)
    with pytest.raises(ConfigError, match="unknown parameter 'modls'; did you mean 'models'"):
        eb.load_operator(DEBATE, SERVICE, parameters={"modls": []})


def test_an_operator_has_no_parameters(tmp_path: Path) -> None:
    saved(eb.MostCommonOperator(), tmp_path)
    file = tmp_path / "architectures" / "mine.yaml"
    assert isinstance(eb.load_operator(file), eb.MostCommonOperator)
    with pytest.raises(ConfigError, match="the card of an operator has no parameters"):
        eb.load_operator(file, parameters={"k": 3})
