"""Grids by name or path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ember_bench.errors import ConfigError, UnknownNameError, did_you_mean
from ember_bench.registry import builtin_root

PAPER_GRID: Final = "grid.yaml"
SUFFIXES: Final = (".yaml", ".yml")


def find_grid(name: str) -> Path:
    """Return the file of a grid: a path, or a name that `grids` knows.

    Raises:
        ConfigError: if there is none; lists near matches.
    """
    try:
        return _found(name, Path(name).expanduser())
    except OSError as error:
        raise ConfigError(f"{name}: cannot read it: {error.strerror}") from None


def _found(name: str, path: Path) -> Path:
    if path.is_dir() and (path / PAPER_GRID).is_file():
        return path / PAPER_GRID
    if path.is_file():
        return path
    known = grids()
    if (found := known.get(name)) is not None:
        return found
    if path.is_dir():
        raise ConfigError(f"{name}: a folder, and there is no {PAPER_GRID} in it")
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        if (elsewhere := known.get(path.stem)) is not None:
            raise ConfigError(f"{name}: there is no such file; did you mean '{elsewhere}'?")
        beside = _files(path.parent) if path.parent.is_dir() else []
        hint = did_you_mean(path.name, [p.name for p in beside]) if beside else ""
        raise ConfigError(f"{name}: there is no such file{hint}")
    raise UnknownNameError("grid", name, known)


def grids() -> dict[str, Path]:
    """Return the grids that can be run by name: the working directory's, then those built in."""
    found: dict[str, Path] = {}
    for folder in grid_folders():
        for path in _files(folder):
            found.setdefault(path.stem, path)
        for path in sorted(folder.glob(f"papers/*/{PAPER_GRID}")):
            found.setdefault(path.parent.name, path)
    return dict(sorted(found.items()))


def grid_folders() -> Iterator[Path]:
    """Yield the folders of grids: the working directory's, then those built in."""
    yield Path("experiments")
    yield builtin_root().parent / "experiments"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.y*ml") if path.suffix in SUFFIXES)
