"""Descriptions: JSON-like data that are equal for values that compute the same results."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from enum import Enum
from functools import partial
from typing import Any, Final

from pydantic import BaseModel

from ember_bench.answers.formats import answer_format_names, get_answer_format
from ember_bench.code_identity import code_of, is_built_in, qualified_name
from ember_bench.models.service import ModelService
from ember_bench.operators.lm import LMModule
from ember_bench.operators.signature import Signature
from ember_bench.operators.tree import Tree, attributes

_describing: ContextVar[tuple[int, ...]] = ContextVar("ember_bench_describing", default=())

USER_CODE: Final = "user code"
"""Key of a description for the digests of user files, by file."""

# Versions of built-in functions in descriptions: change one with the function's results. The first
# is the digest of its source, by which it was described before.
_VERSIONS: Final[Mapping[str, str]] = {
    "ember_bench.operators.fan_in.says_yes": "cd3b17f1cfc43e5c",
}


def describe_attribute(name: str, value: Any) -> Any:
    """Return the description of an attribute; an `answer_format` is described by its identity."""
    if name == "answer_format" and isinstance(value, str) and value in answer_format_names():
        return describe_format(value)
    return describe(value)


def describe_format(name: str) -> Any:
    """Return the identity of an answer format; of a user's format also its code."""
    known = get_answer_format(name)
    code = user_code(known.parse)
    return {"answer_format": known.identity, **code} if code else known.identity


def describe(value: Any) -> Any:
    """Return the description of `value`."""
    described: Any
    match value:
        case None | bool() | int() | float() | str():
            described = value
        case Tree():
            described = value.describe()
        case LMModule():
            described = {**value.describe(), **user_code(value)}
        case Signature():
            described = _describe_signature(value)
        case ModelService():  # who asks changes no answer; a model is described by its module
            described = {"service": qualified_name(type(value))}
        case Enum():
            described = value.value
        case Mapping():
            described = {str(key): describe(entry) for key, entry in value.items()}
        case set() | frozenset():
            described = sorted(map(str, value))
        case list() | tuple():
            described = [describe(entry) for entry in value]
        case _ if callable(value):
            described = _describe_callable(value)
        case _ if hasattr(value, "__dict__"):
            described = _describe_object(value)
        case _:
            described = repr(value)
    return described


def _describe_callable(value: Any) -> dict[str, Any]:
    """Describe a function by its user code, its defaults, and the values that it is bound to."""
    described: dict[str, Any]
    if isinstance(value, partial):
        bound = (value.args, value.keywords)
        return {"partial": describe(value.func), "of": [describe(part) for part in bound]}
    if not (inspect.isroutine(value) or inspect.isclass(value)):
        return _describe_object(value)
    described = {"function": (name := qualified_name(value)), "source": _VERSIONS.get(name)}
    described |= user_code(value)
    if inspect.ismethod(value):
        owner = value.__self__
        described["of"] = qualified_name(owner) if inspect.isclass(owner) else describe(owner)
    if inspect.isfunction(value) and (value.__defaults__ or value.__kwdefaults__):
        described["defaults"] = describe([value.__defaults__, value.__kwdefaults__])
    if inspect.isfunction(value) and value.__closure__:
        cells = zip(value.__code__.co_freevars, value.__closure__, strict=True)
        closed_over = {name: cell.cell_contents for name, cell in cells}
        # By name only: a function may close over itself.
        described["of"] = {
            name: qualified_name(part) if inspect.isroutine(part) else describe(part)
            for name, part in closed_over.items()
        }
    return described


def _describe_object(value: Any) -> dict[str, Any]:
    described = {"object": qualified_name(type(value)), "source": None, **user_code(value)}
    state = getattr(value, "__dict__", {})
    return described | {name: describe(part) for name, part in sorted(state.items())}


def _describe_signature(signature: Signature) -> dict[str, Any]:
    def schema(model: type[BaseModel] | None) -> Any:
        return model.model_json_schema() if model is not None else None

    models = [m for m in (signature.structured_output, signature.input_model) if m is not None]
    return {
        "required_inputs": signature.required_inputs,
        "prompt_template": signature.prompt_template,
        "structured_output": schema(signature.structured_output),
        "input_model": schema(signature.input_model),
        **user_code(type(signature), *models),
    }


def describe_operator(operator: Any, root: type) -> dict[str, Any]:
    """Return the description of an operator; `root` is the base class of all."""
    cls, around = type(operator), _describing.get()
    if id(operator) in around:  # it contains itself
        return {"around": len(around) - around.index(id(operator))}
    token = _describing.set((*around, id(operator)))
    try:
        own = {n: describe_attribute(n, v) for n, v in sorted(attributes(operator).items())}
    finally:
        _describing.reset(token)
    if "signature" not in own and (signature := operator._signature()) is not None:
        own["signature"] = describe(signature)
    reads = [describe_format(name) for name in operator.reads]
    return {
        "operator": vars(cls).get("described_as") or qualified_name(cls),
        "version": _code_version(cls, root),
        **({"reads": reads} if reads else {}),
        # Apart, as an attribute may have any name, `operator` among them.
        "attributes": own,
    }


def _code_version(cls: Any, root: type) -> Any:
    """Return the version of a built-in class; for a user's class also its user code.

    Built-in classes between a user's class and `root` count by their versions.
    """
    if is_built_in(cls):
        return cls.version
    bases = [base for base in cls.__mro__ if issubclass(base, root) and base is not root]
    built_in = {qualified_name(b): b.version for b in bases if is_built_in(b)}
    return {"own": cls.version, **({"bases": built_in} if built_in else {}), **user_code(cls)}


def user_code(*things: Any) -> dict[str, dict[str, str]]:
    """Return the entry of a description for the user code behind `things`, if there is any."""
    code = code_of(*things)
    return {USER_CODE: code} if code else {}


def code_in(description: Any) -> dict[str, str]:
    """Return the user code that a graph's description names."""
    return dict(sorted(_code_entries(description)))


def _code_entries(described: Any) -> Iterator[tuple[str, str]]:
    if isinstance(described, Mapping):
        for key, value in described.items():
            if key == USER_CODE and isinstance(value, Mapping):
                yield from value.items()
            else:
                yield from _code_entries(value)
    elif isinstance(described, list | tuple):
        for value in described:
            yield from _code_entries(value)
