"""Whether what a task was given is what a function gives now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ember_bench.models.call import Request
from ember_bench.models.types import Message
from ember_bench.operators.plan import Apply, Text

_MESSAGE = Message.__struct_fields__


def same(one: Any, other: Any) -> bool:
    """Whether two trees are equal; objects that cannot be compared are not."""
    if one is other:
        return True
    left, right = _opened(one), _opened(other)
    if left is None or right is None:
        return left is right and _equal(one, other)
    return (
        left[0] == right[0] and len(left[1]) == len(right[1]) and all(map(same, left[1], right[1]))
    )


def _opened(tree: Any) -> tuple[Any, Sequence[Any]] | None:
    """Return what `tree` is and its parts; None if it has none."""
    kind = type(tree)
    opened: tuple[Any, Sequence[Any]] | None = None
    if kind in (list, tuple):
        opened = kind, tree
    elif issubclass(kind, Mapping):
        opened = (Mapping, tuple(tree)), tuple(tree.values())
    elif kind is Apply:
        opened = (Apply, tree.function), tree.args
    elif kind is Text:
        opened = Text, tree.parts
    elif kind is Request:
        messages = [getattr(message, name) for message in tree.messages for name in _MESSAGE]
        rest = (tree.parameters, tree.response_format, tree.role, tree.tools)
        opened = (Request, tree.model.fingerprint), (*messages, *rest, *tree.about)
    return opened


def _equal(one: Any, other: Any) -> bool:
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # arrays, and the like
        return False
