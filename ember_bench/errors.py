"""Errors that ember-bench raises on purpose.

All of them are `EmberBenchError`; any other exception is a bug in ember-bench.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class EmberBenchError(Exception):
    """Base of all errors raised on purpose."""


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a text file; `line` and `column` count from 1."""

    path: Path
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = [str(self.path)]
        if self.line is not None:
            parts.append(str(self.line))
            if self.column is not None:
                parts.append(str(self.column))
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a grid, a card or an option."""

    message: str
    location: Location | None = None

    def __str__(self) -> str:
        return f"{self.location}: {self.message}" if self.location else self.message


class ConfigError(EmberBenchError):
    """A grid, a card or an option has mistakes; `problems` lists all of them."""

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(p if isinstance(p, Problem) else Problem(p) for p in problems)
        super().__init__("\n".join(map(str, self.problems)))


class UnknownNameError(ConfigError, KeyError):
    """A name that nothing is registered under.

    Args:
        kind: The kind of thing that the name should stand for.
        name: The name.
        known: Names of that kind; the message lists near matches.
        location: The place of the name.
        hint: What to do about it, in place of near matches.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        known: Iterable[str],
        location: Location | None = None,
        hint: str = "",
    ) -> None:
        self.kind, self.name = kind, name
        names = tuple(known)
        self._made_of = (kind, name, names, location, hint)
        ending = f"; {hint}" if hint else did_you_mean(name, names)
        super().__init__(Problem(f"unknown {kind} {name!r}{ending}", location))

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[Any, ...], dict[str, Any]]:
        """Be made again in another process from what this was made of, not from its message."""
        return type(self), self._made_of, vars(self)

    # KeyError's own __str__ shows the repr of the message.
    __str__ = Exception.__str__


class DataMissingError(ConfigError):
    """Recorded data is not on this machine; the message says where to get it."""


class SignatureError(EmberBenchError, ValueError):
    """An operator's inputs or outputs do not fit its signature; the message names the field."""


class GraphError(EmberBenchError, ValueError):
    """A graph cannot be built or run: a cycle, an unknown input, a duplicate name."""


class StoreError(EmberBenchError):
    """A store file cannot be used: wrong schema version, not a database, locked by another."""


class DamagedStoreError(StoreError):
    """A store file, or a part of it, cannot be what ember-bench has written there."""


class ResultsLockedError(StoreError):
    """Another process is writing to the results folder."""


class ProviderError(EmberBenchError):
    """A model did not answer.

    Attributes:
        retryable: Whether the same request may succeed later.
        status: The HTTP status, where there was one.
        retry_after: Seconds that the provider asked to wait, where it did.
        may_be_charged: Whether the request was sent and nobody knows if it was charged: the answer
            did not come in time, broke off, or could not be read.
        busy: Whether the provider works, and only has no room for one more request.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        status: int | None = None,
        retry_after: float | None = None,
        may_be_charged: bool = False,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.status = status
        self.retry_after = retry_after
        self.may_be_charged = may_be_charged
        self.busy = False


class NoAnswerError(ProviderError):
    """A model did not answer in time; it may still work on the request."""


class OfflineError(ProviderError):
    """`--offline` was given and the answer to a call is not in the response store."""


class UnjudgedError(EmberBenchError):
    """An evaluator that asks models has no verdict: their answer cannot be read."""


class UnlabelledError(EmberBenchError):
    """Nobody has told how good an output is: no person, and no recording."""


class TimeLimitError(EmberBenchError, TimeoutError):
    """A call or an operator took longer than its `timeout`."""


class OutputError(EmberBenchError):
    """Results cannot be printed: the file behind stdout is on a full disk, say."""


class BudgetExhaustedError(EmberBenchError):
    """A call was not made, as it could have cost more than there is money for."""


class CallGivenUpError(EmberBenchError):
    """A call was not made, as the run is to stop; the next run makes it."""


class BatchesOpenError(CallGivenUpError):
    """A call was left in a provider's batch, which the next run takes up again."""


def did_you_mean(name: str, known: Iterable[str], *, limit: int = 3) -> str:
    """Return `"; did you mean 'x'?"`, or a list of what there is, ready to end a sentence."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=limit, cutoff=0.6)
    lowered = name.lower()
    near += [n for n in names if n not in near and lowered and lowered in n.lower()][
        : limit - len(near)
    ]
    if near:
        return "; did you mean " + " or ".join(repr(n) for n in near) + "?"
    if not names:
        return "; none is registered"
    shown = ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")
    return f"; known: {shown}"
