"""Cells, runs, experiments and processes share their calls; none of them sees the difference."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from ember_bench.experiment.results.summary import CellSummary
from tests.support import counted
from tests.support.killing import start
from tests.support.workspace import Workspace, single, vote

SWEEP = [1, 3, 5, 9, 15]


def asked() -> int:
    return sum(counted.requests().values())


def found(cell: CellSummary) -> CellSummary:
    """Return what a cell found, without who paid for it, and what tells it from its neighbours."""
    return msgspec.structs.replace(cell, label="", calls_made=0, calls_shared=0, spend_usd=0.0)


def test_sweeping_k_makes_the_calls_of_the_largest_k(workspace: Workspace) -> None:
    workspace.grid(architectures=[vote(SWEEP)])
    cells = workspace.run().summary.cells
    assert set(counted.requests().values()) == {1}
    assert asked() == 10 * 15
    assert [cell.calls for cell in cells] == [10 * k for k in SWEEP]
    assert sum(cell.calls_made for cell in cells) == 10 * 15


def test_whatever_the_order_and_the_timing(workspace: Workspace) -> None:
    workspace.model("counted:a", seconds=0.001, spread=0.01)
    workspace.grid(architectures=[single(), vote(SWEEP[::-1])], in_flight=7)
    workspace.run()
    assert asked() == 10 * 15


def test_a_cell_of_a_sweep_finds_what_it_finds_alone(workspace: Workspace) -> None:
    workspace.grid(architectures=[vote(SWEEP)])
    together = {cell.name: found(cell) for cell in workspace.run().summary.cells}
    for k in SWEEP:
        workspace.grid(name="alone", architectures=[vote(k)])
        cell = workspace.run(responses=f"alone-{k}.db").cell
        assert found(cell) == msgspec.structs.replace(
            together[cell.name], comparison=None, rank=msgspec.UNSET
        )
    assert asked() == 10 * (15 + sum(SWEEP))


def test_five_draws_are_five_draws_cold_and_warm(workspace: Workspace) -> None:
    # A cache that answers by request alone makes a vote of five one answer five times.
    workspace.grid(architectures=[single(), vote(5)])
    cold = workspace.run().summary.cells
    workspace.grid(name="warm", architectures=[single(), vote(5)])
    warm = workspace.run().summary.cells
    assert [found(cell) for cell in warm] == [found(cell) for cell in cold]
    assert cold[0].accuracy != cold[1].accuracy
    assert len(counted.requests()) == 50


def test_cells_that_want_the_same_call_at_the_same_time_share_it(workspace: Workspace) -> None:
    workspace.model("counted:a", seconds=0.05)
    workspace.write("registry/signatures/same.yaml", SAME)
    workspace.write("registry/architectures/same.yaml", SAME_ASKED)
    workspace.grid(architectures=["same", single()])
    ran = workspace.run()
    assert set(counted.requests().values()) == {1}
    assert asked() == 10
    # Neither of the two was done before the other had begun.
    assert ran.summary.run.calls_shared == 10
    assert {cell.calls_made + cell.calls_shared for cell in ran.summary.cells} == {10}


# Says the same as `single`, by another card.
SAME = {
    "name": "same",
    "purpose": "The question.",
    "required_inputs": ["query"],
    "prompt_template": "{query}",
}
SAME_ASKED = {
    "name": "same",
    "purpose": "One call.",
    "graph": {
        "reply": {
            "operator": "EnsembleOperator",
            "signature": "same",
            "lm_modules": [{"model": "counted:a", "temperature": 0.7}],
        }
    },
}


def test_epochs_have_draws_of_their_own(workspace: Workspace) -> None:
    workspace.grid(architectures=[vote(3)], epochs=4)
    assert workspace.run().cell.calls_made == asked() == len(counted.requests()) == 10 * 3 * 4


# --- offline --------------------------------------------------------------------------------------


def test_offline_a_warm_store_is_enough(workspace: Workspace) -> None:
    workspace.grid(architectures=[vote([1, 5])])
    online = workspace.run().summary.cells
    workspace.grid(name="offline", architectures=[vote([1, 5])])
    ran = workspace.run(offline=True)
    assert [found(cell) for cell in ran.summary.cells] == [found(cell) for cell in online]
    assert asked() == 50


def test_offline_a_miss_is_an_error_and_asks_nobody(workspace: Workspace) -> None:
    workspace.grid(datasets=[{"name": "sums", "limit": 4}])
    workspace.run()
    workspace.grid(architectures=[single(), vote(2)])
    ran = workspace.run(offline=True)
    assert asked() == 4
    some, none = ran.summary.cells
    assert some.outcomes["error"] == 6
    assert none.outcomes["error"] == 10
    with closing(sqlite3.connect(workspace.root / "results/trip/trials.db")) as db, db:
        errors = {error for (error,) in db.execute("SELECT error FROM trials WHERE error NOT NULL")}
    assert all("OfflineError: counted:a: the answer to this call is not" in e for e in errors)
    assert all("--offline forbids asking for it" in error for error in errors)
    online = workspace.run()
    assert asked() == 20
    assert online.summary.failed == 0


# --- processes ------------------------------------------------------------------------------------


def test_two_processes_run_two_experiments_on_one_response_store(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.sums(40)
    workspace.model("counted:a", seconds=0.002)
    other = Workspace(tmp_path / "other")
    for name in ("sums.yaml", "sums.jsonl"):
        text = (tmp_path / "registry/datasets" / name).read_text(encoding="utf-8")
        other.write(f"registry/datasets/{name}", text)
    other.model("counted:a", seconds=0.002)
    workspace.grid(name="one", architectures=[vote([1, 3])])
    other.grid(name="two", architectures=[vote([3, 5])])
    (tmp_path / "results").mkdir()
    (tmp_path / "other/results").symlink_to(tmp_path / "results")
    processes = [start(workspace.root), start(other.root)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    # Each answer is there once, also where both asked for it at the same moment.
    assert len(counted.requests()) == 40 * 5
    assert asked() <= 40 * (3 + 5)
    with closing(sqlite3.connect(tmp_path / "results/responses.db")) as db, db:
        assert db.execute("SELECT count(*) FROM responses").fetchone() == (200,)
    before = asked()
    one, two = workspace.run().summary.cells, other.run().summary.cells
    assert asked() == before
    assert found(one[1]) == msgspec.structs.replace(found(two[0]), comparison=one[1].comparison)


def test_what_a_failed_trial_paid_is_in_the_runs_spend(workspace: Workspace) -> None:
    # Every request that is answered costs 0.03 dollars, also those of a trial that then fails.
    # The refusal comes first: most answers come when nobody waits for them any more.
    workspace.model("counted:b", refuses=True, seconds=0.02)
    models = ["counted:a", "counted:b"]
    workspace.grid(architectures=[{"name": "ensemble_vote", "parameters": {"models": models}}])
    ran = workspace.run()
    assert ran.cell.outcomes["error"] == 10
    answered = sum(counted.requests("answer").values())
    assert answered == 10
    assert ran.summary.run.calls_made == answered
    assert ran.summary.spend_usd == pytest.approx(0.03 * answered)
