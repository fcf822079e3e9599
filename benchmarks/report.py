"""The results as files: JSON with every sample, Markdown to read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.contestants import CONTESTANTS
from benchmarks.findings import Findings, Row, Table

_MET: Final = {True: "met", False: "**not met**", None: "not judged"}

_PREAMBLE: Final = """\
# Speed, side by side

Numbers are medians, with the least and the most of the repeats in brackets. A ratio is the median
of the ratios of each round, in which everyone was measured once, one after the other. CPU is that
of the whole process, its threads and its children, after imports and a warm-up; "calls/s of CPU" is
what one core does. How each is run, and how to run all of it, is in
[docs/benchmarks.md](../docs/benchmarks.md).
"""


def write_json(path: Path, machine: dict[str, Any], found: Findings) -> None:
    """Write everything that was found, sample by sample."""
    path.write_text(json.dumps({"machine": machine, **asdict(found)}, indent=1) + "\n")


def markdown(machine: dict[str, Any], found: Findings) -> str:
    """Return the tables."""
    parts = [_PREAMBLE, _conditions(machine)]
    if found.rows:
        parts.append(f"## Targets\n\n{_targets(found.rows)}")
    parts += [_section(table) for table in found.tables]
    if found.failures:
        header = ("who", "what", "why")
        rows = [(failure.who, failure.what, failure.reason) for failure in found.failures]
        parts.append(f"## What could not be measured\n\n{_table(header, rows)}")
    if any("contestant" in sample for sample in found.samples):
        parts.append(f"## Who, and how\n\n{_contestants(found)}")
    return "\n".join(parts)


def _conditions(machine: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    load = ", ".join(map(str, machine["load"]))
    return (
        f"* {machine['date']}, `{machine['command']}`, commit {machine['commit']}\n"
        f"* {machine['cores']} cores of {machine['processor']}, {machine['memory_gigabytes']} GB; "
        f"{machine['system']}; results on {machine['file_system']}; load average at the start "
        f"{load}\n"
        f"* Python {machine['python']}; {packages}; the server: {machine['compiler']}\n"
    )


def _targets(rows: Sequence[Row]) -> str:
    def met(row: Row) -> str:
        return f"{_MET[row.met]}: {row.because}" if row.because else _MET[row.met]

    header = ("measurement", "target", "value", "")
    return _table(header, [(row.measurement, row.target, row.value, met(row)) for row in rows])


def _section(table: Table) -> str:
    notes = f"\n{table.notes}\n" if table.notes else ""
    return f"## {table.title}\n\n{_table(table.header, table.rows)}{notes}"


def _contestants(found: Findings) -> str:
    versions: dict[str, dict[str, str]] = {}
    for sample in found.samples:
        if "contestant" in sample:
            versions[sample["contestant"]] = sample["versions"]
    what = {contestant.name: contestant.what for contestant in CONTESTANTS}
    rows = [
        (name, what.get(name, ""), ", ".join(f"{package} {v}" for package, v in packages.items()))
        for name, packages in versions.items()
    ]
    return _table(("who", "how it is used", "versions"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
