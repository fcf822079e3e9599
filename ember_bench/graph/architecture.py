"""Architectures: parameterised graphs in the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ember_bench.documents import Document, Key
from ember_bench.errors import (
    ConfigError,
    EmberBenchError,
    Problem,
    UnknownNameError,
    did_you_mean,
)
from ember_bench.graph.data import NoNGraphData
from ember_bench.models.service import ModelService
from ember_bench.operators.base import operator_class
from ember_bench.operators.cards import Builder, NodeCard
from ember_bench.registry import Card, Cards

ParameterType = Literal["model", "models", "int", "float", "bool", "str"]
LISTS = ("models",)


class _Card(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ParameterCard(_Card):
    """One parameter of an architecture."""

    type: ParameterType
    """Type of the values; `model` is an id in the model registry, `models` a list of ids."""
    default: Any = None
    """The default value; without one, the parameter is required unless it is `optional`."""
    optional: bool = False
    """Whether the value may be `null`, which is also the default if there is no other."""
    minimum: float | None = None
    """Minimum of a number, or of the length of a list."""
    maximum: float | None = None
    """Maximum of a number, or of the length of a list."""
    choices: list[str] | None = None
    """The allowed texts."""
    purpose: str = ""
    """Its effect, in one line."""

    @property
    def required(self) -> bool:
        """Whether a value must be given."""
        return self.default is None and not self.optional

    def check(self, value: Any) -> Any:
        """Return `value`, converted to the parameter's type.

        Raises:
            ValueError: naming the expected values.
        """
        if value is None and self.optional:
            return None
        if self.type == "models":
            return self._check_models(value)
        checked = _check_scalar(self.type, value)
        if self.choices is not None and checked not in self.choices:
            raise ValueError(f"expected one of {', '.join(self.choices)}")
        if self.type in ("int", "float"):
            self._check_range(checked, "")
        return checked

    def _check_models(self, value: Any) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise ValueError("expected a list of models")
        self._check_range(len(value), " models")
        return value

    def _check_range(self, number: float, unit: str) -> None:
        if self.minimum is not None and number < self.minimum:
            raise ValueError(f"must be at least {self.minimum:g}{unit}")
        if self.maximum is not None and number > self.maximum:
            raise ValueError(f"must be at most {self.maximum:g}{unit}")


class GraphNodeCard(NodeCard):
    """One node of an architecture's graph, or several equal ones in a row."""

    repeat: Any = 1
    """Number of nodes in a row, each with the outputs of the one before; 0 leaves out the node.
    A node that names this one as an input receives the outputs of the last."""


class ArchitectureHead(_Card):
    """The fields of an architecture card beside its graph."""

    name: str
    """Its name in grids; by default the file's."""
    purpose: str
    """Its purpose, in one line."""
    paper: str = ""
    """Its source."""
    oracle: bool = False
    """Whether it uses the target, so that it is an oracle (an upper limit) and not a system."""
    parameters: dict[str, ParameterCard] = Field(default_factory=dict)
    """Its parameters, by name; a grid gives and sweeps them."""


class ArchitectureCard(ArchitectureHead):
    """A card of `registry/architectures/`.

    In the graph, a value `$name` stands for the parameter of that name; `$$` is a dollar sign.
    """

    graph: dict[str, GraphNodeCard] = Field(min_length=1)
    """Its nodes, by name; the last one gives the answer."""


