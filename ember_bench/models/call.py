"""Requests, and the identity of a call."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from hashlib import blake2b
from typing import Final

import msgspec
import orjson

from ember_bench.models.info import ModelInfo
from ember_bench.models.strand import (
    FIRST_REPLICA,
    CallRecord,
    Draw,
    OutsideDraws,
    Strand,
    TrialContext,
)
from ember_bench.models.types import (
    Completion,
    Message,
    ResponseFormat,
    SamplingParameters,
    ToolDefinition,
)

# Stamped into every key: raise it when the meaning of a key changes.
KEY_VERSION: Final = 1
_KEY_BYTES: Final = 16
# What every provider that takes seeds takes.
_SEEDS: Final = 2**31

answered: Final[ContextVar[Callable[[Call, Completion, CallRecord], None] | None]] = ContextVar(
    "ember_bench_answered", default=None
)
"""Is told of each answered call of the running code in a trial, with its record."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class Request:
    """A request to a model, without its place in a trial.

    Args:
        model: Who is asked.
        messages: The conversation.
        parameters: How to sample.
        response_format: A schema for the answer, or None.
        role: What the model is asked to do: `generate`, `verify`, `judge`, ...; simulated models
            act on it, and it is part of the call's identity.
        about: The candidate answers that the prompt is about, for simulated and recorded models;
            they stand in the messages and so are not hashed again.
        tools: What the model may ask for.
    """

    __slots__ = (
        "_encoded",
        "about",
        "messages",
        "model",
        "parameters",
        "response_format",
        "role",
        "tools",
    )

    def __init__(
        self,
        model: ModelInfo,
        messages: tuple[Message, ...],
        parameters: SamplingParameters = SamplingParameters(),  # noqa: B008 - immutable
        response_format: ResponseFormat | None = None,
        role: str = "generate",
        about: tuple[str, ...] = (),
        tools: tuple[ToolDefinition, ...] = (),
    ) -> None:
        self.model = model
        self.messages = messages
        self.parameters = parameters
        self.response_format = response_format
        self.role = role
        self.about = about
        self.tools = tools
        self._encoded = b""

    @property
    def encoded_messages(self) -> bytes:
        """The messages as JSON."""
        if not self._encoded:
            self._encoded = _encode(self.messages)
        return self._encoded

    def digest(self, context: str) -> bytes:
        """Hash everything but where in the trial it is asked.

        Args:
            context: What else the provider's answer depends on (`Provider.context`).
        """
        rest = (
            KEY_VERSION,
            self.model.fingerprint,
            self.parameters,
            self.response_format,
            self.role,
            context,
            *([self.tools] if self.tools else []),
        )
        # JSON strings hold no raw newline, so the two parts cannot run into each other.
        content = self.encoded_messages + b"\n" + _encode(rest)
        return blake2b(content, digest_size=_KEY_BYTES).digest()


class Call:
    """One request at one place in a trial.

    Attributes:
        key: The call key: hash of model, messages, sampling parameters, response format, role,
            epoch, replica and draw.
        replica: Index of the LM module among those of the same model and parameters in the graph.
        draw: Index of the request among identical ones from that module within the trial.
        node: The graph node that asks.
        turn: Index of the request among those of its role from that module within the trial, for
            models that answer by it.
    """

    __slots__ = ("draw", "key", "node", "replica", "request", "trial", "turn")

    def __init__(
        self,
        request: Request,
        trial: TrialContext,
        replica: str,
        draw: Draw,
        key: bytes,
        turn: Draw = (),
        node: str = "",
    ) -> None:
        self.request = request
        self.trial = trial
        self.replica = replica
        self.draw = draw
        self.key = key
        self.turn = turn
        self.node = node

    @classmethod
    def place(
        cls,
        request: Request,
        strand: Strand,
        replica: str,
        context: str,
        outside: OutsideDraws | None = None,
        *,
        by_turn: bool = False,
    ) -> Call:
        """Give `request` its place on `strand`; counts it as asked, `outside` if it is there.

        Args:
            request: The request.
            strand: Where it is asked.
            replica: Of the LM module that asks it.
            context: What else the provider's answer depends on (`Provider.context`).
            outside: Counts requests outside a trial.
            by_turn: Whether the answer depends on the turn (`Provider.by_turn`).
        """
        digest = request.digest(context)
        epoch = strand.trial.epoch
        # The draw is counted for each replica, so it is taken over what identifies the rest.
        draw = strand.take_draw(digest + replica.encode(), outside)
        turn: Draw = ()
        if by_turn:
            kind = (request.model.fingerprint, request.role, replica)
            turn = strand.take_turn(orjson.dumps(kind))
        place = orjson.dumps((epoch, replica, draw, *((turn,) if by_turn else ())))
        key = blake2b(digest + place, digest_size=_KEY_BYTES).digest()
        return cls(request, strand.trial, replica, draw, key, turn, strand.node)

    @property
    def seed(self) -> int | None:
        """The seed to send; None if the request has none.

        That of the request for the first draw of the first replica in epoch 0; derived from it and
        the call's place for every other, as a model that is sent one seed twice answers twice the
        same. So the draws of a seeded model differ, and are those of the last run again.
        """
        seed = self.request.parameters.seed
        if seed is None:
            return None
        first = (FIRST_REPLICA, f"{self.request.role}.{FIRST_REPLICA}")
        if self.replica in first and not self.draw and not self.trial.epoch:
            return seed
        place = orjson.dumps((str(seed), self.replica, self.draw, self.trial.epoch))
        return int.from_bytes(blake2b(place, digest_size=8).digest(), "big") % _SEEDS

    @property
    def draw_text(self) -> str:
        """The draw as text: `0`, `3`, `3.1`."""
        return ".".join(map(str, self.draw)) or "0"
