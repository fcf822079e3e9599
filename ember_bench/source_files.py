"""Source files as the modules loaded from them have them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A source file as it was when its module was first seen.

    Attributes:
        owner: The import that the snapshot belongs to; None for a file that is not loaded.
        stamp: Modification time (ns) and size.
        imports: Absolute module names, and relative ones with their leading dots.
    """

    owner: object
    stamp: tuple[int, int]
    digest: str
    imports: tuple[str, ...]


_snapshots: dict[Path, Snapshot] = {}


def snapshot_of(path: Path, module: ModuleType | None) -> Snapshot:
    """Return a file as its loaded module has it, or as it is now if it is not loaded.

    A loaded module keeps its first snapshot: an edit reaches the results when it is loaded anew.
    """
    owner, known = owner_of(module), _snapshots.get(path)
    if known is not None and (known.owner is owner if owner else known.stamp == stamp_of(path)):
        return known
    stamp, content = stamp_of(path), path.read_bytes()
    made = Snapshot(owner, stamp, digest_of(content), tuple(dict.fromkeys(_imports(path, content))))
    _snapshots[path] = made
    return made


def owner_of(module: ModuleType | None) -> object:
    """Return what is replaced when a module is imported or reloaded."""
    return getattr(module, "__spec__", None) or module


def stamp_of(path: Path) -> tuple[int, int]:
    """Return modification time (ns) and size of a file; zeros if there is none."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return found.st_mtime_ns, found.st_size


def digest_of(content: bytes) -> str:
    """Return the digest by which contents are told apart."""
    return sha256(content).hexdigest()[:16]


def _imports(path: Path, content: bytes) -> Iterator[str]:
    """Yield the module names in a source file's imports, wherever they stand."""
    if path.suffix not in (".py", ".pyw"):
        return
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            dot = "." if node.module else ""
            yield from (f"{base}{dot}{a.name}" for a in node.names if a.name != "*")


def is_edited(path: Path, module: ModuleType) -> bool:
    """Whether a file is no longer as a module was loaded from it."""
    known = _snapshots.get(path)
    if known is None or known.owner is not owner_of(module):
        return False
    try:
        return stamp_of(path) != known.stamp and digest_of(path.read_bytes()) != known.digest
    except OSError:
        return True


def forget(path: Path) -> None:
    """Forget a file: its next snapshot is of what it is then."""
    _snapshots.pop(path, None)
