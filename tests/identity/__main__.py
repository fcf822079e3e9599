"""Writes `pins.json` anew, and says what changed: `python -m tests.identity [--results]`.

`EMBER_BENCH_DATA` names the recorded data that the pins of the papers' grids depend on; without it
those stay as they are. With `--results` the grid in `resumed/` is run afresh and its results are
replaced, which gives up the proof that results of the code so far are taken up.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.identity import resuming
from tests.identity.digests import PAPERS, PINS, SECTIONS, changes, paper_section, read_pins


def write_pins() -> None:
    before = read_pins() if PINS.exists() else {}
    data = os.environ.get("EMBER_BENCH_DATA")
    sections = dict(SECTIONS)
    if data is None:
        print("EMBER_BENCH_DATA is not set: the pins of the papers' grids stay as they are")
    else:
        sections |= {name: paper_section(name, Path(data)) for name in PAPERS}
    pins = {name: before[name] for name in PAPERS if name in before}
    for name, section in sections.items():
        for line in changes(section, before.get(name, {})):
            print(f"{name}: {line}")
        pins[name] = section.compute()
    PINS.write_text(json.dumps(pins, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def write_results() -> None:
    with TemporaryDirectory() as folder:
        resuming.command("run", Path(folder))
        resuming.pack(Path(folder))


if __name__ == "__main__":
    write_pins()
    if "--results" in sys.argv[1:]:
        write_results()
