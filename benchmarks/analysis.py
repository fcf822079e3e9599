"""What it takes to turn many stored results into a report: `ember-bench report`, from the start.

It has all statistics in it: intervals, all cells against the baseline, paired and corrected, the
probabilities to be the best and to be on the front, with 10,000 bootstrap draws.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

from benchmarks.commands import EMBER_BENCH, Ran, run
from benchmarks.findings import Failure, Findings, Row, Spread, Table
from benchmarks.programs import ProgramFailedError
from benchmarks.setting import Setting

_MOST_SECONDS: Final = 10.0
_ROW: Final = "statistics and report, 100 cells x 10,000 items, 10,000 bootstrap draws"
_TARGET: Final = "under 10 s"
# Choices of nodes, which take another run of the graphs, are no statistics of the rows.
_COMMANDS: Final = {
    "`ember-bench report --no-graphs`": ["report", "--no-graphs"],
    "`ember-bench export --format md`": ["export", "--format", "md"],
}
# In a process of its own: it takes memory that is not the report's.
_MAKE: Final = """
import sys
from pathlib import Path
from benchmarks.statistics_store import NAME, make_results
print(make_results(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])) / NAME)
"""


def measure(setting: Setting) -> Findings:
    """Make results without asking any model, and report them."""
    found, sizes = Findings(), setting.sizes
    folder = setting.work / "analysis"
    ran: dict[str, list[Ran]] = {name: [] for name in _COMMANDS}
    try:
        setting.say(f"report: making results of {sizes.cells} cells x {sizes.items:,} items")
        making = [sys.executable, "-c", _MAKE, str(folder), str(sizes.cells), str(sizes.items)]
        results = Path(run(making, folder).printed.strip())
        for number in range(min(3, sizes.repeats)):
            for name, words in _COMMANDS.items():
                setting.say(f"report: {words[0]}, {number + 1} of {min(3, sizes.repeats)}")
                command = [EMBER_BENCH, *words, str(results), "--results", str(results.parent)]
                ran[name].append(one := run(command, folder))
                found.samples.append(
                    {
                        "measurement": "report",
                        "what": name,
                        "round": number,
                        "wall_seconds": one.wall_seconds,
                        "cpu_seconds": one.cpu_seconds,
                        "peak_megabytes": one.peak_megabytes,
                    }
                )
    except ProgramFailedError as error:
        found.failures.append(Failure("ember-bench", "report", str(error)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found.rows.append(_row(ran, whole=sizes.whole))
    rows = [
        (
            name,
            Spread(tuple(one.wall_seconds for one in of)).show(),
            Spread(tuple(one.cpu_seconds for one in of)).show(),
            f"{max(one.peak_megabytes for one in of):.0f}",
        )
        for name, of in ran.items()
        if of
    ]
    title = f"Statistics and report, {sizes.cells} cells x {sizes.items:,} items"
    found.tables.append(Table(title, ("", "wall, s", "CPU, s", "peak memory, MB"), rows))
    return found


def _row(ran: dict[str, list[Ran]], *, whole: bool) -> Row:
    walls = Spread.of([one.wall_seconds for one in next(iter(ran.values()))])
    if walls is None:
        return Row(_ROW, _TARGET, "not measured", None)
    met = walls.median < _MOST_SECONDS if whole else None
    because = "" if whole else "smaller than the target is about"
    return Row(_ROW, _TARGET, walls.show("s"), met, because)
