"""Hooks around calls of models: jitted code in which calls wait, and code that may make none.

Code that is not rewritten by `graph.jitting` makes its calls at once. So that calls count in the
order of the code, those of the jitted code around it that still wait are made before.
"""

from __future__ import annotations

import contextvars
from dataclasses import dataclass
from typing import Protocol

from ember_bench.errors import ConfigError


class Waiting(Protocol):
    """Jitted code with calls that wait."""

    def settle(self, reason: str) -> None:
        """Make the calls that wait; `reason` says why they can wait no longer."""


current: contextvars.ContextVar[Waiting | None] = contextvars.ContextVar(
    "ember_bench_waiting", default=None
)


def settle(what: str) -> None:
    """Make the calls that wait in the jitted code around, before `what` happens."""
    if (waiting := current.get()) is not None:
        waiting.settle(what)


@dataclass(slots=True)
class Ban:
    """An evaluator that is not to ask models by itself, as nobody would count or pay for the calls.

    Attributes:
        evaluator: Its name.
        broken: Whether it has tried, whatever it made of the error.
    """

    evaluator: str
    broken: bool = False

    @property
    def reason(self) -> str:
        """What is wrong with it, and what to do instead."""
        return (
            f"evaluator {self.evaluator!r} asks a model by itself, where nothing counts, stores or"
            " pays for it: describe the question in a card of kind `judged`, with a signature and a"
            " model or an architecture (docs/judges.md)"
        )


banned: contextvars.ContextVar[Ban | None] = contextvars.ContextVar(
    "ember_bench_banned", default=None
)


def check_allowed() -> None:
    """Check that the running code may ask models.

    Raises:
        ConfigError: if it may not.
    """
    if (ban := banned.get()) is not None:
        ban.broken = True
        raise ConfigError(ban.reason)
