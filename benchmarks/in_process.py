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
_SINGLE: Final = "trials of one call"
_VOTE: Final = "votes over five calls"

Overheads = dict[tuple[str, str], list[float]]


def measure(setting: Setting) -> Findings:
    """Run trials of one call and votes with answers in memory and on disk, in turn."""
    found, trials = Findings(), setting.sizes.trials
    jobs = {
        _SINGLE: Job("single", "", trials, 1000),
        _VOTE: Job("vote", "", trials // 5, 1000, draws=5),
    }
    whole: Overheads = {}
    model: Overheads = {}
    for number in range(setting.sizes.repeats):
        for kind in _TARGETS:
            setting.say(f"in process, answers in {kind}: {number + 1} of {setting.sizes.repeats}")
            try:
                with _folder(setting, kind) as folder, _program(folder, kind) as program:
                    program.do(Job("warm-up", "", 100, 1000), seconds=_MOST_SECONDS)
                    for name, job in jobs.items():
                        done = program.do(job, seconds=_MOST_SECONDS)
                        alone = done["more"]["model_cpu_seconds"]
                        whole.setdefault((name, kind), []).append(
                            done["cpu_seconds"] / job.calls * 1e6
                        )
                        model.setdefault((name, kind), []).append(alone / job.calls * 1e6)
                        sample = {"measurement": "overhead", "what": name, "store": kind}
                        found.samples.append(sample | {"calls": job.calls, "round": number} | done)
            except (ProgramFailedError, OSError) as error:
                found.failures.append(Failure(f"answers in {kind}", "overhead", str(error)))
    overhead = {
        key: [both - alone for both, alone in zip(whole[key], model[key], strict=True)]
        for key in whole
    }
    found.rows += [
        _row(name, kind, most, overhead, whole=setting.sizes.whole)
        for kind, most in _TARGETS.items()
        for name in jobs
    ]
    rows = [
        (*key, *(Spread(tuple(of[key])).show() for of in (whole, model, overhead))) for key in whole
    ]
    title = f"Overhead per call in process, {trials:,} simulated calls, µs of CPU"
    header = ("", "answers in", "whole", "the model alone", "overhead")
    notes = (
        "In memory: answers in a `MemoryStore`, trial rows in a database in /dev/shm. On disk: "
        "both in databases in the folder that is named above. The model alone is "
        "`Simulated.complete`, awaited for the same calls."
    )
    found.tables.append(Table(title, header, rows, notes))
    return found


def _row(name: str, kind: str, most: int, overhead: Overheads, *, whole: bool) -> Row:
    what = f"overhead per call in process, {name}, answers in {kind}"
    value = Spread.of(overhead.get((name, kind), []))
    if value is None:
        return Row(what, f"at most {most} µs", "not measured", None)
    met = value.median <= most if whole else None
    because = "" if whole else "smaller than the target is about"
    return Row(what, f"at most {most} µs", value.show("µs"), met, because)


def _program(folder: Path, kind: str) -> AbstractContextManager[Program]:
    command = [sys.executable, "-m", "benchmarks.simulated", "--work", str(folder)]
    command += ["--answers", kind]
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
