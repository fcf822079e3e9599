"""A run that was killed, stopped, or met errors is finished by the same command, for no more money
than it takes, and ends with the results of a run that nothing disturbed.
"""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ember_bench.experiment.results.summary import ExperimentSummary
from tests.support import counted
from tests.support.killing import run_and_kill
from tests.support.workspace import Ran, Workspace, single, vote

pytestmark = pytest.mark.slow

MOMENTS = 20
ITEMS = 30
NEEDED = 5 * ITEMS + ITEMS  # five draws of one model (sharing with all votes), one of the other


def fill(workspace: Workspace) -> Workspace:
    words = ["mumble" if i % 11 == 5 else "" for i in range(ITEMS)]
    workspace.sums(words, category=lambda i: "odd" if i % 2 else "even")
    workspace.model("counted:a", seconds=0.001, spread=0.002, right=0.6)
    workspace.model("counted:b", seconds=0.001, spread=0.002, right=0.8)
    workspace.grid(
        architectures=[single(["counted:a", "counted:b"]), vote([1, 3, 5])],
        baseline={"name": "single", "parameters": {"model": "counted:a"}},
        in_flight=6,
    )
    return workspace


def comparable(summary: ExperimentSummary, root: Path) -> Any:
    """Return all of a summary that may not depend on how often the run was interrupted."""
    text = msgspec.json.encode(summary).decode()
    plain = msgspec.json.decode(text.replace(str(root), "ROOT"))
    for volatile in ("run", "spend_usd"):
        del plain[volatile]
    for cell in plain["cells"]:
        for volatile in ("calls_made", "calls_shared", "spend_usd"):
            del cell[volatile]
    return plain


