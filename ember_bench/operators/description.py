"""Descriptions: JSON-like data that are equal for values that compute the same results."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Hashable, Mapping
from enum import Enum
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any, cast

from pydantic import BaseModel

from ember_bench.answers.formats import answer_format_names, get_answer_format
from ember_bench.operators.lm import LMModule
from ember_bench.operators.signature import Signature
from ember_bench.operators.tree import Tree


def describe_attribute(name: str, value: Any) -> Any:
    """Return the description of an attribute; an `answer_format` is described by its identity."""
    if name == "answer_format" and isinstance(value, str) and value in answer_format_names():
        return get_answer_format(value).identity
    return describe(value)


def describe(value: Any) -> Any:
    """Return the description of `value`."""
    described: Any
    match value:
        case None | bool() | int() | float() | str():
            described = value
        case Tree():
            described = value.describe()
        case LMModule():
            described = {
                "model": value.model.fingerprint,
                "config": value.config.model_dump(mode="json", exclude={"model_name"}),
            }
        case Signature():
            described = _describe_signature(value)
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
    """Describe a function by its source, its defaults, and the values that it is bound to."""
    described: dict[str, Any]
    if isinstance(value, partial):
        bound = (value.args, value.keywords)
        return {"partial": describe(value.func), "of": [describe(part) for part in bound]}
    if not (inspect.isroutine(value) or inspect.isclass(value)):
        return _describe_object(value)
    described = {
        "function": qualified_name(value),
        "source": source_digest(cast("Hashable", value)),
    }
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
    described = {
        "object": qualified_name(type(value)),
        "source": source_digest(cast("Hashable", type(value))),
    }
    state = getattr(value, "__dict__", {})
    return described | {name: describe(part) for name, part in sorted(state.items())}


def _describe_signature(signature: Signature) -> dict[str, Any]:
    def schema(model: type[BaseModel] | None) -> Any:
        return model.model_json_schema() if model is not None else None

    return {
        "required_inputs": signature.required_inputs,
        "prompt_template": signature.prompt_template,
        "structured_output": schema(signature.structured_output),
        "input_model": schema(signature.input_model),
    }


@lru_cache(maxsize=1024)
def source_digest(code: Hashable) -> str | None:
    """Return a digest of a function's or class's source; None if it has none (built-ins)."""
    try:
        source = textwrap.dedent(inspect.getsource(cast("Any", code)))
    except (OSError, TypeError):
        return None
    return sha256(source.encode()).hexdigest()[:16]


def qualified_name(thing: Any) -> str:
    """Return the import path of a function or class, or of the class of an object."""
    cls = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{cls.__module__}.{cast('str', cls.__qualname__)}"
