"""JSON-like objects that can be hashed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


class HashableDict(dict[str, Any]):
    """A JSON-like object that can be hashed, as it is never changed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(orjson.dumps(self, option=orjson.OPT_SORT_KEYS))


def hashable(value: Any) -> Any:
    """Return JSON-like data with objects and lists that can be hashed."""
    if isinstance(value, Mapping):
        return HashableDict({str(name): hashable(part) for name, part in value.items()})
    if isinstance(value, list | tuple):
        return tuple(hashable(part) for part in value)
    return value
