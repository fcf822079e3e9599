"""References: names by which cards refer to Python functions and classes.

A card names a function by its import path, `package.module:function`, or by its registered name:

    @function("word_count")
    def count_words(response: str, inputs: Mapping[str, Any]) -> float: ...

Loading a card imports the modules that it names. References to the standard library are refused,
and so are references to names that a module imported from another package: `os:system` must not
run on a model's text. Other installed packages are not restricted, so load only cards that you
trust.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

from ember_bench.errors import ConfigError, UnknownNameError

_WRAP: Final = "write a function that calls it, and name that"

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
ValueT = TypeVar("ValueT")

_registered: Final[dict[str, Callable[..., Any]]] = {}
# Code beside a registry's cards is imported under a name that differs between machines.
_NOT_IMPORTABLE: Final = ("__main__", "_ember_bench_registry_")


def function(name: str) -> Callable[[FunctionT], FunctionT]:
    """Register a function under `name`, so that cards can refer to it.

    Raises:
        ConfigError: if another function has that name, or the name contains a colon.
    """
    if ":" in name:
        raise ConfigError(f"function {name!r}: a name has no colon; import paths do")

    def register(called: FunctionT) -> FunctionT:
        known = _registered.get(name)
        if known is not None and _home(known) != _home(called):
            raise ConfigError(f"function {name!r} is already registered: {_home(known)}")
        _registered[name] = called
        return called

    return register


def reference(thing: Any) -> str:
    """Return the name by which `resolve` finds `thing`.

    Raises:
        ConfigError: if there is none: for a lambda, a nested function, a method of an object, or
            an object of `__main__`.
    """
    for name, known in _registered.items():
        if known is thing:
            return name
    home = _home(thing)
    if home is None or "<" in home or home.startswith(_NOT_IMPORTABLE) or not _is_at(home, thing):
        raise ConfigError(
            f"{home or repr(thing)} has no name that a card can use: define it at the top of a "
            'module that can be imported, or register it with @function("name")'
        )
    return home


def resolve(name: str) -> Any:
    """Return the object that is registered under `name`, or has that import path.

    Raises:
        UnknownNameError: if there is none; lists near matches of registered names.
        ConfigError: if the import path is invalid, or the object belongs to another package.
    """
    module, colon, attributes = name.partition(":")
    if not colon:
        if name not in _registered:
            raise UnknownNameError("function", name, _registered)
        return _registered[name]
    package = _package(module)
    if package in sys.stdlib_module_names:
        raise ConfigError(f"{name}: a card cannot name Python's own library; {_WRAP}")
    try:
        found: Any = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{name}: cannot be imported: {error}") from None
    if not callable(found):
        raise ConfigError(f"{name}: expected a function, found a {type(found).__name__}")
    home = getattr(found, "__module__", None)
    if not isinstance(home, str) or _package(home) != package:
        raise ConfigError(f"{name}: is not defined in {package}; {_WRAP}")
    return found


def called(value: ValueT, name: str, *arguments: str) -> ValueT:
    """Return `value`, an argument that is called, if it can be.

    Args:
        value: The argument.
        name: Its name, for the message.
        arguments: What it is called with.

    Raises:
        TypeError: if it cannot be called; says how a card names a function, or what it is given.
    """
    if callable(value):
        try:
            inspect.signature(value).bind(*arguments)
        except ValueError:  # some built-ins
            return value
        except TypeError as error:
            if not arguments:
                return value
            given = getattr(value, "__name__", type(value).__name__)
            raise TypeError(
                f"{name}: {given} is called with ({', '.join(arguments)}): {error}"
            ) from None
        return value
    given = value if isinstance(value, str) and value else "package.module:function"
    raise TypeError(
        f"{name}: expected a function, found {value!r}; a card names one as "
        f"`{name}: {{callable: {given}}}`"
    )


def _package(module: str) -> str:
    return module.partition(".")[0]


def _home(thing: Any) -> str | None:
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    return f"{module}:{name}" if module and name else None


def _is_at(home: str, thing: Any) -> bool:
    try:
        return resolve(home) is thing
    except ConfigError:
        return False
