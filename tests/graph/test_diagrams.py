"""Graphs as pictures."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ember_bench import EnsembleOperator, MostCommonOperator, NoNGraphData
from ember_bench.graph import to_mermaid, to_svg
from tests.support.models import modules, serve, simulated

MODEL = simulated("m")
SERVICE = serve(MODEL)
SVG = "{http://www.w3.org/2000/svg}"


def graph_of(edges: list[set[int]], names: list[str] | None = None) -> NoNGraphData:
    graph = NoNGraphData()
    for index, sources in enumerate(edges):
        chosen = {i % index for i in sources} if index else set()
        graph.add_node(
            name=(names or [])[index] if names else f"n{index}",
            operator=EnsembleOperator(lm_modules=modules(SERVICE, MODEL, index % 3 + 1)),
            inputs=[names[i] if names else f"n{i}" for i in sorted(chosen)],
        )
    return graph


@pytest.fixture
def nested() -> NoNGraphData:
    graph = graph_of([set(), {0}])
    graph.add_node(name="sub", operator=graph_of([set(), {0}]), inputs=["n1"])
    graph.add_node(name="vote", operator=MostCommonOperator(), inputs=["n0", "sub"])
    return graph


def test_mermaid_has_each_node_and_edge(nested: NoNGraphData) -> None:
    assert to_mermaid(nested) == (
        "flowchart TD\n"
        "    inputs([inputs])\n"
        '    n0["n0<br/>EnsembleOperator<br/>simulated:m"]\n'
        "    inputs --> n0\n"
        '    n1["n1<br/>EnsembleOperator<br/>2 x simulated:m"]\n'
        "    n0 --> n1\n"
        '    subgraph n2["sub"]\n'
        '        n2_0["n0<br/>EnsembleOperator<br/>simulated:m"]\n'
        '        n2_1["n1<br/>EnsembleOperator<br/>2 x simulated:m"]\n'
        "        n2_0 --> n2_1\n"
        "    end\n"
        "    n1 --> n2\n"
        '    n3["vote<br/>MostCommonOperator"]\n'
        "    n0 --> n3\n"
        "    n2 --> n3\n"
        "    outputs([outputs])\n"
        "    n3 --> outputs\n"
    )


def test_svg_has_each_node_and_edge(nested: NoNGraphData) -> None:
    picture = ElementTree.fromstring(to_svg(nested))
    names = [text.text for text in picture.iter(f"{SVG}text") if text.get("class") == "name"]
    assert sorted(names) == ["inputs", "n0", "n0", "n1", "n1", "outputs", "sub", "vote"]
    arrows = [path for path in picture.iter(f"{SVG}path") if path.get("marker-end")]
    assert len(arrows) == 4 + 1 + 2  # in the graph, in the one in it, from inputs and to outputs


def test_svg_needs_nothing_else(nested: NoNGraphData) -> None:
    assert re.findall(r"https?://[^\"]+", to_svg(nested)) == ["http://www.w3.org/2000/svg"]
    assert "@import" not in to_svg(nested)


names = st.lists(
    st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/@"),
        min_size=1, max_size=12,
    ),
    min_size=1, max_size=7, unique=True,
)  # fmt: skip


@settings(deadline=None)
@given(names=names)
def test_any_name_is_escaped(names: list[str]) -> None:
    graph = graph_of([{0}] * len(names), names)
    texts = [text.text for text in ElementTree.fromstring(to_svg(graph)).iter(f"{SVG}text")]
    assert set(names) <= set(texts)
    for line in to_mermaid(graph).splitlines():
        assert re.fullmatch(r' *(flowchart TD|\w+\(\[\w+\]\)|\w+ --> \w+|\w+\["[^"\[\]{}<>]*'
                            r'(<br/>[^"\[\]{}<>]*)*"\])', line), line  # fmt: skip


edges = st.lists(st.sets(st.integers(0, 30), max_size=4), min_size=1, max_size=12)


@settings(deadline=None)
@given(edges=edges)
def test_boxes_do_not_overlap_and_lie_in_the_picture(edges: list[set[int]]) -> None:
    picture = ElementTree.fromstring(to_svg(graph_of(edges)))
    width, height = float(picture.get("width", 0)), float(picture.get("height", 0))
    boxes = []
    for box in picture.iter(f"{SVG}rect"):
        x, y, w, h = (float(box.get(name, 0)) for name in ("x", "y", "width", "height"))
        assert x >= 0 <= y
        assert x + w <= width + 1
        assert y + h <= height + 1
        boxes.append((x, y, x + w, y + h))
    for index, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[:index]:
            assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]


@settings(deadline=None)
@given(edges=edges)
def test_each_node_is_below_what_feeds_into_it(edges: list[set[int]]) -> None:
    graph = graph_of(edges)
    picture = ElementTree.fromstring(to_svg(graph))
    places = {
        text.text: float(text.get("y", 0))
        for text in picture.iter(f"{SVG}text")
        if text.get("class") == "name"
    }
    for node in graph:
        assert all(places[source] < places[node.name] for source in node.inputs)
        assert places["inputs"] < places[node.name] < places["outputs"]


def test_an_empty_graph() -> None:
    assert "inputs" in to_mermaid(NoNGraphData())
    ElementTree.fromstring(to_svg(NoNGraphData()))


def test_many_models_are_summed_up() -> None:
    many = [simulated(f"m{i}") for i in range(9)]
    service = serve(*many)
    graph = NoNGraphData()
    lms = [lm for model in many for lm in modules(service, model, 1)]
    graph.add_node(name="all", operator=EnsembleOperator(lm_modules=lms))
    assert "and 4 more" in to_svg(graph)


def test_a_notebook_shows_a_graph_as_its_picture() -> None:
    graph = NoNGraphData({"vote": MostCommonOperator()})
    assert graph._repr_svg_() == to_svg(graph)
