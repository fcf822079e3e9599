"""The most memory that a run takes, by its number of trials: of one simulated call each."""

from __future__ import annotations

import shutil
from typing import Final

from benchmarks import grids
from benchmarks.commands import Ran, run_grid
from benchmarks.findings import Failure, Findings, Row, Table
from benchmarks.programs import ProgramFailedError
from benchmarks.setting import MILLION, Setting

_MOST_MEGABYTES: Final = 400
# What is flat: peaks of equal runs differ by a few per cent.
_FLAT: Final = 1.1


def measure(setting: Setting) -> Findings:
    """Run grids of one cell, results on disk; the largest one if there is time for it."""
    found = Findings()
    peaks: dict[int, Ran] = {}
    because = "" if setting.sizes.whole else "smaller than the target is about"
    sizes = list(setting.sizes.memory)
    if setting.sizes.whole or setting.million:
        sizes += [MILLION]
    for trials in sizes:
        if trials == MILLION and not setting.million and peaks:
            largest = max(peaks)
            seconds = peaks[largest].wall_seconds * trials / largest * 1.2
            if seconds > setting.seconds_left():
                because = f"would take {seconds:.0f} s more: --memory takes that time"
                setting.say(f"memory: a run of {trials:,} trials {because}")
                break
        setting.say(f"memory: {trials:,} trials")
        folder = setting.work / "memory"
        try:
            grid = grids.write_grid(folder, [grids.single(grids.SIMULATED)], items=trials)
            peaks[trials] = ran = run_grid(grid, folder / "results", "--no-mlflow")
        except ProgramFailedError as error:
            found.failures.append(Failure("ember-bench", f"{trials:,} trials", str(error)))
            because = str(error)
            break
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        found.samples.append(
            {
                "measurement": "memory",
                "trials": trials,
                "peak_megabytes": ran.peak_megabytes,
                "wall_seconds": ran.wall_seconds,
                "cpu_seconds": ran.cpu_seconds,
            }
        )
    found.rows.append(_row(peaks, because))
    rows = [
        (f"{n:,}", f"{ran.peak_megabytes:.0f}", f"{ran.wall_seconds:.1f}", f"{ran.cpu_seconds:.1f}")
        for n, ran in peaks.items()
    ]
    header = ("trials", "peak memory, MB", "wall of the command, s", "CPU, s")
    title = "Peak memory of `ember-bench run`, one cell, one simulated call a trial, one run each"
    found.tables.append(Table(title, header, rows))
    return found


def _row(peaks: dict[int, Ran], because: str) -> Row:
    name = "peak memory, 1,000,000 trials of one simulated call, results on disk"
    target = "under 400 MB, flat from 100,000 on"
    shown = ", ".join(f"{r.peak_megabytes:.0f} MB at {n:,}" for n, r in peaks.items())
    most, before = peaks.get(MILLION), peaks.get(MILLION // 10)
    if most is None or before is None:
        return Row(name, target, shown or "not measured", None, because)
    flat = most.peak_megabytes <= _FLAT * before.peak_megabytes
    return Row(name, target, shown, most.peak_megabytes < _MOST_MEGABYTES and flat)
