"""Measures ember-bench and its peers, side by side: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import analysis, in_process, memory, over_http, resume, startup, sweep
from benchmarks.contestants import CALLS, EFFICIENCY, LONG, LONG_VOTE, VOTE
from benchmarks.findings import Failure, Findings
from benchmarks.machine import describe
from benchmarks.report import markdown, write_json
from benchmarks.server import NoCompilerError, build, serve
from benchmarks.setting import FULL, QUICK, Setting

_HERE: Final = Path(__file__).parent
_MINUTES: Final = {False: 15.0, True: 2.0}

# Those over HTTP share their rounds, so that each contestant is started once in a round.
_OVER_HTTP: Final = {"calls": (CALLS,), "efficiency": (EFFICIENCY, LONG), "vote": (VOTE, LONG_VOTE)}
_OTHERS: Final[dict[str, Callable[[Setting], Findings]]] = {
    "overhead": in_process.measure,
    "startup": startup.measure,
    "sweep": sweep.measure,
    "resume": resume.measure,
    "report": analysis.measure,
    "memory": memory.measure,  # the last: how large it is depends on the time that is left
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for, write the results; returns the exit status."""
    options = _parser().parse_args(arguments)
    # Whoever ends it wants nothing to be left, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()

    def say(text: str) -> None:
        elapsed = int(time.monotonic() - began)
        print(f"{elapsed // 60:2d}:{elapsed % 60:02d}  {text}", file=sys.stderr, flush=True)

    try:
        program = build(options.venvs)
    except (NoCompilerError, subprocess.CalledProcessError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    found = Findings()
    work = Path(tempfile.mkdtemp(prefix="ember-bench-speed-", dir=options.work))
    machine = describe(["python -m benchmarks", *(arguments or sys.argv[1:])], work)
    status = 0
    try:
        with serve(program) as server:
            setting = Setting(
                sizes=QUICK if options.quick else FULL,
                server=server,
                environments=options.venvs.resolve(),
                work=work,
                say=say,
                seconds_left=lambda: _MINUTES[options.quick] * 60 - (time.monotonic() - began),
                million=options.memory,
            )
            _measure_all(setting, options.only or [*_OVER_HTTP, *_OTHERS], found)
    except KeyboardInterrupt:
        say("stopped; what was measured so far is written")
        status = 130
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if not found.rows:
        return status or 1
    text = markdown(machine, found)
    options.markdown.write_text(text)
    write_json(options.json, machine, found)
    print(text)
    say(f"written: {options.markdown}, {options.json}")
    return status


def _measure_all(setting: Setting, names: Sequence[str], found: Findings) -> None:
    """Measure one after the other; what breaks is told, and does not stop the rest."""
    jobs = [job for name in names for job in _OVER_HTTP.get(name, ())]
    parts: list[tuple[str, Callable[[], None]]] = []
    if jobs:
        parts.append(("calls over HTTP", lambda: over_http.measure(setting, jobs, found)))
    parts += [
        (name, partial(_add, found, measure, setting))
        for name, measure in _OTHERS.items()
        if name in names
    ]
    for name, measure in parts:
        try:
            measure()
        except Exception as error:  # a defect in one of them leaves the others as they are
            setting.say(f"{name}: {error!r}")
            found.failures.append(Failure("benchmarks", name, repr(error)))


def _add(found: Findings, measure: Callable[[Setting], Findings], setting: Setting) -> None:
    found.add(measure(setting))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a part of everything, once")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*_OVER_HTTP, *_OTHERS],
        help="measure this alone; may be given again",
    )
    parser.add_argument(
        "--memory",
        action="store_true",
        help="run a million trials, in one cell too, however long that takes",
    )
    parser.add_argument(
        "--venvs", type=Path, default=_HERE / ".venvs", help="the peers' environments [%(default)s]"
    )
    parser.add_argument("--work", type=Path, help="a folder on the disk that results go to [/tmp]")
    parser.add_argument("--json", type=Path, default=_HERE / "results.json")
    parser.add_argument("--markdown", type=Path, default=_HERE / "RESULTS.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