class Architecture(ABC):
    """A parameterised graph.

    Attributes:
        card: Its name and parameters.
    """

    card: ArchitectureHead

    @property
    def name(self) -> str:
        """The card's name."""
        return self.card.name

    def check(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters, with defaults.

        Raises:
            ValueError: naming the parameter, the expected values and near matches.
        """
        for name in parameters:
            if name not in self.card.parameters:
                hint = did_you_mean(name, self.card.parameters)
                raise ValueError(f"unknown parameter {name!r}{hint}")
        checked: dict[str, Any] = {}
        for name, parameter in self.card.parameters.items():
            value = parameters.get(name, parameter.default)
            if value is None:
                if parameter.required:
                    raise ValueError(f"missing parameter {name!r} ({parameter.type})")
                checked[name] = None
                continue
            try:
                checked[name] = parameter.check(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error} (found {value!r})") from None
        return checked

    @abstractmethod
    def build(self, parameters: Mapping[str, Any], service: ModelService) -> NoNGraphData:
        """Return the graph for checked `parameters`, with LM modules of `service`.

        Raises:
            ConfigError: if the graph cannot be built with these parameters.
        """


@dataclass(frozen=True)
class CardArchitecture(Architecture):
    """An architecture card, to be built with parameters."""

    card: ArchitectureCard
    source: Card
    cards: Cards

    def build(self, parameters: Mapping[str, Any], service: ModelService) -> NoNGraphData:
        """Return the graph for checked `parameters`, with LM modules of `service`.

        Raises:
            ConfigError: if an operator rejects its arguments, with the place in the card.
        """
        graph = NoNGraphData()
        builder = Builder(parameters, service, self.cards)
        # For each node of the card, the nodes of the graph whose outputs it stands for.
        ends: dict[str, list[str]] = {}
        for name, node in self.card.graph.items():
            try:
                ends[name] = _add_nodes(graph, name, node, builder, ends)
            except UnknownNameError:
                raise
            except (EmberBenchError, TypeError, ValueError) as error:
                problem = self.source.document.problem(str(error), "graph", name)
                raise ConfigError(problem) from error
        return graph


def _add_nodes(
    graph: NoNGraphData,
    name: str,
    card: GraphNodeCard,
    builder: Builder,
    ends: Mapping[str, Sequence[str]],
) -> list[str]:
    """Add the nodes that a card stands for; return those with its outputs."""
    count = builder.value(card.repeat)
    if not isinstance(count, int) or count < 0:
        raise ValueError(f"repeat: expected a whole number from 0, found {count!r}")
    inputs = [end for source in card.inputs for end in ends.get(source, [source])]
    for number in range(1, count + 1):
        node = name if count == 1 else f"{name}_{number}"
        graph.add_node(name=node, operator=builder.operator(card), inputs=inputs)
        inputs = [node]
    return inputs


def load_architecture(name: str, cards: Cards) -> CardArchitecture:
    """Return the architecture on the card `name`.

    Raises:
        ConfigError: if there is no such card, or it is invalid.
    """
    source = cards.get("architectures", name)
    card = source.document.parse(ArchitectureCard)
    if problems := list(_unknown_names(source.document, card, cards)):
        raise ConfigError(*problems)
    return CardArchitecture(card, source, cards)


def sweep(parameter: ParameterCard, value: Any) -> Sequence[Any]:
    """Return the values of a parameter in a grid: the entries of a list, or a single value.

    For a parameter that is itself a list, only a list of lists has several values.
    """
    if not isinstance(value, list):
        return [value]
    if parameter.type in LISTS:
        return value if value and all(isinstance(entry, list) for entry in value) else [value]
    return value


def _check_scalar(kind: ParameterType, value: Any) -> Any:
    # In Python a bool is an int, but `k: true` is a mistake.
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind in ("str", "model") and isinstance(value, str):
        return value
    expected = {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "str": "text",
        "model": "a model, `provider:model`",
    }
    raise ValueError(f"expected {expected[kind]}")


def _unknown_names(document: Document, card: ArchitectureCard, cards: Cards) -> Iterator[Problem]:
    """Yield a problem for each unknown name in the graph."""
    for node, content in document.data["graph"].items():
        for keys, kind, name in _names(content, ("graph", node)):
            try:
                if kind == "operator":
                    operator_class(name)
                elif kind == "signature":
                    cards.get("signatures", name)
                elif name not in card.parameters:
                    hint = did_you_mean(name, card.parameters)
                    yield document.problem(f"unknown parameter ${name}{hint}", *keys)
            except UnknownNameError as error:
                yield document.problem(str(error), *keys)


def _names(value: Any, at: tuple[Key, ...]) -> Iterator[tuple[tuple[Key, ...], str, str]]:
    """Yield (keys that lead to a name, its kind, the name), as `Builder` reads them."""
    if isinstance(value, str) and value.startswith("$") and not value.startswith("$$"):
        yield at, "parameter", value[1:]
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _names(entry, (*at, index))
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key == "operator" and isinstance(entry, str):
                yield (*at, key), "operator", entry
            elif key != "signature" or not ("operator" in value or len(value) == 1):
                yield from _names(entry, (*at, key))
            elif isinstance(entry, str):
                yield (*at, key), "signature", entry
            # The fields of a signature contain no names.
