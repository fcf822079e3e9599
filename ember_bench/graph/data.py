"""Graphs of operators: their nodes, their edges, and their runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import ember_bench
from ember_bench import bridge
from ember_bench.errors import GraphError, did_you_mean
from ember_bench.graph.dispatch import Dependencies, Outcome, run_all
from ember_bench.graph.scheduler import run_operator
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.service import ModelService
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.time_limit import run_limited
from ember_bench.operators.base import Inputs, Operator, operator, within
from ember_bench.operators.fields import (
    as_mapping,
    check_chain,
    check_link,
    check_spelling,
    merge_inputs,
)
from ember_bench.operators.lm import service_in_force
from ember_bench.operators.tree import unlike_operator

# `outer/inner` is a node of a graph in a graph; `0@node` is the replica of an LM module.
_SIGNS: Final = ("/", "@")


@dataclass(frozen=True, slots=True)
class Node:
    """One named operator and the nodes whose outputs it receives."""

    name: str
    operator: Operator
    inputs: tuple[str, ...]


@operator
class NoNGraphData(Operator):
    """A network of networks: named operators and their dependencies; itself an operator.

    A node receives the graph's inputs and the outputs of the nodes it names, merged by
    `operators.fields.merge_inputs`. Nodes keep the order in which they were added, and a node may
    only name earlier ones, so a graph cannot have a cycle.

    Args:
        nodes: The first operators, by the name of their node, in their order.
        edges: For each node with inputs, the names of the nodes whose outputs it receives.

    Raises:
        GraphError, SignatureError: as for `add_node`.
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
        for name, node in nodes.items():
            self.add_node(name=name, operator=node, inputs=edges.get(name, ()))

    def add_node(self, *, name: str, operator: Operator, inputs: Sequence[str] = ()) -> None:
        """Add a node.

        Args:
            name: Unique in the graph.
            operator: The computation of the node.
            inputs: Names of earlier nodes whose outputs it receives.

        Raises:
            GraphError: if the name is taken or contains a sign of paths, an input is unknown, or
                the node names itself.
            SignatureError: if it uses nothing of what its inputs give, and needs what no earlier
                node takes; other missing inputs are refused when the graph is run.
        """
        if not isinstance(operator, Operator):
            raise GraphError(
                f"node {name!r}: expected an Operator, found {unlike_operator(operator)}"
            )
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
        sources = {_place(source): self.nodes[source] for source in inputs}
        check_link(_place(name), operator, sources, _chain(self))
        self.nodes[name] = operator
        self.edges[name] = tuple(inputs)

    def __iter__(self) -> Iterator[Node]:
        """Yield the nodes in graph order: each after all its inputs."""
        for name, node in self.nodes.items():
            yield Node(name, node, self.edges[name])

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def output(self) -> str:
        """The name of the last node, whose outputs are those of the graph.

        Raises:
            GraphError: if the graph is empty.
        """
        if not self.nodes:
            raise GraphError("the graph has no nodes")
        return next(reversed(self.nodes))

    def _repr_svg_(self) -> str:
        """Return its picture, which notebooks show."""
        return ember_bench.graph.to_svg(self)

    def check_fields(self, given: Inputs) -> Inputs:
        """Check all nodes, and return the outputs of the last."""
        return check_nodes(self, given)[self.output]

    def forward(self, inputs: Inputs) -> Any:
        """Run the graph and return the outputs of its last node."""
        return execute(self, inputs)[self.output]


def check_nodes(nodes: Iterable[Node], given: Inputs) -> dict[str, Inputs]:
    """Check on names alone that each node of a graph will have its inputs.

    Args:
        nodes: The nodes, in graph order.
        given: The inputs of the graph, by name; one that is there later is `()`.

    Returns:
        What the outputs of each node may have, by its name.

    Raises:
        SignatureError: naming the node, the input, and what the nodes before it give.
    """
    listed = list(nodes)
    outputs = check_chain(_chain(listed), given)
    return {node.name: outputs[_place(node.name)] for node in listed}


def _chain(nodes: Iterable[Node]) -> Iterator[tuple[str, Operator, list[str]]]:
    """Yield nodes as `check_chain` takes them."""
    for node in nodes:
        yield _place(node.name), node.operator, list(map(_place, node.inputs))


def _place(name: str) -> str:
    return f"node {name!r}"


def _check_name(name: str) -> None:
    """Check that paths of nodes, which are part of the identity of calls, are unambiguous."""
    if not name:
        raise GraphError("a node needs a name")
    for sign in _SIGNS:
        if sign in name:
            raise GraphError(
                f"node {name!r}: {sign!r} is not allowed in a name, as it separates names in the "
                "paths of nodes"
            )


class GraphExecutorService:
    """Runs a graph on one input."""

    def run(
        self, *, graph_data: NoNGraphData, input_data: Inputs, timeout: float | None = None
    ) -> dict[str, Any]:
        """Return the outputs of every node by name.

        Args:
            graph_data: The graph.
            input_data: Its inputs, by name.
            timeout: Seconds after which the run is given up.

        Raises:
            TimeLimitError: if it takes longer than `timeout`.
            SignatureError: if a node misses an input, or an input is misspelt; before any LM call.
            Exception: that of a node, with its own traceback and a note naming the node; the
                nodes under way are cancelled.
        """
        inputs = as_mapping(input_data)
        if not within.get():
            check_spelling(graph_data, inputs)
        if timeout is None:
            return execute(graph_data, inputs)
        return run_limited(partial(execute, graph_data, inputs), timeout, "the graph")


