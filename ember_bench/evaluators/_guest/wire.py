"""Plain values between judge and candidate: length-prefixed JSON, and nothing that can act.

No object of the other side's classes ever crosses: an instance of a subclass arrives as its plain
value, anything else as a `Handle` to call or look into. So no `__eq__` that always says yes does.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any, Final, NamedTuple

LONGEST_FRAME: Final = 8 * 2**20
_HEADER: Final = struct.Struct(">I")
_PLAIN_INT: Final = 2**63


class WireError(Exception):
    """What came is not a value, or what is to be sent is none."""


class ClosedError(WireError):
    """The other side has ended."""


class Handle(NamedTuple):
    """An object of the candidate that has no plain value."""

    number: int
    type_name: str


class Channel:
    """One end of the socket."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, message: dict[str, Any]) -> None:
        """Send one message of JSON values.

        Raises:
            WireError: if it is too long.
            ClosedError: if nobody is there.
        """
        body = json.dumps(message).encode("ascii")
        if len(body) > LONGEST_FRAME:
            raise WireError(f"a value of more than {LONGEST_FRAME:,} bytes")
        try:
            rest = memoryview(_HEADER.pack(len(body)) + body)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise ClosedError(str(error)) from None

    def receive(self) -> dict[str, Any]:
        """Return the next message.

        Raises:
            WireError: if it is not one.
            ClosedError: if nobody is there.
        """
        (length,) = _HEADER.unpack(self._exactly(_HEADER.size))
        if length > LONGEST_FRAME:
            raise WireError(f"a value of more than {LONGEST_FRAME:,} bytes")
        try:
            message = json.loads(self._exactly(length))
        except (ValueError, RecursionError) as error:
            raise WireError(f"not a message: {error}") from None
        if not isinstance(message, dict):
            raise WireError("not a message")
        return message

    def _exactly(self, length: int) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            try:
                part = os.read(self._descriptor, min(length - len(parts), 2**16))
            except OSError as error:
                raise ClosedError(str(error)) from None
            if not part:
                raise ClosedError("the other side has ended")
            parts += part
        return bytes(parts)


def encode(value: Any, opaque: Any) -> Any:
    """Return `value` as JSON.

    Args:
        value: None, bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set,
            frozenset, of each other; or what `opaque` takes.
        opaque: Called with an object of any other type; returns its `Handle`.

    Raises:
        WireError: as `opaque` does.
        RecursionError: if it is too deep, or holds itself.
    """
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, int):
        # Hexadecimal, since Python refuses to write thousands of decimal digits.
        return value if abs(value) < _PLAIN_INT else {"int": hex(value)}
    if isinstance(value, list):
        return [encode(entry, opaque) for entry in value]
    if isinstance(value, dict):
        return {"dict": [[encode(k, opaque), encode(v, opaque)] for k, v in value.items()]}
    return _tagged(value, opaque)


def _tagged(value: Any, opaque: Any) -> dict[str, Any]:
    for tag, kind in _COLLECTIONS.items():
        if isinstance(value, kind):
            return {tag: [encode(entry, opaque) for entry in value]}
    if isinstance(value, bytes | bytearray):
        return {"bytes" if isinstance(value, bytes) else "bytearray": value.hex()}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    return {"handle": list(opaque(value))}


def decode(value: Any, opaque: Any) -> Any:
    """Return the value that `encode` wrote; `opaque` is called with each `Handle`.

    Raises:
        WireError: if it is none.
    """
    try:
        return _decode(value, opaque)
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        raise WireError(f"not a value: {error}") from None


def _decode(value: Any, opaque: Any) -> Any:
    if not isinstance(value, dict):
        return [_decode(v, opaque) for v in value] if isinstance(value, list) else value
    ((tag, body),) = value.items()
    if tag in _COLLECTIONS:
        return _COLLECTIONS[tag](_decode(v, opaque) for v in body)
    if tag == "dict":
        return {_decode(k, opaque): _decode(v, opaque) for k, v in body}
    if tag == "handle":
        number, type_name = body
        return opaque(Handle(int(number), str(type_name)))
    return _SCALARS[tag](body)


_COLLECTIONS: Final[dict[str, Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
_SCALARS: Final[dict[str, Any]] = {
    "int": lambda text: int(text, 16),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "complex": lambda parts: complex(*parts),
}
