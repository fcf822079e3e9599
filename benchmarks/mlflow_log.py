"""What MLflow takes of a grid with many cells: `python -m benchmarks.mlflow_log`.

The grid is run with `ember-bench` itself, on simulated models: without MLflow, with it on a new
database, and with it on one that is there, also against a server (`--tracking-uri`). Trials are
timed by the run, logging from the line that says so to the end of the command. CPU is that of the
whole command with the process that talks to MLflow; what it takes more with MLflow than without is
what MLflow takes: its start, the curves while trials are run, and the logging. Read it where other
programs are running: it hardly depends on them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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
    options = parser.parse_args()

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


def children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def report(what: str, trials: float, logging: float, cpu: float) -> None:
    print(
        f"{what:<30} trials {trials:6.1f} s, logging {logging:6.1f} s; CPU {cpu:6.1f} s", flush=True
    )


if __name__ == "__main__":
    main()