def execute(graph: NoNGraphData, inputs: Inputs) -> dict[str, Any]:
    """Run `graph` as a part of the current trial, or outside one.

    Returns and raises as `GraphExecutorService.run`.
    """
    return PreparedGraph(graph).run(inputs)


class PreparedGraph:
    """A snapshot of a graph, ready for many runs.

    Args:
        graph: The graph.
        service: Makes the calls of all LM modules during a run; None for the modules' own.
    """

    def __init__(self, graph: NoNGraphData, service: ModelService | None = None) -> None:
        self.graph = graph
        self.service = service
        self.nodes = list(graph)
        self.modules = {node.name: _modules(node.operator) for node in self.nodes}
        places = {node.name: index for index, node in enumerate(self.nodes)}
        self.dependencies = Dependencies(
            [[places[source] for source in node.inputs] for node in self.nodes]
        )
        self._checked: set[frozenset[str]] = set()
        self._replicas = assign_replicas(self.modules, {})

    def run(self, inputs: Inputs) -> dict[str, Any]:
        """Return the outputs of every node by name; see `GraphExecutorService.run`."""
        interception.settle("a graph was run")
        self._check(inputs)
        if not bridge.is_bridged():
            return bridge.wait(bridge.run(self.run, inputs))
        outer = strands.current.get()
        if outer is None:
            outer = Strand(TrialContext(outside=True))  # for the clock of the run
        inside = within.set(True)
        service = service_in_force.set(self.service or service_in_force.get())
        try:
            return _Execution(self, inputs, outer).run()
        finally:
            service_in_force.reset(service)
            within.reset(inside)

    def _check(self, inputs: Inputs) -> None:
        """Check before anything is asked that no node misses an input; once for equal names."""
        metadata = inputs.get("metadata")
        within = metadata if isinstance(metadata, Mapping) else {}
        given = frozenset([*inputs, *(f"metadata.{name}" for name in within)])
        if given not in self._checked:
            check_nodes(self.nodes, inputs)
            self._checked.add(given)

    def replicas(self, outer: Strand) -> dict[str, dict[int, str]]:
        """Return the replica of every LM module in every node, as a part of `outer`."""
        if not outer.node:
            return self._replicas
        return assign_replicas(self.modules, outer.replicas, f"{outer.node}/made.")


class _Execution:
    """One run of one graph."""

    def __init__(self, prepared: PreparedGraph, inputs: Inputs, outer: Strand) -> None:
        self.inputs = inputs
        self.nodes = prepared.nodes
        self.dependencies = prepared.dependencies
        self.outer = outer
        self.replicas = prepared.replicas(outer)
        self.outputs: dict[str, Any] = {}
        self.strands: list[Strand] = []

    def run(self) -> dict[str, Any]:
        try:
            run_all(self.dependencies, self._compute, self.outer.clock)
        finally:
            self.outer.after_nodes(self.strands)
        self.outer.clock = max([self.outer.clock, *[strand.clock for strand in self.strands]])
        return {node.name: self.outputs[node.name] for node in self.nodes}

    def _compute(self, index: int, start: float) -> Outcome:
        """Return the node's outputs and the virtual time at which they are complete."""
        node = self.nodes[index]
        path = f"{self.outer.node}/{node.name}" if self.outer.node else node.name
        strand = self.outer.at_node(path, self.replicas[node.name], start)
        self.strands.append(strand)
        token = strands.current.set(strand)
        try:
            merged = merge_inputs(self.inputs, self.outputs, node.inputs)
            output = run_operator(node.operator, merged)
        except Exception as error:
            error.add_note(f"in node {path!r}")
            raise
        finally:
            strands.current.reset(token)
        self.outputs[node.name] = output
        return output, strand.clock


# LM modules of a node by id: the properties by which each is counted, and the role of its calls.
Modules = dict[int, tuple[tuple[Any, ...], str]]


def assign_replicas(
    modules: Mapping[str, Modules], outer: Mapping[int, str], prefix: str = ""
) -> dict[str, dict[int, str]]:
    """Return the replica of every LM module in every node, counted in graph order.

    Modules are counted by model, parameters and the role of the operator that holds them. So the
    replica of a verifier does not depend on the number of generators before it, and the third
    members of a 3-ensemble and of a 9-ensemble are the same. In a graph within a graph, the
    replicas assigned by the outer graph are kept, with the name of the node if several nodes hold
    the same module.

    Args:
        modules: By node, in graph order.
        outer: The replicas assigned by the graph around this one.
        prefix: Distinguishes modules that are not in `outer`, as the graph was created during the
            run.
    """
    holders = Counter(key for found in modules.values() for key in found)
    counts: Counter[tuple[Any, ...]] = Counter()
    assigned: dict[str, dict[int, str]] = {}
    for node, found in modules.items():
        replicas = assigned[node] = {}
        for key, (kind, role) in found.items():
            if (given := outer.get(key)) is not None:
                replicas[key] = f"{given}@{node}" if holders[key] > 1 else given
                continue
            number = counts[kind]
            counts[kind] += 1
            replicas[key] = prefix + (str(number) if role == "generate" else f"{role}.{number}")
    return assigned


def _modules(holder: Operator) -> Modules:
    """Return the LM modules in an operator, in attribute order."""
    found: Modules = {}
    for _, lm, role in holder.named_lm_modules():
        kind = (lm.model.fingerprint, lm.parameters, lm.config.persona or "", role)
        found.setdefault(id(lm), (kind, role))
    return found
