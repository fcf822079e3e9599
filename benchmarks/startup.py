"""What it takes to start: CPU of a command and of an import, least of several."""

from __future__ import annotations

import sys
from typing import Final

from benchmarks.commands import EMBER_BENCH, run
from benchmarks.findings import Failure, Findings, Row, Spread, Table
from benchmarks.programs import ProgramFailedError
from benchmarks.setting import Setting

_IMPORT: Final = [sys.executable, "-c", "import ember_bench"]
# What, how, and under how many milliseconds it should stay; the last one is there to compare with.
_STARTS: Final[list[tuple[str, list[str], int | None]]] = [
    ("`ember-bench --help`", [EMBER_BENCH, "--help"], 150),
    ("`python -c 'import ember_bench'`", _IMPORT, 50),
    ("`python -c pass`", [sys.executable, "-c", "pass"], None),
]


def measure(setting: Setting) -> Findings:
    """Start each in turn; once before that, as bytecode is compiled then and files read."""
    found = Findings()
    spent: dict[str, list[float]] = {name: [] for name, _, _ in _STARTS}
    setting.say(f"starting: {setting.sizes.starts} times")
    for number in range(setting.sizes.starts + 1):
        for name, command, _ in _STARTS:
            try:
                milliseconds = run(command, setting.work / "startup").cpu_seconds * 1000
            except (ProgramFailedError, OSError) as error:
                if not any(failure.who == name for failure in found.failures):
                    found.failures.append(Failure(name, "starting", str(error)))
                continue
            if number:
                spent[name].append(milliseconds)
                sample = {"measurement": "startup", "what": name, "round": number - 1}
                found.samples.append(sample | {"cpu_seconds": milliseconds / 1000})
    rows = []
    for name, _, most in _STARTS:
        value = Spread.of(spent[name])
        if most is not None:
            found.rows.append(_row(name, most, value))
        if value is not None:
            rows.append((name, f"{value.least:.0f}", f"{value.median:.0f}", f"{value.most:.0f}"))
    title = f"Starting, {setting.sizes.starts} times each, bytecode compiled"
    header = ("", "least CPU, ms", "median", "most")
    found.tables.append(Table(title, header, rows, "Python's own start is in all of them."))
    return found


def _row(name: str, most: int, value: Spread | None) -> Row:
    what, target = f"{name}: CPU, least of several", f"under {most} ms"
    if value is None:
        return Row(what, target, "not measured", None)
    return Row(what, target, f"{value.least:.0f} ms", value.least < most)
