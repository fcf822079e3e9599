"""What a model thought before it called a tool, which its API wants back with the tool's result.

It travels in the call's id, behind a mark, so that whoever gives calls back as they came gives it
back too, and it is part of the next call's identity, as it is of its prompt.
"""

from __future__ import annotations

import json
from typing import Any, Final

_MARK: Final = "~thoughts:"


def id_with(call_id: str, thoughts: list[Any]) -> str:
    """Return the id of a call that has `thoughts` in it: objects of JSON, as they came."""
    if not thoughts:
        return call_id
    return f"{call_id}{_MARK}{json.dumps(thoughts, separators=(',', ':'))}"


def split_id(call_id: str) -> tuple[str, list[Any]]:
    """Return a call's own id and the thoughts in it; none if they cannot be read."""
    own, _, written = call_id.partition(_MARK)
    try:
        thoughts = json.loads(written) if written else []
    except ValueError:
        thoughts = []
    return own, thoughts if isinstance(thoughts, list) else []
