"""Addresses of HTTP requests and their answers, whoever carries them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ember_bench.models.transport.sdk_pool import listen
from ember_bench.models.wire.adapting import decoded
from ember_bench.models.wire.counts import RESPONSE_COST
from ember_bench.models.wire.streaming import Stream


@dataclass(frozen=True)
class Address:
    """The address of requests.

    Attributes:
        url: The whole address.
        headers: Of every request, the key among them.
    """

    url: str = field(repr=False)  # may have a password in it
    headers: Mapping[str, str] = field(repr=False)


class Answer(NamedTuple):
    """The answer to a request, as it came.

    Attributes:
        content: The body; empty if a stream has it.
        cost: The price that a gateway states in a header.
        stream: Has read the body, if a stream was asked for.
    """

    content: bytes
    cost: str | None
    stream: Stream | None = None

    @classmethod
    async def of(cls, response: Any, stream: Stream | None) -> Answer:
        """Return the answer in a response of httpx or httpx2, whose body a stream is to read."""
        cost = response.headers.get(RESPONSE_COST)
        if stream is None:
            return cls(response.content, cost)
        await listen(response, stream)
        return cls(b"", cost, stream)

    def body(self) -> Any:
        """Return the body, parsed.

        Raises:
            UnreadableError: if it is no JSON, or a part of a stream.
        """
        return decoded(self.content) if self.stream is None else self.stream.body()
