"""Records of a source, and the values in them."""

from __future__ import annotations

import json
import math
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from ember_bench.errors import Problem

Record = Mapping[str, Any]

ABSENT: Final = object()


@dataclass(frozen=True)
class Records:
    """The records of one source, read as they are asked for.

    Attributes:
        source: Where they come from, for people.
        revision: The pinned commit, or the digest of the file.
        rows: Each record with its number, counted from 1.
        unit: What the number counts: lines of a text file, or records.
        locate: Places a message at the record of that number.
    """

    source: str
    revision: str
    rows: Iterable[tuple[int, Record]] = field(repr=False)
    unit: Literal["line", "record"]
    locate: Callable[[int, str], Problem] = field(repr=False)


def joined(source: str, revision: str, parts: Mapping[str, Records], key: str) -> Records:
    """Return the records of several parts, one after the other.

    Args:
        source: Where they come from, for people.
        revision: Of all parts.
        parts: The records of each part by its name.
        key: The field in which a record has the name of its part.
    """
    numbers = array("Q")  # of the records in their parts
    starts: list[int] = []
    opened = list(parts.values())

    def rows() -> Iterator[tuple[int, Record]]:
        del numbers[:], starts[:]
        for name, part in parts.items():
            starts.append(len(numbers))
            for number, record in part.rows:
                numbers.append(number)
                yield len(numbers), {**record, key: name}

    def locate(number: int, message: str) -> Problem:
        part = opened[bisect_right(starts, number - 1) - 1]
        return part.locate(numbers[number - 1], message)

    return Records(source, revision, rows(), "record", locate)


def content_revision(rows: Sequence[Record]) -> str:
    """Return the digest of records that are no file and have no commit."""
    content = json.dumps(rows, sort_keys=True, ensure_ascii=False, default=str)
    return f"sha256:{sha256(content.encode('utf-8', 'backslashreplace')).hexdigest()}"


class RecordError(ValueError):
    """A record cannot become an item."""


class MissingFieldError(RecordError):
    """A record does not have a field that the card names."""

    def __init__(self, path: str, key: str) -> None:
        super().__init__(f"the record has no field {path!r}")
        self.path, self.key = path, key


def lookup(record: Record, path: str) -> Any:
    """Return the value at `path`, or `ABSENT`.

    `a.b` goes into the mapping at `a`, or into each of the mappings of the list at `a`. `a[0]` is
    the first entry of the list at `a`, `a[-1]` the last one. `a[*]` goes into each entry, and what
    is found in them is one list: `a[*].b` of lists `b` holds the entries of all of them.
    """
    if path in record:
        return record[path]
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


def flattened(value: Any) -> Iterator[Any]:
    """Yield the scalars of a list and of the lists in it; of anything else, itself."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from flattened(one)
    else:
        yield value


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


def listed(value: Any, what: str) -> str:
    """Return a scalar, or the scalars of a list an entry to a line, as text.

    Raises:
        RecordError: if there is anything else in it.
    """
    entries = value if isinstance(value, list | tuple) else [value]
    return "\n".join(as_text(entry, what) for entry in entries)


def short(value: Any) -> str:
    """Return a value for a message, at most 80 characters long."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def type_name(value: Any) -> str:
    """Return the type of a value for a message."""
    names = {"list": "a list", "tuple": "a list", "dict": "a mapping", "bytes": "bytes"}
    return names.get(type(value).__name__, f"a {type(value).__name__}")
