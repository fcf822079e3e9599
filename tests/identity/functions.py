"""Functions that the cards in `operators.yaml` name; their text is part of what is pinned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def many_words(response: str, inputs: Mapping[str, Any]) -> float:
    return len(response.split())


def is_short(inputs: Mapping[str, Any]) -> bool:
    return len(inputs["query"]) < 20


def route_by_length(inputs: Mapping[str, Any]) -> str:
    return "short" if is_short(inputs) else "long"


def shout(query: str, *, mark: str = "!") -> dict[str, str]:
    """Say it louder."""
    return {"query": query.upper() + mark}
