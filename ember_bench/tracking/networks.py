"""The architectures of an experiment with their parameters, as MLflow is to show them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import yaml

from ember_bench.experiment.cells import Cell
from ember_bench.experiment.prepare import Experiment
from ember_bench.graph import to_mermaid, to_svg
from ember_bench.graph.data import NoNGraphData
from ember_bench.graph.describe import describe_graph
from ember_bench.operators.base import Operator
from ember_bench.operators.signature import Signature
from ember_bench.tracking.messages import Network, NodePrompt

_NOT_IN_A_PROMPTS_NAME: Final = re.compile(r"[^A-Za-z0-9_.\-]+")
_LONGEST_NAME: Final = 200
_BRACES: Final = re.compile(r"\{\{|\}\}|\{(\w+)\}")


def networks(experiment: Experiment) -> list[Network]:
    """Return each architecture with its parameters once, with the cells that have it."""
    cells: dict[str, list[Cell]] = {}
    for cell in experiment.cells:
        cells.setdefault(cell.label, []).append(cell)
    return [network_of(label, found) for label, found in cells.items()]


def network_of(label: str, cells: list[Cell]) -> Network:
    """Return the architecture of cells, with their parameters, under a name."""
    first = cells[0]
    card = first.architecture.card
    return Network(
        label=label,
        architecture=first.architecture.name,
        purpose=card.purpose,
        parameters=first.parameters,
        models=[model.model_id for model in first.models],
        card=yaml.safe_dump(
            card.model_dump(mode="json", exclude_defaults=True),
            sort_keys=False,
            allow_unicode=True,
            width=100,
        ),
        tree=describe_graph(first.graph),
        svg=to_svg(first.graph),
        mermaid=to_mermaid(first.graph),
        prompts=list(_prompts(first.architecture.name, first.graph)),
        cells=[cell.name for cell in cells],
    )


def _prompts(architecture: str, graph: NoNGraphData) -> Iterator[NodePrompt]:
    """Yield the templates of the operators in a graph; none for what passes its input on."""
    for path, operator in graph.named_operators():
        node = path.removeprefix("nodes.")
        for name, template in _templates(operator):
            if _BRACES.sub("", template).strip():
                parts = [architecture, node, name.removesuffix("signature").strip("_")]
                full = _NOT_IN_A_PROMPTS_NAME.sub("_", ".".join(filter(None, parts)))
                yield NodePrompt(full[:_LONGEST_NAME], _BRACES.sub(_as_mlflow_writes, template))


def _templates(operator: Operator) -> Iterator[tuple[str, str]]:
    """Yield the prompt templates of an operator by the names of their attributes."""
    for name, value in ({"signature": operator.signature} | vars(operator)).items():
        signature = value() if isinstance(value, type) and issubclass(value, Signature) else value
        if isinstance(signature, Signature) and signature.prompt_template:
            yield name, signature.prompt_template


def _as_mlflow_writes(found: re.Match[str]) -> str:
    """Return a placeholder in double braces, and a brace as itself."""
    return f"{{{{{found[1]}}}}}" if found[1] else found[0][0]
