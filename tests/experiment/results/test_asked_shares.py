"""The share of trials that asked each model of a cascade or a route."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from ember_bench.registry import builtin_root
from ember_bench.report import markdown
from tests.support.workspace import Ran, Workspace, single

CASCADE: dict[str, Any] = {
    "name": "cascade",
    "label": "cascade",
    "parameters": {
        "cheap": ["recorded:tape/a", "recorded:tape/b"],
        "dear": ["recorded:tape/c"],
    },
}


@pytest.fixture
def here(tmp_path: Path) -> Workspace:
    """Ten sums; two models agree on seven of them, a third knows all."""
    workspace = Workspace(tmp_path)
    workspace.sums(10)
    rows = [
        {"id": f"sums-{i}", "a": str(8 * i), "b": str(8 * i if i < 7 else -1), "c": str(8 * i)}
        for i in range(10)
    ]
    workspace.write("registry/models/tape.json", json.dumps(rows))
    card = {
        "name": "recorded:tape",
        "files": "tape.json",
        "fields": {"item": "id", "answer": "{model}"},
        "models": ["a", "b", "c"],
    }
    workspace.write("registry/models/tape.yaml", card)
    return workspace


def run(here: Workspace, *architectures: dict[str, Any], **fields: Any) -> Ran:
    for name in ("cascade", "ensemble_vote"):
        link = here.root / f"builtin/architectures/{name}.yaml"
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(builtin_root() / "architectures" / f"{name}.yaml")
    here.grid(architectures=list(architectures), **fields)
    return here.run()


def test_a_cascade_says_how_often_it_reached_each_stage(here: Workspace) -> None:
    summary = run(here, CASCADE).summary
    (cell,) = summary.cells
    assert cell.asked_shares == {"recorded:tape/a": 1, "recorded:tape/b": 1, "recorded:tape/c": 0.3}
    said = markdown(summary).replace("\\", "")
    assert "cascade: share of trials that asked recorded:tape/a 100.0 %" in said
    assert "recorded:tape/c 30.0 %" in said


def test_a_stage_that_is_never_reached_is_not_asked(here: Workspace) -> None:
    eager = {"parameters": {**CASCADE["parameters"], "agreement": 0.5}}
    (cell,) = run(here, CASCADE | eager).summary.cells
    assert cell.asked_shares == {"recorded:tape/a": 1, "recorded:tape/b": 1}


def test_systems_that_ask_all_of_their_models_say_nothing(here: Workspace) -> None:
    models = ["recorded:tape/a", "recorded:tape/b"]
    vote = {"name": "ensemble_vote", "parameters": {"models": models}}
    cells = run(here, single("recorded:tape/a"), vote).summary.cells
    assert [cell.asked_shares for cell in cells] == [UNSET, UNSET]


def test_failed_trials_are_left_out(here: Workspace) -> None:
    path = here.root / "registry/models/tape.json"
    rows = json.loads(path.read_text())
    rows[9]["c"] = None
    path.write_text(json.dumps(rows))
    (cell,) = run(here, CASCADE, failures="excluded").summary.cells
    assert cell.outcomes["error"] == 1
    assert cell.asked_shares["recorded:tape/c"] == pytest.approx(2 / 9)
