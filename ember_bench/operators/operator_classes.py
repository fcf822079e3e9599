"""Operator classes by name, for cards."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final, TypeVar

from ember_bench import operators
from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.operators.base import Operator

OperatorT = TypeVar("OperatorT", bound="type[Operator]")

_registered: dict[str, type[Operator]] = {}
# Built-in classes that `ember_bench.operators` does not export, by their module, which is imported
# when a card names one. Graphs stand above operators, and are operators too.
_ELSEWHERE: Final[Mapping[str, str]] = {
    "FindPerspectives": "ember_bench.operators.storm",
    "Interview": "ember_bench.operators.storm",
    "JittedOperator": "ember_bench.graph.jitting.api",
    "Mapped": "ember_bench.graph.mapped",
    "NoNGraphData": "ember_bench.graph.data",
    "Outline": "ember_bench.operators.storm",
    "WriteArticle": "ember_bench.operators.storm",
}


def operator(cls: OperatorT) -> OperatorT:
    """Register an operator class under its name, so that architecture cards can use it.

    Raises:
        ConfigError: if a built-in class has that name.
    """
    name = cls.__name__
    if name in _ELSEWHERE or name in _exported():
        raise ConfigError(f"operator {name!r} is built in: give the class {cls!r} another name")
    _registered[name] = cls
    return cls


def operator_class(name: str) -> type[Operator]:
    """Return the operator class called `name`, built in or registered.

    Raises:
        UnknownNameError: if there is none; lists near matches.
    """
    if (home := _ELSEWHERE.get(name)) is not None:
        found: type[Operator] = getattr(import_module(home), name)
        return found
    known = _exported() | _registered
    try:
        return known[name]
    except KeyError:
        raise UnknownNameError("operator", name, {*known, *_ELSEWHERE}) from None


def _exported() -> dict[str, type[Operator]]:
    public = {name: getattr(operators, name) for name in operators.__all__}
    return {
        name: thing
        for name, thing in public.items()
        if isinstance(thing, type) and issubclass(thing, Operator) and thing is not Operator
    }
