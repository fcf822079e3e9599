"""What MLflow takes of a grid with many cells: `python -m benchmarks.mlflow_log`.

The grid is run with `ember-bench` itself, on simulated models: without MLflow, with it on a new
database, and with it on one that is there, also against a server (`--tracking-uri`). Trials are
timed by the run, logging from the line that says so to the end of the command. CPU is that of the
whole command with the process that talks to MLflow; what it takes more with MLflow than without is
what MLflow takes: its start, the curves while trials are run, and the logging. Read it where other
programs are running: it hardly depends on them.

With `--alone` no trial is run: rows that are made up go to the tracker, and CPU and memory are
those of the process that talks to MLflow. So a million trials are measured in minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import (
    CellSummary,
    DatasetSummary,
    ExperimentSummary,
    RunSummary,
)
from ember_bench.tracking import Tracker, TrialBatch
from ember_bench.tracking.messages import TracedCall, TracedNode, TracedTrial

BATCH = 5_000
DIGEST = "d" * 64
STARTED = "2026-11-01T00:00:00+00:00"
GRID = """
name: {name}
datasets: [{{name: arithmetic, parameters: {{count: {items}}}}}]
architectures:
  - name: vote
    parameters: {{model: "simulated:small", k: 3, temperature: [{temperatures}]}}
