from __future__ import annotations

from typing import Any

import pytest

from ember_bench.errors import GraphError
from ember_bench.graph import NoNGraphData
from ember_bench.operators import Operator
from ember_bench.operators.fields import merge_inputs


class Say(Operator):
    """Gives a fixed output."""

    def __init__(self, output: Any = None) -> None:
        self.output = output

    def forward(self, inputs: Any) -> Any:
        return self.output


def graph(**edges: list[str]) -> NoNGraphData:
    made = NoNGraphData()
    for name, inputs in edges.items():
        made.add_node(name=name, operator=Say(name), inputs=inputs)
    return made


class TestBuilding:
    def test_nodes_stand_in_the_order_in_which_they_were_added(self) -> None:
        made = graph(b=[], a=["b"], c=["a", "b"])
        assert [(n.name, n.inputs) for n in made] == [("b", ()), ("a", ("b",)), ("c", ("a", "b"))]
        assert len(made) == 3
        assert made.output == "c"

    def test_a_name_is_used_once(self) -> None:
        with pytest.raises(GraphError, match="node 'a' is already in the graph"):
            graph(a=[]).add_node(name="a", operator=Say())

    def test_an_unknown_input_lists_near_matches(self) -> None:
        with pytest.raises(GraphError) as caught:
            graph(ensemble=[]).add_node(name="judge", operator=Say(), inputs=["ensembel"])
        message = "node 'judge': unknown input 'ensembel'; did you mean 'ensemble'?"
        assert str(caught.value) == message

    def test_a_node_cannot_wait_for_itself(self) -> None:
        with pytest.raises(GraphError, match="cycle: 'a' -> 'a'"):
            graph().add_node(name="a", operator=Say(), inputs=["a"])

    def test_a_node_cannot_wait_for_a_later_one(self) -> None:
        with pytest.raises(GraphError, match="node 'a': unknown input 'b'"):
            graph(a=["b"], b=["a"])

    def test_an_input_is_named_once(self) -> None:
        with pytest.raises(GraphError, match="node 'b': an input is named twice"):
            graph(a=[], b=["a", "a"])

    def test_inputs_are_a_list(self) -> None:
        with pytest.raises(GraphError, match=r"write \['ab'\]"):
            graph(ab=[]).add_node(name="c", operator=Say(), inputs="ab")

    @pytest.mark.parametrize("name", ["a/b", "a@b", ""])
    def test_a_name_is_not_to_be_taken_for_the_path_of_another_node(self, name: str) -> None:
        message = "a node needs a name" if not name else "is not allowed in a name"
        with pytest.raises(GraphError, match=message):
            graph().add_node(name=name, operator=Say())

    def test_a_node_computes(self) -> None:
        with pytest.raises(
            GraphError, match="node 'a': expected an Operator, found its class; write"
        ):
            graph().add_node(name="a", operator=Say)  # type: ignore[arg-type]

    def test_a_refused_node_leaves_the_graph_as_it_was(self) -> None:
        made = graph(a=[])
        with pytest.raises(GraphError):
            made.add_node(name="b", operator=Say(), inputs=["x"])
        assert [node.name for node in made] == ["a"]

    def test_an_empty_graph_has_no_output(self) -> None:
        with pytest.raises(GraphError, match="no nodes"):
            _ = graph().output


class TestDescription:
    def test_changes_with_nodes_edges_and_operators(self) -> None:
        made = [graph(a=[], b=["a"]), graph(a=[], b=[]), graph(a=[], c=["a"]), graph(a=[])]
        other = NoNGraphData()
        other.add_node(name="a", operator=Say("another"))
        other.add_node(name="b", operator=Say("b"), inputs=["a"])
        described = [str(one.describe()) for one in (*made, other)]
        assert len(set(described)) == len(described)
        assert described[0] == str(graph(a=[], b=["a"]).describe())


class TestMerging:
    def merge(self, outputs: dict[str, Any], **inputs: Any) -> dict[str, Any]:
        return merge_inputs(inputs, outputs, list(outputs))

    def test_the_graphs_inputs_come_first_and_later_sources_win(self) -> None:
        merged = self.merge({"a": {"x": 1, "y": 1}, "b": {"y": 2}}, x=0, z=0)
        assert merged == {"x": 1, "y": 2, "z": 0}

    def test_responses_are_joined(self) -> None:
        assert self.merge({"a": {"responses": ["1"]}, "b": {"responses": ["2", "3"]}}) == {
            "responses": ["1", "2", "3"]
        }

    def test_an_answer_is_a_response_of_a_source_that_has_none(self) -> None:
        merged = self.merge({"a": {"responses": ["1"]}, "b": {"final_answer": "2"}})
        assert merged == {"responses": ["1", "2"], "final_answer": "2"}

    def test_an_answer_beside_responses_is_not_one_more(self) -> None:
        assert self.merge({"a": {"responses": ["1"], "final_answer": "1"}})["responses"] == ["1"]

    def test_no_answer_is_a_response_that_has_none(self) -> None:
        assert self.merge({"a": {"final_answer": None}, "b": {"final_answer": "2"}})[
            "responses"
        ] == ["", "2"]

    def test_sources_responses_stand_in_for_the_graphs_even_if_there_are_none(self) -> None:
        assert self.merge({"a": {"responses": []}}, responses=["old"])["responses"] == []
        assert self.merge({"a": {"x": 1}}, responses=["old"])["responses"] == ["old"]

    def test_outputs_without_names_stand_under_their_nodes(self) -> None:
        assert self.merge({"a": "text", "b": [1]}) == {"a": "text", "b": [1]}

    def test_changes_nothing_of_what_it_merges(self) -> None:
        outputs = {"a": {"responses": ["1"]}, "b": {"responses": ["2"]}}
        inputs = {"responses": ["0"]}
        merge_inputs(inputs, outputs, ["a", "b"])
        assert outputs == {"a": {"responses": ["1"]}, "b": {"responses": ["2"]}}
        assert inputs == {"responses": ["0"]}
