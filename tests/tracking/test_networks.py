"""Architectures as they are shown: cards, diagrams, prompts."""

from __future__ import annotations

import pytest
import yaml

from ember_bench.running.session import open_experiment
from ember_bench.tracking.messages import Network
from ember_bench.tracking.networks import networks

GRID = """
name: judged
datasets:
  - {name: arithmetic, parameters: {count: 2}}
  - {name: arithmetic_choice, parameters: {count: 2}}
architectures:
  - {name: single, parameters: {model: "simulated:small"}}
  - name: ensemble_judge
    parameters: {models: ["simulated:small"], judge: "simulated:large"}
  - {name: self_refine, parameters: {model: "simulated:small", rounds: [1, 2]}}
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Network]:
    path = tmp_path_factory.mktemp("grid") / "judged.yaml"
    path.write_text(GRID)
    return {network.label: network for network in networks(open_experiment(path))}


def test_cells_on_several_datasets_share_an_architecture(found: dict[str, Network]) -> None:
    cells = {label: network.cells for label, network in found.items()}
    single = "single(model=simulated:small)"
    assert cells["single"] == [f"arithmetic/{single}", f"arithmetic_choice/{single}"]
    assert len(cells) == 4
    rounds = [network.parameters.get("rounds") for network in found.values()]
    assert rounds == [None, None, 1, 2]


def test_it_has_a_card_and_a_diagram(found: dict[str, Network]) -> None:
    network = next(network for network in found.values() if network.prompts)
    assert network.architecture == "ensemble_judge"
    assert yaml.safe_load(network.card)["name"] == "ensemble_judge"
    assert yaml.safe_load(network.card)["purpose"] == network.purpose
    assert "judge" in network.tree
    assert network.svg.startswith("<svg")
    assert network.mermaid.startswith("flowchart")


def test_prompts_are_those_of_the_nodes_and_a_bare_question_is_none(
    found: dict[str, Network],
) -> None:
    prompts = {
        network.architecture: [prompt.name for prompt in network.prompts]
        for network in found.values()
    }
    assert prompts == {
        "single": [],
        "ensemble_judge": ["ensemble_judge.judge"],
        "self_refine": ["self_refine.refine.critique", "self_refine.refine.refine"],
    }


def test_placeholders_are_written_as_mlflow_does(found: dict[str, Network]) -> None:
    (judge,) = next(network for network in found.values() if network.prompts).prompts
    assert "{{query}}" in judge.template
    assert "{{{" not in judge.template
