"""Parts of a model's text that evaluators look at."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from ember_bench.models.thoughts import split_thoughts

_FENCED: Final = re.compile(r"```(?:json|JSON|tool_call)?[ \t]*\n(.*?)```", re.DOTALL)
_DECODER: Final = json.JSONDecoder()


def without_thoughts(output: str) -> str:
    """Return a model's text without its thoughts, which no evaluator counts as answer."""
    return split_thoughts(output).answer


def find_json(output: str) -> Any:
    """Return the JSON value in a model's text: all of it, the last fenced one, or the last one.

    Raises:
        ValueError: if there is none.
    """
    text = without_thoughts(output).strip()
    for part in (text, *reversed(_FENCED.findall(text))):
        try:
            return json.loads(part)
        except (ValueError, RecursionError):
            continue
    return _last_value(text)


def _last_value(text: str) -> Any:
    """Return the last object or array that stands in prose."""
    found: list[Any] = []
    at = 0
    while (start := re.compile(r"[{\[]").search(text, at)) is not None:
        try:
            value, at = _DECODER.raw_decode(text, start.start())
            found.append(value)
        except (ValueError, RecursionError):
            at = start.end()
    if not found:
        raise ValueError("no JSON value stands in the text")
    return found[-1]
