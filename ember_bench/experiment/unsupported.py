"""Parameters of a grid that models do not accept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ember_bench.errors import ConfigError
from ember_bench.graph.architecture import Architecture
from ember_bench.graph.data import NoNGraphData
from ember_bench.models.providers.base import provider_class


def unsupported(
    graph: NoNGraphData, architecture: Architecture, parameters: Mapping[str, Any]
) -> Iterator[str]:
    """Yield a sentence for each parameter that a model of a graph does not accept.

    Args:
        graph: The graph.
        architecture: What it was built from.
        parameters: The parameters that it was built with.
    """
    for lm in graph.lm_modules():
        try:
            messages = provider_class(lm.model.provider_name).unsupported(lm.request(""))
        except ConfigError as error:
            messages = [problem.message for problem in error.problems]
        for message in messages:
            yield message + _way_out(message, architecture, parameters)


def _way_out(message: str, architecture: Architecture, parameters: Mapping[str, Any]) -> str:
    """Return how to leave a parameter to the model, if the architecture has a way."""
    words = message.replace(":", " ").split()
    nulls = [
        f"`{name}: null`"
        for name, parameter in architecture.card.parameters.items()
        if parameter.optional and parameters.get(name) is not None
        if any(name == word or name.endswith(f"_{word}") for word in words)
    ]
    return f"; give {' or '.join(nulls)}" if nulls else ""
