"""The prompts of networks, worded otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ember_bench import (
    EnsembleOperator,
    Function,
    JudgeBasedOperator,
    NoNGraphData,
    SelfRefine,
    Signature,
)
from ember_bench.errors import ConfigError
from ember_bench.graph.architecture import load_architecture
from ember_bench.operators.lm import LMModule
from ember_bench.optimising.prompts import Wording, architecture_card, prompts_of, reworded
from ember_bench.registry import Cards, builtin_root
from tests.support.models import in_trial, module, serve, simulated, telling

TEMPLATE = "Answer {{briefly}}.\n\nQuestion: {query}\nAnswer:"


def network(lm: LMModule) -> NoNGraphData:
    inner = NoNGraphData({"draft": EnsembleOperator(lm_modules=[lm])})
    return NoNGraphData(
        {
            "answers": EnsembleOperator(
                lm_modules=[lm, lm], signature=Signature(prompt_template=TEMPLATE)
            ),
            "inner": inner,
            "judge": JudgeBasedOperator(lm_modules=[lm]),
        },
        {"judge": ["answers", "inner"]},
    )


def lm_of_simulated() -> LMModule:
    model = simulated()
    return module(serve(model), model)


def test_each_node_with_models_has_its_prompt() -> None:
    found = prompts_of(network(lm_of_simulated()))
    assert list(found) == ["answers", "inner/draft", "judge"]
    assert found["answers"].wording == Wording("Answer {briefly}.")
    assert found["answers"].rest == "Question: {query}\nAnswer:"


def test_several_prompts_of_one_node_have_names_of_their_own() -> None:
    lm = lm_of_simulated()
    graph = NoNGraphData({"refine": SelfRefine(lm_modules=[lm])})
    names = list(prompts_of(graph))
    assert len(names) > 1
    assert all(name.startswith("refine:") for name in names)


def test_the_same_wording_is_the_same_network() -> None:
    graph = network(lm_of_simulated())
    prompts = prompts_of(graph)
    same = reworded(graph, prompts, {name: p.wording for name, p in prompts.items()})
    assert same.describe() == graph.describe()


def test_another_wording_changes_its_prompt_alone() -> None:
    model = telling()
    lm = module(serve(model), model)
    graph = network(lm)
    before = graph.describe()
    wording = Wording("Think {hard}.", ("Question: 1?\nAnswer: {1}",))
    changed = reworded(graph, prompts_of(graph), {"answers": wording})
    operator = changed.nodes["answers"]
    assert operator.signature is not None
    assert operator.signature.render({"query": "2?"}) == (
        "Think {hard}.\n\nQuestion: 1?\nAnswer: {1}\n\nQuestion: 2?\nAnswer:"
    )
    assert graph.describe() == before
    assert changed.lm_modules() == [lm]
    assert changed.nodes["judge"].describe() == graph.nodes["judge"].describe()


def test_a_network_without_prompts_is_refused() -> None:
    graph = NoNGraphData({"f": Function(lambda query: query)})
    with pytest.raises(ConfigError, match="no prompt of its own"):
        prompts_of(graph)


def test_the_card_of_a_network_is_that_network(tmp_path: Path) -> None:
    lm = LMModule(network(lm_of_simulated()).lm_modules()[0].config, service=serve(simulated()))
    graph = network(lm)
    graph = reworded(graph, prompts_of(graph), {"judge": Wording("Judge {well}: $5")})
    card = architecture_card(graph, "better", "Better.")
    path = tmp_path / "architectures/better.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(card, sort_keys=False))
    loaded = load_architecture("better", Cards([builtin_root(), tmp_path]))
    built = loaded.build({}, lm.service)
    assert built.nodes["judge"].describe() == graph.nodes["judge"].describe()
    assert built.edges == graph.edges
    (first, _), (second, _) = (in_trial(lambda g=g: g({"query": "q"})) for g in (built, graph))
    assert first.keys() == second.keys()


def test_an_operator_that_no_card_can_name_is_refused() -> None:
    graph = NoNGraphData({"f": Function(lambda query: query)})
    with pytest.raises(ConfigError, match="cannot be saved"):
        architecture_card(graph, "x", "")