"""
COMMAND = [sys.executable, "-c", "from ember_bench.cli import main; main()", "run"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mlflow_log", description=__doc__)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--items", type=int, default=100, help="trials of each cell")
    parser.add_argument("--tracking-uri", help="measure this server, or database, too")
    parser.add_argument("--alone", action="store_true", help="log made-up trials; run none")
    parser.add_argument("--traces", type=int, default=0, help="with --alone: trials to trace")
    options = parser.parse_args()
    if options.alone:
        log_alone(options.cells, options.items, options.traces)
        return

    print(f"Python {sys.version.split()[0]}, {options.cells} cells of {options.items} trials")
    with tempfile.TemporaryDirectory() as folder:
        grids = [write_grid(Path(folder), n, options.cells, options.items) for n in ("one", "two")]
        # The same calls, all to be made, in each.
        report("without MLflow", *measure(grids[0], Path(folder, "without"), "--no-mlflow"))
        report("with a new database", *measure(grids[0], Path(folder, "with")))
        report("with a database that is there", *measure(grids[1], Path(folder, "with")))
        if uri := options.tracking_uri:
            report("with a server", *measure(grids[0], Path(folder, "far"), "--tracking-uri", uri))


def write_grid(folder: Path, name: str, cells: int, items: int) -> Path:
    path = folder / f"{name}.yaml"
    temperatures = ", ".join(f"{(number + 1) / cells:.4f}" for number in range(cells))
    path.write_text(GRID.format(name=name, items=items, temperatures=temperatures))
    return path


def measure(grid: Path, results: Path, *more: str) -> tuple[float, float, float]:
    """Return how many seconds the trials took, and the logging, and the CPU of all."""
    cpu = children_cpu()
    command = [*COMMAND, str(grid), "--results", str(results), "--json", *more]
    said = None
    with (
        tempfile.TemporaryFile("w+") as printed,
        subprocess.Popen(command, stdout=printed, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("logging to MLflow"):
                said = time.perf_counter()
        if process.wait() != 0:
            raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
        ended = time.perf_counter()
        printed.seek(0)
        summary = json.load(printed)
    wall: float = summary["run"]["wall_seconds"]
    return wall, 0.0 if said is None else ended - said, children_cpu() - cpu


def log_alone(cells: int, items: int, traces: int) -> None:
    """Log made-up trials; print what the process that talks to MLflow took of CPU and memory."""
    print(f"Python {sys.version.split()[0]}, {cells} cells of {items} trials, {traces} traces")
    summary = made_up_summary(cells, items)
    traced = (made_up_trial(summary.cells[n % cells].name, n // cells) for n in range(traces))
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        grid = results / "grid.yaml"
        grid.write_text("name: made_up\n")
        with Tracker("made_up", results=results) as tracker:
            tracker.wait_until_open()
            process = Path("/proc", str(tracker._process.pid))
            before, began = cpu_of(process), time.perf_counter()
            print(f"opened: CPU {before:.1f} s, memory {memory_of(process)} MB", flush=True)
            tracker.log(
                summary,
                markdown="",
                grid=grid,
                trials=lambda _: made_up_rows(items),
                traces=traced,
            )
            wall, cpu = time.perf_counter() - began, cpu_of(process) - before
            print(f"logged: {wall:.1f} s; CPU {cpu:.1f} s, memory {memory_of(process)} MB at most")
        sizes = [file.stat().st_size for file in results.rglob("*") if file.is_file()]
        print(f"written: {sum(sizes) / 1e6:.0f} MB in {len(sizes)} files")


def made_up_summary(cells: int, items: int) -> ExperimentSummary:
    estimate = Quantity(0.5, 0.4, 0.6, "wilson")
    return ExperimentSummary(
        name="made_up", digest="0" * 32, version="0", seed=0, epochs=1, failures="wrong",
        level=0.95, baseline=None, simulated=True, spend_usd=0.0,
        run=RunSummary.partial(started=STARTED),
        datasets=[DatasetSummary("sums", "made up", None, DIGEST, items, "exact", "exact@1")],
        cells=[
            CellSummary(
                name=f"sums/vote({n})", label=f"vote({n})", dataset="sums", architecture="vote",
                parameters={"n": n}, models=["simulated:small"], simulated=True, oracle=False,
                scheduled=items, items=items, outcomes={"correct": items}, accuracy=estimate,
                cost_per_item=estimate, cost_per_correct=estimate, latency_seconds=estimate,
                latency_p50=estimate, latency_p95=estimate,
            )
            for n in range(cells)
        ],
    )  # fmt: skip


def made_up_rows(items: int) -> Iterator[TrialBatch]:
    for start in range(0, items, BATCH):
        numbers = range(start, min(items, start + BATCH))
        yield {
            "item": [f"item-{n}" for n in numbers],
            "epoch": [0] * len(numbers),
            "outcome": ["correct" if n % 3 else "wrong" for n in numbers],
            "score": [float(n % 3 > 0) for n in numbers],
            "answer": [f"the answer is {n}" for n in numbers],
            "cost_usd": [0.001] * len(numbers),
            "latency_seconds": [n / 100 for n in numbers],
            "item_digest": [f"{n:032x}" for n in numbers],
        }


def made_up_trial(cell: str, number: int) -> TracedTrial:
    messages = json.dumps([{"role": "user", "content": f"What is {number} + 1? " * 20}])
    call = TracedCall(
        node="ensemble", role="generate", model="simulated:small", messages=messages,
        parameters="{}", text="so it is " * 50, started=0.0, latency_seconds=1.0, cost_usd=0.001,
        input_tokens=100, output_tokens=100, made=True,
    )  # fmt: skip
    nodes = [TracedNode("ensemble", "EnsembleOperator", [], '{"responses":["1","1","1"]}')]
    return TracedTrial(
        identity="0" * 64, cell=cell, item=f"item-{number}", epoch=0,
        question=f"What is {number} + 1?", target="1", outcome="correct", score=1.0, answer="1",
        explanation="", error=None, cost_usd=0.003, nodes=nodes, output="ensemble",
        calls=[call] * 3,
    )  # fmt: skip


def cpu_of(process: Path) -> float:
    """Return the CPU of a process in seconds, from its folder in /proc."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(process: Path) -> int:
    """Return the most memory that a process has had, in MB."""
    lines = (process / "status").read_text().splitlines()
    (peak,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return round(peak / 1_000)


def children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def report(what: str, trials: float, logging: float, cpu: float) -> None:
    print(
        f"{what:<30} trials {trials:6.1f} s, logging {logging:6.1f} s; CPU {cpu:6.1f} s", flush=True
    )


if __name__ == "__main__":
    main()
