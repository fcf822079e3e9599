"""Graphs as text trees."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ember_bench.graph.data import NoNGraphData
from ember_bench.operators.base import Operator
from ember_bench.operators.lm import LMModule
from ember_bench.operators.tree import constructor_parameters


def describe_graph(graph: NoNGraphData) -> str:
    """Return a line for each node: its operator, its LM modules, and its inputs.

    Operators within an operator follow on indented lines.
    """
    lms = len(graph.lm_modules())
    head = f"{_number(len(graph), 'node')}, {_number(lms, 'LM module')}"
    return "\n".join([head, *_nodes(graph, "  ")])


def _nodes(graph: NoNGraphData, indent: str) -> Iterator[str]:
    width = max((len(name) for name in graph.nodes), default=0)
    for node in graph:
        sources = f" <- {', '.join(node.inputs)}" if node.inputs else ""
        yield f"{indent}{node.name:<{width}}  {_operator(node.operator)}{sources}"
        yield from _within(node.operator, indent + " " * (width + 2))


def _within(operator: Operator, indent: str) -> Iterator[str]:
    if isinstance(operator, NoNGraphData):
        yield from _nodes(operator, indent)
        return
    direct: list[tuple[str, Operator]] = []
    for path, inner in operator.named_operators():
        # Operators deeper inside follow with the one that contains them.
        if path and not any(path.startswith(f"{outer}.") for outer, _ in direct):
            direct.append((path, inner))
    for path, inner in direct:
        yield f"{indent}{path}: {_operator(inner)}"
        yield from _within(inner, indent + "  ")


def _operator(operator: Operator) -> str:
    parts = [type(operator).__name__, _settings(operator), _asked(operator)]
    return " ".join(part for part in parts if part)


def _settings(operator: Operator) -> str:
    """Return the arguments that are not the defaults, in parentheses."""
    shown = []
    for name, parameter in constructor_parameters(type(operator)).items():
        value = getattr(operator, name, parameter.default)
        if isinstance(value, str | int | float) and value != parameter.default:
            shown.append(f"{name}={value}")
    return f"({', '.join(shown)})" if shown else ""


def _asked(operator: Operator) -> str:
    runs = [(text, len(list(run))) for text, run in itertools.groupby(map(_lm, operator.lms))]
    return ", ".join(f"{count} x {text}" if count > 1 else text for text, count in runs)


def _lm(lm: LMModule) -> str:
    given = lm.config.model_dump(exclude_defaults=True, exclude={"model_name"})
    settings = ", ".join(f"{name}={value}" for name, value in given.items())
    return lm.model.model_id + (f" ({settings})" if settings else "")


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
