"""Merged shards of experiments whose outputs are judged by models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ember_bench.experiment.shards import Shard
from ember_bench.running.merge import merge
from tests.experiment.test_judging import RIGHT, opened
from tests.support.workspace import Workspace, run

pytestmark = pytest.mark.slow


def plain(summary: Any) -> Any:
    found = msgspec.to_builtins(summary)
    del found["run"]
    return found


def test_verdicts_and_their_cost_are_those_of_one_run(tmp_path: Path) -> None:
    lab = Workspace(tmp_path)
    lab.sums(40)
    lab.model("simulated:solver", accuracy=0.6)
    lab.model("simulated:judge", accuracy=0.8, seed=7, latency_seconds=9.0)
    lab.write("registry/evaluators/right.yaml", RIGHT | {"model": "simulated:judge"})
    fields: dict[str, Any] = {"datasets": [{"name": "sums", "evaluator": "right"}], "epochs": 2}
    whole = run(opened(lab, **fields), tmp_path / "results")
    for number in (1, 2, 3):
        part = opened(lab, **fields).sharded(Shard(number, 3))
        run(part, tmp_path / f"part-{number}")
    parts = [tmp_path / f"part-{number}" for number in (3, 1, 2)]
    (merged,) = merge(tmp_path / "merged", *parts)
    assert merged.summary.cells[0].evaluation
    assert plain(merged.summary) == plain(whole.summary)
