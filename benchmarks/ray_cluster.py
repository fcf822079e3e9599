"""What the Ray engine takes: `python -m benchmarks.ray_cluster`, with the extra `ray`.

First the driver alone: the messages of workers that ran a grid of simulated calls are recorded, and
replayed to a new driver with empty stores. Every call is claimed and its answer stored, and every
trial is stored: that is what the driver's one process sustains.

Then clusters of several nodes on this machine, and the local engine, which ask a server on loopback
by turns. Counted are the trials after the first batch of results, and the time after it: what it
takes to start Ray is not a cost of each call. On a machine with fewer processors than nodes, those
share them.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import contextmanager, nullcontext
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
    parser.add_argument("--calls", type=int, default=6_000, help="of each run on a cluster")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--latencies", type=int, nargs="*", default=[0, 50, 200], help="in ms")
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        rates = [driver_rate(work / f"driver-{n}", options.trials) for n in range(options.repeats)]
        wall, cpu = (statistics.median(rate[i] for rate in rates) for i in range(2))
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
    """An engine whose trials are counted after the first batch of results."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.per_call = 0.0

    async def run(
        self, experiment: Experiment, trials: Iterable[Trial], stop: asyncio.Event
    ) -> AsyncGenerator[list[TrialResult], None]:
        count, began = 0, 0.0
        async for batch in self._engine.run(experiment, trials, stop):
            now = time.perf_counter()
            count, began = (count + len(batch), began) if began else (0, now)
            yield batch
        self.per_call = (now - began) / count


def clusters(work: Path, options: argparse.Namespace) -> None:
    """Print what a call takes on clusters, and over the local engine."""
    with serve(build(work / "programs")) as server:
        for latency in options.latencies:
            local = statistics.median(
                measured(work, server, latency, options, None, f"local-{latency}-{n}")
                for n in range(options.repeats)
            )
            print(f"{latency} ms, local: {local * 1e6:,.0f} us a call")
            for count in options.workers:
                with cluster_of(count) as address:
                    times = [
                        measured(work, server, latency, options, address, f"{count}-{latency}-{n}")
                        for n in range(options.repeats)
                    ]
                found = statistics.median(times)
                print(f"{latency} ms, {count} workers: {found * 1e6:,.0f} us a call,"
                      f" {found / local:.2f} x local", flush=True)  # fmt: skip


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
    address: str | None,
    name: str,
) -> float:
    """Return the seconds of wall time of a call in a run."""
    folder = work / name
    grid = grids.write_grid(
        folder, [grids.single(grids.SERVED)], items=options.calls, in_flight=options.in_flight
    )
    grids.write_card(
        folder, server.base_url(latency), max_concurrency=options.in_flight, options={}
    )
    opening = partial(open_experiment, grid)
    with _engine(address, opening) as engine:
        timed = _Timed(engine)
        results = Options(results=folder / "results", mlflow=False)
        run_experiment(opening(), results, engine=cast("Engine", timed))
    return timed.per_call


def _engine(address: str | None, opening: Any) -> Any:
    if address is None:
        return nullcontext(LocalEngine())
    from ember_bench.engines.ray_engine import RayEngine

    return RayEngine(address, opening)


if __name__ == "__main__":
    main()
