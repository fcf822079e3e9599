"""`node_code`: codes of the notation for classes of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ember_bench import LMModule, Operator, build_graph
from ember_bench.errors import ConfigError
from ember_bench.graph import NotationError, node_code
from ember_bench.graph.notation import codes


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes, "_own", {})


def test_a_class_is_written_by_its_code_with_its_parameters() -> None:
    @node_code("SH")
    class ShortestOfSome(Operator):
        """Takes the shortest response."""

        def __init__(self, *, least: int = 0) -> None:
            super().__init__()
            self.least = least

        def forward(self, inputs: Any) -> Any:
            return {"final_answer": min(inputs["responses"], key=len)}

    graph = build_graph("3E@simulated:small, SH(least=2)")
    assert isinstance(graph.nodes["sh2"], ShortestOfSome)
    assert graph.nodes["sh2"].least == 2
    assert codes.known_codes()["SH"].purpose == "Takes the shortest response"
    with pytest.raises(NotationError, match="SH asks no model"):
        build_graph("3E@simulated:small, SH@simulated:small")
    with pytest.raises(NotationError, match="did you mean 'SH'"):
        build_graph("3E@simulated:small, SHH")


def test_one_with_models_has_them_behind_its_code() -> None:
    @node_code("ASK", models="one")
    class AskOne(Operator):
        def __init__(self, *, lm_modules: Sequence[LMModule]) -> None:
            super().__init__(lm_modules=lm_modules)

    graph = build_graph("E@simulated:small, 2ASK@simulated:large, M")
    assert [len(node.lm_modules()) for node in graph.nodes.values()] == [1, 1, 1, 0]


def test_one_without_a_constructor_has_no_models() -> None:
    @node_code("FI")
    class FirstResponse(Operator):
        def forward(self, inputs: Any) -> Any:
            return {"final_answer": inputs["responses"][0]}

    assert build_graph("E@simulated:small, FI")(query="?")["final_answer"]


def test_codes_are_unique_and_well_formed() -> None:
    class Own(Operator):
        pass

    with pytest.raises(ConfigError, match="code 'E' is that of EnsembleOperator"):
        node_code("E")(Own)
    for wrong in ("sh", "", "2X", "TOOLONGACODE"):
        with pytest.raises(ConfigError, match="letters in upper case"):
            node_code(wrong)
