"""Architectures that Python code makes: graphs, operators, functions and their factories."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias, cast

from ember_bench.errors import ConfigError, Problem, did_you_mean
from ember_bench.graph.architecture import Architecture, ArchitectureHead
from ember_bench.graph.data import NoNGraphData
from ember_bench.graph.notation.build import build_graph
from ember_bench.models.service import ModelService
from ember_bench.operators.answer_function import AnswerFunction
from ember_bench.operators.base import Operator
from ember_bench.operators.fan_out import EnsembleOperator
from ember_bench.operators.lm import LMModule
from ember_bench.operators.parameters import ParameterCard, ParameterType
from ember_bench.programs.recognised import as_program, is_program

Network: TypeAlias = Operator | LMModule | str | Sequence[str] | Callable[..., Any]
"""A graph or another operator, one LM module, compact notation, a function of an item's fields, or
a program of another framework."""

QUERY: Final = "query"
"""The parameter by which a function of an item's fields is known from a factory."""
FIELDS: Final = (QUERY, "answer_format", "choices", "normalise")
"""The fields of an item that a function may take."""

_NODE: Final = "answer"
_TYPES: Final[Mapping[type, ParameterType]] = {
    bool: "bool", int: "int", float: "float", str: "str", list: "models",
}  # fmt: skip


@dataclass(frozen=True)
class MadeArchitecture(Architecture):
    """An architecture whose graph a function makes.

    Attributes:
        card: Its name and parameters.
        make: Takes the parameters by name.
    """

    card: ArchitectureHead
    make: Callable[..., Network]

    def build(self, parameters: Mapping[str, Any], service: ModelService) -> NoNGraphData:
        """Return the graph for checked `parameters`; compact notation is built with `service`.

        LM modules that exist already are asked through the service of their cell.

        Raises:
            ConfigError: if the function returns no network.
        """
        try:
            return as_graph(self.make(**parameters), service)
        except ConfigError as error:
            about = f"architecture {self.name!r}: "
            raise ConfigError(
                *(Problem(about + problem.message, problem.location) for problem in error.problems)
            ) from error


def as_graph(network: Network, service: ModelService) -> NoNGraphData:
    """Return a network as a graph; compact notation is built with LM modules of `service`.

    Raises:
        ConfigError: if it is no network.
    """
    if isinstance(network, NoNGraphData):
        return network
    if isinstance(network, LMModule):
        return NoNGraphData({_NODE: EnsembleOperator(lm_modules=[network])})
    if isinstance(network, Operator):
        return NoNGraphData({_NODE: network})
    if (program := as_program(network)) is not None:
        return NoNGraphData({_NODE: program})
    if isinstance(network, str) or _is_notation(network):
        return build_graph(cast("str | Sequence[str]", network), service=service)
    if callable(network):
        return NoNGraphData({_NODE: _answering(network)})
    raise _no_network(network)


def made_architecture(
    name: str, network: Any, given: Mapping[str, Sequence[Any]]
) -> MadeArchitecture:
    """Return the architecture that a network, a function or a factory is.

    A function with a parameter `query` answers items; one without makes a network of the given
    parameters.

    Args:
        name: Its name.
        network: A network, or a function that returns one.
        given: The values of each parameter.

    Raises:
        ConfigError: if a parameter is unknown, has no value, or has values that no parameter of a
            card has.
    """
    known = isinstance(network, Operator | LMModule | str) or _is_notation(network)
    known = known or is_program(network)
    if not (known or callable(network)):
        raise _no_network(network)
    takes = parameters_of(network)
    for parameter in given:
        if parameter not in takes:
            hint = did_you_mean(parameter, takes) if takes else "; it takes none"
            raise ConfigError(f"unknown parameter {parameter!r}{hint}")
    missing = [p.name for p in takes.values() if p.default is p.empty and p.name not in given]
    if missing:
        raise ConfigError(
            f"no value for the parameter {missing[0]!r}; a function that "
            f"answers items takes {QUERY!r}"
        )
    cards = {parameter: _parameter_card(parameter, values) for parameter, values in given.items()}
    head = ArchitectureHead(name=name, purpose="Made in Python.", parameters=cards)
    return MadeArchitecture(head, _maker(network))


def parameters_of(network: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters that can be swept of a network; an empty mapping if it has none."""
    if not _is_function(network):
        return {}
    parameters = inspect.signature(network).parameters.values()
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    of_items = FIELDS if _answers(network) else ()
    return {name: parameter for name, parameter in named.items() if name not in of_items}


def _no_network(found: Any) -> ConfigError:
    return ConfigError(
        "expected a graph, an operator, an LM module, compact notation or "
        f"a function, found {type(found).__name__}"
    )


def _is_function(network: Any) -> bool:
    return callable(network) and not (
        isinstance(network, Operator | LMModule) or is_program(network)
    )


def _answers(network: Any) -> bool:
    """Return whether a network is a function that answers items, and no factory."""
    return _is_function(network) and QUERY in inspect.signature(network).parameters


def _maker(network: Any) -> Callable[..., Network]:
    if _answers(network):
        return lambda **given: partial(network, **given) if given else network
    if _is_function(network):
        return cast("Callable[..., Network]", network)
    return lambda: cast("Network", network)


def _answering(function: Callable[..., Any]) -> AnswerFunction:
    try:
        made = AnswerFunction(function)
    except TypeError as error:
        raise ConfigError(str(error)) from error
    needed = made.signature.required_inputs if made.signature is not None else ()
    if unknown := [field for field in needed if field not in FIELDS]:
        raise ConfigError(f"an item has no field {unknown[0]!r}{did_you_mean(unknown[0], FIELDS)}")
    return made


def _parameter_card(where: str, values: Sequence[Any]) -> ParameterCard:
    """Return the card of a parameter with these values."""
    types = {type(value) for value in values if value is not None}
    kind: ParameterType | None = _TYPES.get(next(iter(types), str))
    if types == {int, float}:
        kind = "float"
    elif len(types) > 1:
        kind = None
    if kind is None or (kind == "models" and not all(map(_is_texts, values))):
        raise ConfigError(
            f"{where}: expected texts, numbers, truth values or lists of models, all of one kind, "
            f"found {', '.join(map(repr, values))}"
        )
    return ParameterCard(type=kind, optional=None in values)


def _is_texts(value: Any) -> bool:
    return value is None or all(isinstance(entry, str) for entry in value)


def _is_notation(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value)
