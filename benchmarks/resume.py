"""`ember-bench run` of a grid that is finished: how long until its table is there again."""

from __future__ import annotations

import shutil
from typing import Final

from benchmarks import grids
from benchmarks.commands import Ran, run_grid
from benchmarks.findings import Failure, Findings, Row, Spread, Table
from benchmarks.programs import ProgramFailedError
from benchmarks.setting import Setting

_CELLS: Final = 10
_NAME: Final = "resuming a finished grid of 100,000 trials, to the table"
_TARGET: Final = "under 5 s"
_MOST_SECONDS: Final = 5.0


def measure(setting: Setting) -> Findings:
    """Finish a grid of ten cells, logged to MLflow, and run it again and again."""
    found, trials = Findings(), setting.sizes.resumed
    temperatures = [(number + 1) / _CELLS for number in range(_CELLS)]
    architecture = grids.single(grids.SIMULATED, temperature=temperatures)
    folder = setting.work / "resume"
    again: list[Ran] = []
    try:
        grid = grids.write_grid(folder, [architecture], items=trials // _CELLS)
        setting.say(f"resume: {trials:,} trials, to be finished first")
        first = run_grid(grid, folder / "results")
        for number in range(setting.sizes.repeats):
            setting.say(f"resume: {number + 1} of {setting.sizes.repeats}")
            again.append(ran := run_grid(grid, folder / "results"))
            # The last line tells how many calls were made, and how long that took.
            if ran.printed.splitlines()[:-1] != first.printed.splitlines()[:-1]:
                raise ProgramFailedError("the table is another one than it was at first")
            found.samples.append(
                {
                    "measurement": "resume",
                    "trials": trials,
                    "round": number,
                    "wall_seconds": ran.wall_seconds,
                    "cpu_seconds": ran.cpu_seconds,
                }
            )
    except ProgramFailedError as error:
        found.failures.append(Failure("ember-bench", "resuming", str(error)))
        found.rows.append(Row(_NAME, _TARGET, "not measured", None, str(error)))
        return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    wall = Spread(tuple(ran.wall_seconds for ran in again))
    cpu = Spread(tuple(ran.cpu_seconds for ran in again))
    whole = setting.sizes.whole
    met = wall.median < _MOST_SECONDS if whole else None
    because = "" if whole else "smaller than the target is about"
    found.rows.append(Row(_NAME, _TARGET, wall.show("s"), met, because))
    rows = [
        ("first run", f"{first.wall_seconds:.1f}", f"{first.cpu_seconds:.1f}"),
        ("again", wall.show(), cpu.show()),
    ]
    title = f"`ember-bench run` of {trials:,} trials in {_CELLS} cells, and again, with MLflow"
    found.tables.append(Table(title, ("", "wall, s", "CPU, s"), rows))
    return found
