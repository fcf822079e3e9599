from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.graph import execute
from ember_bench.graph.architecture import Architecture, load_architecture
from ember_bench.operators.parameters import ParameterCard, sweep
from ember_bench.registry import Cards, builtin_root
from tests.support.models import Subject, in_trial, serve, simulated

pytestmark = pytest.mark.slow

SERVICE = serve(simulated("a", accuracy=1.0), simulated("b"))

CARD = """\
name: mine
purpose: A test.
parameters:
  model: {type: model}
  k: {type: int, default: 3, minimum: 1, maximum: 5}
  temperature: {type: float, default: 0.7}
  ties: {type: str, default: first, choices: [first, random]}
graph:
  ensemble:
    operator: EnsembleOperator
    lm_modules: [{model: $model, temperature: $temperature, count: $k}]
  vote:
    operator: MostCommonOperator
    inputs: [ensemble]
    arguments: {ties: $ties}
"""


def load(folder: Path, text: str = CARD) -> Architecture:
    (folder / "architectures").mkdir(exist_ok=True)
    (folder / "architectures" / "mine.yaml").write_text(text)
    return load_architecture("mine", Cards([builtin_root(), folder]))


def refused(folder: Path, text: str, **parameters: Any) -> str:
    """Return the message, without the folder, with which a card or its graph is refused."""

    def build() -> None:
        architecture = load(folder, text)
        architecture.build(architecture.check(parameters), SERVICE)

    with pytest.raises(ConfigError) as caught:
        build()
    return str(caught.value).replace(f"{folder}/architectures/", "")


class TestParameters:
    def test_are_filled_in_with_their_defaults(self, tmp_path: Path) -> None:
        checked = load(tmp_path).check({"model": "a", "temperature": 1})
        assert checked == {"model": "a", "k": 3, "temperature": 1.0, "ties": "first"}
        assert isinstance(checked["temperature"], float)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({}, "missing parameter 'model' (model)"),
            ({"modl": "a"}, "unknown parameter 'modl'; did you mean 'model'?"),
            ({"model": 7}, "model: expected a model, `provider:model` (found 7)"),
            ({"model": "a", "k": 2.5}, "k: expected a whole number (found 2.5)"),
            ({"model": "a", "k": True}, "k: expected a whole number (found True)"),
            ({"model": "a", "k": "3"}, "k: expected a whole number (found '3')"),
            ({"model": "a", "k": 0}, "k: must be at least 1 (found 0)"),
            ({"model": "a", "k": 6}, "k: must be at most 5 (found 6)"),
            (
                {"model": "a", "temperature": "hot"},
                "temperature: expected a number (found 'hot')",
            ),
            ({"model": "a", "ties": "all"}, "ties: expected one of first, random (found 'all')"),
        ],
    )
    def test_are_refused_by_name_with_what_was_expected(
        self, tmp_path: Path, given: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=r".") as caught:
            load(tmp_path).check(given)
        assert str(caught.value) == message

    @pytest.mark.parametrize(
        ("kind", "good", "bad", "expected"),
        [
            ("bool", [True, False], [0, 1, "yes"], "true or false"),
            ("int", [0, -3], [1.0, True, "1"], "a whole number"),
            ("float", [0.5, 1], ["1", False], "a number"),
            ("str", ["", "x"], [1, ["x"]], "text"),
            ("model", ["a:b"], [1, ["a:b"]], "a model"),
            ("models", [[], ["a:b"], ["a", "a"]], ["a:b", [1], [["a"]], 3], "a list of models"),
        ],
    )
    def test_have_a_type(self, kind: Any, good: list[Any], bad: list[Any], expected: str) -> None:
        card = ParameterCard(type=kind)
        assert [card.check(value) for value in good] == good
        for value in bad:
            with pytest.raises(ValueError, match=f"expected {expected}"):
                card.check(value)

    def test_that_are_lists_have_a_length(self) -> None:
        card = ParameterCard(type="models", minimum=2, maximum=3)
        assert card.check(["a", "b"]) == ["a", "b"]
        with pytest.raises(ValueError, match="must be at least 2 models"):
            card.check(["a"])
        with pytest.raises(ValueError, match="must be at most 3 models"):
            card.check(["a"] * 4)

    def test_may_be_optional(self, tmp_path: Path) -> None:
        text = CARD.replace("{type: model}", "{type: model, optional: true}")
        assert load(tmp_path, text).check({})["model"] is None

    def test_a_default_is_checked_like_any_value(self, tmp_path: Path) -> None:
        text = CARD.replace("default: 3", "default: 9")
        with pytest.raises(ValueError, match="k: must be at most 5"):
            load(tmp_path, text).check({"model": "a"})


