"""Merged results folders: the same as those of one run, whatever became of the parts meanwhile."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ember_bench.errors import ConfigError, ResultsLockedError
from ember_bench.experiment.lock import locked
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.shards import Shard
from ember_bench.running.merge import merge
from tests.support import counted
from tests.support.workspace import Ran, Workspace, run, single, vote

pytestmark = pytest.mark.slow

ITEMS = 30


def fill(workspace: Workspace, **fields: Any) -> Workspace:
    words = ["mumble" if i % 11 == 5 else "" for i in range(ITEMS)]
    workspace.sums(words, category=lambda i: "odd" if i % 2 else "even")
    workspace.model("counted:a", right=0.6)
    workspace.model("counted:b", right=0.8)
    architectures = [single(["counted:a", "counted:b"]), vote([1, 3])]
    workspace.grid(**{"architectures": architectures, "epochs": 2, "in_flight": 6, **fields})
    return workspace


def run_shard(workspace: Workspace, number: int, count: int, **options: Any) -> Ran:
    part = workspace.experiment().sharded(Shard(number, count))
    return run(part, workspace.root / f"part-{number}", **options)


def parts(workspace: Workspace, count: int) -> list[Path]:
    return [workspace.root / f"part-{number}" for number in range(1, count + 1)]


def comparable(summary: Any) -> Any:
    """Return all of a summary but what its last run was."""
    plain = msgspec.to_builtins(summary)
    del plain["run"]
    return plain


def rows(path: Path) -> list[Any]:
    """Return the trials of a store by names, with all that is in them."""
    with closing(sqlite3.connect(path)) as base:
        return base.execute(
            "SELECT cells.name, items.item, trials.* FROM trials JOIN cells ON cells.id = cell"
            " JOIN items ON items.id = trials.item ORDER BY 1, 2, trials.epoch"
        ).fetchall()


def without_numbers(found: Sequence[Any]) -> list[Any]:
    return [(*row[:2], *row[4:]) for row in found]


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    return fill(workspace)


def test_merged_shards_equal_one_run_to_the_last_digit(filled: Workspace) -> None:
    whole = filled.run()
    for number in (1, 2, 3):
        run_shard(filled, number, 3)
    # In another order than that of their numbers.
    (merged,) = merge(filled.root / "merged", *reversed(parts(filled, 3)))
    assert merged.missing == ()
    assert merged.summary.run.status == "complete"
    assert comparable(merged.summary) == comparable(whole.summary)
    assert without_numbers(rows(filled.root / "merged/trip/trials.db")) == without_numbers(
        rows(filled.root / "results/trip/trials.db")
    )


def test_the_scores_of_further_evaluators_are_merged(workspace: Workspace) -> None:
    fill(workspace, datasets=[{"name": "sums", "also": ["exact_match"]}])
    whole = workspace.run()
    for number in (1, 2):
        run_shard(workspace, number, 2)
    (merged,) = merge(workspace.root / "merged", *parts(workspace, 2))
    assert comparable(merged.summary) == comparable(whole.summary)
    assert all(cell.further["exact_match"].items for cell in merged.summary.cells)


def test_a_merged_folder_is_complete_for_its_grid(filled: Workspace) -> None:
    for number in (1, 2):
        run_shard(filled, number, 2)
    (merged,) = merge(filled.root / "merged", *parts(filled, 2))
    before = counted.requests()
    again = run(filled.experiment(), filled.root / "merged")
    assert counted.requests() == before
    assert (again.progress.done, again.changes) == (0, [])
    assert comparable(again.summary) == comparable(merged.summary)


def test_no_call_is_made_twice_by_shards(filled: Workspace) -> None:
    for number in range(1, 6):
        run_shard(filled, number, 5)
    assert set(counted.requests().values()) == {1}


def test_a_missing_shard_is_named_and_a_run_makes_only_its_calls(filled: Workspace) -> None:
    whole = filled.run()
    needed = counted.requests()
    (filled.root / "requests.log").unlink()
    for number in (1, 3):
        run_shard(filled, number, 3)
    (merged,) = merge(filled.root / "merged", filled.root / "part-1", filled.root / "part-3")
    missing = len(filled.experiment().sharded(Shard(2, 3)))
    assert merged.missing == (f"{missing} trials are missing", "no part has shard 2/3")
    assert merged.summary.run.status == "partial"
    completed = run(filled.experiment(), filled.root / "merged")
    assert completed.progress.done == missing
    assert counted.requests() == needed
    assert comparable(completed.summary) == comparable(whole.summary)


def test_a_shard_that_did_not_end_is_named_and_merged_again_once_it_has(filled: Workspace) -> None:
    whole = filled.run()
    run_shard(filled, 1, 2)
    stopped = run_shard(filled, 2, 2, stop_after=20)
    lacking = stopped.progress.scheduled - stopped.progress.done
    assert lacking > 0
    (merged,) = merge(filled.root / "merged", *parts(filled, 2))
    assert merged.missing == (
        f"{lacking} trials are missing",
        f"shard 2/2 lacked {lacking} trials when it was merged",
    )
    run_shard(filled, 2, 2)
    (merged,) = merge(filled.root / "merged", filled.root / "part-2")
    assert merged.missing == ()
    assert comparable(merged.summary) == comparable(whole.summary)


def test_merging_again_counts_nothing_twice(filled: Workspace) -> None:
    for number in (1, 2):
        run_shard(filled, number, 2)
    (once,) = merge(filled.root / "merged", *parts(filled, 2))
    (twice,) = merge(filled.root / "merged", *parts(filled, 2))
    assert comparable(twice.summary) == comparable(once.summary)
    (of_merged,) = merge(filled.root / "again", filled.root / "merged", *parts(filled, 2))
    assert comparable(of_merged.summary) == comparable(once.summary)


def test_parts_of_another_grid_are_refused_with_the_difference(filled: Workspace) -> None:
    run_shard(filled, 1, 2)
    fill(filled, seed=7)
    run_shard(filled, 2, 2)
    with pytest.raises(ConfigError, match=r"part-2/trip/trials.db: is of another grid .*the seed"):
        merge(filled.root / "merged", *parts(filled, 2))


@pytest.mark.parametrize(
    ("fields", "difference"),
    [
        ({"epochs": 3}, "the number of epochs differs"),
        ({"architectures": [single(["counted:a"])]}, "the systems differ"),
        ({"datasets": [{"name": "sums", "limit": 29}]}, "the items differ"),
    ],
)
def test_what_differs_is_said(filled: Workspace, fields: dict[str, Any], difference: str) -> None:
    run_shard(filled, 1, 2)
    fill(filled, **fields)
    run_shard(filled, 2, 2)
    with pytest.raises(ConfigError, match=f"{difference}; nothing of this part was merged"):
        merge(filled.root / "merged", *parts(filled, 2))


def test_many_missing_shards_are_counted(filled: Workspace) -> None:
    run_shard(filled, 2, 40)
    (merged,) = merge(filled.root / "merged", filled.root / "part-2")
    assert merged.missing[1] == "no part has 39 shards, such as 1/40, 3/40, 4/40"


def test_another_result_of_a_trial_is_refused_and_named(filled: Workspace) -> None:
    run_shard(filled, 1, 1)
    shutil.copytree(filled.root / "part-1", filled.root / "part-2")
    with closing(sqlite3.connect(filled.root / "part-2/trip/trials.db")) as base:
        base.execute("UPDATE trials SET answer = 'other' WHERE (cell, item, epoch) = (1, 1, 0)")
        base.commit()
    with pytest.raises(ConfigError, match=r"1 trial has another result here .*item sums-"):
        merge(filled.root / "merged", *parts(filled, 2))
    assert "other" not in [row[8] for row in rows(filled.root / "merged/trip/trials.db")]


def test_a_failed_trial_gives_way_to_one_that_did_not_fail(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.sums(["sometimes"] * 4)
    workspace.grid()
    trouble = workspace.root / "trouble"
    trouble.touch()
    failed = run_shard(workspace, 1, 1)
    trouble.unlink()
    good = run(workspace.experiment().sharded(Shard(1, 1)), workspace.root / "part-2")
    assert (failed.summary.failed, good.summary.failed) == (4, 0)
    for order in ((1, 2), (2, 1)):
        folders = [workspace.root / f"part-{number}" for number in order]
        (merged,) = merge(workspace.root / f"merged-{order[0]}", *folders)
        assert merged.summary.failed == 0
        assert merged.summary.cells[0].accuracy == good.cell.accuracy


def test_what_each_part_paid_is_added_up(filled: Workspace) -> None:
    spent = [run_shard(filled, number, 3).summary.spend_usd or 0.0 for number in (1, 2, 3)]
    (merged,) = merge(filled.root / "merged", *parts(filled, 3))
    assert merged.summary.spend_usd == pytest.approx(sum(spent), rel=1e-12)
    with closing(StoredTrials(filled.root / "merged/trip/trials.db")) as stored:
        assert stored.all_totals().calls_made == sum(counted.requests().values())


def test_a_part_that_is_written_to_is_not_merged(filled: Workspace) -> None:
    run_shard(filled, 1, 1)
    with (
        locked(filled.root / "part-1/trip"),
        pytest.raises(ResultsLockedError, match="part-1/trip: process"),
    ):
        merge(filled.root / "merged", filled.root / "part-1")


def test_what_is_no_part_is_refused_all_at_once(filled: Workspace) -> None:
    run_shard(filled, 1, 1)
    (filled.root / "empty").mkdir()
    with pytest.raises(ConfigError) as caught:
        merge(
            filled.root / "part-1",
            filled.root / "part-1",
            filled.root / "empty",
            filled.root / "nowhere",
            filled.root / "part-1/trip",
        )
    assert [problem.message.rsplit(": ", 1)[-1] for problem in caught.value.problems] == [
        "is the folder that parts are merged into",
        "it has no trials.db",
        "there is no such folder",
        f"is the folder of one experiment; name the results folder around it, {filled.root}/part-1",
    ]
