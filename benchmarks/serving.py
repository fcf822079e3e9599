"""What `ember-bench serve` takes beyond its calls: `python -m benchmarks.serving`.

First 1,000 requests at once, whose one call takes a second each. Then the processor time of a
request without latency, whole and streamed, less that of the same calls without a server: the
network is asked in a process of its own, as many times and as many at once. The calls go to the
server in C.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import grids
from benchmarks.commands import EMBER_BENCH
from benchmarks.programs import environment
from benchmarks.server import Server, build, serve
from ember_bench.engines import run_loop
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.registry import Cards, default_roots
from ember_bench.serving.networks import Question, find_networks

_QUESTION: Final = "What is 12 + 34?"
_WARM: Final = 200
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--requests", type=int, default=5_000, help="of each round")
    parser.add_argument("--in-flight", type=int, default=100, help="while CPU is measured")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(alone(options.requests, options.in_flight)))
        return
    print(f"Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as folder, serve(build(Path(folder))) as model:
        work = Path(folder, "work")
        many(work / "many", model)
        rounds = [one_round(work / f"round-{n}", model, options) for n in range(options.repeats)]
        print(f"\nCPU a request with one call, {options.in_flight} in flight, µs")
        print("| round | calls alone | served | beyond the calls | streamed | beyond the calls |")
        print("| --- | --- | --- | --- | --- | --- |")
        for number, (calls, whole, streamed) in enumerate(rounds, start=1):
            print(f"| {number} | {calls:,.0f} | {whole:,.0f} | {whole - calls:,.0f}"
                  f" | {streamed:,.0f} | {streamed - calls:,.0f} |")  # fmt: skip
        beyond = statistics.median(whole - calls for calls, whole, _ in rounds)
        print(f"\nmedian beyond the calls: {beyond:,.0f} µs (target: at most 1,000)")


def many(folder: Path, model: Server) -> None:
    """Have 1,000 requests in flight; print how long they took."""
    with served(folder, model.base_url(1_000)) as server:
        asyncio.run(ask(server.port, 1_000, 1_000))  # connections are made
        model.reset()
        began = time.perf_counter()
        asyncio.run(ask(server.port, 3_000, 1_000))
        took = time.perf_counter() - began
        most = model.stats().max_in_flight
    print(
        f"3,000 requests of a call of 1 s, 1,000 in flight: {took:.1f} s, all answered;"
        f" at most {most:,} calls at once, as many as the model's adaptive limit let through"
    )


def one_round(
    folder: Path, model: Server, options: argparse.Namespace
) -> tuple[float, float, float]:
    """Return the CPU of calls alone, of requests, and of streamed ones, in µs a request."""
    found = []
    with served(folder, model.base_url()) as server:
        for stream in (False, True):
            asyncio.run(ask(server.port, _WARM, options.in_flight, stream=stream))
            began = server.cpu_seconds()
            asyncio.run(ask(server.port, options.requests, options.in_flight, stream=stream))
            found.append((server.cpu_seconds() - began) / options.requests * 1e6)
    command = [sys.executable, "-m", "benchmarks.serving", "--alone"]
    numbers = [f"--requests={options.requests}", f"--in-flight={options.in_flight}"]
    root = str(Path(__file__).parents[1])
    surroundings = {**environment(folder), "PYTHONPATH": root}
    done = subprocess.run(
        [*command, *numbers], cwd=folder, env=surroundings, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    return float(json.loads(done.stdout)) * 1e6, found[0], found[1]


def alone(requests: int, in_flight: int) -> float:
    """Return the CPU seconds of a question to the network, without a server."""

    async def measured() -> float:
        cards = Cards(default_roots())
        service = ModelService(ModelRegistry.from_cards(cards))
        (network,) = find_networks(["single"], {"model": grids.SERVED}, service, cards)

        async def some(number: int) -> None:
            for _ in range(number):
                await network.answer(Question(_QUESTION))

        async def run(number: int) -> None:
            await asyncio.gather(*(some(number // in_flight) for _ in range(in_flight)))

        await run(max(_WARM, in_flight))
        began = time.process_time()
        await run(requests)
        spent = time.process_time() - began
        await service.close()
        return spent / (requests // in_flight * in_flight)

    return run_loop(measured())


@dataclass(frozen=True)
class Served:
    """A running `ember-bench serve`."""

    process: subprocess.Popen[str]
    port: int

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


@contextmanager
def served(folder: Path, base_url: str) -> Iterator[Served]:
    """Serve `single` over the model at an address."""
    grids.write_card(folder, base_url, max_concurrency=1_000, options={"api_key": "none"})
    command = [EMBER_BENCH, "serve", "single", "--set", f"model={grids.SERVED}", "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(folder), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            if not line.startswith("serving at"):
                raise RuntimeError(line + process.stderr.read())
            yield Served(process, int(line.split()[2].split(":")[2].split("/")[0]))
        finally:
            process.terminate()
            process.wait(40)


async def ask(port: int, requests: int, in_flight: int, *, stream: bool = False) -> None:
    """Make requests, so many at once, each on a connection that stays open."""
    content: dict[str, Any] = {"role": "user", "content": _QUESTION}
    body = json.dumps({"model": "single", "messages": [content], "stream": stream}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    left = iter(range(requests))

    async def some() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            writer.write(head.encode() + body)
            said = await reader.readuntil(b"\r\n\r\n")
            if not said.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(said.decode())
            if stream:
                await reader.readuntil(b"0\r\n\r\n")
            else:
                lines = said.decode().lower().split("\r\n")
                (length,) = (line.split(":")[1] for line in lines if "content-length" in line)
                await reader.readexactly(int(length))
        writer.close()

    await asyncio.gather(*(some() for _ in range(in_flight)))


if __name__ == "__main__":
    main()
