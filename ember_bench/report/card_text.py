"""Cards as text: purpose, paper, parameters, and the file of the card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ember_bench.datasets.generated import get_generator
from ember_bench.datasets.load import read_card
from ember_bench.documents import yaml_text
from ember_bench.drawing.text import clean
from ember_bench.errors import EmberBenchError
from ember_bench.experiment.spec import ExperimentSpec
from ember_bench.graph.architecture import Architecture, load_architecture
from ember_bench.graph.example import diagram_of, mermaid_of, shortest_use
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.operators.parameters import ImpliedParameter, ParameterCard
from ember_bench.registry import Card, Cards, Kind

Facts = dict[str, Any]


def card_facts(kind: Any, name: str, cards: Cards) -> Facts:
    """Return the facts about a card, JSON-like and without keys of providers.

    Args:
        kind: One of `ember_bench.registry.KINDS`.
        name: Name of the card, or id of a model.
        cards: The registries in force.
    """
    if kind == "models":
        return _model(name, cards)
    card = cards.get(kind, name)
    facts = _head(card, kind) | {k: v for k, v in card.document.data.items() if k != "name"}
    if kind == "architectures":
        architecture = load_architecture(name, cards)
        parameters = architecture.card.parameters
        implied = [n for n, p in parameters.items() if isinstance(p, ImpliedParameter)]
        own = {n: _parameter(p) for n, p in parameters.items() if n not in implied}
        facts.pop("parameters", None)
        facts["use"] = shortest_use(architecture)
        facts["parameters"] = own
        facts["more_parameters"] = implied
        facts |= _diagrams(architecture)
        facts["graph"] = facts.pop("graph")  # the diagrams come first
    if kind == "datasets":
        facts |= _generator_parameters(card)
    return facts


def grid_facts(spec: ExperimentSpec, path: Path) -> Facts:
    """Return the facts about a grid."""
    asked = spec.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    return {"name": spec.name, "card": "experiment", "file": str(path)} | asked


def card_text(facts: Facts) -> str:
    """Return facts as YAML, in their order, without the Mermaid source."""
    shown = {name: fact for name, fact in facts.items() if name != "mermaid"}
    return clean(yaml_text(shown).rstrip())


def _head(card: Card, kind: Kind) -> Facts:
    return {
        "name": card.name,
        "card": kind.removesuffix("s"),
        "file": str(card.document.path),
    }


def _model(name: str, cards: Cards) -> Facts:
    """Return the facts about a model, or about a set of models."""
    known = cards.all("models")
    card = known.get(name) or next(
        (known[c] for c in sorted(known, reverse=True) if name.startswith(f"{c}/")), None
    )
    registry = ModelRegistry.from_cards(cards)
    if card is not None and name not in registry:
        of_set = [m.model_id for m in registry if m.model_id.startswith(f"{name}/")]
        return _head(card, "models") | _purpose(card) | {"models": of_set}
    model = registry.get(name)
    dumped = model.model_dump(mode="json", exclude_defaults=True)
    head = _head(card, "models") | _purpose(card) if card is not None else {"card": "model"}
    return head | {"name": model.model_id} | dumped


def _purpose(card: Card) -> Facts:
    purpose = card.document.data.get("purpose")
    return {"purpose": purpose} if purpose else {}


def _parameter(parameter: ParameterCard) -> Facts:
    facts = parameter.model_dump(mode="json", exclude_defaults=True)
    for bound in ("minimum", "maximum"):
        if bound in facts and facts[bound].is_integer():
            facts[bound] = int(facts[bound])
    if parameter.required:
        facts["required"] = True
    return facts


def _diagrams(architecture: Architecture) -> Facts:
    """Return the network as text and as Mermaid source, or why it cannot be drawn."""
    try:
        return {"diagram": diagram_of(architecture), "mermaid": mermaid_of(architecture)}
    except (EmberBenchError, ValueError) as error:
        return {"diagram": f"cannot be drawn with default parameters: {error}"}


def _generator_parameters(card: Card) -> Facts:
    """Return the parameters of a generated dataset that a grid may set."""
    source = read_card(card).source.generated
    if source is None:
        return {}
    schema = get_generator(source.generator).parameters.model_json_schema()
    parameters = {}
    for name, said in schema["properties"].items():
        default = source.parameters.get(name, said.get("default"))
        shown = {"type": said.get("type"), "default": default}
        bounds = {"minimum": said.get("minimum"), "maximum": said.get("maximum")}
        parameters[name] = shown | {k: v for k, v in bounds.items() if v is not None}
    return {"parameters": parameters}
