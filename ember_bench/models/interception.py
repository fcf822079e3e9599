"""A hook that records calls of operators and LM modules instead of making them.

`graph.jitting` traces a function by running it with stand-ins for the answers of models. Operators
and LM modules look at a context variable first, which is None in every other run.
"""

from __future__ import annotations

import contextvars
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ember_bench.errors import ConfigError

if TYPE_CHECKING:
    from ember_bench.models.call import Request
    from ember_bench.models.types import Response


class Recorder(Protocol):
    """Takes the calls that are made while it is `current`."""

    def operator(self, operator: Any, inputs: Any, fields: Mapping[str, Any]) -> Any:
        """Return what `operator(inputs, **fields)` is to return."""

    def ask(self, calls: Sequence[tuple[Any, Request]]) -> list[Response]:
        """Return the answers to (LM module, request) pairs, made as one step."""

    def refuse(self, what: str) -> None:
        """Note that `what` cannot be recorded, and return only if it need not be."""


current: contextvars.ContextVar[Recorder | None] = contextvars.ContextVar(
    "ember_bench_recorder", default=None
)


def refuse(what: str) -> None:
    """Report that a step cannot be recorded; does nothing without a recorder."""
    if (recorder := current.get()) is not None:
        recorder.refuse(what)


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
