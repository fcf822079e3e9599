"""The most memory that a run takes, by its number of trials: of one simulated call each."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks import grids
from benchmarks.commands import Ran, run_grid
from benchmarks.findings import Failure, Findings, Row, Table
from benchmarks.programs import ProgramFailedError
from benchmarks.setting import MILLION, Setting

_MOST_MEGABYTES: Final = 400
# What is flat: peaks of equal runs differ by a few per cent.
_FLAT: Final = 1.1


@dataclass
class _Shape:
    """How trials come in cells.

    Attributes:
        items: Of each cell; None for one cell of them all.
        peaks: By number of trials.
        because: Why the largest was not run.
    """

    name: str
    items: int | None
    peaks: dict[int, Ran] = field(default_factory=dict)
    because: str = ""

    def cells(self, trials: int) -> int:
        """Return how many cells so many trials are in."""
        return 1 if self.items is None else max(1, trials // self.items)


def measure(setting: Setting) -> Findings:
    """Run grids of one cell and of many, results on disk; many to the million if there is time.

    One cell of a million items takes longer, as each of them is made, kept and described.
    """
    found, per_cell = Findings(), setting.sizes.items
    one = _Shape("in one cell", None)
    many = _Shape(f"in cells of {per_cell:,} items", per_cell)
    for trials in setting.sizes.memory:
        for shape in (one, many):
            # As long as one cell is enough the two are the same grid.
            if shape is many and many.cells(trials) == 1 and trials in one.peaks:
                many.peaks[trials] = one.peaks[trials]
            elif not shape.because:
                _run(setting, shape, trials, found)
    for shape in (many, one):
        if shape.because:
            continue
        if not (setting.sizes.whole or setting.million):
            shape.because = "smaller than the target is about"
        elif not setting.million and (why := _no_time(setting, shape, only=shape is one)):
            shape.because = why
            setting.say(f"memory: {MILLION:,} trials {shape.name}: not run, {why}")
        else:
            _run(setting, shape, MILLION, found)
    found.rows += [_row(shape) for shape in (many, one)]
    rows = [
        (f"{n:,}", f"{shape.cells(n):,}", f"{ran.peak_megabytes:.0f}", f"{ran.wall_seconds:.1f}",
         f"{ran.cpu_seconds:.1f}")
        for shape in (one, many) for n, ran in shape.peaks.items()
        if shape is one or many.cells(n) > 1
    ]  # fmt: skip
    header = ("trials", "cells", "peak memory, MB", "wall of the command, s", "CPU, s")
    title = "Peak memory of `ember-bench run`, one simulated call a trial, one run each"
    found.tables.append(Table(title, header, rows))
    return found


def _no_time(setting: Setting, shape: _Shape, *, only: bool) -> str:
    """Say why a million trials are not run without being asked for; nothing if they are."""
    if only:
        return "only with --memory"
    largest = max(shape.peaks)
    seconds = shape.peaks[largest].wall_seconds * MILLION / largest * 1.2
    if seconds <= setting.seconds_left():
        return ""
    return f"would take {seconds:.0f} s more: --memory takes that time"


def _run(setting: Setting, shape: _Shape, trials: int, found: Findings) -> None:
    """Run so many trials, and keep what they took."""
    cells = shape.cells(trials)
    setting.say(f"memory: {trials:,} trials in {cells:,} {'cell' if cells == 1 else 'cells'}")
    folder = setting.work / "memory"
    more: dict[str, Any] = {}
    if cells > 1:
        # No two cells share a call, and each temperature is one that a model takes.
        more["temperature"] = [round(2 * cell / cells, 6) for cell in range(cells)]
    try:
        single = grids.single(grids.SIMULATED, **more)
        grid = grids.write_grid(folder, [single], items=trials // cells)
        shape.peaks[trials] = ran = run_grid(grid, folder / "results", "--no-mlflow")
    except ProgramFailedError as error:
        what = f"{trials:,} trials {shape.name}"
        found.failures.append(Failure("ember-bench", what, str(error)))
        shape.because = str(error)
        return
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found.samples.append(
        {
            "measurement": "memory",
            "trials": trials,
            "cells": cells,
            "peak_megabytes": ran.peak_megabytes,
            "wall_seconds": ran.wall_seconds,
            "cpu_seconds": ran.cpu_seconds,
        }
    )


def _row(shape: _Shape) -> Row:
    name = f"peak memory, {MILLION:,} trials of one simulated call {shape.name}, results on disk"
    target = "under 400 MB, flat from 100,000 on"
    shown = ", ".join(f"{r.peak_megabytes:.0f} MB at {n:,}" for n, r in shape.peaks.items())
    most, before = shape.peaks.get(MILLION), shape.peaks.get(MILLION // 10)
    if most is None or before is None:
        return Row(name, target, shown or "not measured", None, shape.because)
    flat = most.peak_megabytes <= _FLAT * before.peak_megabytes
    return Row(name, target, shown, most.peak_megabytes < _MOST_MEGABYTES and flat)
