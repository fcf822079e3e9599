"""The built-in architectures as cards: documented, drawn, and usable in a grid."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import ConfigError
from ember_bench.experiment.trial import graph_inputs, score_output
from ember_bench.graph.architecture import Architecture, load_architecture
from ember_bench.graph.data import PreparedGraph
from ember_bench.graph.example import diagram_of, example_graph
from ember_bench.models import ModelRegistry
from ember_bench.operators.lm import LMModuleConfig
from ember_bench.operators.parameters import ImpliedParameter
from ember_bench.registry import Cards, builtin_root
from tests.support.models import in_trial, serve, simulated
from tests.support.workspace import Workspace

CARDS = Cards([builtin_root()])
NAMES = [
    "archon", "archon_unit_tests", "best_of_k", "caravan", "cascade", "debate", "ensemble_judge",
    "ensemble_vote", "filter_vote", "mixture_of_agents", "oracle", "router", "self_refine",
    "single", "storm", "tree_of_thoughts", "verifier_judge", "vote",
]  # fmt: skip
# What has no paper of its own.
PLAIN = ("ensemble_vote", "oracle", "single")


def architecture(name: str) -> Architecture:
    return load_architecture(name, CARDS)


def test_every_architecture_is_listed_here() -> None:
    assert list(CARDS.all("architectures")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_it_is_for_and_where_it_comes_from(name: str) -> None:
    card = architecture(name).card
    assert card.purpose.endswith(".")
    assert "\n" not in card.purpose
    assert name in PLAIN or re.search(r"\b20\d\d\b", card.paper)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_type_a_range_and_a_purpose(name: str) -> None:
    for parameter, card in architecture(name).card.parameters.items():
        assert card.purpose, parameter
        if isinstance(card, ImpliedParameter):
            assert card.default is None, parameter
        elif card.type in ("int", "float"):
            assert card.default is not None, parameter
            assert card.minimum is not None, parameter
            assert card.maximum is not None, parameter
        if card.default is not None:
            assert card.check(card.default) == card.default


@pytest.mark.parametrize("name", NAMES)
def test_every_sampling_parameter_of_the_answers_and_the_prompt_can_be_given(name: str) -> None:
    fields = {*LMModuleConfig.model_fields} - {"model_name", "persona"}
    # The number of fused answers of archon has the name of a sampling parameter.
    taken = {"top_k"} if name == "archon" else set()
    implied = {
        parameter
        for parameter, card in architecture(name).card.parameters.items()
        if isinstance(card, ImpliedParameter)
    }
    own = {"temperature"} | taken
    assert (fields | {"system", "prompt"}) - own <= implied


@pytest.mark.parametrize("name", NAMES)
def test_the_diagram_shows_every_node_and_every_model(name: str) -> None:
    found = architecture(name)
    diagram = diagram_of(found)
    for node in found.card.graph:
        assert re.search(rf"^ +{node}\b", diagram, re.MULTILINE)
    for parameter, card in found.card.parameters.items():
        if card.type in ("model", "models"):
            assert f"${parameter}" in diagram
    assert "simulated" not in diagram


def test_a_diagram() -> None:
    assert diagram_of(architecture("mixture_of_agents")).splitlines() == [
        "3 nodes, 5 LM modules",
        "  propose    EnsembleOperator $models.1 (temperature=0.7), $models.2 (temperature=0.7)",
        "  refine     Fuser $models.1 (temperature=0.7), $models.2 (temperature=0.7) <- propose",
        "  aggregate  Fuser $aggregator (temperature=0.7) <- refine",
    ]


@pytest.fixture
def grid(tmp_path: Path) -> Workspace:
    """A grid with every architecture, each on simulated models, over three items."""
    workspace = Workspace(tmp_path)
    workspace.cards = lambda: CARDS
    entries: list[dict[str, Any]] = []
    for name in NAMES:
        parameters: dict[str, Any] = {}
        for parameter, card in architecture(name).card.parameters.items():
            if card.type == "model":
                parameters[parameter] = "simulated:small"
            elif card.type == "models":
                parameters[parameter] = ["simulated:small", "simulated:medium"]
        entries.append({"name": name, "parameters": parameters})
    workspace.grid(
        name="all",
        datasets=[{"name": "arithmetic", "limit": 3}, {"name": "network_flows", "limit": 3}],
        architectures=entries,
    )
    return workspace


def test_every_architecture_runs_in_a_grid(grid: Workspace) -> None:
    experiment = grid.experiment()
    assert len(experiment.cells) == 2 * len(NAMES)
    for cell in experiment.cells:
        questions = experiment.questions[cell.dataset]
        prepared = PreparedGraph(cell.graph)
        for item in questions.items:
            outputs = prepared.run(graph_inputs(item))
            score = score_output(questions.evaluator, item, outputs[cell.graph.output])
            assert 0 <= score.value <= 1, cell.name


def test_every_trial_of_the_grid_is_scored(grid: Workspace) -> None:
    for cell in grid.run().summary.cells:
        assert not {"error", "skipped"} & {o for o, n in cell.outcomes.items() if n}, cell.name


class TestRepeat:
    """`repeat: n` in a card's node."""

    def build(self, refinements: int) -> Any:
        found = architecture("mixture_of_agents")
        service = serve(simulated("a"), simulated("b"))
        given = {"models": ["simulated:a"], "aggregator": "simulated:b"}
        return found.build(found.check({**given, "refinements": refinements}), service)

    def test_each_is_given_the_outputs_of_the_one_before(self) -> None:
        assert self.build(2).edges == {
            "propose": (),
            "refine_1": ("propose",),
            "refine_2": ("refine_1",),
            "aggregate": ("refine_2",),
        }

    def test_one_keeps_its_name(self) -> None:
        assert list(self.build(1).nodes) == ["propose", "refine", "aggregate"]

    def test_none_lets_by_what_it_would_be_given(self) -> None:
        assert self.build(0).edges == {"propose": (), "aggregate": ("propose",)}

    def test_it_is_a_number(self, tmp_path: Path) -> None:
        workspace = Workspace(tmp_path)
        node = {"operator": "MostCommonOperator", "repeat": "often"}
        card = {"name": "odd", "purpose": "Odd.", "graph": {"votes": node}}
        workspace.write("registry/architectures/odd.yaml", card)
        odd = load_architecture("odd", workspace.cards())
        with pytest.raises(ConfigError, match=r"odd.yaml:\d+:\d+: repeat: expected a whole number"):
            odd.build({}, serve())


def test_an_example_needs_no_registry_and_asks_simulated_models() -> None:
    graph = example_graph(architecture("vote"))
    output, strand = in_trial(lambda: graph(query="?"))
    assert len(strand.trial.calls) == 5
    assert output["final_answer"].startswith("simulated answer")
    assert "simulated:$model" not in ModelRegistry.from_cards(CARDS)
