"""What calls cost over HTTP, side by side: everyone asks the same server, one after the other.

A round starts each contestant afresh, lets it warm up, and gives it its jobs; the next round does
the same again. So whatever the machine does beside is shared by all.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from typing import Final

from benchmarks import environments
from benchmarks.contestants import (
    CONTESTANTS,
    KINDS,
    WARM_UP,
    WARM_UP_ITEMS,
    Contestant,
)
from benchmarks.findings import Failure, Findings
from benchmarks.over_http_tables import Call, rows_and_tables
from benchmarks.peers.measured import Job
from benchmarks.programs import Program, ProgramFailedError, started
from benchmarks.server import Server
from benchmarks.setting import Setting

# Several times what the slowest takes on a machine that has nothing else to do.
_MOST_SECONDS: Final = 120.0


def measure(
    setting: Setting,
    jobs: Collection[str],
    found: Findings,
    contestants: tuple[Contestant, ...] = CONTESTANTS,
) -> None:
    """Have all contestants do those of their jobs that are in `jobs`, and add what that gives.

    What was measured before it is interrupted is added too.
    """
    taking_part = [c for c in contestants if c.items.keys() & set(jobs)]
    missing = environments.make(
        setting.environments, (c.environment for c in taking_part if c.environment), setting.say
    )
    calls: list[Call] = []
    try:
        for number in range(setting.sizes.repeats):
            for contestant in list(taking_part):
                setting.say(f"round {number + 1} of {setting.sizes.repeats}: {contestant.name}")
                try:
                    if (problem := missing.get(contestant.environment or "")) is not None:
                        raise ProgramFailedError(problem)
                    calls += _round(setting, contestant, jobs, number)
                except ProgramFailedError as error:
                    setting.say(f"{contestant.name}: {error}")
                    found.failures.append(Failure(contestant.name, "calls over HTTP", str(error)))
                    taking_part.remove(contestant)  # again it would fail, and cost its time
    finally:
        rows_and_tables(found, calls, contestants, jobs, whole=setting.sizes.whole)


def _round(
    setting: Setting, contestant: Contestant, jobs: Collection[str], number: int
) -> list[Call]:
    folder = setting.work / "over-http"
    command = contestant.command(setting.environments, folder)
    try:
        with started(command, folder=folder) as program:
            warm_up = _job(setting, WARM_UP, WARM_UP_ITEMS)
            _do(setting.server, program, contestant, warm_up, number)
            return [
                _do(setting.server, program, contestant, _job(setting, name, items), number)
                for name, items in contestant.items.items()
                if name in jobs
            ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _job(setting: Setting, name: str, items: int) -> Job:
    kind = KINDS[name]
    if name != WARM_UP:
        items = max(10, round(items * setting.sizes.share))
    base_url = setting.server.base_url(kind.latency_ms)
    return Job(name, base_url, items, kind.concurrency, kind.draws)


def _do(server: Server, program: Program, contestant: Contestant, job: Job, number: int) -> Call:
    before = server.reset()
    done = program.do(job, seconds=_MOST_SECONDS)
    after = server.reset()
    if after.requests < job.calls:  # an answer that nobody gave comes from a cache
        raise ProgramFailedError(
            f"{job.name}: {job.calls:,} calls, but the server was asked {after.requests:,} times"
        )
    return Call(
        contestant=contestant.name,
        job=job.name,
        round=number,
        items=job.items,
        calls=job.calls,
        concurrency=job.concurrency,
        latency_ms=KINDS[job.name].latency_ms,
        wall_seconds=done["wall_seconds"],
        cpu_seconds=done["cpu_seconds"],
        server_cpu_seconds=after.cpu_seconds - before.cpu_seconds,
        max_in_flight=after.max_in_flight,
        connections=after.accepted,
        more=done["more"],
        versions=done["versions"],
    )
