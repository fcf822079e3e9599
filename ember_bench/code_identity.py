"""Identity of user code: digests of the files that a function or class depends on.

Stored results may be reused only while the code that made them is the same. Code of this package
has version numbers. The standard library counts as constant. An installed distribution has a name
and a version. Everything else is user code: files in a registry, beside a card, in the working
directory, in a checkout. Its identity is the digest of the file that defines it and of the user
files that this file imports, transitively. Code without a file (a notebook, a REPL) is described
by its bytecode and the globals that it names.

Not covered: data files that user code reads, and modules that it loads by `exec` or `runpy`.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

from ember_bench.loose_code import LooseCode, is_built_in
from ember_bench.source_files import (
    Snapshot,
    digest_of,
    forget,
    is_edited,
    owner_of,
    snapshot_of,
    stamp_of,
)

__all__ = [
    "REGISTRY_MODULE", "code_digest", "code_of", "forget_edited", "is_built_in", "note_import",
    "note_loaded", "qualified_name",
]  # fmt: skip

REGISTRY_MODULE: Final = "_ember_bench_registry_"
"""Prefix of the module names of registry files; the rest is a digest of the path."""

_PACKAGE: Final = Path(__file__).resolve().parent
_STANDARD: Final = tuple(
    Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")
)
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True, slots=True)
class _Closure:
    """The user code behind a file, valid while the same modules are loaded.

    Attributes:
        owners: Module name -> the import that it stood for.
        stamps: The files of modules that are not loaded.
    """

    code: Mapping[str, str]
    owners: Mapping[str, object]
    stamps: Mapping[Path, tuple[int, int]]

    @property
    def valid(self) -> bool:
        return all(
            owner_of(sys.modules.get(name)) is owner for name, owner in self.owners.items()
        ) and all(stamp_of(path) == stamp for path, stamp in self.stamps.items())


_closures: dict[tuple[Path, str], _Closure] = {}
_labels: dict[Path, str] = {}


def code_of(*things: Any) -> dict[str, str]:
    """Return the user code that functions, classes and objects depend on.

    Returns:
        Digests of files by label (`registry/my_ops.py`), versions of distributions by name, and
        digests of definitions that have no file by their dotted name. Empty for code of this
        package and of the standard library.
    """
    found: dict[str, str] = {}
    loose = LooseCode(_file_of_definition)
    for thing in things:
        loose.add(thing)
    for path, name in loose.files:
        found |= _closure(path, name).code
    return dict(sorted((found | loose.digests()).items()))


@lru_cache(maxsize=1024)
def code_digest(*things: Any) -> str:
    """Return one short digest of the user code behind classes and functions; "" if there is none.

    It is kept until registries are read again, since it is part of what identifies each trial.
    """
    if all(map(is_built_in, things)) or not (code := code_of(*things)):
        return ""
    return digest_of(repr(sorted(code.items())).encode())


def qualified_name(thing: Any) -> str:
    """Return module and name of a class or function, or of an object's class.

    A registry's file stands there by its place in the registry, which is the same in each clone.
    """
    cls = thing if hasattr(thing, "__qualname__") else type(thing)
    module = str(cls.__module__)
    if module.startswith(REGISTRY_MODULE) and (path := _module_file(module)) is not None:
        module = _label(path, module)
    return f"{module}.{cls.__qualname__}"


def note_import(module: ModuleType, label: str) -> None:
    """Note a registry's file that is about to be executed, and its label."""
    path = Path(str(module.__file__)).resolve()
    _labels[path] = label
    snapshot_of(path, module)


def note_loaded(folder: Path) -> None:
    """Note the files of all modules below `folder` as they are now."""
    for _, path, module in _loaded_below(folder):
        snapshot_of(path, module)


def forget_edited(folder: Path) -> None:
    """Drop the loaded modules below `folder` if any of their files has been edited.

    All of them, as they may import each other. What imports them next gets the new code.
    """
    code_digest.cache_clear()
    loaded = list(_loaded_below(folder))
    if any(is_edited(path, module) for _, path, module in loaded):
        for name, path, _ in loaded:
            del sys.modules[name]
            forget(path)


def _loaded_below(folder: Path) -> Iterator[tuple[str, Path, ModuleType]]:
    below = os.path.join(folder.resolve(), "")
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != "__main__" and isinstance(file, str):
            whole = _resolved(file) if os.path.isabs(file) else os.path.realpath(file)
            if whole.startswith(below) and _is_user_file(path := Path(whole)):
                yield name, path, module


# A program has thousands of modules, and each look at the links of their paths asks the system.
@lru_cache(maxsize=1 << 16)
def _resolved(file: str) -> str:
    return os.path.realpath(file)


# --- from definitions to files


def _file_of_definition(thing: Any) -> tuple[Path | None, str]:
    """Return the file that defines a class, function or module, and the name of its module.

    The path is None for what has no file.
    """
    if isinstance(thing, ModuleType):
        return _module_file(thing.__name__), thing.__name__
    name = str(getattr(thing, "__module__", None) or "")
    if isinstance(thing, FunctionType):
        path = Path(thing.__code__.co_filename)
        module_path = _module_file(name)
        if path.is_file() and path.resolve() != module_path and _is_user_file(path.resolve()):
            return path.resolve(), name
        return module_path, name
    return _module_file(name), name


