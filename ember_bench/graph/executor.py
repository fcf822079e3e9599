"""Runs graphs: each node when its inputs are there, those that can at the same time."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ember_bench import bridge
from ember_bench.graph.data import NoNGraphData
from ember_bench.graph.scheduler import run_operator
from ember_bench.graph.task_flow import Flow, Outcome, run_all
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.operators.base import Inputs, Operator
from ember_bench.operators.merging import merge_inputs

_runs_outside: weakref.WeakKeyDictionary[NoNGraphData, int] = weakref.WeakKeyDictionary()


class GraphExecutorService:
    """Runs a graph on one input."""

    def run(self, *, graph_data: NoNGraphData, input_data: Inputs) -> dict[str, Any]:
        """Return the outputs of every node by name.

        Raises:
            Exception: what a node raised, with its own traceback and a note naming the node; the
                nodes under way are cancelled.
        """
        return execute(graph_data, input_data)


def execute(graph: NoNGraphData, inputs: Inputs) -> dict[str, Any]:
    """Run `graph` as a part of the current trial, or as a trial of its own; see `run`."""
    return PreparedGraph(graph).run(inputs)


class PreparedGraph:
    """A graph as it is when this is made, ready to be run many times."""

    def __init__(self, graph: NoNGraphData) -> None:
        self.graph = graph
        self.nodes = list(graph)
        self.modules = {node.name: _modules(node.operator) for node in self.nodes}
        places = {node.name: index for index, node in enumerate(self.nodes)}
        self.flow = Flow([[places[source] for source in node.inputs] for node in self.nodes])
        self._replicas = assign_replicas(self.modules, {})

    def run(self, inputs: Inputs) -> dict[str, Any]:
        """Return the outputs of every node by name; see `GraphExecutorService.run`."""
        interception.refuse("a graph was run")
        if not bridge.is_bridged():
            return bridge.wait(bridge.run(self.run, inputs))
        outer = strands.current.get()
        if outer is None:
            # As an epoch of its own, a run outside a trial asks its models anew.
            number = _runs_outside.get(self.graph, 0)
            _runs_outside[self.graph] = number + 1
            outer = Strand(TrialContext(epoch=number))
        return _Execution(self, inputs, outer).run()

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
        self.flow = prepared.flow
        self.outer = outer
        self.replicas = prepared.replicas(outer)
        self.outputs: dict[str, Any] = {}
        self.strands: list[Strand] = []

    def run(self) -> dict[str, Any]:
        try:
            run_all(self.flow, self._compute, self.outer.clock)
        finally:
            self.outer.after_nodes(self.strands)
        self.outer.clock = max([self.outer.clock, *[strand.clock for strand in self.strands]])
        return {node.name: self.outputs[node.name] for node in self.nodes}

    def _compute(self, index: int, start: float) -> Outcome:
        """Return the node's outputs and the virtual time at which they are there."""
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


# LM modules of a node by id: what each is counted by, and the role it is asked in.
Modules = dict[int, tuple[tuple[Any, ...], str]]


def assign_replicas(
    modules: Mapping[str, Modules], outer: Mapping[int, str], prefix: str = ""
) -> dict[str, dict[int, str]]:
    """Return the replica of every LM module in every node, counted in graph order.

    Modules are counted by model, parameters and the role of the operator that holds them. So a
    verifier's replica does not depend on how many generators stand before it, and the third
    member of a 3-ensemble and of a 9-ensemble are the same. In a graph within a graph, what the
    outer one has assigned stays, told apart by node where several nodes hold the same module.

    Args:
        modules: By node, in graph order.
        outer: What the graph around this one has assigned.
        prefix: Tells those that it has not (the graph was made on the fly) from its own.
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


def _modules(operator: Operator) -> Modules:
    """Return what each LM module in `operator` is counted by, and its role, in attribute order."""
    found: Modules = {}
    for _, lm, role in operator.named_lm_modules():
        kind = (lm.model.fingerprint, lm.parameters, lm.config.persona or "", role)
        found.setdefault(id(lm), (kind, role))
    return found
