"""Records of a source, and the values in them."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from ember_bench.record_fields import RecordError, as_text

if TYPE_CHECKING:
    from pathlib import Path

    from ember_bench.errors import Problem

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Records:
    """The records of one source, read as they are asked for.

    Attributes:
        source: Where they come from, for people.
        revision: The pinned commit, or the digest of the file.
        rows: Each record with its number, counted from 1.
        unit: What the number counts: lines of a text file, or records.
        locate: Places a message at the record of that number.
        folder: Paths in the records are relative to it; None for the folder of the card.
    """

    source: str
    revision: str
    rows: Iterable[tuple[int, Record]] = field(repr=False)
    unit: Literal["line", "record"]
    locate: Callable[[int, str], Problem] = field(repr=False)
    folder: Path | None = None


def joined(
    source: str, revision: str, parts: Mapping[str, Records], key: str, *, own_first: bool = False
) -> Records:
    """Return the records of several parts, one after the other.

    Args:
        source: Where they come from, for people.
        revision: Of all parts.
        parts: The records of each part by its name.
        key: The field in which a record has the name of its part.
        own_first: Whether a record that has such a field keeps it.
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
                yield len(numbers), {key: name, **record} if own_first else {**record, key: name}

    def locate(number: int, message: str) -> Problem:
        part = opened[bisect_right(starts, number - 1) - 1]
        return part.locate(numbers[number - 1], message)

    folder = opened[0].folder if opened else None
    return Records(source, revision, rows(), "record", locate, folder)


def content_revision(rows: Sequence[Record]) -> str:
    """Return the digest of records that are no file and have no commit."""
    content = json.dumps(rows, sort_keys=True, ensure_ascii=False, default=str)
    return f"sha256:{sha256(content.encode('utf-8', 'backslashreplace')).hexdigest()}"


class MissingFieldError(RecordError):
    """A record does not have a field that the card names."""

    def __init__(self, path: str, key: str) -> None:
        super().__init__(f"the record has no field {path!r}")
        self.path, self.key = path, key


def flattened(value: Any) -> Iterator[Any]:
    """Yield the scalars of a list and of the lists in it; of anything else, itself."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from flattened(one)
    else:
        yield value


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
