"""Server-sent events: a body, as its bytes arrive, split into events (WHATWG HTML, 9.2.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_ERROR: Final = b"error"
# First bytes of the lines that a stream may begin with: `data`, `event`, `id`, `retry`, a comment.
_BEGINNINGS: Final = frozenset({b"d", b"e", b"i", b"r", b":"})


class Event(NamedTuple):
    """One event.

    Attributes:
        name: Its type; empty if the stream does not give one.
        data: Its lines of data, joined.
    """

    name: bytes
    data: bytes


class EventReader:
    """Splits a stream into events; it keeps the bytes of at most one event.

    Two things are read that the standard does not have. JSON that stands in the stream without a
    field name is data: Google reports errors so. A field `error` is the data of an event `error`:
    llama.cpp's.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._name = b""
        self._data: list[bytes] = []
        self._is_bare = False

    def feed(self, part: bytes) -> Iterator[Event]:
        """Yield the events that end in the next part of the stream."""
        self._pending += part
        if b"\n" not in part and b"\r" not in part:
            return
        content = bytes(self._pending)
        # A CR that comes last may be the first half of a CRLF.
        end = max(content.rfind(b"\n"), content.rfind(b"\r", 0, len(content) - 1)) + 1
        self._pending = bytearray(content[end:])
        for line in content[:end].splitlines():
            if line:
                self._take(line)
            elif self._data:
                yield self._event()
            else:
                self._name = b""

    def close(self) -> Iterator[Event]:
        """Yield the event that the end of the stream ends: some servers leave out the last line."""
        yield from self.feed(b"\n\n")

    def _take(self, line: bytes) -> None:
        if self._is_bare:
            self._data.append(line)
        elif line.startswith(b"data:"):
            self._data.append(_value(line[5:]))
        elif line.lstrip()[:1] == b"{" and not self._data:
            self._is_bare = True
            self._data.append(line)
        else:
            name, _, value = line.partition(b":")
            if name == b"event":
                self._name = _value(value)
            elif name == b"data":
                self._data.append(b"")
            elif name == _ERROR:
                self._name = _ERROR
                self._data.append(_value(value))

    def _event(self) -> Event:
        event = Event(self._name, b"\n".join(self._data))
        self._name, self._data, self._is_bare = b"", [], False
        return event


def _value(written: bytes) -> bytes:
    return written.removeprefix(b" ")


def begun(content: bytes) -> tuple[bytes, bool | None]:
    """Return the beginning of a body without its byte order mark and white space, and its kind.

    The kind is True for events and False for anything else, such as JSON in one piece; None if
    nothing tells it yet.
    """
    if _BYTE_ORDER_MARK.startswith(content):
        return content, None
    content = content.removeprefix(_BYTE_ORDER_MARK).lstrip()
    return content, content[:1] in _BEGINNINGS if content else None
