"""Graphs of operators and execution plans, and their runs."""

from ember_bench.graph.architecture import load_operator
from ember_bench.graph.data import GraphExecutorService, Node, NoNGraphData, execute
from ember_bench.graph.describe import describe_graph
from ember_bench.graph.diagrams import to_mermaid, to_svg
from ember_bench.graph.jitting.api import jit
from ember_bench.graph.notation.build import build_graph
from ember_bench.graph.notation.codes import node_code
from ember_bench.graph.notation.words import NotationError
from ember_bench.graph.scheduler import Scheduler
from ember_bench.operators.mapping import parallel, vmap
from ember_bench.operators.plan import ExecutionPlan, Ref, Task

__all__ = [
    "ExecutionPlan",
    "GraphExecutorService",
    "NoNGraphData",
    "Node",
    "NotationError",
    "Ref",
    "Scheduler",
    "Task",
    "build_graph",
    "describe_graph",
    "execute",
    "jit",
    "load_operator",
    "node_code",
    "parallel",
    "to_mermaid",
    "to_svg",
    "vmap",
]
