"""Plain functions as whole architectures: `f(query, **fields)` returns the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any, Final

from ember_bench.code_identity import is_built_in
from ember_bench.operators.base import operator
from ember_bench.operators.functions import Function
from ember_bench.operators.tree import parts_in

ANSWER: Final = "final_answer"


@operator
class AnswerFunction(Function):
    """A function of the fields of an item that returns the answer.

    LM modules and operators that the function names (its closure, its globals, its defaults, and
    those of the functions that it calls) are parts of the operator, so that their models are known
    before a run. LM modules that the function makes itself are asked, too.

    Args:
        function: The function. A returned mapping is the output; any other value is the
            `final_answer`.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function, output=ANSWER)
        self.held = held_parts(function)


def held_parts(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the values with LM modules or operators in them that a function names, by name."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    waiting: list[Any] = [function]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        for name, value in _named(current):
            if any(parts_in(name, value)):
                found.setdefault(name, value)
            elif isinstance(value, FunctionType | MethodType | partial) and not is_built_in(value):
                waiting.append(value)
    return dict(sorted(found.items()))


def _named(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield the values that a function names or is bound to."""
    if isinstance(function, partial):
        yield "function", function.func
        yield from ((f"argument {i}", value) for i, value in enumerate(function.args))
        yield from function.keywords.items()
    elif isinstance(function, MethodType):
        yield "method", function.__func__
        yield "self", function.__self__
        yield from _state(function.__self__)
    elif isinstance(function, FunctionType):
        for name in _names(function.__code__):
            if name in function.__globals__:
                yield name, function.__globals__[name]
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            try:
                yield name, cell.cell_contents
            except ValueError:  # not filled yet
                continue
        yield from ((f"default {i}", v) for i, v in enumerate(function.__defaults__ or ()))
        yield from (function.__kwdefaults__ or {}).items()
    else:
        yield "call", vars(type(function)).get("__call__")
        yield from _state(function)


def _state(thing: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(thing, "__dict__", {}).items()


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
