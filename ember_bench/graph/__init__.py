"""Graphs of operators, and what runs them."""

from ember_bench.graph.data import Node, NoNGraphData
from ember_bench.graph.describe import describe_graph
from ember_bench.graph.executor import GraphExecutorService, execute
from ember_bench.graph.jitting.api import jit
from ember_bench.graph.mapped import vmap
from ember_bench.graph.notation.build import build_graph
from ember_bench.graph.notation.words import NotationError
from ember_bench.graph.scheduler import Scheduler
from ember_bench.graph.turns import ExecutionPlan, Ref, Task
from ember_bench.operators.concurrency import parallel

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
    "parallel",
    "vmap",
]