class TestBuilding:
    def test_replaces_references_by_values(self, tmp_path: Path) -> None:
        architecture = load(tmp_path)
        given = {"model": "a", "k": 2, "temperature": 0.5, "ties": "random"}
        graph = architecture.build(architecture.check(given), SERVICE)
        assert [(node.name, node.inputs) for node in graph] == [
            ("ensemble", ()), ("vote", ("ensemble",)),
        ]  # fmt: skip
        assert [(lm.model.model_name, lm.config.temperature) for lm in graph.lm_modules()] == [
            ("a", 0.5), ("a", 0.5),
        ]  # fmt: skip
        assert graph.nodes["vote"].ties == "random"  # type: ignore[attr-defined]

    def test_the_graph_runs(self, tmp_path: Path) -> None:
        architecture = load(tmp_path)
        graph = architecture.build(architecture.check({"model": "a"}), SERVICE)
        output, _ = in_trial(lambda: execute(graph, {"query": "q"}), subject=Subject())
        assert output["vote"] == {"final_answer": "7", "votes": {"7": 3}}

    def test_nested_operators_are_built(self, tmp_path: Path) -> None:
        text = """\
name: mine
purpose: A test.
parameters: {cheap: {type: models}, agreement: {type: float, default: 0.5}}
graph:
  cascade:
    operator: CascadeOperator
    arguments:
      agreement: $agreement
      stages:
        - {operator: EnsembleOperator, lm_modules: [{model: $cheap}]}
        - {operator: EnsembleOperator, lm_modules: [{model: "simulated:b", count: 2}]}
"""
        architecture = load(tmp_path, text)
        graph = architecture.build(architecture.check({"cheap": ["a", "b"]}), SERVICE)
        assert [lm.model.model_name for lm in graph.lm_modules()] == ["a", "b", "b", "b"]
        assert graph.nodes["cascade"].agreement == 0.5  # type: ignore[attr-defined]

    def test_two_dollars_are_one(self, tmp_path: Path) -> None:
        text = CARD.replace("count: $k", "persona: $$5, count: $k")
        architecture = load(tmp_path, text)
        graph = architecture.build(architecture.check({"model": "a"}), SERVICE)
        assert graph.lm_modules()[0].config.persona == "$5"

    def test_an_unknown_model_lists_near_matches(self, tmp_path: Path) -> None:
        architecture = load(tmp_path)
        with pytest.raises(UnknownNameError, match="unknown model 'simulated:c'; did you mean"):
            architecture.build(architecture.check({"model": "simulated:c"}), SERVICE)


