"""Commands as a user gives them, and what each took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.programs import ProgramFailedError, environment, last_words

EMBER_BENCH: Final = str(Path(sys.executable).with_name("ember-bench"))


@dataclass(frozen=True)
class Ran:
    """What a command took, from its start to its end.

    Attributes:
        cpu_seconds: With its threads and children.
        peak_megabytes: The most memory that its largest process had at once, as resident.
        printed: What it wrote to its standard output.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_megabytes: float
    printed: str


def run(command: Sequence[str], folder: Path) -> Ran:
    """Run a command in `folder`.

    Raises:
        ProgramFailedError: if its exit status is not 0.
    """
    folder.mkdir(parents=True, exist_ok=True)
    output, log = folder / "stdout.txt", folder / "log.txt"
    with output.open("w") as printed, log.open("w") as said:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=printed, stderr=said, cwd=folder, env=environment(folder)
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
    if process.returncode != 0:
        raise ProgramFailedError(
            f"{Path(command[0]).name} {' '.join(command[1:3])}: exit status {process.returncode}: "
            f"{last_words(log)}"
        )
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    return Ran(wall, cpu, peak, output.read_text())


def run_grid(grid: Path, results: Path, *more: str) -> Ran:
    """Run `ember-bench run` on a grid, without its progress."""
    command = [EMBER_BENCH, "run", str(grid), "--results", str(results), "--quiet", *more]
    return run(command, grid.parent)
