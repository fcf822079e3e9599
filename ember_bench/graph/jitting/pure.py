"""Functions that only compute: they wait for what they are given."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable
from contextlib import suppress
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

from ember_bench.graph.jitting import structures
from ember_bench.graph.jitting.lazies import (
    PLAIN,
    Kind,
    Lazy,
    LazyItems,
    NotSimpleError,
    is_lazy_in,
    is_text,
    symbol_in,
)
from ember_bench.graph.jitting.runs import Run
from ember_bench.operators.base import Operator
from ember_bench.operators.lm import LMModule
from ember_bench.operators.plan import joined
from ember_bench.operators.signature import Signature

GIVE_TEXTS: Final = {"split", "rsplit", "splitlines", "partition", "rpartition"}
GIVE_TEXT: Final = {
    "capitalize", "casefold", "center", "expandtabs", "format", "format_map", "join", "ljust",
    "lower", "lstrip", "removeprefix", "removesuffix", "replace", "rjust", "rstrip", "strip",
    "swapcase", "title", "translate", "upper", "zfill",
}  # fmt: skip

_PURE: Final = frozenset(
    [
        abs, all, any, ascii, bin, bool, bytes, callable, chr, complex, dict, divmod, enumerate,
        float, format, frozenset, hash, hex, id, int, isinstance, issubclass, len, list, max, min,
        oct, ord, pow, range, repr, reversed, round, set, slice, sorted, str, sum, tuple, type,
        zip, collections.Counter,
    ]
)  # fmt: skip
_PURE_MODULES: Final = frozenset(
    [
        "_operator", "ast", "cmath", "decimal", "difflib", "fractions", "hashlib", "html", "json",
        "keyword", "math", "operator", "re", "statistics", "string", "textwrap", "unicodedata",
    ]
)  # fmt: skip
_UNCHANGEABLE: Final = (str, bytes, int, float, complex, tuple, frozenset, re.Pattern, re.Match)
_ASKS_OF_TYPES: Final = frozenset([callable, isinstance, issubclass, type, id])
_PROMPTS: Final = (Signature.render, Operator._prompt, Operator._with_turns)
_TEXT_FUNCTIONS: Final = frozenset([ascii, chr, format, repr, str])


def of_pure(run: Run, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the result of a function that only computes; it may be lazy."""
    if not _is_pure(function):
        return structures.OTHERWISE
    if function is str and len(args) == 1 and type(args[0]) is Lazy and args[0].kind == "text":
        return args[0]
    # What a list or dict has now may not be what it has later.
    is_of_container = type(getattr(function, "__self__", None)) in (list, dict, set)
    if is_lazy_in((args, kwargs)) and not is_of_container:
        kind: Kind = "text" if function in _TEXT_FUNCTIONS or _gives_text(function) else "value"
        later, given = (_Call(function), (args, kwargs)) if kwargs else (function, args)
        with suppress(NotSimpleError):
            return _as_shown(run.later(later, given, kind), function, args)
    name = name_of(function)
    run.fill(getattr(function, "__self__", None), f"{name}() looks at it")
    args, kwargs = whole_arguments(run, args, kwargs, f"{name}() looks at it")
    prompts = isinstance(function, MethodType)
    if (
        not prompts
        and function not in _ASKS_OF_TYPES
        and not all(map(is_data, (*args, *kwargs.values())))
    ):
        return structures.OTHERWISE  # it may call back
    result = function(*args, **kwargs)
    if function in (set, sorted, list):
        run.own[id(result)] = result
    return result


def read(run: Run, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Return arguments with an iterator that a function reads to its end as a list.

    With a function of the user among them, such as a key, it is left as it is: eager code stops
    where that fails.
    """
    if not args or type(args[0]) is not LazyItems or not structures.is_read(function):
        return args
    if not all(type(given) in PLAIN or _is_pure(given) for given in kwargs.values()):
        return args
    entries = list(args[0].raw())
    run.own[id(entries)] = entries
    return (entries, *args[1:])


def _as_shown(made: Any, function: Any, args: tuple[Any, ...]) -> Any:
    """Return a lazy value; a plan shows texts that are joined as a text with holes."""
    if type(made) is not Lazy or getattr(function, "__name__", "") != "join":
        return made
    entries = args[0]
    if type(entries) in (list, tuple) and all(map(is_text, entries)):
        between = [part for entry in entries for part in (function.__self__, entry)][1:]
        made.symbol = joined(*filter(None, (symbol_in(made.run, part) for part in between)))
    return made


class _Call:
    """A function that takes its positional and its keyword arguments as two."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = name_of(function)

    def __call__(self, args: Any, fields: Any) -> Any:
        """Call the function."""
        return self.function(*args, **fields)


def _is_pure(function: Any) -> bool:
    if type(function) is BuiltinFunctionType:
        owner = function.__self__
        if isinstance(owner, _UNCHANGEABLE):
            return True
        if type(owner) in (list, dict, set):
            return function.__name__ not in structures.MUTATORS
    if type(function) in (type, BuiltinFunctionType, FunctionType):
        return function in _PURE or getattr(function, "__module__", "") in _PURE_MODULES
    return isinstance(function, MethodType) and function.__func__ in _PROMPTS


def is_ours(function: Any) -> bool:
    """Return whether a method makes what operators ask, and does not ask it."""
    if not isinstance(function, MethodType) or not isinstance(function.__func__, FunctionType):
        return False
    made = function.__func__
    ours = made.__module__.startswith("ember_bench.operators.")
    return ours and (made in (Signature.render, LMModule.request) or made.__name__.startswith("_"))


def _gives_text(function: Any) -> bool:
    if type(function) is BuiltinFunctionType and type(function.__self__) is str:
        return function.__name__ in GIVE_TEXT
    if isinstance(function, MethodType):
        return function.__func__ is Signature.render
    return getattr(function, "__qualname__", "") == "dumps"


def whole_arguments(
    run: Run, args: tuple[Any, ...], kwargs: dict[str, Any], reason: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments for code that is not rewritten."""
    given = tuple(run.whole(part, reason) for part in args)
    return given, {name: run.whole(part, reason) for name, part in kwargs.items()}


def is_data(given: Any) -> bool:
    """Return whether something is of built-in types, whose methods do nothing else."""
    kind = type(given)
    if kind in (list, tuple, set, frozenset):
        return all(map(is_data, given))
    if kind is dict:
        return all(map(is_data, given.values()))
    return kind in PLAIN or kind in (range, re.Pattern, re.Match, type, slice)


def name_of(function: Any) -> str:
    """Return the name of a function, for messages."""
    found = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(found).replace("<lambda>", "a lambda")