class TestMistakes:
    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("purpose", "purpos", "mine.yaml:1:1: missing field 'purpose'"),
            ("type: int", "type: integer", "mine.yaml:5:7: parameters.k.type: expected"),
            ("type: int,", "type: int, minimun: 1,", "mine.yaml:5:18: unknown field 'minimun'"),
            ("inputs: ", "input: ", "mine.yaml:14:5: unknown field 'input'; did you mean"),
            ("count: $k", "counts: $k", "mine.yaml:11:61: unknown field 'counts'; did you mean"),
            (
                "$temperature",
                "$temprature",
                "mine.yaml:11:34: unknown parameter $temprature; did you mean 'temperature'?",
            ),
            ("$ties", "$tie", "mine.yaml:15:17: unknown parameter $tie; did you mean 'ties'?"),
            (
                "operator: EnsembleOperator",
                "operator: EnsembelOperator",
                "mine.yaml:10:5: unknown operator 'EnsembelOperator'; did you mean 'Ensemble",
            ),
            ("[ensemble]", "[ensembel]", "mine.yaml:12:3: node 'vote': unknown input 'ensembel'"),
            ("[ensemble]", "[vote]", "mine.yaml:12:3: cycle: 'vote' -> 'vote'"),
            ("ties: $ties", "tie: $ties", "mine.yaml:12:3: "),
            ("count: $k", "count: many", "mine.yaml:9:3: "),
            ("temperature: $temperature", "temperature: -1", "mine.yaml:9:3: "),
            (
                "    lm_modules:",
                "    signature: generat\n    lm_modules:",
                "mine.yaml:11:5: unknown signature 'generat'; did you mean 'generate'",
            ),
        ],
    )
    def test_are_said_at_their_place_in_the_card(
        self, tmp_path: Path, old: str, new: str, message: str
    ) -> None:
        assert old in CARD
        assert refused(tmp_path, CARD.replace(old, new, 1), model="a").startswith(message)

    def test_a_duplicate_node_is_a_duplicate_key(self, tmp_path: Path) -> None:
        text = CARD.replace("  vote:", "  ensemble:")
        assert refused(tmp_path, text).startswith("mine.yaml:12:3: duplicate key 'ensemble'")

    def test_a_graph_has_a_node(self, tmp_path: Path) -> None:
        text = "name: mine\npurpose: x\ngraph: {}"
        assert refused(tmp_path, text).startswith("mine.yaml:3:1: graph: ")

    def test_an_unknown_architecture_lists_near_matches(self) -> None:
        with pytest.raises(UnknownNameError, match="unknown architecture 'singel'; did you mean"):
            load_architecture("singel", Cards([builtin_root()]))


class TestSweep:
    @pytest.mark.parametrize(
        ("kind", "value", "swept"),
        [
            ("int", 3, [3]),
            ("int", [1, 3, 5], [1, 3, 5]),
            ("models", ["a", "b"], [["a", "b"]]),
            ("models", [["a"], ["a", "b"]], [["a"], ["a", "b"]]),
            ("models", [], [[]]),
        ],
    )
    def test_a_list_is_swept_over_but_for_a_list_of_models(
        self, kind: Any, value: Any, swept: list[Any]
    ) -> None:
        assert list(sweep(ParameterCard(type=kind), value)) == swept


def test_a_parameter_on_the_card_is_no_sampling_parameter_of_that_name(tmp_path: Path) -> None:
    card = CARD.replace("  k: {", "  seed: {type: int, default: 3}\n  k: {")
    card = card.replace("count: $k}", 'count: $k, sampling: ""}')
    found = load(tmp_path, card)
    graph = found.build(found.check({"model": "simulated:a", "max_tokens": 7}), SERVICE)
    assert {lm.parameters.seed for lm in graph.lm_modules()} == {None}
    assert {lm.parameters.max_tokens for lm in graph.lm_modules()} == {7}


@pytest.mark.parametrize(
    ("default", "message"),
    [
        ("$model", "default of judge: unknown parameter $model; did you mean 'models'?"),
        ("$k.1", "default of judge: $k is no list"),
        ("$judge", "default of judge: $judge has such a default itself"),
    ],
)
def test_a_default_names_a_parameter_that_can_give_it(
    tmp_path: Path, default: str, message: str
) -> None:
    card = REFERRING.replace("$models.1", default)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, card)
    assert message in str(caught.value)


def test_a_default_may_be_an_entry_of_another_parameter(tmp_path: Path) -> None:
    found = load(tmp_path, REFERRING)
    assert found.check({"models": ["a", "b"]})["judge"] == "a"
    assert found.check({"models": ["a", "b"], "judge": "b"})["judge"] == "b"
    second = load(tmp_path, REFERRING.replace("$models.1", "$models.2"))
    with pytest.raises(ValueError, match="judge: 'models' has no entry 2"):
        second.check({"models": ["a"]})


REFERRING = """\
name: mine
purpose: A test.
parameters:
  judge: {type: model, default: $models.1}
  models: {type: models}
  k: {type: int, default: 1}
graph:
  ensemble:
    operator: EnsembleOperator
    lm_modules: [{model: $models, count: $k}]
  judge:
    operator: JudgeBasedOperator
    inputs: [ensemble]
    lm_modules: [{model: $judge}]
"""
