"""Architectures: parameterised graphs in the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ember_bench.documents import Document, Key, read_document
from ember_bench.errors import (
    ConfigError,
    EmberBenchError,
    Problem,
    UnknownNameError,
    did_you_mean,
)
from ember_bench.graph.data import NoNGraphData
from ember_bench.models.model_registry import default_registry
from ember_bench.models.service import ModelService
from ember_bench.operators.base import Operator, operator_class
from ember_bench.operators.cards import Builder, NodeCard, operator_of_card
from ember_bench.operators.parameters import (
    LISTS,
    ImpliedParameter,
    ParameterCard,
    implied_parameters,
    sampling_fields,
)
from ember_bench.operators.signature import builtin_cards
from ember_bench.registry import Card, Cards

# The node of an architecture that is one operator.
_NODE: Final = "network"


class _Card(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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
    """Its parameters, by name; a grid gives and sweeps them. `prompt` and those of `sampling` are
    implied."""


class ArchitectureCard(ArchitectureHead):
    """A card of `registry/architectures/`.

    In the graph, a value `$name` stands for the parameter of that name; `$$` is a dollar sign.
    """

    graph: dict[str, GraphNodeCard] = Field(min_length=1)
    """Its nodes, by name; the last one gives the answer."""

    @model_validator(mode="after")
    def _references_are_known(self) -> ArchitectureCard:
        for name, parameter in self.parameters.items():
            if (reference := parameter.refers_to) is None:
                continue
            other, index = self.parameters.get(reference[0]), reference[1]
            if other is None:
                hint = did_you_mean(reference[0], self.parameters)
                raise ValueError(f"default of {name}: unknown parameter ${reference[0]}{hint}")
            if other.refers_to is not None:
                raise ValueError(f"default of {name}: ${reference[0]} has such a default itself")
            if index is not None and other.type not in LISTS:
                raise ValueError(f"default of {name}: ${reference[0]} is no list")
        return self


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
        """Return all parameters, with defaults; without implied ones that have no value.

        Raises:
            ValueError: naming the parameter, the expected values and near matches.
        """
        for name in parameters:
            if name not in self.card.parameters:
                hint = did_you_mean(name, self.card.parameters)
                raise ValueError(f"unknown parameter {name!r}{hint}")
        checked: dict[str, Any] = {}
        # Those whose defaults are the values of others come last.
        ordered = sorted(self.card.parameters.items(), key=lambda p: p[1].refers_to is not None)
        for name, parameter in ordered:
            value = parameters.get(name, parameter.default)
            if name not in parameters and (reference := parameter.refers_to) is not None:
                value = _referred(name, reference, checked)
            if value is None:
                if parameter.required:
                    raise ValueError(f"missing parameter {name!r} ({parameter.type})")
                if not isinstance(parameter, ImpliedParameter):
                    checked[name] = None
                continue
            try:
                checked[name] = parameter.check(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error} (found {value!r})") from None
        return {name: checked[name] for name in self.card.parameters if name in checked}

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
        implied = {
            name: parameters[name]
            for name, parameter in self.card.parameters.items()
            if isinstance(parameter, ImpliedParameter) and name in parameters
        }
        absent = dict.fromkeys(self.card.parameters)
        builder = Builder({**absent, **parameters}, service, self.cards, implied)
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


def _referred(name: str, reference: tuple[str, int | None], checked: Mapping[str, Any]) -> Any:
    """Return the value of another parameter, or an entry of it, as the default of `name`."""
    other, index = reference
    value = checked.get(other)
    if index is None or value is None:
        return value
    if index >= len(value):
        raise ValueError(f"{name}: {other!r} has no entry {index + 1} that could be its default")
    return value[index]


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

    The card of an operator, as `save_operator` writes it, is an architecture without parameters.

    Raises:
        ConfigError: if there is no such card, or it is invalid.
    """
    return _architecture(cards.get("architectures", name), cards)


def load_operator(
    path: Path | str,
    service: ModelService | None = None,
    cards: Cards | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Operator:
    """Return the operator in a file: that of an operator's card, or the graph of an architecture.

    Args:
        path: A file written by `save_operator`, or an architecture card.
        service: The service of the LM modules; by default one for the registries in force.
        cards: The known signatures; by default those of the built-in registry.
        parameters: Of an architecture; without a value, a parameter has its default.

    Raises:
        ConfigError: with the place in the file.
    """
    document = read_document(Path(path))
    if "graph" not in document.data:
        if parameters:
            raise ConfigError(document.problem("the card of an operator has no parameters"))
        return operator_of_card(document, service, cards)
    name = str(document.data.get("name", document.path.stem))
    source = Card("architectures", name, document, document.path.parent)
    architecture = _architecture(source, cards or builtin_cards())
    try:
        checked = architecture.check(parameters or {})
    except ValueError as error:
        raise ConfigError(document.problem(str(error), "parameters")) from None
    return architecture.build(checked, service or ModelService(default_registry()))


def _architecture(source: Card, cards: Cards) -> CardArchitecture:
    source = replace(source, document=_of_operator(source.document, source.name))
    card = source.document.parse(ArchitectureCard)
    implied = implied_parameters(_open_fields(source.document.data["graph"]))
    parameters = {
        **card.parameters,
        **{n: p for n, p in implied.items() if n not in card.parameters},
    }
    card = card.model_copy(update={"parameters": parameters})
    if problems := list(_unknown_names(source.document, card, cards)):
        raise ConfigError(*problems)
    return CardArchitecture(card, source, cards)


def _of_operator(document: Document, name: str) -> Document:
    """Return the architecture that the card of an operator is; another document as it is.

    The nodes of a graph are those of the architecture; any other operator is one node.
    """
    data = document.data
    if "operator" not in data or "graph" in data:
        return document
    head: dict[str, Any] = {"name": name, "purpose": f"The operator {data['operator']}."}
    own = {key: value for key, value in data.items() if key not in head}  # its name is the file's
    arguments = own.get("arguments")
    arguments = arguments if isinstance(arguments, dict) else {}
    nodes, edges = arguments.get("nodes"), arguments.get("edges", {})
    if data["operator"] != NoNGraphData.__name__ or not isinstance(nodes, dict):
        marks = {("graph", _NODE, *place): mark for place, mark in document.marks.items()}
        return Document(document.path, {**head, "graph": {_NODE: own}}, marks)
    graph = {n: {**card, "inputs": list(edges.get(n, ()))} for n, card in nodes.items()}
    inner = ("arguments", "nodes")
    found = {place[2:]: mark for place, mark in document.marks.items() if place[:2] == inner}
    marks = {("graph", *place): mark for place, mark in found.items()}
    return Document(document.path, {**head, "graph": graph}, marks)


def _open_fields(value: Any) -> Iterator[tuple[str, str]]:
    """Yield (prefix, field) for the fields that LM modules with `sampling` leave open."""
    if isinstance(value, list):
        for entry in value:
            yield from _open_fields(entry)
    elif isinstance(value, dict):
        if "model" in value and isinstance(prefix := value.get("sampling"), str):
            yield from ((prefix, field) for field in sampling_fields() if field not in value)
        for entry in value.values():
            yield from _open_fields(entry)


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
            elif isinstance(entry, str) and entry.startswith("$"):
                yield (*at, key), "parameter", entry[1:]
            elif isinstance(entry, str) and "{" not in entry:
                yield (*at, key), "signature", entry
            # The fields of a signature contain no names.
