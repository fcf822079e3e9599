"""Servers that refuse nobody and answer a few requests at a time, in virtual time."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ember_bench.errors import ProviderError
from ember_bench.models.call import Call
from ember_bench.models.endpoint import Endpoint
from tests.support import virtual
from tests.support.limited import a_call, endpoint
from tests.support.models import scripted

Draw = Callable[[random.Random, float], float]

LATENCIES: Final[dict[str, Draw]] = {
    "constant": lambda _, mean: mean,
    "random": lambda rng, mean: rng.expovariate(1 / mean),
    # A Pareto distribution of index 1.5: its variance is infinite.
    "heavy-tailed": lambda rng, mean: mean / 3 * rng.paretovariate(1.5),
}


@dataclass(eq=False, slots=True)
class _Job:
    seconds: float
    done: asyncio.Future[None]
    timer: asyncio.TimerHandle | None = None


@dataclass
class Slots:
    """A server that works on `slots` requests at a time and queues the others, first come first.

    Attributes:
        slots: Requests that it works on at once.
        latency: A distribution of `LATENCIES`.
        mean: Mean seconds of work for an answer.
        keeps: It finishes what its client has given up; else it drops that at once.
        queue: Length of its queue; what comes beyond it is refused with 503, as Ollama does.
        seed: Of its random numbers.
        draws: Seconds of work for each request that came.
        wasted: Seconds of work for requests that were given up.
        longest: Most requests in its queue and its slots at once.
    """

    slots: int = 1
    latency: str = "constant"
    mean: float = 5.0
    keeps: bool = False
    queue: int = 512
    seed: int = 1
    draws: list[float] = field(default_factory=list)
    wasted: float = 0.0
    longest: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._waiting: deque[_Job] = deque()
        self._running: set[_Job] = set()

    async def __call__(self, call: Call) -> str:
        if len(self._waiting) >= self.queue:
            raise ProviderError("the queue is full", retryable=True, status=503)
        seconds = LATENCIES[self.latency](self._random, self.mean)
        self.draws.append(seconds)
        job = _Job(seconds, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._work()
        self.longest = max(self.longest, len(self._waiting) + len(self._running))
        try:
            await job.done
        except asyncio.CancelledError:
            self._give_up(job)
            raise
        return "answer"

    def _work(self) -> None:
        while self._waiting and len(self._running) < self.slots:
            job = self._waiting.popleft()
            self._running.add(job)
            loop = asyncio.get_running_loop()
            job.timer = loop.call_later(job.seconds, self._finish, job)

    def _finish(self, job: _Job) -> None:
        self._running.discard(job)
        if not job.done.done():
            job.done.set_result(None)
        else:
            self.wasted += job.seconds
        self._work()

    def _give_up(self, job: _Job) -> None:
        if self.keeps:
            return
        if job in self._running and job.timer is not None:
            job.timer.cancel()
            self._running.discard(job)
            self._work()
        elif job in self._waiting:
            self._waiting.remove(job)

    def shortest(self, requests: int) -> float:
        """Return the seconds in which it would answer the first `requests`, had it no idle time."""
        free = [0.0] * self.slots
        for seconds in self.draws[:requests]:
            heapq.heapreplace(free, free[0] + seconds)
        return max(free)


@dataclass(frozen=True)
class Outcome:
    """The end of a run of calls.

    Attributes:
        answered: Share of the calls that were answered.
        throughput: Answers a second, as a share of what the server can give.
        errors: Messages of the calls that were not answered.
        endpoint: Which asked.
    """

    answered: float
    throughput: float
    errors: list[str]
    endpoint: Endpoint


def ask_all(server: Slots, calls: int, **fields: Any) -> Outcome:
    """Make so many calls at once, with the defaults of a card where `fields` has nothing else."""

    async def main() -> Outcome:
        model = scripted(server, **fields)
        asked = endpoint(model)
        ends = await asyncio.gather(
            *(asked.complete(a_call(model, n)) for n in range(calls)), return_exceptions=True
        )
        errors = [str(end) for end in ends if isinstance(end, BaseException)]
        answered = 1 - len(errors) / calls
        reached = answered * server.shortest(calls) / virtual.virtual_time()
        return Outcome(answered, reached, errors, asked)

    return virtual.run(main())
