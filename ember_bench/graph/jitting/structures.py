"""Functions and methods of containers that leave their entries alone, so that these may be lazy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import BuiltinFunctionType, MappingProxyType
from typing import Any, Final

from ember_bench.graph.jitting.lazies import Lazy, LazyItems, is_lazy_in
from ember_bench.graph.jitting.runs import Run

OTHERWISE: Final = object()
"""What is given for calls that need no special care here."""

_VIEWS: Final = (enumerate, zip, reversed, iter)
_LIST_METHODS: Final = {"append", "clear", "copy", "extend", "insert", "pop", "reverse"}
_DICT_METHODS: Final = {"clear", "copy", "get", "pop", "popitem", "setdefault", "update"}
_DICT_VIEWS: Final = {"items", "values"}
_READ_ALL: Final = (sum, min, max, sorted, set, frozenset, Counter)
MUTATORS: Final = {*vars(list), *vars(dict), *vars(set)} - {
    *vars(tuple),
    *vars(MappingProxyType),
    *vars(frozenset),
}


def of_entries(
    run: Run,
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    invoke: Callable[..., Any],
) -> Any:
    """Return the result of a built-in function of containers with lazy entries.

    Args:
        run: The run that the containers belong to.
        function: What is called.
        args: Its arguments.
        kwargs: Its keyword arguments.
        invoke: Calls a function as rewritten code does.
    """
    first = args[0] if args else ()
    if function is len and type(first) in (list, tuple, dict):
        return len(first)
    if function in (list, tuple) and type(first) in (list, tuple, dict, LazyItems):
        return _noted(run, function(_raw(first)))
    if function is dict and (not args or type(first) is dict):
        return _noted(run, dict(*args, **kwargs))
    if function is map and len(args) > 1:
        return _mapped(args, invoke)
    if function in _VIEWS and any(map(_may_be_lazy, args)):
        return LazyItems(
            lambda: function(*map(_raw, args), **kwargs),
            lambda: function(*map(run.whole, args), **kwargs),
        )
    return OTHERWISE


def _mapped(args: tuple[Any, ...], invoke: Callable[..., Any]) -> LazyItems:
    function, *lists = args

    def raw() -> Iterator[Any]:
        for entries in zip(*map(_raw, lists), strict=False):
            yield invoke(function, *entries)

    def values() -> Iterator[Any]:
        return map(function, *(e.given_away() if type(e) is LazyItems else e for e in lists))

    return LazyItems(raw, values)


def is_read(function: Any) -> bool:
    """Return whether a function reads its first argument to the end, before anything else."""
    return function in _READ_ALL or _is_join(function)


def _is_join(function: Any) -> bool:
    return getattr(function, "__name__", "") == "join" and type(_owner(function)) is str


def _owner(function: Any) -> Any:
    return getattr(function, "__self__", None) if type(function) is BuiltinFunctionType else None


def of_own(run: Run, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the result of a method of a list or dict that the function has made."""
    owner, name = _owner(function), getattr(function, "__name__", "")
    if owner is None or not run.is_own(owner):
        return OTHERWISE
    kind = type(owner)
    if kind is list and name in _LIST_METHODS:
        if name in ("insert", "pop"):
            args = (*map(run.whole, args[:1]), *args[1:])
        if name == "extend":
            args = tuple(_raw(_forced(run, part)) for part in args)
        return _noted(run, function(*args, **kwargs))
    if kind is dict and name in _DICT_METHODS:
        args = (*map(run.whole, args[:1]), *args[1:]) if name != "update" else args
        if name == "update" and not all(type(part) is dict for part in args):
            args = tuple(map(run.whole, args))
        return _noted(run, function(*args, **kwargs))
    if kind is dict and name in _DICT_VIEWS and is_lazy_in(owner):
        return LazyItems(function, lambda: _view(run, owner, name), once=False)
    return OTHERWISE


def _view(run: Run, owner: dict[Any, Any], name: str) -> Any:
    return getattr(run.whole(owner), name)()


def _forced(run: Run, given: Any) -> Any:
    return run.value(given, "a list is extended by it") if type(given) is Lazy else given


def _noted(run: Run, made: Any) -> Any:
    if type(made) in (list, dict):
        run.own[id(made)] = made
    return made


def _may_be_lazy(given: Any) -> bool:
    return type(given) is LazyItems or (type(given) in (list, tuple, dict) and is_lazy_in(given))


def _raw(given: Any) -> Iterable[Any]:
    return given.raw() if type(given) is LazyItems else given
