"""What the Ray engine takes: `python -m benchmarks.ray_cluster`, with the extra `ray`.

First the driver alone: the messages of workers that ran a grid of simulated calls are recorded, and
replayed to a new driver with empty stores. Every call is claimed and its answer stored, and every
trial is stored: that is what the driver's one process sustains.

Then clusters of several nodes on this machine, and the local engine, which ask a server on loopback
by turns. Counted are the trials after the first batch of results once all workers are there, and
the time after it: what it takes to start Ray is not a cost of each call. CPU is that of the driver
and of all workers on this machine, so no other cluster may be there. On a machine with fewer
processors than nodes, those share them. Of several runs the least is shown: what else a machine
does only adds to it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

from benchmarks import grids
from benchmarks.server import Server, build, serve
from ember_bench.engines import LocalEngine, run_loop
from ember_bench.engines.dispatch import Dispatcher, Outbox
from ember_bench.engines.driver import Driver, Link
from ember_bench.engines.worker import Worker
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.runner import Engine, Run, trial_store
from ember_bench.experiment.trial import Trial, TrialResult
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.running.session import Options, open_experiment, run_experiment


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray_cluster", description=__doc__)
    parser.add_argument("--trials", type=int, default=20_000, help="of the driver alone")
    parser.add_argument("--calls", type=int, default=20_000, help="of each run on a cluster")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--latencies", type=int, nargs="*", default=[0, 50, 200], help="in ms")
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        rates = [driver_rate(work / f"driver-{n}", options.trials) for n in range(options.repeats)]
        wall, cpu = (max(rate[i] for rate in rates) for i in range(2))
        print("driver alone, each trial with one call:"
              f" {wall:,.0f} trials/s stored, {cpu:,.0f} a second of CPU")  # fmt: skip
        if options.workers:
            clusters(work, options)


def driver_rate(folder: Path, trials: int) -> tuple[float, float]:
    """Return how many trials the driver stores in a second, and in one of CPU."""
    grid = grids.write_grid(folder, [grids.single(grids.SIMULATED)], items=trials)
    recording = _Recorded(partial(open_experiment, grid))
    _run(open_experiment(grid), folder / "recorded", recording)
    replay = _Replayed(recording.batches)
    _run(open_experiment(grid), folder / "replayed", replay)
    return trials / replay.seconds, trials / replay.cpu_seconds


def _run(experiment: Experiment, results: Path, engine: Engine) -> None:
    """Run an experiment without its statistics."""

    async def trials() -> None:
        experiment.service.attach(ResponseStore(results / "responses.db"))
        store = trial_store(results / experiment.name, experiment)
        try:
            await Run(experiment, store, engine).trials()
        finally:
            await experiment.service.close()
            store.close()

    run_loop(trials())


class _Recorded:
    """One worker on the driver's loop; keeps what it says."""

    def __init__(self, opening: Any) -> None:
        self._opening = opening
        self.batches: list[bytes] = []

    async def run(
        self, experiment: Experiment, trials: Iterable[Trial], stop: asyncio.Event
    ) -> AsyncGenerator[list[TrialResult], None]:
        dispatcher = Dispatcher(Driver(experiment))
        worker = Worker(self._opening(), experiment.account, budgeted=False)
        link = Link("recorded", Outbox(worker.deliver).send)

        async def serve_it() -> None:
            while True:
                data = await worker.poll()
                self.batches.append(data)
                dispatcher.heard(link, data)

        serving = asyncio.create_task(serve_it())
        dispatcher.joined(link)
        async for batch in dispatcher.run(experiment, trials, stop):
            yield batch
        serving.cancel()


