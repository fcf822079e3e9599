"""pydantic's errors in plain words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ember_bench.errors import did_you_mean

_TEXTS: Final[Mapping[str, str]] = {
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "dict_type": "expected a mapping",
    "finite_number": "expected a finite number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "int_from_float": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "list_type": "expected a list",
    "model_attributes_type": "expected a mapping",
    "model_type": "expected a mapping",
    "string_type": "expected a text",
    "tuple_type": "expected a list",
    # A regular expression explains nothing.
    "string_pattern_mismatch": "it has characters that are not allowed here, or too many or few",
}
_NEAR: Final = "; did you mean"
_OPTION: Final = re.compile(r"'([^']*)'")


def _literal(error: Mapping[str, Any]) -> str:
    expected = str(error["ctx"]["expected"])
    names, given = _OPTION.findall(expected), error["input"]
    hint = did_you_mean(given, names) if names and isinstance(given, str) else ""
    return f"expected {expected}" + (hint if hint.startswith(_NEAR) else "")


_WRITERS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "greater_than": lambda e: f"must be greater than {e['ctx']['gt']:g}",
    "greater_than_equal": lambda e: f"must be at least {e['ctx']['ge']:g}",
    "less_than": lambda e: f"must be less than {e['ctx']['lt']:g}",
    "less_than_equal": lambda e: f"must be at most {e['ctx']['le']:g}",
    "literal_error": _literal,
    "string_too_short": lambda _: "must not be empty",
    "too_short": lambda e: f"needs at least {_entries(e['ctx']['min_length'])}",
    "too_long": lambda e: f"takes at most {_entries(e['ctx']['max_length'])}",
}


def _entries(number: int) -> str:
    return f"{number} {'entry' if number == 1 else 'entries'}"


def plainly(error: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, as one of pydantic's `errors()` has it."""
    kind = error["type"]
    if kind in _TEXTS:
        message = _TEXTS[kind]
        if kind == "string_type" and isinstance(error["input"], bool | int | float):
            message += ", in quotes"
        return message
    if kind in _WRITERS:
        return _WRITERS[kind](error)
    return str(error["msg"]).removeprefix("Value error, ")


def place_of(error: Mapping[str, Any], data: Any) -> tuple[str | int, ...]:
    """Return the keys of a value in `data`, without the kinds of a union that pydantic names."""
    keys: list[str | int] = []
    for key in error["loc"]:
        if isinstance(data, Mapping):
            if key not in data and not _is_last(key, error):
                continue
            data = data.get(key)
        elif isinstance(data, Sequence) and not isinstance(data, str):
            if not isinstance(key, int):
                continue
            data = data[key] if key < len(data) else None
        else:
            continue
        keys.append(key)
    return tuple(keys)


def _is_last(key: object, error: Mapping[str, Any]) -> bool:
    """Whether a key that is not there is what is missing, or was put in for it."""
    return bool(error["loc"]) and key == error["loc"][-1] and error["type"] == "missing"