def _module_file(name: str) -> Path | None:
    file = getattr(sys.modules.get(name), "__file__", None)
    path = Path(file).resolve() if isinstance(file, str) else None
    return path if path is not None and path.is_file() else None


def _is_user_file(path: Path) -> bool:
    return not path.is_relative_to(_PACKAGE) and not _is_standard(path)


def _is_standard(path: Path) -> bool:
    if _INSTALLED & set(path.parts):
        return False
    return any(path.is_relative_to(folder) for folder in _STANDARD)


def _label(path: Path, name: str) -> str:
    """Return how a file is called: by its registry, else by its module."""
    if (label := _labels.get(path)) is not None:
        return label
    if name == "__main__" or not name:
        return path.name
    folders = name.split(".")
    if path.stem == "__init__":
        folders.append(path.stem)
    return "/".join(folders) + path.suffix


# --- the files behind a file


def _closure(path: Path, name: str) -> _Closure:
    known = _closures.get((path, name))
    if known is None or not known.valid:
        walk = _Walk()
        walk.visit(path, name)
        known = _closures[path, name] = _Closure(walk.code, walk.owners, walk.stamps)
    return known


class _Walk:
    """Collects the user files behind a file, and the distributions that they import."""

    def __init__(self) -> None:
        self.code: dict[str, str] = {}
        self.owners: dict[str, object] = {}
        self.stamps: dict[Path, tuple[int, int]] = {}
        self._seen: set[Path] = set()
        self._specs: dict[str, tuple[Path | None, list[str] | None]] = {}

    def visit(self, path: Path, name: str) -> None:
        if path in self._seen or not _is_user_file(path):
            return
        self._seen.add(path)
        if (installed := _distribution(path)) is not None:
            self.code[installed] = _version(installed)
            return
        module = sys.modules.get(name)
        if module is not None and _module_file(name) != path:
            module = None
        snapshot = snapshot_of(path, module)
        if module is not None:
            self.owners[name] = snapshot.owner
        else:
            self.stamps[path] = snapshot.stamp
        self._keep(_label(path, name), snapshot.digest)
        for imported in self._imported(snapshot, path, name):
            found, _ = self._find(imported)
            if found is not None:
                self.visit(found, imported)
        if module is not None:
            self._visit_namespace(module)

    def _keep(self, label: str, digest: str) -> None:
        """Add a file; two that have one label are told apart by their digests' order."""
        if self.code.get(label, digest) != digest:
            digest = digest_of("".join(sorted([digest, self.code[label]])).encode())
        self.code[label] = digest

    def _imported(self, snapshot: Snapshot, path: Path, name: str) -> Iterator[str]:
        """Yield the absolute names of what a file imports, parent packages first."""
        package = name if path.stem == "__init__" else name.rpartition(".")[0]
        for imported in snapshot.imports:
            absolute = imported.lstrip(".")
            if up := len(imported) - len(absolute):
                parents = package.split(".")[: len(package.split(".")) - up + 1]
                absolute = ".".join([*filter(None, parents), *filter(None, [absolute])])
            parts = absolute.split(".")
            yield from (".".join(parts[: end + 1]) for end in range(len(parts)))

    def _visit_namespace(self, module: ModuleType) -> None:
        """Visit where the values in a module come from, also those imported by other means."""
        for value in list(vars(module).values()):
            if isinstance(value, ModuleType):
                name = value.__name__
            elif isinstance(value, type | FunctionType):
                name = str(value.__module__)
            else:
                name = type(value).__module__
            if (path := _module_file(name)) is not None:
                self.visit(path, name)

    def _find(self, name: str) -> tuple[Path | None, list[str] | None]:
        """Return a module's file and its package path, without importing it."""
        if name not in self._specs:
            self._specs[name] = self._look_up(name)
        return self._specs[name]

    def _look_up(self, name: str) -> tuple[Path | None, list[str] | None]:
        module = sys.modules.get(name)
        if module is not None:
            folders = getattr(module, "__path__", None)
            return _module_file(name), None if folders is None else list(folders)
        parent = name.rpartition(".")[0]
        search = self._find(parent)[1] if parent else None
        if parent and search is None:
            return None, None
        try:
            spec = PathFinder.find_spec(name, search)
        except (ImportError, ValueError, OSError):
            return None, None
        if spec is None:
            return None, None
        folders = spec.submodule_search_locations
        path = Path(spec.origin).resolve() if spec.origin and spec.has_location else None
        return path, None if folders is None else list(folders)


# --- installed distributions


def _distribution(path: Path) -> str | None:
    """Return the names of the distributions that installed a file; None if none did."""
    parts = path.parts
    places = [i for i, part in enumerate(parts) if part in _INSTALLED]
    if places:
        top = parts[places[-1] + 1]
    else:
        folders = [Path(f).resolve() for f in (*site.getsitepackages(), site.getusersitepackages())]
        below = [path.relative_to(f) for f in folders if path.is_relative_to(f)]
        if not below:
            return None
        top = below[0].parts[0]
    names = _distributions().get(top.partition(".")[0])
    return ", ".join(sorted(set(names))) if names else None


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


@cache
def _version(names: str) -> str:
    return ", ".join(version(name) for name in names.split(", "))
