"""The names of cards, grids and experiments, and their kinds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ember_bench.documents import read_document
from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.registry import KINDS, Cards, Kind
from ember_bench.running.find_grids import grids
from ember_bench.running.places import experiments

EXPERIMENT: Final = "experiment"
"""The kind of names that stand for a grid or for results."""

_EXPERIMENTS: Final = "experiments"


def names_of(kind: str | None, cards: Cards) -> dict[str, list[dict[str, Any]]]:
    """Return name, purpose and file of everything of a kind, or of all kinds, by kind.

    Raises:
        UnknownNameError: if there is no such kind.
    """
    known = (*KINDS, _EXPERIMENTS)
    if kind is not None and kind not in known:
        raise UnknownNameError("kind", kind, known)
    found: dict[str, list[dict[str, Any]]] = {
        name: list(_card_entries(name, cards)) for name in KINDS if kind in (None, name)
    }
    if kind in (None, _EXPERIMENTS):
        found[_EXPERIMENTS] = list(_grid_entries())
    return found


def _card_entries(kind: Kind, cards: Cards) -> Iterator[dict[str, Any]]:
    for card in cards.all(kind).values():
        data = card.document.data
        entry = {
            "name": card.name,
            "purpose": str(data.get("purpose", "")),
            "file": str(card.document.path),
        }
        # A card may stand for many models.
        models = data.get("models") if kind == "models" else None
        yield entry | {"models": [f"{card.name}/{m}" for m in models]} if models else entry


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
    names: set[str] = set(cards.all(kind))
    if kind == "models":
        # Slow to import, and not needed for lists.
        from ember_bench.models.model_registry import ModelRegistry  # noqa: PLC0415

        names |= {model.model_id for model in ModelRegistry.from_cards(cards)}
    return names


def _is_path(name: str) -> bool:
    path = Path(name).expanduser()
    return path.suffix in (".yaml", ".yml") or len(path.parts) > 1 or path.is_dir()