def stored(root: Path) -> set[str]:
    """Return the keys of the calls that were finished: asked, answered, and durable."""
    path = root / "results/responses.db"
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as db, db:
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return set()
        return {key.hex() for (key,) in db.execute("SELECT key FROM responses")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(counted.LOG, str(root / "requests.log"))
        ran = fill(Workspace(root)).run()
        assert sum(counted.requests().values()) == NEEDED
    assert ran.summary.run.calls_made == NEEDED
    return comparable(ran.summary, root)


def check_finished(workspace: Workspace, ran: Ran, undisturbed: Any) -> None:
    assert ran.summary.run.status == "complete"
    assert comparable(ran.summary, workspace.root) == undisturbed
    requests = counted.requests()
    workspace.run()
    assert counted.requests() == requests


def kill_after(workspace: Workspace, answers: int, delay: float = 0.0) -> bool:
    """Run the grid and kill the run after so many answers; return whether it was under way."""
    return run_and_kill(
        workspace.root, lambda: sum(counted.requests("answer").values()) >= answers, delay
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(MOMENTS))
def test_a_killed_run_is_finished_and_no_finished_call_is_paid_again(
    workspace: Workspace, undisturbed: Any, seed: int
) -> None:
    fill(workspace)
    rng = random.Random(seed)
    # A moment is a number of answers and up to three milliseconds more, at most a request's time.
    answers, delay = rng.randrange(NEEDED * 9 // 10), rng.uniform(0, 0.003)
    while not kill_after(workspace, answers, delay):  # this process slept through the moment
        shutil.rmtree(workspace.root / "results")
        (workspace.root / "requests.log").unlink()
    before, finished = counted.requests(), stored(workspace.root)
    assert finished <= set(before)
    ran = workspace.run()
    after = counted.requests()
    again = after - before
    assert not finished & set(again)
    assert max(after.values()) <= 2
    assert len(after) == NEEDED
    in_flight = len(before) - len(finished)
    assert sum(after.values()) <= NEEDED + in_flight
    assert ran.progress.calls_made == NEEDED - len(finished)
    check_finished(workspace, ran, undisturbed)


def test_a_run_may_be_killed_again_and_again(workspace: Workspace, undisturbed: Any) -> None:
    fill(workspace)
    kills = [kill_after(workspace, step * NEEDED // 8) for step in range(1, 7)]
    assert sum(kills) > 3  # this process may sleep through some of the moments
    check_finished(workspace, workspace.run(), undisturbed)


def test_a_run_may_be_killed_before_it_has_asked_anything(
    workspace: Workspace, undisturbed: Any
) -> None:
    fill(workspace)
    results = workspace.root / "results"
    assert run_and_kill(workspace.root, results.exists)
    check_finished(workspace, workspace.run(), undisturbed)


# --- stopping -------------------------------------------------------------------------------------


def test_a_stopped_run_is_a_fair_sample_and_can_be_continued(
    workspace: Workspace, undisturbed: Any
) -> None:
    fill(workspace)
    ran = workspace.run(stop_after=50)
    assert ran.summary.run.status == "partial"
    sizes = [cell.items for cell in ran.summary.cells]
    assert 5 < min(sizes) <= max(sizes) < ITEMS
    assert max(sizes) - min(sizes) <= 1
    for cell in ran.summary.cells:
        assert cell.outcomes["skipped"] == ITEMS - cell.items
        assert cell.accuracy is not None
        if cell.comparison is not None:
            assert cell.comparison.items in (cell.items, cell.items - 1)
    requests = sum(counted.requests().values())
    assert requests < NEEDED
    rest = workspace.run()
    assert rest.progress.kept == ran.progress.done
    assert rest.progress.calls_made == NEEDED - requests
    check_finished(workspace, rest, undisturbed)


def test_a_run_stopped_before_it_begins_has_nothing_and_says_so(workspace: Workspace) -> None:
    workspace.grid(in_flight=1)
    ran = workspace.run(stop_after=1)
    assert ran.progress.done <= 2
    summary = ran.summary
    assert summary.run.status == "partial"
    assert ran.cell.outcomes["skipped"] >= 8


# --- errors ---------------------------------------------------------------------------------------


def test_errors_are_tried_again_by_the_next_run(workspace: Workspace, tmp_path: Path) -> None:
    workspace.sums(["sometimes" if i % 2 else "" for i in range(10)])
    trouble = tmp_path / "trouble"
    trouble.touch()
    first = workspace.run()
    assert first.cell.outcomes["error"] == 5
    assert first.summary.run.status == "complete"
    again = workspace.run()
    assert (again.progress.kept, again.progress.done, again.progress.errors) == (5, 5, 5)
    trouble.unlink()
    last = workspace.run()
    assert (last.progress.kept, last.progress.done, last.progress.errors) == (5, 5, 0)
    assert last.cell.outcomes["error"] == 0
    assert last.changes == []
    assert workspace.run().progress.done == 0


def test_errors_of_an_earlier_run_stay_errors_until_they_are_tried_again(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.sums(["sometimes"] * 10)
    workspace.grid(in_flight=1)
    (tmp_path / "trouble").touch()
    workspace.run()
    (tmp_path / "trouble").unlink()
    ran = workspace.run(stop_after=4)
    outcomes = ran.cell.outcomes
    assert outcomes["skipped"] == 0
    assert outcomes["error"] == 10 - ran.progress.done > 0
    # Six trials have a result of an earlier run, and still have to be done.
    assert ran.summary.run.status == "partial"


# --- damaged files --------------------------------------------------------------------------------


def damage(path: Path, how: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    damaged = {
        "truncated": content[: len(content) // 2],
        "overwritten": content[:100] + b"\xff" * (len(content) - 100),
        "not a database": b"once upon a time " * 500,
        "empty": b"",
    }
    path.write_bytes(damaged[how])


@pytest.mark.parametrize("how", ["truncated", "overwritten", "not a database", "empty"])
def test_a_damaged_trial_store_is_put_aside_and_its_trials_run_anew_for_free(
    workspace: Workspace, undisturbed: Any, how: str
) -> None:
    fill(workspace)
    workspace.run()
    path = workspace.root / "results/trip/trials.db"
    damage(path, how)
    ran = workspace.run()
    assert sum(counted.requests().values()) == NEEDED
    assert ran.progress.done == len(workspace.experiment())
    if how != "empty":
        (change,) = ran.changes
        assert re.search(r"trials\.db was damaged; it is trials\.db\.damaged-1 now", change)
        assert path.with_name("trials.db.damaged-1").exists()
    check_finished(workspace, ran, undisturbed)


def test_trials_of_a_store_without_the_column_stated_are_taken_up(workspace: Workspace) -> None:
    fill(workspace)
    ran = workspace.run()
    path = workspace.root / "results/trip/trials.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("ALTER TABLE trials DROP COLUMN stated")
    again = workspace.run()
    assert again.changes == []
    assert (again.progress.kept, again.progress.done) == (ran.progress.done, 0)
