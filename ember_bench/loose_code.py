"""Code without a file: definitions of a notebook, a REPL, or `exec`.

A function is described by its bytecode, its defaults, its closure, and the globals that it names;
a class by its attributes. A value whose content cannot be told makes the description unique to
the process, so that no stored result is taken for one of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final
from uuid import uuid4

_THIS_PROCESS: Final = uuid4().hex
# Attributes of a class that say nothing of what it computes.
_BOOKKEEPING: Final = re.compile(
    r"__(?:module|dict|weakref|doc|qualname|firstlineno|static_attributes|abstractmethods"
    r"|dataclass_\w+|match_args|signature|annotate\w*|annotations_cache|pydantic_\w+"
    r"|parameters|orig_bases|slots|hash)__|_abc_impl"
)

Find = Callable[[Any], tuple[Path | None, str]]


def is_built_in(thing: Any) -> bool:
    """Return whether a class or function belongs to this package."""
    name = str(getattr(thing, "__module__", ""))
    return name == "ember_bench" or name.startswith("ember_bench.")


class LooseCode:
    """Walks definitions: names the files of those that have one, and describes the others.

    Args:
        find: Returns the file of a definition (None without one) and its module's name.

    Attributes:
        files: Files of definitions, each with its module's name.
    """

    def __init__(self, find: Find) -> None:
        self.files: dict[tuple[Path, str], None] = {}
        self._find = find
        self._parts: dict[str, Any] = {}
        self._within: set[int] = set()

    def digests(self) -> dict[str, str]:
        """Return a digest of each definition without a file, by its dotted name."""
        return {
            name: sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()[:16]
            for name, parts in self._parts.items()
        }

    def add(self, thing: Any) -> None:
        """Add a class with its bases, a function, a module, or the class of an object."""
        if isinstance(thing, MethodType):
            thing = thing.__func__
        if isinstance(thing, partial):
            self.add(thing.func)
        elif isinstance(thing, type):
            self._add(thing)
            if not is_built_in(thing):  # what those are derived from is ours to say
                for base in thing.__bases__:
                    self.add(base)
        elif isinstance(thing, FunctionType | ModuleType | BuiltinFunctionType):
            self._add(thing)
        else:
            self.add(type(thing))

    def _add(self, thing: Any) -> None:
        path, name = self._find(thing)
        if path is not None:
            self.files[path, name] = None
        elif not isinstance(thing, ModuleType) and not _is_compiled(thing, name):
            known = f"{name}.{thing.__qualname__}"
            if known not in self._parts:
                self._parts[known] = ()  # it may name itself
                self._parts[known] = tuple(self._describe(thing))

    def _describe(self, thing: Any) -> Iterator[Any]:
        if not isinstance(thing, type):
            yield from self._function(thing)
            return
        yield [f"{base.__module__}.{base.__qualname__}" for base in thing.__bases__]
        for name, value in sorted(vars(thing).items()):
            if not _BOOKKEEPING.fullmatch(name):
                yield name, self._value(value)

    def _function(self, function: FunctionType) -> Iterator[Any]:
        yield _bytecode(function.__code__)
        yield self._value(function.__defaults__), self._value(function.__kwdefaults__)
        for name in sorted(set(_names(function.__code__))):
            if name in function.__globals__:
                yield name, self._value(function.__globals__[name])
        for cell in function.__closure__ or ():
            try:
                yield self._value(cell.cell_contents)
            except ValueError:  # not filled yet
                yield None

    def _value(self, value: Any) -> Any:
        """Return what can be told of a value, as something whose `repr` is the same elsewhere."""
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            return value if not isinstance(value, Enum) else repr(value)
        if isinstance(value, FunctionType | BuiltinFunctionType | type | ModuleType):
            self.add(value)
            return getattr(value, "__qualname__", value.__name__)
        if id(value) in self._within:
            return "around"
        self._within.add(id(value))
        try:
            return self._composed(value)
        finally:
            self._within.discard(id(value))

    def _composed(self, value: Any) -> Any:
        described: Any
        match value:
            case list() | tuple():
                described = [self._value(part) for part in value]
            case set() | frozenset():
                described = sorted(repr(self._value(part)) for part in value)
            case Mapping():
                described = sorted(
                    (repr(self._value(key)), self._value(part)) for key, part in value.items()
                )
            case staticmethod() | classmethod() | MethodType():
                described = self._value(value.__func__)
            case property():
                described = [self._value(part) for part in (value.fget, value.fset, value.fdel)]
            case cached_property():
                described = self._value(value.func)
            case partial():
                described = [self._value(p) for p in (value.func, value.args, value.keywords)]
            case re.Pattern():
                described = [value.pattern, value.flags]
            case Enum():
                described = repr(value)
            case Path():
                described = str(value)
            case _ if _tells_itself(value):
                described = self._value(value.describe())
            case _:
                described = self._object(value)
        return described

    def _object(self, value: Any) -> Any:
        self.add(type(value))
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        state = getattr(value, "__dict__", None)
        if isinstance(state, dict):
            return [kind, self._value(state)]
        return [kind, _THIS_PROCESS, id(value)]


def _tells_itself(value: Any) -> bool:
    """Return whether a value is an LM module or an operator: their state changes with use."""
    return hasattr(value, "describe") and any(map(is_built_in, type(value).__mro__))


def _is_compiled(thing: Any, name: str) -> bool:
    """Return whether a definition without a file is the interpreter's own."""
    if isinstance(thing, BuiltinFunctionType):
        return True
    return name != "__main__" and name.partition(".")[0] in sys.stdlib_module_names


def _bytecode(code: CodeType) -> Any:
    """Return what a function does, without the file and the lines in which it stands."""
    constants = [_constant(constant) for constant in code.co_consts]
    return code.co_code.hex(), constants, code.co_names, code.co_varnames, code.co_freevars


def _constant(constant: Any) -> Any:
    if isinstance(constant, CodeType):
        return _bytecode(constant)
    if isinstance(constant, frozenset):  # whose order depends on the process
        return sorted(map(repr, constant))
    return repr(constant)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
