"""Answers that come as streams, read while they arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from ember_bench.models.transport.events import Event, EventReader, begun
from ember_bench.models.transport.listening import TextListener
from ember_bench.models.wire.adapting import decoded
from ember_bench.models.wire.assembling import Assembler
from ember_bench.models.wire.failures import MalformedError, UnreadableError


class Stream:
    """The answer to a request for a stream: events, or one piece from a server without streams.

    Args:
        assembler: Puts the events together.
        text: Reads the text of the answer while it arrives; None if nobody does.
        heard: Called whenever something of a stream arrives; an answer in one piece, and blanks
            that may become one, have to be whole in time.
        clock: Seconds.

    Attributes:
        first_token_seconds: From the request to the first piece of the answer or of its thoughts;
            None if there was none, or the answer came in one piece.
    """

    def __init__(
        self,
        assembler: Assembler,
        heard: Callable[[], None],
        clock: Callable[[], float] = time.perf_counter,
        text: TextListener | None = None,
    ) -> None:
        self._text = text
        if text is not None:
            text.begin()
        self._assembler = assembler
        self._heard = heard
        self._clock = clock
        self._started = clock()
        self._beginning = b""
        self._events: EventReader | None = None
        self._one_piece: bytearray | None = None
        self._failure: UnreadableError | None = None
        self.first_token_seconds: float | None = None

    @property
    def has_events(self) -> bool:
        """Whether the answer comes as events."""
        return self._events is not None

    def feed(self, part: bytes) -> bool:
        """Take the next bytes of the body; return whether nothing that matters can follow."""
        if self._events is None and self._one_piece is None:
            part = self._begin(part)
        if self._events is not None:
            self._heard()
        if self._one_piece is not None:
            self._one_piece += part
        elif self._events is not None:
            self._take(self._events.feed(part))
        return self._failure is not None or self._assembler.has_ended

    def body(self) -> Any:
        """Return the whole answer as the API has it in one piece, once its body has ended.

        Raises:
            UnreadableError: if it is none, or a part of one.
        """
        if self._events is None:
            return decoded(bytes(self._one_piece or self._beginning))
        if self._failure is None and not self._assembler.is_whole:
            self._take(self._events.close())
            if not self._assembler.is_whole:
                raise MalformedError("the stream ended before the answer did")
        if self._failure is not None:
            raise self._failure
        try:
            return self._assembler.body()
        except RecursionError:
            raise MalformedError("objects too deep in it") from None

    def _begin(self, part: bytes) -> bytes:
        """See from the first bytes what comes; return those that are to be read."""
        self._beginning, is_events = begun(self._beginning + part)
        if is_events:
            self._events = EventReader()
        elif is_events is not None:
            self._one_piece = bytearray()
        return self._beginning

    def _take(self, events: Iterable[Event]) -> None:
        try:
            for event in events:
                has_piece = self._assembler.add(event.name, event.data)
                if self._text is not None and (piece := self._assembler.piece):
                    self._text.hear(piece)
                if has_piece and self.first_token_seconds is None:
                    self.first_token_seconds = self._clock() - self._started
        except UnreadableError as error:
            self._failure = self._failure or error
        except RecursionError:
            self._failure = self._failure or MalformedError("objects too deep in it")