class _Replayed:
    """Says again what a worker said, as fast as the driver takes it."""

    def __init__(self, batches: list[bytes]) -> None:
        self._batches = batches
        self.seconds = self.cpu_seconds = 0.0

    async def run(
        self, experiment: Experiment, trials: Iterable[Trial], stop: asyncio.Event
    ) -> AsyncGenerator[list[TrialResult], None]:
        driver = Driver(experiment)
        dispatcher = Dispatcher(driver)
        link = Link("replayed", Outbox(lambda _: None).send)

        async def replay() -> None:
            for data in self._batches:
                dispatcher.heard(link, data)
                await asyncio.sleep(0)
            link.drained.set()

        began, cpu = time.perf_counter(), time.process_time()
        dispatcher.joined(link)
        replaying = asyncio.create_task(replay())
        async for batch in dispatcher.run(experiment, trials, stop):
            yield batch
        await replaying
        await driver.settled()
        self.seconds = time.perf_counter() - began
        self.cpu_seconds = time.process_time() - cpu


class _Timed:
    """An engine whose trials are counted after the first batch of results of all workers.

    Args:
        engine: The engine.
        workers: Number of its workers.
    """

    def __init__(self, engine: Engine, workers: int) -> None:
        self._engine = engine
        self._workers = workers
        self.per_call = self.cpu_per_call = 0.0

    async def run(
        self, experiment: Experiment, trials: Iterable[Trial], stop: asyncio.Event
    ) -> AsyncGenerator[list[TrialResult], None]:
        count, began, cpu = 0, 0.0, 0.0
        async for batch in self._engine.run(experiment, trials, stop):
            now = time.perf_counter()
            if began:
                count += len(batch)
            elif getattr(self._engine, "workers", 0) == self._workers:
                began, cpu = now, cpu_seconds()
            yield batch
        if not count:
            raise SystemExit("the calls were made before all workers had started: more --calls")
        self.per_call = (now - began) / count
        self.cpu_per_call = (cpu_seconds() - cpu) / count


def cpu_seconds() -> float:
    """Return the time of processors that this process and the workers of clusters here took."""
    ticks = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                if (folder / "cmdline").read_bytes().startswith(b"ray::RayWorker"):
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                    ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def clusters(work: Path, options: argparse.Namespace) -> None:
    """Print what a call takes on clusters, and over the local engine."""
    local: dict[int, tuple[float, float]] = {}

    def measure(count: int, address: str | None, server: Server) -> None:
        for latency in options.latencies:
            name = f"{count}-{latency}"
            runs = [
                measured(work, server, latency, options, count, address, f"{name}-{n}")
                for n in range(options.repeats)
            ]
            wall, cpu = (min(run[i] for run in runs) for i in range(2))
            before = local.setdefault(latency, (wall, cpu))
            who = f"{count} workers" if count else "local"
            print(
                f"{latency:>3} ms, {who}: {wall * 1e6:,.0f} us a call"
                f" ({wall / before[0]:.2f} x local), CPU {cpu * 1e6:,.0f} us"
                f" ({cpu / before[1]:.2f} x)",
                flush=True,
            )

    with serve(build(work / "programs")) as server:
        measure(0, None, server)
        for count in options.workers:
            with cluster_of(count) as address:
                measure(count, address, server)


@contextmanager
def cluster_of(nodes: int) -> Any:
    """Yield the address of a cluster of so many nodes of one processor."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=1)
    try:
        yield str(cluster.address)
    finally:
        cluster.shutdown()


def measured(
    work: Path,
    server: Server,
    latency: int,
    options: argparse.Namespace,
    count: int,
    address: str | None,
    name: str,
) -> tuple[float, float]:
    """Return the seconds of wall time and of CPU of a call in a run."""
    folder = work / name
    grid = grids.write_grid(
        folder, [grids.single(grids.SERVED)], items=options.calls, in_flight=options.in_flight
    )
    grids.write_card(
        folder, server.base_url(latency), max_concurrency=options.in_flight, options={}
    )
    opening = partial(open_experiment, grid)
    with _engine(address, opening) as engine:
        timed = _Timed(engine, count)
        results = Options(results=folder / "results", mlflow=False)
        run_experiment(opening(), results, engine=cast("Engine", timed))
    return timed.per_call, timed.cpu_per_call


def _engine(address: str | None, opening: Any) -> Any:
    if address is None:
        return nullcontext(LocalEngine())
    from ember_bench.engines.ray_engine import RayEngine

    return RayEngine(address, opening)


if __name__ == "__main__":
    main()
