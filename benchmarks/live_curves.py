"""What live curves take of a run: `python -m benchmarks.live_curves`.

A grid of simulated models is run with its curves going to MLflow and without, by turns, each in a
process of its own in which MLflow has started before the trials begin. CPU is that of the process
that runs the trials alone; what writes to MLflow is another one. With two cores or more, and
nothing else on them, the wall times tell the same.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.mlflow_log import write_grid


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_curves", description=__doc__)
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--items", type=int, default=1_000, help="trials of each cell")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    trials = options.cells * options.items
    print(f"Python {sys.version.split()[0]}, {options.cells} cells of {options.items:,} trials")
    found: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
    for _ in range(options.repeats):
        for name, runs in found.items():
            runs.append(measure(name, options.cells, options.items))
    for name, runs in found.items():
        cpu = [run["cpu_seconds"] for run in runs]
        wall = [run["wall_seconds"] for run in runs]
        print(
            f"{name + ' curves':<16} CPU {min(cpu):6.2f} s (median {statistics.median(cpu):.2f}),"
            f" {min(cpu) / trials * 1e6:.0f} us a trial; wall {min(wall):6.2f} s;"
            f" {runs[0]['points']:.0f} points"
        )


def measure(name: str, cells: int, items: int) -> dict[str, float]:
    """Run the grid in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        grid = write_grid(Path(folder), "curves", cells, items)
        command = [sys.executable, "-m", "benchmarks.live_curves_run", name, str(grid), folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
