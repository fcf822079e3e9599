"""Simulated calls in our own harness, and the simulated model alone.

With answers on disk it is `ember-bench run` without MLflow; in memory, the same engine on a
`MemoryStore`, as a program that uses the library would have it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks import grids
from benchmarks.ours import Timed, write
from benchmarks.peers.measured import Job, Measurement, cpu_seconds, serve_jobs
from ember_bench.engines import LocalEngine, run_loop
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.experiment.runner import Run, trial_store
from ember_bench.models import MemoryStore
from ember_bench.models.call import Call
from ember_bench.models.providers.simulated import Simulated
from ember_bench.models.types import Completion, Usage
from ember_bench.running.interpreter import tuned
from ember_bench.running.session import Options, open_experiment, run_experiment


def measure(job: Job, answers: str, work: Path) -> Measurement:
    """Run a grid in a folder of its own; `more` tells what the model alone takes for its calls."""
    folder = Path(tempfile.mkdtemp(dir=work))
    experiment = open_experiment(write(job, grids.SIMULATED, folder))
    listener = Timed(simulated=True)
    if answers == "memory":
        summary = _run_in_memory(experiment, folder, listener)
    else:
        options = Options(results=folder / "results", mlflow=False, dedicated=True)
        summary = run_experiment(experiment, options, listener).summary
    if summary.failed:
        raise RuntimeError(f"{summary.failed:,} trials ended in an error")
    more = {"model_cpu_seconds": _cpu_of_the_model(job, folder / "model")}
    return Measurement(summary.run.calls_made, listener.wall, listener.cpu, more)


def _run_in_memory(experiment: Experiment, folder: Path, listener: Timed) -> ExperimentSummary:
    with closing(trial_store(folder, experiment)) as store:
        experiment.service.attach(MemoryStore())
        run = Run(experiment, store, LocalEngine(), listener.progressed)

        async def trials() -> ExperimentSummary:
            with tuned():
                progress = await run.trials()
            listener.finished()
            await experiment.service.close()
            return run.summary(progress)

        listener.start()
        return run_loop(trials())


def _cpu_of_the_model(job: Job, folder: Path) -> float:
    """Return the seconds that the model takes to answer the calls of a job, asked by nobody."""
    experiment = open_experiment(write(job, grids.SIMULATED, folder))
    with _recorded() as calls:
        _run_in_memory(experiment, folder, Timed(simulated=True))
    model = Simulated(calls[0].request.model)

    async def answer() -> None:
        for call in calls:
            await model.complete(call)

    gc.collect()
    gc.disable()  # or it would look through all the calls, which no run holds at once
    try:
        began = cpu_seconds()
        asyncio.run(answer())
        return cpu_seconds() - began
    finally:
        gc.enable()


@contextmanager
def _recorded() -> Iterator[list[Call]]:
    """Take the calls that simulated models get, and let them take no time."""
    calls: list[Call] = []

    async def complete(_: Any, call: Call) -> Completion:
        calls.append(call)
        return Completion("Answer: 1", Usage(1, 1))

    with patch.object(Simulated, "complete", complete):
        yield calls


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulated")
    parser.add_argument("--work", type=Path, required=True, help="where results are written")
    parser.add_argument("--answers", choices=["memory", "disk"], required=True)
    options = parser.parse_args()
    serve_jobs(lambda job: measure(job, options.answers, options.work), ["ember-bench"])


if __name__ == "__main__":
    main()
