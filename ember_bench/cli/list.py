"""`ember-bench list`: what there is to use in a grid, and to run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ember_bench.cli._output import columns, put_json, put_text

if TYPE_CHECKING:
    from ember_bench.registry import Cards, Kind

_EXPERIMENTS = "experiments"


def list_names(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="models, datasets, evaluators, architectures, signatures or experiments; "
            "by default all."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the names as JSON.")] = False,
) -> None:
    """Print names and what they stand for."""
    from ember_bench.errors import UnknownNameError
    from ember_bench.registry import KINDS, Cards

    known = (*KINDS, _EXPERIMENTS)
    if kind is not None and kind not in known:
        raise UnknownNameError("kind", kind, known)
    cards = Cards()
    found = {name: list(_entries(name, cards)) for name in known if kind in (None, name)}
    if as_json:
        put_json(found)
        return
    from ember_bench.report.name_table import names_table

    put_text(names_table(found, columns()))


def _entries(kind: str, cards: Cards) -> Iterator[dict[str, Any]]:
    """Yield name, purpose and file of what there is of a kind."""
    if kind == _EXPERIMENTS:
        yield from _experiments()
        return
    card_kind: Kind = kind  # type: ignore[assignment]  # it is one of KINDS
    for card in cards.all(card_kind).values():
        data = card.document.data
        entry = {
            "name": card.name,
            "purpose": str(data.get("purpose", "")),
            "file": str(card.document.path),
        }
        # A card may stand for many models.
        models = data.get("models") if kind == "models" else None
        yield entry | {"models": [f"{card.name}/{m}" for m in models]} if models else entry


def _experiments() -> Iterator[dict[str, Any]]:
    from ember_bench.documents import read_document
    from ember_bench.errors import ConfigError
    from ember_bench.running.find_grids import grids

    for name, path in grids().items():
        try:
            purpose = str(read_document(path).data.get("purpose", ""))
        except ConfigError as error:
            purpose = f"cannot be read: {error}"
        yield {"name": name, "purpose": purpose, "file": str(path)}
