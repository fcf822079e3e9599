"""Reading a trial store: without its grid, while it is written, without leaving a trace."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ember_bench.errors import StoreError
from ember_bench.experiment.results.analysis import Analysis
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.runner import trial_store
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow


def path_of(workspace: Workspace) -> Path:
    return workspace.root / "results/trip/trials.db"


def test_results_are_read_without_grid_registry_and_answers(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.grid(architectures=[single(), vote([1, 3])], epochs=2)
    ran = workspace.run()
    elsewhere = tmp_path / "elsewhere.db"
    elsewhere.write_bytes(path_of(workspace).read_bytes())
    stored = StoredTrials(elsewhere)
    # All but what the last run was like, which is not in the rows.
    assert Analysis(stored).summary(ran.summary.run) == ran.summary
    assert [item.target for item in stored.description.items["sums"]][:1] != [""]
    stored.close()


def test_reading_leaves_no_file_behind(workspace: Workspace) -> None:
    workspace.run()
    before = sorted(path_of(workspace).parent.iterdir())
    stored = StoredTrials(path_of(workspace))
    assert len(list(stored.columns(0, ["score"]))) == 10
    assert sorted(path_of(workspace).parent.iterdir()) == before
    stored.close()


def test_what_is_read_while_another_writes_is_of_one_moment(workspace: Workspace) -> None:
    workspace.model("counted:a", seconds=0.01)
    workspace.grid(in_flight=1)
    ran = workspace.run(stop_after=4)
    experiment = workspace.experiment()
    writer = trial_store(workspace.root / "results/trip", experiment)
    stored = StoredTrials(path_of(workspace))
    seen = list(stored.columns(0, ["score"]))
    assert len(seen) == ran.progress.done < 10
    missing = [t for t in experiment.trials() if not writer.is_done(t)]
    writer._db.execute("DELETE FROM trials")
    assert list(stored.columns(0, ["score"])) == seen
    later = StoredTrials(path_of(workspace))
    assert list(later.columns(0, ["score"])) == []
    assert missing
    for store in (stored, later, writer):
        store.close()


def test_a_store_that_is_only_read_is_not_written_to(workspace: Workspace) -> None:
    workspace.run()
    stored = StoredTrials(path_of(workspace))
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        stored._db.execute("DELETE FROM trials")
    stored.close()


def test_the_description_is_that_of_the_last_grid(workspace: Workspace) -> None:
    workspace.grid(architectures=[single(), vote(3)])
    workspace.run()
    workspace.grid(architectures=[vote(3)])
    workspace.run()
    stored = StoredTrials(path_of(workspace))
    assert [cell.name for cell in stored.description.cells] == ["sums/vote(model=counted:a, k=3)"]
    assert len(list(stored.columns(0, ["score"]))) == 10
    stored.close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM facts", "does not say what it is of"),
        ("UPDATE facts SET value = '{}'", "written by another version"),
        ("PRAGMA user_version = 99", "schema version 99"),
        ("PRAGMA application_id = 1", "not one of this kind"),
    ],
)
def test_what_cannot_be_read_is_refused(workspace: Workspace, statement: str, message: str) -> None:
    workspace.run()
    with closing(sqlite3.connect(path_of(workspace))) as db, db:
        db.execute(statement)
    db.close()
    with pytest.raises(StoreError, match=message):
        StoredTrials(path_of(workspace))
