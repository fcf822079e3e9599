"""Answer formats of records that their choices and targets tell (`answer_format: by_target`)."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ember_bench.answers.formats import read_target

BY_TARGET: Final = "by_target"
"""The answer format of a card whose records have different ones."""

EVALUATORS: Final[Mapping[str, str]] = {
    "choice": "multiple_choice",
    "yes_no": "yes_no",
    "number": "numeric_match",
}
"""The evaluators of these answer formats; all others have the card's."""

_LETTER: Final = re.compile(r"[^\W\d_]")


def format_of(targets: Sequence[str], choices: Sequence[str]) -> str:
    """Return the answer format of a record: `choice`, `yes_no`, `number` or `text`."""
    if choices:
        return "choice"
    if all(target.strip().casefold() in ("yes", "no") for target in targets):
        return "yes_no"
    if all(map(is_number, targets)):
        return "number"
    return "text"


def is_number(target: str) -> bool:
    """Whether a target is a number and nothing else."""
    return _LETTER.search(target) is None and read_target(target, "number") is not None


def parted(value: Any, separator: str | None) -> Any:
    """Return the parts of a text that holds a list; any other value as it is.

    The list may be written as JSON or Python writes it, or with a separator.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    if separator is not None and separator in text:
        return [part.strip() for part in text.split(separator) if part.strip()]
    if text.startswith("[") and text.endswith("]"):
        for read in (json.loads, ast.literal_eval):
            try:
                found = read(text)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
            if isinstance(found, list):
                return found
    return value
