"""Answers of HTTP: status, headers and an unpacked body."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import Final

_GZIP: Final = 16 + zlib.MAX_WBITS


class EncodingError(Exception):
    """A body that is not compressed in the way that its header says."""


class Reply:
    """What a server answered.

    Args:
        status: The HTTP status.
        raw_headers: As they were sent.
        body: The same.
        most_bytes: No body is unpacked beyond it.
    """

    __slots__ = ("_body", "_most_bytes", "_raw_headers", "status")

    def __init__(
        self, status: int, raw_headers: list[tuple[bytes, bytes]], body: bytes, most_bytes: int
    ) -> None:
        self.status = status
        self._raw_headers = raw_headers
        self._body = body
        self._most_bytes = most_bytes

    @property
    def headers(self) -> dict[str, str]:
        """The headers, by lower-case name."""
        return {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in self._raw_headers}

    def header(self, name: str) -> str | None:
        """Return the first header of this lower-case name; None if there is none."""
        wanted = name.encode()
        for found, value in self._raw_headers:
            if found.lower() == wanted:
                return value.decode("latin-1")
        return None

    @property
    def states_limits(self) -> bool:
        """Whether a header states a rate limit."""
        return any(b"ratelimit" in name.lower() for name, _ in self._raw_headers)

    @property
    def content(self) -> bytes:
        """The body, uncompressed.

        Raises:
            EncodingError: if it is not compressed as it is said to be.
            ConnectionError: if it is larger than any answer.
        """
        content = self._body
        for name, value in self._raw_headers:
            if name.lower() == b"content-encoding":
                for encoding in reversed(value.decode("latin-1").split(",")):
                    content = _uncompressed(content, encoding.strip().lower(), self._most_bytes)
        return content


def _uncompressed(content: bytes, encoding: str, most_bytes: int) -> bytes:
    try:
        if encoding in ("gzip", "x-gzip"):
            return _unpacked(content, _GZIP, most_bytes)
        if encoding == "deflate":
            with suppress(zlib.error):
                return _unpacked(content, zlib.MAX_WBITS, most_bytes)
            return _unpacked(content, -zlib.MAX_WBITS, most_bytes)  # as some servers have it
    except (EOFError, zlib.error) as error:
        raise EncodingError(f"not {encoding}: {error}") from None
    if encoding in ("", "identity"):
        return content
    raise EncodingError(f"content-encoding: {encoding}")


def _unpacked(content: bytes, window_bits: int, most_bytes: int) -> bytes:
    unpacked = b""
    while content:  # gzip may have several parts (RFC 1952, 2.2)
        part = zlib.decompressobj(window_bits)
        unpacked += part.decompress(content, most_bytes - len(unpacked) + 1)
        if len(unpacked) > most_bytes:
            raise too_large(most_bytes)
        if not part.eof:
            raise EOFError("it is cut short")
        content = part.unused_data.lstrip(b"\0") if window_bits == _GZIP else b""
    return unpacked


def too_large(most_bytes: int) -> ConnectionError:
    """Return the error of an answer that is too large to be read."""
    return ConnectionError(f"an answer of more than {most_bytes:,} bytes")
