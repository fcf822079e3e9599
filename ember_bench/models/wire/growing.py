"""Objects of JSON that come in pieces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ember_bench.models.wire.counts import field
from ember_bench.models.wire.failures import MalformedError

# Some servers send these with each piece; they never come in pieces.
_ONCE: Final = frozenset({"format", "id", "name", "role", "signature", "type"})
# Of one list. No answer has as many parts or tool calls.
_MOST_PARTS: Final = 10_000


class _Text(list[str]):
    """A text in pieces: texts that are added one to the other take time that grows squared."""


def grow(known: dict[str, Any], more: Mapping[str, Any], once: frozenset[str] = _ONCE) -> None:
    """Add the next piece of an object to it: texts get longer, lists and objects are filled.

    Args:
        known: The object so far; `settled` makes JSON of it.
        more: The piece.
        once: Texts that are not put together.

    Raises:
        MalformedError: if a list in it has too many entries.
    """
    for name, piece in more.items():
        if piece is None:
            known.setdefault(name, None)
        elif isinstance(piece, str) and name in once:
            known[name] = known.get(name) or piece
        elif isinstance(piece, str):
            known[name] = _longer(known.get(name), piece)
        elif isinstance(piece, list):
            _fill(_listed(known, name), piece)
        elif isinstance(piece, dict):
            within = known.get(name)
            if not isinstance(within, dict):
                within = known[name] = {}
            grow(within, piece)
        else:
            known[name] = piece


def settled(known: Any) -> Any:
    """Return what has grown with its texts in one piece."""
    if isinstance(known, _Text):
        return "".join(known)
    if isinstance(known, dict):
        return {name: settled(value) for name, value in known.items()}
    return [settled(value) for value in known] if isinstance(known, list) else known


def _longer(known: Any, piece: str) -> Any:
    if isinstance(known, _Text):
        known.append(piece)
        return known
    if isinstance(known, list):  # Mistral's contents are texts, and lists while it thinks
        _fill(known, [{"type": "text", "text": piece}])
        return known
    return _Text([known, piece] if isinstance(known, str) else [piece])


def _listed(known: dict[str, Any], name: str) -> list[Any]:
    """Return the list of this name; a text that is there already becomes its first part."""
    within = known.get(name)
    if isinstance(within, _Text):
        within = known[name] = [{"type": "text", "text": within}] if any(within) else []
    elif not isinstance(within, list):
        within = known[name] = []
    return within


def _fill(entries: list[Any], pieces: list[Any]) -> None:
    for piece in pieces:
        if not isinstance(piece, dict):
            entries.append(piece)
            continue
        entry = _continued(entries, piece)
        if entry is None:
            entry = {}
            entries.append(entry)
        grow(entry, piece)
    if len(entries) > _MOST_PARTS:
        raise MalformedError(f"a list of more than {_MOST_PARTS:,} parts in it")


def _continued(entries: list[Any], piece: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the entry that a piece belongs to; None if it begins one.

    That is the one of the same index, or else the last. Not every server counts: another id, or
    kind, begins an entry, and without indices another name does.
    """
    index = piece.get("index")
    for entry in reversed(entries):
        if not isinstance(entry, dict):
            return None
        if isinstance(index, int) and entry.get("index") != index:
            continue
        names = ["id", "type"] if isinstance(index, int) else ["id", "type", "function"]
        is_other = any(_differs(entry.get(name), piece.get(name)) for name in names)
        return None if is_other else entry
    return None


def _differs(known: Any, said: Any) -> bool:
    if isinstance(said, dict):  # a tool's call names its function once
        return bool(field(known, "name") and field(said, "name"))
    return bool(known and said and known != said)
