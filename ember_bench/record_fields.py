"""Values in records: fields by their paths, and scalars as text."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

ABSENT: Final = object()


class RecordError(ValueError):
    """A record cannot become an item."""


def lookup(record: Mapping[str, Any], path: str) -> Any:
    """Return the value at `path`, or `ABSENT`.

    `a.b` goes into the mapping at `a`, or into each of the mappings of the list at `a`. `a[0]` is
    the first entry of the list at `a`, `a[-1]` the last one. `a[*]` goes into each entry, and what
    is found in them is one list: `a[*].b` of lists `b` holds the entries of all of them. A name
    that has dots itself is found too: `scores.llama-3.1-8b` is `llama-3.1-8b` in `scores`.
    """
    if path in record:
        return record[path]
    inner: Any = record
    rest = path
    while isinstance(inner, Mapping):
        if rest in inner:
            return inner[rest]
        name, dot, rest = rest.partition(".")
        if not dot or name not in inner:
            break
        inner = inner[name]
    steps = _steps(path)
    return _follow(record, steps) if steps else ABSENT


def top_fields(paths: Iterable[str], names: Collection[str]) -> set[str]:
    """Return the fields of a record, of those with `names`, that the paths begin with."""
    return {path if path in names else str((_steps(path) or (path,))[0]) for path in paths}


_EACH: Final = "*"
_STEP: Final = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(\*|-?\d+)\]")


@lru_cache(maxsize=1024)
def _steps(path: str) -> tuple[str | int | None, ...]:
    """Return the steps of a path: a name, a place in a list, None for each; () if it is none."""
    steps: list[str | int | None] = []
    end = 0
    for found in _STEP.finditer(path):
        if found.start() != end:
            return ()
        end = found.end()
        name, place = found.groups()
        steps.append(name if name is not None else None if place == _EACH else int(place))
    return tuple(steps) if end == len(path) and isinstance(steps[0] if steps else None, str) else ()


def _follow(value: Any, steps: Sequence[str | int | None]) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        inner = _entry(value, step)
        return ABSENT if inner is ABSENT else _follow(inner, rest)
    if not isinstance(value, list | tuple):
        return ABSENT
    if step is None:
        return _of_each(value, rest)
    return _follow(value[step], rest) if -len(value) <= step < len(value) else ABSENT


def _of_each(entries: Sequence[Any], steps: Sequence[str | int | None]) -> Any:
    found: list[Any] = []
    for entry in entries:
        inner = _follow(entry, steps)
        if inner is ABSENT:
            return ABSENT
        found += inner if isinstance(inner, list | tuple) else [inner]
    return found


def _entry(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, ABSENT)
    if not isinstance(value, list | tuple) or not value:
        return ABSENT
    entries = [_entry(one, name) for one in value]
    return ABSENT if any(entry is ABSENT for entry in entries) else entries


def as_text(value: Any, what: str, *, truths: tuple[str, str] = ("false", "true")) -> str:
    """Return a scalar as text, "" for nothing; numbers as Python writes them.

    Raises:
        RecordError: if `value` is not a scalar.
    """
    if isinstance(value, str):
        return value
    if value is None or value is ABSENT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return truths[value]
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    raise RecordError(f"{what}: expected text or a number, found {type_name(value)}")


def id_text(value: Any) -> str:
    """Return an id as text: 7.0, which tables make of a 7 beside an empty field, is `7`."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def type_name(value: Any) -> str:
    """Return the type of a value for a message."""
    names = {"list": "a list", "tuple": "a list", "dict": "a mapping", "bytes": "bytes"}
    names |= {"int": "an integer", "NoneType": "nothing"}
    return names.get(type(value).__name__, f"a {type(value).__name__}")
