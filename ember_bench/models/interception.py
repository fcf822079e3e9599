"""Where calls of operators and LM modules can be taken note of instead of being made.

`graph.jitted` traces a function by running it with stand-ins for the models' answers. What it calls
looks here first: at a context variable, which is None in every other run.
"""

from __future__ import annotations

import contextvars
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

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
        """Take note that `what` cannot be recorded, and go on only if it need not be."""


current: contextvars.ContextVar[Recorder | None] = contextvars.ContextVar(
    "ember_bench_recorder", default=None
)


def refuse(what: str) -> None:
    """Say that what runs now cannot be recorded; does nothing where nobody records."""
    if (recorder := current.get()) is not None:
        recorder.refuse(what)
