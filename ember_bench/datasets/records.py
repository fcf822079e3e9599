"""Records of a source, and the values in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
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


class RecordError(ValueError):
    """A record cannot become an item."""


class MissingFieldError(RecordError):
    """A record does not have a field that the card names."""

    def __init__(self, path: str, key: str) -> None:
        super().__init__(f"the record has no field {path!r}")
        self.path, self.key = path, key


def lookup(record: Record, path: str) -> Any:
    """Return the value at `path`, or `ABSENT`.

    `a.b` goes into the mapping at `a`, or into each of the mappings of the list at `a`.
    """
    if path in record:
        return record[path]
    value: Any = record
    for name in path.split("."):
        if (value := _entry(value, name)) is ABSENT:
            return ABSENT
    return value


def _entry(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, ABSENT)
    if not isinstance(value, list | tuple) or not value:
        return ABSENT
    entries = [_entry(one, name) for one in value]
    return ABSENT if ABSENT in entries else entries


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
