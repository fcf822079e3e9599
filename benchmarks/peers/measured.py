"""What all measured programs share: jobs come in as lines of JSON, measurements go out as such.

It runs in the environments of all peers, so it takes nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any, Final

RESULTS_VARIABLE: Final = "MEASURED_RESULTS"
"""Names the file descriptor that measurements are written to."""


@dataclass(frozen=True)
class Job:
    """What is to be asked.

    Attributes:
        name: Of the measurement.
        base_url: Of the server; its latency is part of it.
        items: Questions.
        concurrency: How many of them are under way at once.
        draws: Calls for each question; more than one are voted over.
    """

    name: str
    base_url: str
    items: int
    concurrency: int
    draws: int = 1

    @property
    def calls(self) -> int:
        """How many calls that takes."""
        return self.items * self.draws


@dataclass(frozen=True)
class Measurement:
    """What a job took.

    Attributes:
        answers: Calls that were answered.
        wall_seconds: From the first call to the last result.
        cpu_seconds: Of the process with its threads and children.
        more: What this program has to say beside.
    """

    answers: int
    wall_seconds: float
    cpu_seconds: float
    more: dict[str, Any] = field(default_factory=dict)


def questions(count: int) -> list[tuple[str, str]]:
    """Return `count` different questions of the usual length, with their answers."""
    asked = []
    for number in range(count):
        first, second, third = number % 97 + 2, number // 97 % 89 + 3, number // 8633 + 4
        text = (
            f"What is {first} + {second} * {third}? Multiplication comes before addition and "
            "subtraction. End with a line of the form `Answer: n`."
        )
        asked.append((text, str(first + second * third)))
    return asked


def cpu_seconds() -> float:
    """Return the CPU of this process so far, with its threads and its children that have ended."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def timed(ask: Callable[[Job], int], job: Job) -> Measurement:
    """Call `ask`, which returns how many calls were answered."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    answers = ask(job)
    return Measurement(answers, time.perf_counter() - wall, cpu_seconds() - cpu)


def serve_coroutines(ask: Callable[[Job], Coroutine[Any, Any, int]], packages: list[str]) -> None:
    """Do each job on one event loop, as a program would that lives on."""
    with asyncio.Runner() as runner:
        serve_jobs(lambda job: timed(lambda one: runner.run(ask(one)), job), packages)


def serve_jobs(measure: Callable[[Job], Measurement], packages: list[str]) -> None:
    """Do each job that comes in, until no more come; `packages` are those whose version is told."""
    # Not to the standard output, where libraries print what they like.
    results = os.fdopen(int(os.environ[RESULTS_VARIABLE]), "w")
    versions = {package: version(package) for package in packages}
    for line in sys.stdin:
        job = Job(**json.loads(line))
        found = measure(job)
        if found.answers != job.calls:
            raise RuntimeError(f"{job.name}: {found.answers:,} of {job.calls:,} calls answered")
        print(json.dumps(asdict(found) | {"versions": versions}), file=results, flush=True)
