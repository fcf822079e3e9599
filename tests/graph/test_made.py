"""Architectures that Python code makes."""

from __future__ import annotations

from typing import Any

import pytest

from ember_bench.errors import ConfigError
from ember_bench.graph.data import NoNGraphData
from ember_bench.graph.made import MadeArchitecture, made_architecture, parameters_of
from ember_bench.models import ModelInfo, ModelRegistry, ModelService
from ember_bench.operators import LMModule, LMModuleConfig, MostCommonOperator


@pytest.fixture
def service() -> ModelService:
    registry = ModelRegistry()
    registry.register_model(ModelInfo(model_id="simulated:m"))
    return ModelService(registry)


def built(made: MadeArchitecture, service: ModelService, **given: Any) -> NoNGraphData:
    return made.build(made.check(given), service)


def test_a_graph_stays_itself(service: ModelService) -> None:
    graph = NoNGraphData({"vote": MostCommonOperator()})
    assert built(made_architecture("x", graph, {}), service) is graph


def test_an_operator_and_an_lm_module_are_graphs_of_one_node(service: ModelService) -> None:
    lm = LMModule(LMModuleConfig(model_name="simulated:m"), service=service)
    for network in (MostCommonOperator(), lm, lambda query: query):
        assert list(built(made_architecture("x", network, {}), service).nodes) == ["answer"]


def test_notation_is_built_with_the_given_service(service: ModelService) -> None:
    for notation in ("2E@simulated:m, M", ["2E@simulated:m", "M"]):
        graph = built(made_architecture("x", notation, {}), service)
        assert [lm.service for lm in graph.lm_modules()] == [service, service]


def test_a_factory_is_called_with_the_parameters(service: ModelService) -> None:
    made = made_architecture("x", lambda k: f"{k}E@simulated:m, M", {"k": [2, 3]})
    assert len(built(made, service, k=3).lm_modules()) == 3


@pytest.mark.parametrize(
    ("values", "kind", "optional"),
    [
        ([1, 2], "int", False),
        ([1, 0.5], "float", False),
        (["a"], "str", False),
        ([True], "bool", False),
        ([None, 0.5], "float", True),
        ([["m"], ["m", "m"]], "models", False),
    ],
)
def test_the_type_of_a_parameter_is_that_of_its_values(
    values: list[Any], kind: str, optional: bool
) -> None:
    card = made_architecture("x", lambda p: "M", {"p": values}).card.parameters["p"]
    assert (card.type, card.optional) == (kind, optional)


@pytest.mark.parametrize("values", [[1, "a"], [True, 1], [{"a": 1}], [[1]]])
def test_values_that_no_card_could_have_are_a_mistake(values: list[Any]) -> None:
    with pytest.raises(ConfigError, match="p: expected texts, numbers"):
        made_architecture("x", lambda p: "M", {"p": values})


def test_the_fields_of_an_item_are_no_parameters() -> None:
    assert list(parameters_of(lambda query, choices, k: query)) == ["k"]
    assert list(parameters_of(lambda query, /, k=1: query)) == ["k"]
    assert list(parameters_of(lambda k, model: "M")) == ["k", "model"]
    assert parameters_of(MostCommonOperator()) == {}


def test_what_is_no_network_is_a_mistake(service: ModelService) -> None:
    with pytest.raises(ConfigError, match="found int"):
        made_architecture("x", 3, {})
    with pytest.raises(ConfigError, match=r"architecture 'x': expected a graph.*found NoneType"):
        built(made_architecture("x", lambda: None, {}), service)
