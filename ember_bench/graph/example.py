"""Architectures shown with example parameters."""

from __future__ import annotations

from typing import Any, Final

from ember_bench.documents import yaml_text
from ember_bench.graph.architecture import Architecture
from ember_bench.graph.data import NoNGraphData
from ember_bench.graph.describe import describe_graph
from ember_bench.graph.diagrams import to_mermaid, to_svg
from ember_bench.models.info import ModelInfo
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.operators.parameters import ParameterCard

_PROVIDER: Final = "simulated:"
_MODEL: Final = "simulated:small"
# Number of models in an example list, unless its minimum is higher.
_FEW: Final = 2
_PLAIN: Final[dict[str, Any]] = {
    "int": 1,
    "float": 0.0,
    "bool": False,
    "texts": [],
    "mapping": {},
    "mappings": [],
    "signature": "{query}",
}


def diagram_of(architecture: Architecture) -> str:
    """Return the network as a text tree; `$name` stands for the model given as that parameter."""
    return _with_names(describe_graph(example_graph(architecture)))


def mermaid_of(architecture: Architecture) -> str:
    """Return the network as a Mermaid flowchart, with the names that `diagram_of` gives."""
    return _with_names(to_mermaid(example_graph(architecture)))


def svg_of(architecture: Architecture) -> str:
    """Return the network as an SVG picture, with the names that `diagram_of` gives."""
    return _with_names(to_svg(example_graph(architecture)))


def shortest_use(architecture: Architecture) -> str:
    """Return the entry of a grid, as YAML, that gives only the parameters without a default.

    A parameter that takes one model for a list of them (`one`) is given so.
    """
    given: dict[str, Any] = {}
    for name, parameter in architecture.card.parameters.items():
        if not parameter.required:
            continue
        if parameter.one is not None and (parameter.minimum or 0) <= 1:
            given[parameter.one] = _MODEL
        elif parameter.type == "models":
            given[name] = [_MODEL] * max(1, int(parameter.minimum or 1))
        else:
            given[name] = _MODEL if parameter.type == "model" else _stand_in(name, parameter)
    entry = {"name": architecture.card.name, "parameters": given}
    if not given:
        del entry["parameters"]
    return yaml_text({"architectures": [entry]})


def _with_names(text: str) -> str:
    """Show `simulated:$model` as `$model`; Mermaid writes the sign as `#36;`."""
    return text.replace(f"{_PROVIDER}$", "$").replace(f"{_PROVIDER}#36;", "#36;")


def example_graph(architecture: Architecture) -> NoNGraphData:
    """Return the network with its default parameters, and simulated models for required ones.

    The model for the parameter `judge` is called `simulated:$judge`, those for the list `models`
    `simulated:$models.1`, `simulated:$models.2` and so on.
    """
    parameters = architecture.card.parameters
    given = {
        name: _stand_in(name, p)
        for name, p in parameters.items()
        if p.required or p.refers_to is not None
    }
    registry = ModelRegistry()
    for name, parameter in parameters.items():
        value = given.get(name, parameter.default)
        if parameter.type in ("model", "models") and value is not None:
            for model in value if isinstance(value, list) else [value]:
                registry.register_model(ModelInfo(model_id=model))
    return architecture.build(architecture.check(given), ModelService(registry))


def _stand_in(name: str, parameter: ParameterCard) -> Any:
    """Return a value for a parameter that has no default."""
    if parameter.type == "models":
        count = max(_FEW, int(parameter.minimum or 0))
        count = min(count, int(parameter.maximum)) if parameter.maximum is not None else count
        return [f"{_PROVIDER}${name}.{number}" for number in range(1, count + 1)]
    if parameter.type in ("int", "float") and parameter.minimum is not None:
        return type(_PLAIN[parameter.type])(parameter.minimum)
    if parameter.choices:
        return parameter.choices[0]
    if parameter.type in _PLAIN:
        return _PLAIN[parameter.type]
    return f"{_PROVIDER}${name}" if parameter.type == "model" else f"${name}"
