"""Rules of the Berkeley Function-Calling Leaderboard for one call (its AST evaluation, Python).

Patil et al. 2025, "The Berkeley Function Calling Leaderboard", section 3; its checker `ast_checker`
decides here too where the paper leaves something open. A ground truth gives for each parameter the
list of acceptable values, in which "" says that it may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

TYPES: Final[Mapping[str, type]] = {
    "string": str,
    "integer": int,
    "float": float,
    "number": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "object": dict,
    "any": str,
}
_NESTED: Final = ("array", "tuple")
_IGNORED: Final = re.compile(r"[ ,./\-_*^]")


def misfit(
    arguments: Mapping[str, Any], accepted: Mapping[str, Sequence[Any]], function: Mapping[str, Any]
) -> str:
    """Return why the arguments of a call are wrong; empty if they are right.

    Args:
        arguments: Those of the call.
        accepted: The acceptable values of each parameter.
        function: The function's description, with `parameters` as a JSON Schema of types above.
    """
    schema = function.get("parameters", {})
    known: Mapping[str, Any] = schema.get("properties", {})
    if missing := [name for name in schema.get("required", ()) if name not in arguments]:
        return f"{missing[0]!r} is missing"
    for name, value in arguments.items():
        if name not in known or name not in accepted:
            return f"{name!r} is not expected"
        if not _fits(value, accepted[name], known[name]):
            return f"{name!r} is {value!r}"
    left = [n for n, values in accepted.items() if n not in arguments and "" not in values]
    return f"{left[0]!r} is missing" if left else ""


def _fits(value: Any, accepted: Sequence[Any], details: Mapping[str, Any]) -> bool:
    declared = str(details.get("type"))
    expected = TYPES.get(declared, str)
    nested = None
    if declared in _NESTED:
        nested = TYPES.get(str(details.get("items", {}).get("type")), str)
    if expected is float and type(value) is int:
        value = float(value)
    variable = _is_variable(value, accepted, expected, nested)
    if variable is None:
        return False
    if variable:
        return value in accepted
    if expected is dict:
        return any(_fits_object(value, options) for options in accepted if options != "")
    if expected is list and nested is dict:
        return any(_fits_objects(value, options) for options in accepted)
    return _is_accepted(value, accepted, expected)


def _is_accepted(value: Any, accepted: Sequence[Any], expected: type) -> bool:
    if expected is str:
        return _plain(value) in [_plain(a) for a in accepted if isinstance(a, str)]
    if expected is list:
        return _plains(value) in [_plains(options) for options in accepted]
    return value in accepted


def _is_variable(
    value: Any, accepted: Sequence[Any], expected: type, nested: type | None
) -> bool | None:
    """Whether a value has the type of the acceptable ones but not the declared one.

    So is the name of a variable where a number is due. None if it has neither type.
    """
    usual = next((type(option) for option in accepted if option != ""), None)
    if type(value) is not expected:
        return True if usual is not None and type(value) is usual else None
    if nested is None or any(_parts_fit(value, option, nested) for option in accepted):
        return usual is not None and usual is not expected
    return None


def _parts_fit(values: Any, option: Any, nested: type) -> bool:
    if not isinstance(option, list):
        return True
    return all(_is_variable(value, option, nested, None) is not None for value in values)


def _fits_object(value: Any, accepted: Any) -> bool:
    if not isinstance(value, Mapping) or not isinstance(accepted, Mapping):
        return False
    for name, part in value.items():
        if name not in accepted or _plain(part) not in [_plain(a) for a in accepted[name]]:
            return False
    return all(name in value or "" in options for name, options in accepted.items())


def _fits_objects(values: Sequence[Any], accepted: Any) -> bool:
    same = isinstance(accepted, list) and len(values) == len(accepted)
    return same and all(map(_fits_object, values, accepted))


def _plain(value: Any) -> Any:
    """Return a text without case, spaces and marks: April 1, 2024 is april 1 2024."""
    return _IGNORED.sub("", value).lower().replace("'", '"') if isinstance(value, str) else value


def _plains(values: Any) -> list[Any]:
    return [_plain(value) for value in values]
