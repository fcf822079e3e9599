"""The texts of answers, piece by piece, while they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from ember_bench.models.text_stream import TextStream
from ember_bench.serving.networks import Answer

Piece = tuple[int, str | Answer]


class Pieces:
    """The answers to one request: pieces of their texts, and each whole at its end.

    Args:
        asks: Ask for one answer each.
        name: Of the network.
    """

    def __init__(self, asks: Sequence[Callable[[], Awaitable[Answer]]], name: str) -> None:
        self._queue: asyncio.Queue[tuple[int, str | Answer | Exception]] = asyncio.Queue()
        self._first: Piece | None = None
        self._streams = [TextStream(ask, name) for ask in asks]
        self._tasks = [asyncio.create_task(self._read(i, s)) for i, s in enumerate(self._streams)]

    async def begin(self) -> None:
        """Wait for the first piece.

        Raises:
            Exception: that of an answer, if it comes first.
        """
        self._first = await self._next()

    async def __aiter__(self) -> AsyncIterator[Piece]:
        """Yield index and piece, and index and answer at its end.

        Raises:
            Exception: that of an answer.
        """
        left = len(self._streams)
        while left:
            piece, self._first = self._first or await self._next(), None
            left -= isinstance(piece[1], Answer)
            yield piece

    def cancel(self) -> None:
        """Give up what is not sent yet."""
        for task in self._tasks:
            task.cancel()
        for stream in self._streams:
            stream.cancel()

    async def _read(self, index: int, stream: TextStream[Answer]) -> None:
        try:
            async for part in stream:
                self._queue.put_nowait((index, part))
        except Exception as error:
            self._queue.put_nowait((index, error))
            return
        if stream.response is not None:
            self._queue.put_nowait((index, stream.response))

    async def _next(self) -> Piece:
        index, piece = await self._queue.get()
        if isinstance(piece, Exception):
            raise piece
        return index, piece


def ended(answer: Answer, stop: Sequence[str]) -> tuple[str, str]:
    """Return an answer's text up to the first stop text, and why it ends: `stop` or `length`."""
    if (end := _first(answer.data, stop)) is not None:
        return answer.data[:end], "stop"
    return answer.data, "length" if answer.cut_off else "stop"


class Cut:
    """A text up to the first stop text, while it arrives.

    Args:
        stop: The stop texts.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = stop
        self._text = ""
        self._given = 0

    def add(self, piece: str) -> str:
        """Return what is new of the text and stands, whatever follows."""
        self._text += piece
        end = _first(self._text, self._stop)
        if end is None:
            end = len(self._text) - self._begun()
        new = self._text[self._given : end]
        self._given = max(self._given, end)
        return new

    def rest(self, whole: str) -> str:
        """Return what is missing of the whole text."""
        return whole[self._given :]

    def _begun(self) -> int:
        """Return the length of the longest end of the text with which a stop text begins."""
        return max(
            (n for s in self._stop for n in range(1, len(s)) if self._text.endswith(s[:n])),
            default=0,
        )


def _first(text: str, stop: Sequence[str]) -> int | None:
    return min((place for s in stop if (place := text.find(s)) >= 0), default=None)
