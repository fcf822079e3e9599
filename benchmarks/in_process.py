"""What the harness itself costs: simulated calls, with everything but HTTP."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.findings import Failure, Findings, Row, Spread, Table
from benchmarks.peers.measured import Job
from benchmarks.programs import Program, ProgramFailedError, started
from benchmarks.setting import Setting

_MEMORY: Final = Path("/dev/shm")
_MOST_SECONDS: Final = 300.0
_TARGETS: Final = {"memory": 60, "disk": 120}


def measure(setting: Setting) -> Findings:
    """Run one-call trials with all stores in memory and on disk, in turn."""
    found, trials = Findings(), setting.sizes.trials
    jobs = [("single", Job("single", "", trials, 1000))]
    jobs.append(("vote of 5", Job("vote", "", trials // 5, 1000, draws=5)))
    spent: dict[tuple[str, str], list[float]] = {}
    for number in range(setting.sizes.repeats):
        for kind in _TARGETS:
            setting.say(f"in process, stores in {kind}: {number + 1} of {setting.sizes.repeats}")
            try:
                with _folder(setting, kind) as folder, _program(folder) as program:
                    program.do(Job("warm-up", "", 100, 1000), seconds=_MOST_SECONDS)
                    for name, job in jobs:
                        done = program.do(job, seconds=_MOST_SECONDS)
                        cpu = done["cpu_seconds"] / job.calls * 1e6
                        spent.setdefault((name, kind), []).append(cpu)
                        sample = {"measurement": "overhead", "what": name, "store": kind}
                        found.samples.append(sample | {"calls": job.calls, "round": number} | done)
            except (ProgramFailedError, OSError) as error:
                found.failures.append(Failure(f"stores in {kind}", "overhead", str(error)))
    for kind, most in _TARGETS.items():
        found.rows.append(_row(kind, most, spent, whole=setting.sizes.whole))
    rows = [(*key, Spread(tuple(values)).show()) for key, values in spent.items()]
    title = f"Overhead per call in process, {trials:,} simulated calls"
    notes = f"Memory is {_MEMORY}, disk the folder that is named above; all stores are there."
    found.tables.append(Table(title, ("", "stores in", "CPU per call, µs"), rows, notes))
    return found


def _row(kind: str, most: int, spent: dict[tuple[str, str], list[float]], *, whole: bool) -> Row:
    name = f"overhead per call in process, stores in {kind}"
    value = Spread.of(spent.get(("single", kind), []))
    if value is None:
        return Row(name, f"at most {most} µs", "not measured", None)
    met = value.median <= most if whole else None
    because = "" if whole else "smaller than the target is about"
    return Row(name, f"at most {most} µs", value.show("µs"), met, because)


def _program(folder: Path) -> AbstractContextManager[Program]:
    command = [sys.executable, "-m", "benchmarks.ours", "--work", str(folder)]
    return started(command, folder=folder)


@contextmanager
def _folder(setting: Setting, kind: str) -> Iterator[Path]:
    if kind == "memory" and not _MEMORY.is_dir():
        raise OSError(f"there is no {_MEMORY}")
    folder = Path(tempfile.mkdtemp(dir=_MEMORY if kind == "memory" else setting.work))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
