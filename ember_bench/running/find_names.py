"""The names of cards, grids and experiments, and their kinds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ember_bench.datasets.load import read_card
from ember_bench.datasets.suites import load_suite
from ember_bench.documents import read_document
from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.evaluators.cards import load_evaluator
from ember_bench.graph.architecture import load_architecture
from ember_bench.models.model_registry import ModelRegistry, models_of_card
from ember_bench.operators.signature import signature_from_card
from ember_bench.registry import KINDS, Card, Cards, Kind
from ember_bench.running.find_grids import grids
from ember_bench.running.places import experiments

EXPERIMENT: Final = "experiment"
"""The kind of names that stand for a grid or for results."""

_EXPERIMENTS: Final = "experiments"
_BROKEN: Final = "cannot be used"


def names_of(kind: str | None, cards: Cards) -> dict[str, list[dict[str, Any]]]:
    """Return name, purpose and file of everything of a kind, or of all kinds, by kind.

    Raises:
        UnknownNameError: if there is no such kind.
    """
    known = (*KINDS, _EXPERIMENTS)
    plural = {name.removesuffix("s"): name for name in known} | {name: name for name in known}
    if kind is not None:
        if kind not in plural:
            raise UnknownNameError("kind", kind, known)
        kind = plural[kind]
    found: dict[str, list[dict[str, Any]]] = {
        name: list(_card_entries(name, cards)) for name in KINDS if kind in (None, name)
    }
    if kind in (None, _EXPERIMENTS):
        found[_EXPERIMENTS] = list(_grid_entries())
    return found


def _card_entries(kind: Kind, cards: Cards) -> Iterator[dict[str, Any]]:
    """Yield the entry of each card; a broken one has its mistake for a purpose."""
    for card in cards.all(kind).values():
        data = card.document.data
        entry: dict[str, Any] = {
            "name": card.name,
            "purpose": _mistake(card, cards) or str(data.get("purpose", "")),
            "file": str(card.document.path),
        }
        # A card may stand for many models.
        models = data.get("models") if kind == "models" else None
        if isinstance(models, list):
            entry["models"] = [f"{card.name}/{m}" for m in models]
        yield entry
    for broken in cards.broken(kind).values():
        purpose = f"{_BROKEN}: {broken.problems[0]}"
        yield {"name": broken.name, "purpose": purpose, "file": str(broken.path)}


def _mistake(card: Card, cards: Cards) -> str:
    """Return what is wrong with a card; "" if nothing is."""
    try:
        match card.kind:
            case "models":
                models_of_card(card.document)
            case "datasets":
                read_card(card)
            case "suites":
                load_suite(card, cards)
            case "evaluators":
                load_evaluator(card, cards)
            case "architectures":
                load_architecture(card.name, cards)
            case "signatures":
                signature_from_card(card.name, cards)
    except ConfigError as error:
        return f"{_BROKEN}: {error.problems[0]}"
    return ""


def _grid_entries() -> Iterator[dict[str, Any]]:
    for name, path in grids().items():
        try:
            purpose = str(read_document(path).data.get("purpose", ""))
        except ConfigError as error:
            purpose = f"cannot be read: {error}"
        yield {"name": name, "purpose": purpose, "file": str(path)}


def kind_of(name: str, wanted: str | None, results: Path, cards: Cards) -> str:
    """Return the kind of a name: `EXPERIMENT`, or one of `KINDS`.

    Args:
        name: The name.
        wanted: The kind, if the user gives it; singular or plural.
        results: The folder of results.
        cards: The registries in force.

    Raises:
        ConfigError: if there is no such name, or it has several kinds and none is wanted.
    """
    known = {EXPERIMENT: {*grids(), *experiments(results)}}
    known |= {kind: _names(kind, cards) for kind in KINDS}
    if wanted is not None:
        plural = {kind.removesuffix("s"): kind for kind in known} | {kind: kind for kind in known}
        if wanted not in plural:
            raise UnknownNameError("kind", wanted, plural)
        known = {plural[wanted]: known[plural[wanted]]}
    kinds = [kind for kind, names in known.items() if name in names]
    if len(kinds) > 1:
        # A prompt is often called as the architecture that it is for.
        kinds = [kind for kind in kinds if kind != "signatures"]
    if len(kinds) > 1:
        choices = " or ".join(f"--kind {kind.removesuffix('s')}" for kind in kinds)
        raise ConfigError(f"{name!r} is the name of several things: give {choices}")
    if kinds:
        return kinds[0]
    if EXPERIMENT in known and _is_path(name):
        return EXPERIMENT
    raise UnknownNameError("name", name, set().union(*known.values()))


def _names(kind: Kind, cards: Cards) -> set[str]:
    """Return the names of a kind of cards."""
    names = {*cards.all(kind), *cards.broken(kind)}
    if kind == "models":
        names |= {model.model_id for model in ModelRegistry.from_cards(cards)}
    return names


def _is_path(name: str) -> bool:
    path = Path(name).expanduser()
    return path.suffix in (".yaml", ".yml") or len(path.parts) > 1 or path.is_dir()
