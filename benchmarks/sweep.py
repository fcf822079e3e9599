"""How many calls sweeping K takes, as the server counts them: of 1, 3, ..., 15, and of 15 alone."""

from __future__ import annotations

import json
import shutil
from typing import Final

from benchmarks import grids
from benchmarks.commands import run_grid
from benchmarks.findings import Failure, Findings, Row, Table
from benchmarks.programs import ProgramFailedError
from benchmarks.setting import Setting

_LARGEST: Final = 15
_SWEPT: Final = list(range(1, _LARGEST + 1, 2))
_ROW: Final = "sweeping K over 1, 3, ..., 15: calls made"


def measure(setting: Setting) -> Findings:
    """Run both grids, each from nothing."""
    found, asked = Findings(), {}
    target = f"{_LARGEST * setting.sizes.sweep:,}, exactly those of K = {_LARGEST}"
    for name, k in (("K = 15", _LARGEST), ("K = 1, 3, ..., 15", _SWEPT)):
        setting.say(f"sweep: {name}")
        try:
            asked[name] = _calls(setting, k)
        except ProgramFailedError as error:
            found.failures.append(Failure("ember-bench", f"sweep, {name}", str(error)))
            found.rows.append(Row(_ROW, target, "not measured", None, str(error)))
            return found
        found.samples.append({"measurement": "sweep", "what": name, "calls": asked[name]})
    alone, swept = asked.values()
    met = swept == alone == _LARGEST * setting.sizes.sweep
    found.rows.append(Row(_ROW, target, f"{swept:,}, and {alone:,} for K = {_LARGEST} alone", met))
    rows = [(name, f"{calls:,}") for name, calls in asked.items()]
    title = f"Calls of votes over {setting.sizes.sweep} items, as the server counts them"
    found.tables.append(Table(title, ("", "calls"), rows))
    return found


def _calls(setting: Setting, k: int | list[int]) -> int:
    folder = setting.work / "sweep"
    try:
        grids.write_card(folder, setting.server.base_url(0), max_concurrency=100, options={})
        architecture = grids.vote(grids.SERVED, k)
        grid = grids.write_grid(folder, [architecture], items=setting.sizes.sweep, in_flight=100)
        setting.server.reset()
        ran = run_grid(grid, folder / "results", "--no-mlflow", "--json")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    requests, made = setting.server.stats().requests, json.loads(ran.printed)["run"]["calls_made"]
    if made != requests:
        raise ProgramFailedError(f"{made:,} calls made, but the server was asked {requests:,}")
    return requests
