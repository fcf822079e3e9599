"""Graphs: named operators and what feeds into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ember_bench.errors import GraphError, did_you_mean
from ember_bench.operators.base import Inputs, Operator

# `outer/inner` is a node of a graph in a graph, `0@node` what its LM modules are counted by.
_SIGNS: Final = ("/", "@")


@dataclass(frozen=True, slots=True)
class Node:
    """One named operator and the nodes whose outputs it is given."""

    name: str
    operator: Operator
    inputs: tuple[str, ...]


class NoNGraphData(Operator):
    """A network of networks: named operators and their dependencies; itself an operator.

    A node is given the graph's inputs and the outputs of the nodes it names, merged (see
    `operators.merging.merge_inputs`). Nodes stand in the order in which they were added, and a
    node may only name earlier ones, so a graph cannot have a cycle.

    Args:
        nodes: Operators by the name of their node, to begin with, in their order.
        edges: For each of them that has any, the names of the nodes whose outputs it is given.

    Raises:
        GraphError: as for `add_node`.
    """

    def __init__(
        self,
        nodes: Mapping[str, Operator] | None = None,
        edges: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        self.nodes: dict[str, Operator] = {}
        self.edges: dict[str, tuple[str, ...]] = {}
        nodes, edges = nodes or {}, edges or {}
        for name in edges:
            if name not in nodes:
                raise GraphError(f"edges: unknown node {name!r}{did_you_mean(name, nodes)}")
        for name, operator in nodes.items():
            self.add_node(name=name, operator=operator, inputs=edges.get(name, ()))

    def add_node(self, *, name: str, operator: Operator, inputs: Sequence[str] = ()) -> None:
        """Add a node.

        Args:
            name: Unique in the graph.
            operator: What it computes.
            inputs: Names of earlier nodes whose outputs it is given.

        Raises:
            GraphError: if the name is taken or could be taken for a path, an input is unknown, or
                the node names itself.
        """
        if not isinstance(operator, Operator):
            raise GraphError(f"node {name!r}: expected an Operator, found {operator!r}")
        if isinstance(inputs, str):
            raise GraphError(f"node {name!r}: inputs is a list of names; write [{inputs!r}]")
        _check_name(name)
        if name in self.nodes:
            raise GraphError(f"node {name!r} is already in the graph")
        if name in inputs:
            raise GraphError(f"cycle: {name!r} -> {name!r}")
        for source in inputs:
            if source not in self.nodes:
                hint = did_you_mean(source, self.nodes)
                raise GraphError(f"node {name!r}: unknown input {source!r}{hint}")
        if len(set(inputs)) < len(inputs):
            raise GraphError(f"node {name!r}: an input is named twice")
        self.nodes[name] = operator
        self.edges[name] = tuple(inputs)

    def __iter__(self) -> Iterator[Node]:
        """Yield the nodes in graph order: each after all that feed into it."""
        for name, operator in self.nodes.items():
            yield Node(name, operator, self.edges[name])

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def output(self) -> str:
        """The name of the last node, whose outputs are the graph's.

        Raises:
            GraphError: if the graph is empty.
        """
        if not self.nodes:
            raise GraphError("the graph has no nodes")
        return next(reversed(self.nodes))

    def forward(self, inputs: Inputs) -> Any:
        """Run the graph and return the outputs of its last node."""
        from ember_bench.graph.executor import execute  # noqa: PLC0415 - they need each other

        return execute(self, inputs)[self.output]

    def to_mermaid(self) -> str:
        """Return the graph as a Mermaid flowchart."""
        from ember_bench.graph.diagrams import to_mermaid  # noqa: PLC0415 - they need each other

        return to_mermaid(self)

    def to_svg(self) -> str:
        """Return the graph as an SVG picture that needs no other file."""
        from ember_bench.graph.diagrams import to_svg  # noqa: PLC0415 - they need each other

        return to_svg(self)


def _check_name(name: str) -> None:
    """See that paths of nodes, by which calls are told apart, can be read in one way only."""
    if not name:
        raise GraphError("a node needs a name")
    for sign in _SIGNS:
        if sign in name:
            raise GraphError(
                f"node {name!r}: a name has no {sign!r}, which stands between the names of a graph "
                "and of a node in it, so two nodes could be taken for one"
            )
