"""A server that allows 50 requests a second, over HTTP: `python -m benchmarks.limits`.

The server is on loopback and answers what is too much with 429. Printed is, after a warm-up, which
share of the allowed rate was reached and which share of the requests was refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field

from ember_bench.models import ModelInfo, ModelRegistry, ModelService, ProviderInfo, Request
from ember_bench.models.types import Message

ANSWER = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Answer: 4"},
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }
).encode()


@dataclass
class Server:
    """Allows `rate` requests a second: in any sliding one, or with a bucket of as many."""

    rate: int
    bucket: bool
    latency: float
    retry_after: float | None
    requests: list[tuple[float, bool]] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    tokens: float = 0.0
    filled: float = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                )
                await reader.readexactly(length)
                writer.write(await self.answer())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has hung up
        finally:
            writer.close()

    async def answer(self) -> bytes:
        now = time.monotonic()
        fits = self.fits(now)
        self.requests.append((now, fits))
        if not fits:
            more = f"retry-after: {self.retry_after}\r\n" if self.retry_after is not None else ""
            return _response("429 Too Many Requests", b'{"error": {"message": "slow"}}', more)
        await asyncio.sleep(self.latency)
        return _response("200 OK", ANSWER)

    def fits(self, now: float) -> bool:
        if self.bucket:
            self.tokens = min(self.rate, self.tokens + (now - self.filled) * self.rate)
            self.filled = now
            if self.tokens < 1:
                return False
            self.tokens -= 1
            return True
        self.accepted = [at for at in self.accepted if at > now - 1]
        if len(self.accepted) >= self.rate:
            return False
        self.accepted.append(now)
        return True


def _response(status: str, body: bytes, more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def measure(options: argparse.Namespace) -> None:
    server = Server(options.rate, options.bucket, options.latency, options.retry_after)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    model = ModelInfo(
        model_id="openai:limited",
        provider=ProviderInfo(name="openai", base_url=f"http://127.0.0.1:{port}/v1"),
    )
    registry = ModelRegistry()
    registry.register_model(model)
    service = ModelService(registry)
    began = time.monotonic()
    end = began + options.warm_up + options.seconds

    async def caller() -> None:
        while time.monotonic() < end:
            await service.ask(Request(model, (Message("user", "2 + 2 = ?"),)))

    await asyncio.gather(*(caller() for _ in range(options.callers)))
    await service.close()
    listening.close()
    await asyncio.sleep(0.1)  # connections are closed by both sides
    report(server, began, options)


def report(server: Server, began: float, options: argparse.Namespace) -> None:
    begin, end = began + options.warm_up, began + options.warm_up + options.seconds
    kept = [fits for at, fits in server.requests if begin <= at < end]
    if not kept:
        raise SystemExit(f"nothing was asked within {options.seconds} s: give it more --seconds")
    reached = sum(kept) / options.seconds / options.rate
    kind = "with bursts" if options.bucket else "in any second"
    print(
        f"{options.rate} requests/s allowed {kind}, latency {options.latency} s, "
        f"Retry-After {options.retry_after}: {100 * reached:.1f} % of the rate reached, "
        f"{100 * (1 - sum(kept) / len(kept)):.2f} % of {len(kept)} requests refused"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--rate", type=int, default=50, help="requests per second")
    parser.add_argument("--bucket", action="store_true", help="allow bursts of a second's worth")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    parser.add_argument("--retry-after", type=float, default=None, help="seconds")
    parser.add_argument("--callers", type=int, default=60)
    parser.add_argument("--warm-up", type=float, default=30.0, help="seconds")
    parser.add_argument("--seconds", type=float, default=60.0)
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
