"""The commonest faults among the errors of failed trials."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

MOST_SHOWN: Final = 3
_LONGEST: Final = 300

# An HTTP status is part of the fault; other numbers, ids and quotations tell trials apart.
_VARIABLE: Final = re.compile(
    r"(?P<kept>\b(?:HTTP|status|code)\W{0,4}[1-5]\d\d\b)"
    r"|'[^']*'|\"[^\"]*\"|`[^`]*`"
    r"|\b[\w.-]*\d(?:[\w.-]|,\d)*",
    re.IGNORECASE,
)


class FailureReason(msgspec.Struct, frozen=True):
    """Failed trials of one fault.

    Attributes:
        message: The error of the first of them, in one line.
        trials: Their number.
    """

    message: str
    trials: int


def fault(error: str) -> str:
    """Return the first line of an error without its numbers, ids and quotations."""
    return _VARIABLE.sub(lambda match: match["kept"] or "#", first_line(error))


def first_line(error: str) -> str:
    """Return the first line of an error, cut if it is long."""
    line = error.strip().partition("\n")[0].strip() or "an error without a message"
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def commonest(errors: Iterable[str], most: int = MOST_SHOWN) -> list[FailureReason]:
    """Return the commonest faults, each by its first message, the most frequent first.

    Args:
        errors: The error of each failed trial.
        most: Maximum number of faults.
    """
    messages: dict[str, str] = {}
    counts: dict[str, int] = {}
    for error in errors:
        key = fault(error)
        messages.setdefault(key, first_line(error))
        counts[key] = counts.get(key, 0) + 1
    ranked = sorted(counts, key=lambda key: -counts[key])[:most]
    return [FailureReason(messages[key], counts[key]) for key in ranked]
