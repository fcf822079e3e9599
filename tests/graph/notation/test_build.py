"""`build_graph`: the compact notation as graphs that run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.errors import ConfigError
from ember_bench.graph import NoNGraphData, build_graph, describe_graph
from ember_bench.graph.notation.codes import CODES
from ember_bench.graph.notation.words import NotationError
from ember_bench.models import ModelInfo, ModelRegistry
from ember_bench.operators import MostCommonOperator, VerifierOperator
from tests.graph.notation.test_words import SOUP
from tests.support.models import Subject, in_trial, scripted, serve, simulated

PAGE = Path(__file__).parents[3] / "docs" / "notation.md"

MODELS = [simulated(name) for name in ("small", "large", "judge")]


def registry() -> ModelRegistry:
    return serve(*MODELS).registry


def build(spec: str | Sequence[str], **options: Any) -> NoNGraphData:
    return build_graph(spec, model_registry=registry(), **options)


def asked(graph: NoNGraphData, node: str) -> list[str]:
    """Return the ids of the models that a node asks."""
    return [lm.model.model_id for lm in graph.nodes[node].lm_modules()]


class TestEntries:
    def test_each_entry_is_a_node_that_feeds_the_next(self) -> None:
        graph = build(["5E@simulated:small(temp=0.7)", "1J@simulated:judge"])
        assert graph.edges == {"e1": (), "j2": ("e1",)}
        assert asked(graph, "e1") == ["simulated:small"] * 5
        assert [lm.config.temperature for lm in graph.nodes["e1"].lm_modules()] == [0.7] * 5

    def test_it_runs(self) -> None:
        graph = build_graph(
            "3E@scripted:m; M", model_registry=serve(answering("Answer: 7")).registry
        )
        assert graph(query="3 + 4?")["votes"] == {"7": 3}

    @pytest.mark.parametrize("model", ["simulated:small", "simulated/small", "small"])
    def test_a_model_may_be_written_in_three_ways(self, model: str) -> None:
        assert asked(build(f"E@{model}"), "e1") == ["simulated:small"]

    def test_a_slash_after_the_provider_belongs_to_the_model(self) -> None:
        models = serve(simulated("org/model"), simulated("llama:8b")).registry
        for written in ("simulated:org/model", "simulated/org/model"):
            graph = build_graph(f"E@{written}", model_registry=models)
            assert asked(graph, "e1") == ["simulated:org/model"]
        graph = build_graph("E@simulated/llama:8b", model_registry=models)
        assert asked(graph, "e1") == ["simulated:llama:8b"]

    def test_an_ensemble_may_ask_several_models_each_as_often(self) -> None:
        graph = build("2E@simulated:small|simulated:large")
        assert asked(graph, "e1") == ["simulated:small"] * 2 + ["simulated:large"] * 2

    def test_several_of_what_asks_one_model_are_several_nodes(self) -> None:
        graph = build("3E@small, 2J@judge|large, M")
        assert list(graph.nodes) == ["e1", "j2_1", "j2_2", "j2_3", "j2_4", "m3"]
        assert graph.edges["j2_4"] == ("e1",)
        assert graph.edges["m3"] == ("j2_1", "j2_2", "j2_3", "j2_4")

    def test_the_parameters_of_the_operator_and_of_its_models_stand_together(self) -> None:
        verify = build("E@small, V@judge(pick=random, max_output_tokens=9, persona='be strict')")
        operator = verify.nodes["v2"]
        assert isinstance(operator, VerifierOperator)
        assert operator.pick == "random"
        (lm,) = operator.lms
        assert (lm.config.max_tokens, lm.config.persona) == (9, "be strict")

    def test_the_legacy_form_says_the_same(self) -> None:
        legacy = build(["3:E:simulated:small:0.7", "1:J:simulated:judge"])
        new = build(["3E@simulated:small(temperature=0.7)", "J@simulated:judge"])
        assert legacy.describe() == new.describe()

    @pytest.mark.parametrize("pair", [("E", "UE"), ("J", "JF"), ("M", "MC")])
    def test_two_codes_for_one_operator(self, pair: tuple[str, str]) -> None:
        assert CODES[pair[0]].operator == CODES[pair[1]].operator


def answering(text: str) -> Any:
    """Return a model `scripted:m` that always says `text`."""

    async def answer(call: Any) -> str:
        return text

    return scripted(answer).model_copy(update={"model_id": "scripted:m"})


class TestFlows:
    def test_with_a_flow_only_flows_count(self) -> None:
        graph = build("E!a@small, E!b@large, M!v, J!c@judge; a -> v; v, b -> c")
        assert graph.edges == {"a": (), "b": (), "v": ("a",), "c": ("v", "b")}

    def test_flows_may_be_given_apart(self) -> None:
        graph = build(["E@small", "E@large", "J@judge"], flows=["e1, e2 -> j3"])
        assert graph.edges["j3"] == ("e1", "e2")
        with pytest.raises(NotationError, match="flows, entry 1, column 1: expected `a, b -> c`"):
            build("E@small", flows=["J@judge"])

    def test_a_chain(self) -> None:
        graph = build("E!a@small, J!b@judge, J!c@judge; a -> b -> c; a -> c")
        assert graph.edges["c"] == ("b", "a")

    def test_entries_may_be_written_before_what_feeds_them(self) -> None:
        graph = build("J!c@judge, E!a@small, E!b@large; a, b -> c")
        assert list(graph.nodes) == ["a", "b", "c"]

    def test_the_output_is_the_last_entry_that_feeds_nothing(self) -> None:
        graph = build("E!a@small, J!b@judge, M!c, E!d@small; d -> b; a -> c")
        assert graph.output == "c"

    def test_an_entry_of_several_nodes_feeds_with_all_of_them(self) -> None:
        graph = build("E!a@small, 2J!b@judge, M!c; a -> b -> c")
        assert graph.edges["c"] == ("b_1", "b_2")


class TestComponents:
    def test_a_reference_stands_for_the_entries_of_the_component(self) -> None:
        graph = build(
            ["$branch", "1J@simulated/judge"], components={"branch": "3E@simulated/small\n1M"}
        )
        assert graph.edges == {"e1": (), "m2": ("e1",), "j3": ("m2",)}

    def test_with_an_alias_it_is_a_graph_within_the_graph(self) -> None:
        graph = build(
            "$panel!one, $panel!two, J@judge; one, two -> j3",
            components={"panel": "3E@small, M"},
        )
        assert list(graph.nodes) == ["one", "two", "j3"]
        assert isinstance(inner := graph.nodes["one"], NoNGraphData)
        assert list(inner.nodes) == ["e1", "m2"]
        assert len(graph.lm_modules()) == 7

    def test_an_operator_can_be_a_component(self) -> None:
        vote = MostCommonOperator(ties="share")
        graph = build("2E@small, $vote", components={"vote": vote})
        assert graph.nodes["vote"] is vote

    def test_components_may_use_each_other_but_not_themselves(self) -> None:
        graph = build("$b", components={"a": "E@small", "b": "$a, M"})
        assert list(graph.nodes) == ["e1", "m2"]
        with pytest.raises(NotationError, match=r"'a' contains itself: \$a -> \$b -> \$a"):
            build("$a", components={"a": "E@small, $b", "b": "$a"})

    def test_a_flow_in_a_component_comes_with_its_entries(self) -> None:
        graph = build("$two, M!c; b -> c", components={"two": "E!a@small, J!b@judge; a -> b"})
        assert graph.edges == {"a": (), "b": ("a",), "c": ("b",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5«X»@small", "unknown code 'X'; did you mean 'RX' or 'JX'?; known: E, UE, J, "),
        ("E@«smal»", "unknown model 'smal'; did you mean 'small'"),
        ("E@«simulated/smal»", "unknown model 'simulated:smal'; did you mean"),
        ("«E»", "E needs a model: E@provider:model"),
        ("M@«small»", "M asks no model"),
        ("5«M»", "5 of M would all be the same"),
        ("E@small(«tempature»=1)", "no parameter 'tempature'; did you mean 'temperature'"),
        ("E@small(temp=1,«temperature»=2)", "'temperature' is given twice"),
        ("E@small(«temp»=-1)", "temp: must be at least 0"),
        ("E@small, M(«ties»=most)", "ties: expected 'first', 'random', 'share' or 'none'"),
        ("E@small, RF@judge(«k»=two)", "k: expected a whole number (found 'two')"),
        ("E@small, «RF»@judge(k=0)", "RF: k must be at least 1, found 0"),
        ("M(«temp»=1)", "M has no parameter 'temp'; known: "),
        ("E@small($«x»)", "E takes no components"),
        ("$«x»", "unknown component 'x'; none is registered"),
        ("«MAP»", "MAP takes one component, found 0"),
        ("E!a@small, J!«a»@judge", "two nodes are called 'a'"),
        ("E!a@small, M!vote; a -> «vot»", "unknown node 'vot'; did you mean 'vote'"),
        ("E!a@small, M!b; «a» -> b -> a", "cycle: a -> b -> a"),
        ("E@small, 2«J»@judge", "j2 gives 2 answers, and a graph has one"),
        ("«CA»", "a cascade needs at least one stage"),
    ],
)
def test_a_mistake_is_shown_at_its_place(text: str, message: str) -> None:
    """The text between « and » is what is marked."""
    before, marked, _ = re.split("[«»]", text)
    text = re.sub("[«»]", "", text)
    with pytest.raises(NotationError) as raised:
        build(text)
    first, line, under = str(raised.value).splitlines()
    assert message in first
    assert first.startswith(f"column {len(before) + 1}: ")
    assert (line, under) == (f"  {text}", f"  {' ' * len(before)}{'^' * len(marked)}")


def test_an_empty_notation_is_refused() -> None:
    with pytest.raises(NotationError, match="the notation is empty"):
        build([])


@given(st.text() | SOUP | st.lists(SOUP, max_size=3))
def test_any_text_gives_a_graph_or_the_error(text: str | list[str]) -> None:
    try:
        graph = build(text, components={"e1": "E@small", "x": "$e1, M"})
    except NotationError:
        return
    assert describe_graph(graph).count("\n") >= len(graph)


def test_the_error_is_one_of_configuration() -> None:
    assert issubclass(NotationError, ConfigError)


@pytest.mark.parametrize("code", CODES.values(), ids=list(CODES))
def test_every_code_names_an_operator_and_its_parameters(code: Any) -> None:
    assert code.cls.__name__ == code.operator
    assert code.known is not None


def test_the_page_lists_every_code() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if "| `" in line]
    for code in CODES.values():
        assert any(f"`{code.code}`" in row and f"`{code.operator}`" in row for row in rows), code


class TestEveryOperator:
    """Codes whose operators take others, or more than LM modules."""

    def run(self, spec: str, **components: Any) -> Any:
        models = serve(simulated("right", accuracy=1.0, pick_rate=1.0)).registry
        graph = build_graph(spec, components=components, model_registry=models)
        return in_trial(lambda: graph(query="?"), subject=Subject())[0]

    @pytest.mark.parametrize(
        "spec",
        [
            "3E@right, J@right",
            "3E@right, JX@right",
            "3E@right, GA@right",
            "3E@right, GA",
            "3E@right, WV(weights=[1, 2, 0.5])",
            "3E@right, FV@right(ties=random)",
            "3E@right, V@right(pick=random)",
            "3E@right, OR",
            "3E@right, RF@right(k=2), M",
            "3E@right, PT@right",
            "3E@right, BO@right",
            "3E@right, CR@right, F@right",
            "2E@right, 2F@right, F@right",
            "SR@right(rounds=2)",
            "RX@right|right(rounds=1)",
            "3D@right(rounds=2), M",
            "PM(templates=['{query}', 'Briefly: {query}']), MAP($ask), M",
            "CA($ask, $panel, agreement=0.6)",
            "RT@right($ask, $panel, default=panel), GA",
        ],
    )
    def test_a_network_of_models_that_are_always_right_is_right(self, spec: str) -> None:
        components = {"ask": "E@right", "panel": "3E@right"}
        assert self.run(spec, **components)["final_answer"] == "7"

    def test_retrieval(self, tmp_path: Path) -> None:
        corpus = tmp_path / "notes.txt"
        corpus.write_text("Cats purr.\n\nDogs bark.")
        graph = build_graph(f"RE(corpus='{corpus}', k=1)", model_registry=registry())
        assert graph(query="What do dogs do?")["documents"] == ["Dogs bark."]


class TestPublicEmber:
    """What public Ember's own tests and README write, over the models that they name."""

    def build(self, spec: Any, **options: Any) -> NoNGraphData:
        names = ["openai:gpt-4o", "openai:gpt-4o-mini", "anthropic:claude-3-5-sonnet"]
        models = [ModelInfo(model_id=name) for name in [*names, "anthropic:claude-sonnet"]]
        return build_graph(spec, model_registry=serve(*models).registry, **options)

    def test_an_ensemble_and_a_judge(self) -> None:
        graph = self.build(["5E@openai:gpt-4o(temp=0.7)", "1J@anthropic:claude-sonnet"])
        assert asked(graph, "e1") == ["openai:gpt-4o"] * 5
        assert asked(graph, "j2") == ["anthropic:claude-sonnet"]

    def test_the_readmes_hundred_and_one(self) -> None:
        graph = self.build(["101:E:gpt-4o:0.7", "1:J:claude-3-5-sonnet:0.0"])
        assert len(asked(graph, "e1")) == 101
        assert [lm.config.temperature for lm in graph.nodes["j2"].lm_modules()] == [0.0]

    def test_every_stage(self) -> None:
        graph = self.build(
            """
            3E@openai/gpt-4o(temp=0.6)
            1M
            1J@anthropic/claude-3-5-sonnet
            1V@openai/gpt-4o-mini(temp=0.0)
            """
        )
        assert list(graph.nodes) == ["e1", "m2", "j3", "v4"]

    def test_components_and_flows_as_texts(self) -> None:
        graph = self.build(
            "\n    $fanout\n    1J@anthropic/claude-3-5-sonnet\n    ",
            components={"fanout": "\n 1E@openai/gpt-4o(temp=0.7)\n 1M\n"},
            flows="\n e1 -> m2\n m2 -> j3\n",
        )
        assert graph.edges == {"e1": (), "m2": ("e1",), "j3": ("m2",)}


def test_graphs_answer_items_like_those_built_by_hand() -> None:
    models = serve(simulated("right", accuracy=1.0)).registry
    graph = build_graph("3E@right, V@right, M", model_registry=models)
    output, _ = in_trial(lambda: graph(query="?"), subject=Subject())
    assert output["final_answer"] == "7"


def test_describe_graph_shows_nodes_models_parameters_and_inputs() -> None:
    graph = build(
        "2E@small(temp=0.7), $sub!inner, M(ties=share)",
        components={"sub": "E@large; CA!c($stage)", "stage": "3E@small"},
    )
    assert describe_graph(graph).splitlines() == [
        "3 nodes, 6 LM modules",
        "  e1     EnsembleOperator 2 x simulated:small (temperature=0.7)",
        "  inner  NoNGraphData <- e1",
        "         e1  EnsembleOperator simulated:large",
        "         c   CascadeOperator <- e1",
        "             stages.0: EnsembleOperator 3 x simulated:small",
        "  m3     MostCommonOperator (ties=share) <- inner",
    ]
