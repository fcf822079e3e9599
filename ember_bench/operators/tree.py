"""Trees of operators: walked, shown, and copied with a part replaced."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeVar, cast

from ember_bench.errors import UnknownNameError
from ember_bench.operators.lm import LMModule, LMModuleConfig

TreeT = TypeVar("TreeT", bound="Tree")


class Tree:
    """An object whose attributes hold parts: trees and LM modules, also in containers."""

    def __repr__(self) -> str:
        return "\n".join(_lines(self, ()))

    def describe(self) -> dict[str, Any]:
        """Return, as JSON-like data, everything that can change the results."""
        raise NotImplementedError


Part = Tree | LMModule


def check_operator(given: object, where: str) -> None:
    """Check that an argument is an operator.

    Raises:
        TypeError: saying where, what was found, and what was probably meant.
    """
    if not isinstance(given, Tree):
        raise TypeError(f"{where}: expected an operator, found {unlike_operator(given)}")


def unlike_operator(given: object) -> str:
    """Return what stands in the place of an operator, and what was probably meant."""
    name = getattr(given, "__name__", "...")
    if isinstance(given, type) and issubclass(given, Tree):
        return f"its class; write {name}(...)"
    if isinstance(given, LMModule):
        return "an LM module; write EnsembleOperator(lm_modules=[lm])"
    if callable(given):
        return f"a function; write Function({name})"
    return repr(given)


def attributes(tree: Tree) -> dict[str, Any]:
    """Return the attributes of a tree by name, those in slots (`@dataclass(slots=True)`) first."""
    cls: Any = type(tree)
    slots = _slots(cls)
    if not slots:
        return vars(tree)
    return {**{n: getattr(tree, n) for n in slots if hasattr(tree, n)}, **vars(tree)}


@lru_cache(maxsize=1024)
def _slots(cls: Any) -> tuple[str, ...]:
    found = []
    for base in reversed(cls.__mro__):
        given = vars(base).get("__slots__", ())
        names = [given] if isinstance(given, str) else list(given)
        found += [name for name in names if not name.startswith("__")]
    return tuple(found)


def parts(tree: Tree) -> Iterator[tuple[str, Part]]:
    """Yield the parts in the attributes of `tree`, with their paths."""
    for name, value in attributes(tree).items():
        yield from parts_in(name, value)


def parts_in(name: str, value: Any) -> Iterator[tuple[str, Part]]:
    """Yield the parts in a value, also in containers, with their paths; `name` is the value's."""
    if isinstance(value, Part):
        yield name, value
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from parts_in(f"{name}.{index}", entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from parts_in(f"{name}.{key}", entry)


def walk(root: TreeT) -> Iterator[tuple[str, TreeT]]:
    """Yield `root` under "" and every tree within it under its path, outer first, each once."""
    # All trees in a program are of one kind: operators.
    yield from cast("Iterator[tuple[str, TreeT]]", _walk(root, "", set()))


def _walk(tree: Tree, path: str, visited: set[int]) -> Iterator[tuple[str, Tree]]:
    if id(tree) in visited:
        return
    visited.add(id(tree))
    yield path, tree
    for name, part in parts(tree):
        if isinstance(part, Tree):
            yield from _walk(part, f"{path}.{name}" if path else name, visited)


def replaced(root: TreeT, target: str | Part, new: str | Part) -> TreeT:
    """Return a copy of `root` with `target` replaced; see `Operator.replace`."""
    old, place = _find(root, target)
    copier = _Copier(new, place, frozenset(map(id, old)))
    result = copier.part(root, "")
    if not isinstance(result, Tree):
        raise TypeError(f"an operator cannot be replaced by {result!r}")
    return cast("TreeT", result)


def _find(root: Tree, target: str | Part) -> tuple[list[Part], str | None]:
    """Return the parts that `target` names, and its path if it is one."""
    found: dict[str, Part] = dict(walk(root))
    for path, tree in list(found.items()):
        for name, part in parts(cast("Tree", tree)):
            if isinstance(part, LMModule):
                found[f"{path}.{name}" if path else name] = part
    if not isinstance(target, str):
        if not any(part is target for part in found.values()):
            raise ValueError(f"{target!r} is not a part of this {type(root).__name__}")
        return [target], None
    if target in found:
        return [], target
    modules = {id(lm): lm for lm in found.values() if isinstance(lm, LMModule)}.values()
    named = [lm for lm in modules if target in (lm.model.model_id, lm.model.model_name)]
    if not named:
        known = {*found, *(lm.model.model_id for lm in modules)} - {""}
        raise UnknownNameError("part of the operator", target, known)
    return list(named), None


@dataclass
class _Copier:
    """Copies a tree; parts that are shared in the original are shared in the copy."""

    new: str | Part
    place: str | None
    old: frozenset[int]

    def __post_init__(self) -> None:
        self._copies: dict[int, Any] = {}

    def part(self, value: Any, path: str) -> Any:
        if isinstance(value, Part):
            if path == self.place:
                return self._replacement(value)
            if id(value) not in self._copies:
                self._copies[id(value)] = self._copy(value, path)
            return self._copies[id(value)]
        if isinstance(value, list | tuple):
            entries = [self.part(entry, f"{path}.{i}") for i, entry in enumerate(value)]
            if isinstance(value, list):
                return entries
            # The constructor of a named tuple takes one argument per entry.
            return type(value)(*entries) if hasattr(value, "_fields") else tuple(entries)
        if isinstance(value, dict):
            return {key: self.part(entry, f"{path}.{key}") for key, entry in value.items()}
        return value

    def _copy(self, part: Part, path: str) -> Part:
        if id(part) in self.old:
            return self._replacement(part)
        if isinstance(part, LMModule):
            return part
        twin = copy.copy(part)
        # Registered before its parts are copied: a tree may contain itself.
        self._copies[id(part)] = twin
        for name, value in attributes(part).items():
            made = self.part(value, f"{path}.{name}" if path else name)
            if name in vars(twin):
                vars(twin)[name] = made  # also of a frozen dataclass
            else:
                object.__setattr__(twin, name, made)
        return twin

    def _replacement(self, part: Part) -> Part:
        if isinstance(part, LMModule):
            if isinstance(self.new, LMModule):
                return self.new
            if isinstance(self.new, str):
                config = {**part.config.model_dump(), "model_name": self.new}
                return LMModule(LMModuleConfig(**config), service=part.service)
            raise TypeError(f"an LM module is replaced by another or a model, not {self.new!r}")
        if not isinstance(self.new, Tree):
            raise TypeError(f"an operator is replaced by another, not {self.new!r}")
        return self.new


def _lines(tree: Tree, above: tuple[Tree, ...]) -> list[str]:
    """Return the tree as text, one part per line; equal LM modules in a row share a line."""
    head = f"{type(tree).__name__}({', '.join(_settings(tree))}"
    inner = []
    rows = [(name, _part_lines(part, (*above, tree))) for name, part in parts(tree)]
    for (_, lines), row in groupby(rows, key=lambda row: (row[0].rpartition(".")[0], row[1])):
        names = [name for name, _ in row]
        several = len(names) > 1
        label = f"{names[0]}-{names[-1].rpartition('.')[2]}" if several else names[0]
        times = f"{len(names)} x " if several else ""
        inner += [f"  ({label}): {times}{lines[0]}", *(f"  {line}" for line in lines[1:])]
    return [head, *inner, ")"] if inner else [f"{head})"]


def _part_lines(part: Part, above: tuple[Tree, ...]) -> list[str]:
    if isinstance(part, LMModule):
        return [repr(part)]
    if any(part is tree for tree in above):
        return [f"{type(part).__name__}(...)"]
    # A user's class may define a __repr__ of its own.
    if type(part).__repr__ is not Tree.__repr__:
        return repr(part).splitlines()
    return _lines(part, above)


def _settings(tree: Tree) -> Iterator[str]:
    """Yield the plain attributes that differ from the constructor's defaults."""
    for name, parameter in constructor_parameters(type(tree)).items():
        value = getattr(tree, name, parameter.default)
        if is_default(value, parameter.default) or name in ("lm_modules", "signature"):
            continue
        if callable(value) and not isinstance(value, Part):
            yield f"{name}={getattr(value, '__name__', type(value).__name__)}"
        elif _is_plain(value):
            yield f"{name}={value!r}"


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)


def constructor_parameters(cls: type[Tree]) -> dict[str, inspect.Parameter]:
    """Return the constructor's parameters; `**kwargs` stands for those of the next class."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if (init := vars(base).get("__init__")) is None:
            continue
        parameters = list(inspect.signature(init).parameters.values())[1:]
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        found = {p.name: p for p in named} | found
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


def is_default(value: Any, default: Any) -> bool:
    """Return whether an attribute has the constructor's default value."""
    if isinstance(value, list) and isinstance(default, tuple):
        return value == list(default)
    return value is default or (type(value) is type(default) and bool(value == default))
