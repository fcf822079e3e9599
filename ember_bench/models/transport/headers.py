"""The headers of responses that state rate limits, on their way to who keeps to them.

Whoever asks a model sets `LISTENER` for the task in which it asks; a transport tells it of every
response, also of those that succeed. So a provider need not pass on what it does not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Final

LISTENER: Final[ContextVar[Callable[[Mapping[str, str]], None] | None]] = ContextVar(
    "LISTENER", default=None
)

_MARK: Final = "ratelimit"
# The clock of dates among them.
_DATE: Final = "date"


def tell(headers: Iterable[tuple[str, str]]) -> None:
    """Tell the listener of a response, if its headers state a limit; names may have any case."""
    if (listener := LISTENER.get()) is None:
        return
    known = {name.lower(): value for name, value in headers}
    stated = {name: value for name, value in known.items() if _MARK in name}
    if stated:
        if _DATE in known:
            stated[_DATE] = known[_DATE]
        listener(stated)
