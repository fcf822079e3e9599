"""The text of one call, part by part, while it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final, Generic, Protocol, TypeVar

from ember_bench import bridge
from ember_bench.errors import CallGivenUpError, NoAnswerError
from ember_bench.models.tasks import along_strand
from ember_bench.models.thoughts import split_thoughts
from ember_bench.models.transport.listening import TEXT, TextListener

# A mark of thoughts that has not come whole is no longer than this.
_LONGEST_MARK: Final = 40
_MARKS: Final = "<[\u25c1"
# How thoughts begin that have words for marks.
_WORDS: Final = ("analysis", "here is my thought", "here's my thought")


class Said(Protocol):
    """An answer that has a text."""

    @property
    def data(self) -> str:
        """The text."""


SaidT = TypeVar("SaidT", bound=Said)

# Those under way: the loop itself holds them only weakly.
_running: Final[set[asyncio.Task[None]]] = set()


class TextStream(Iterator[str], AsyncIterator[str], TextListener, Generic[SaidT]):
    """The parts of an answer's text, in their order; joined, they are the answer.

    The call is made when the first part is asked for. It is the same call as without a stream: an
    answer that is stored comes as one part, as do those of models that do not stream. A model's
    thoughts are left out. Who stops reading does not stop the call.

    Args:
        ask: Makes the call.
        name: Of who answers, for errors.

    Attributes:
        response: The whole response, after the last part; None before.

    Raises:
        NoAnswerError: if the model was asked again after a part of an answer was passed on, and
            began in other words. The answer is stored, if there is a store.
    """

    def __init__(self, ask: Callable[[], Awaitable[SaidT]], name: str) -> None:
        self.response: SaidT | None = None
        self._ask = ask
        self._name = name
        self._raw = ""
        self._given = ""
        self._parts: asyncio.Queue[str | Exception | None] | None = None
        self._is_over = False
        self._task: asyncio.Task[None] | None = None

    def __iter__(self) -> TextStream[SaidT]:
        return self

    def __next__(self) -> str:
        part = bridge.wait(self._next())
        if part is None:
            raise StopIteration
        return part

    def __aiter__(self) -> TextStream[SaidT]:
        return self

    async def __anext__(self) -> str:
        part = await self._next()
        if part is None:
            raise StopAsyncIteration
        return part

    def begin(self) -> None:
        """Hear that an answer begins, perhaps anew."""
        self._raw = ""

    def hear(self, piece: str) -> None:
        """Take a piece of the answer, and pass on what is certain to be no thought."""
        self._raw += piece
        self._pass_on(_certain(self._raw))

    def cancel(self) -> None:
        """Give the call up: one that is not sent yet is not sent."""
        if self._task is not None:
            self._task.cancel()

    async def _next(self) -> str | None:
        if self._is_over:
            return None
        if self._parts is None:
            self._parts = asyncio.Queue()
            self._task = asyncio.create_task(along_strand(self._run()))
            _running.add(self._task)
            self._task.add_done_callback(_running.discard)
        part = await self._parts.get()
        if part is None or isinstance(part, Exception):
            self._is_over = True
            if part is not None:
                raise part
        return part

    async def _run(self) -> None:
        assert self._parts is not None  # noqa: S101 - made before the task
        TEXT.set(self)  # in the task's own context
        end: Exception | None = CallGivenUpError(f"{self._name}: the service was closed")
        try:
            self.response = await self._ask()
            self._pass_on(self.response.data)
            end = None
            if self._given != self.response.data:
                end = NoAnswerError(
                    f"{self._name}: the answer began anew after a part of it had been passed on"
                )
        except Exception as error:
            end = error
        finally:
            self._parts.put_nowait(end)

    def _pass_on(self, text: str) -> None:
        """Pass on what of the answer's beginning is new; nothing if it is another answer."""
        if self._parts is None or not text.startswith(self._given):
            return
        if len(text) > len(self._given):
            self._parts.put_nowait(text[len(self._given) :])
            self._given = text


def _certain(raw: str) -> str:
    """Return the part of an answer's text so far that is no thought, whatever follows."""
    begun = raw.lstrip()[:_LONGEST_MARK].lower()
    if any(word.startswith(begun) or begun.startswith(word) for word in _WORDS):
        return ""
    _, answer, is_thinking = split_thoughts(raw)
    if is_thinking:
        return ""
    if answer != raw:
        answer = answer.lstrip()
    tail = max(answer.rfind(mark) for mark in _MARKS)
    if tail >= 0 and len(answer) - tail < _LONGEST_MARK:
        return answer[:tail].rstrip()
    # Blanks at the end may belong to what stands around an answer.
    return answer.rstrip()
