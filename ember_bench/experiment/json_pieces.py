"""Long JSON in pieces, for digests of what is too long to be written down at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

_WRITTEN_AT_ONCE: Final = 5_000


def json_bytes(value: Any) -> bytes:
    """Return a value as JSON, with the members of objects in order."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def json_object(members: Mapping[str, Iterable[bytes]]) -> Iterator[bytes]:
    """Yield a JSON object in pieces, as `json_bytes` writes it, of members in pieces."""
    yield b"{"
    for number, name in enumerate(sorted(members)):
        yield (b"," if number else b"") + json_bytes(name) + b":"
        yield from members[name]
    yield b"}"


def json_list(values: Iterator[str]) -> Iterator[bytes]:
    """Yield a JSON list of texts in pieces."""
    yield b"["
    comma = b""
    while batch := list(itertools.islice(values, _WRITTEN_AT_ONCE)):
        yield comma + json_bytes(batch)[1:-1]
        comma = b","
    yield b"]"
