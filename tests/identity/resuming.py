"""Results that `ember-bench run` left of `resumed/grid.yaml`, packed, and what is read of them."""

from __future__ import annotations

import json
import tarfile
from contextlib import chdir
from pathlib import Path
from typing import Any, Final, cast

from ember_bench.cli import main
from tests.identity.digests import RESUMED

_ARCHIVE: Final = RESUMED / "results.tar.gz"
_FILES: Final = ("responses.db", "resumed/trials.db", "resumed/summary.json")
# What tells who paid for a call, and when: in a summary, and in each of its cells.
_OF_THE_RUN: Final = ("name", "digest", "version", "run", "spend_usd")
_OF_INTERVALS: Final = {"low", "high", "method"}
_OF_THE_CELL: Final = ("calls_made", "calls_shared", "spend_usd")
# Fields of later versions, which the earlier results do not have.
_LATER: Final = (
    "unpriced",
    "measured",
    "never_stated",
    "rank",
    "asked_shares",
    "shrunken",
    "controlled",
)
# Of latency over items in the earlier results, over trials now.
_QUANTILES: Final = ("latency_p50", "latency_p95")
# Of the tests of differences, as of intervals.
_OF_TESTS: Final = {"p_value", "p_holm", "p_adjusted", "sign", "same_calls"}
# For people; names, by which results are found again, are compared.
_WORDS: Final = ("label",)
_LEFT_OUT: Final = {*_OF_THE_CELL, *_LATER, *_QUANTILES, *_WORDS}


def command(action: str, results: Path, *options: str) -> None:
    """Do `ember-bench run` or another action to the grid, into `results`.

    Raises:
        RuntimeError: if the command fails.
    """
    arguments = [action, "grid.yaml", "--results", str(results), "--no-mlflow", "--quiet", *options]
    try:
        with chdir(RESUMED):  # so that the results name the grid as every checkout has it
            main(arguments)
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"ember-bench {action}: status {end.code}") from None


def unpack(results: Path) -> None:
    """Put the packed results into `results`."""
    with tarfile.open(_ARCHIVE) as archive:
        archive.extractall(results, filter="data")


def pack(results: Path) -> None:
    """Pack what a run left in `results`."""
    with tarfile.open(_ARCHIVE, "w:gz") as archive:
        for name in _FILES:
            archive.add(results / name, name, filter=_anonymous)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    return entry.replace(mode=0o644, uid=0, gid=0, uname="", gname="", deep=False)


def summary(results: Path, name: str = "resumed") -> dict[str, Any]:
    """Return what is written of an experiment."""
    file = results / name / "summary.json"
    written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return written


def digits(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the values that a summary found.

    Facts of one run are left out, and intervals, quantiles and tests: how these are computed is
    tested in `tests/stats` and `tests/experiment/results`, and may be improved without any trial
    run anew.
    """
    found = {key: value for key, value in summary.items() if key not in _OF_THE_RUN}
    found["cells"] = [
        {key: value for key, value in cell.items() if key not in _LEFT_OUT}
        for cell in summary["cells"]
    ]
    return cast("dict[str, Any]", _without_intervals(found))


def _without_intervals(found: Any) -> Any:
    if isinstance(found, list):
        return [_without_intervals(entry) for entry in found]
    if isinstance(found, dict):
        left_out = _OF_INTERVALS | _OF_TESTS
        return {k: _without_intervals(v) for k, v in found.items() if k not in left_out}
    return found
