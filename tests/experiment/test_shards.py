"""Shards of an experiment: a partition of its items that changes no identity."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.datasets import Item
from ember_bench.errors import ConfigError
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.runner import check_folder
from ember_bench.experiment.shards import Shard
from ember_bench.models.budget import Budget
from tests.support.workspace import Workspace, run, single, vote


def shards(count: int) -> list[Shard]:
    return [Shard(number, count) for number in range(1, count + 1)]


def filled(workspace: Workspace, **fields: Any) -> Experiment:
    workspace.sums(40)
    workspace.grid(architectures=[single(), vote([1, 3])], epochs=2, **fields)
    return workspace.experiment()


@given(st.text(), st.integers(1, 20))
def test_an_item_is_in_exactly_one_shard(question: str, count: int) -> None:
    assert sum(shard.has(Item("a", question, "1")) for shard in shards(count)) == 1


@given(st.text(), st.integers(1, 20))
def test_items_with_the_same_question_are_in_the_same_shard(question: str, count: int) -> None:
    one, other = Item("a", question, "1"), Item("b", question, "2", category="c")
    assert [s.has(one) for s in shards(count)] == [s.has(other) for s in shards(count)]


def test_the_shard_of_an_item_is_the_same_for_ever() -> None:
    places = [
        next(s.number for s in shards(8) if s.has(Item("x", f"What is {i} + 1?", "")))
        for i in range(12)
    ]
    assert places == PINNED


def test_shards_are_of_similar_size() -> None:
    items = [Item(str(i), f"What is {i} + {i}?", "") for i in range(8_000)]
    sizes = [sum(map(shard.has, items)) for shard in shards(8)]
    assert sum(sizes) == 8_000
    assert min(sizes) > 850  # 1,000 with a standard deviation of 30
    assert max(sizes) < 1_150


def test_the_trials_of_all_shards_are_those_of_the_whole(workspace: Workspace) -> None:
    whole = filled(workspace)
    parts = [whole.sharded(shard) for shard in shards(3)]
    trials = [list(part.trials()) for part in parts]
    assert sorted(map(repr, whole.trials())) == sorted(
        repr(trial) for found in trials for trial in found
    )
    assert [len(part) for part in parts] == [len(found) for found in trials]
    assert all(part.digest == whole.digest for part in parts)


def test_all_cells_and_epochs_of_an_item_are_in_one_shard(workspace: Workspace) -> None:
    part = filled(workspace).sharded(Shard(2, 3))
    items = {trial.item for trial in part.trials()}
    assert len(list(part.trials())) == len(items) * 3 * 2


def test_items_that_a_cell_is_not_asked_are_in_no_shard(workspace: Workspace) -> None:
    whole = filled(workspace)
    cell = whole.cells[0]
    without = replace(whole, left_out={cell.name: frozenset(range(10))})
    parts = [without.sharded(shard) for shard in shards(4)]
    assert sum(part.scheduled(cell) for part in parts) == without.scheduled(cell) == 60


def test_the_budget_is_divided_by_trials(workspace: Workspace) -> None:
    whole = replace(filled(workspace), budget=Budget(8.0, {"counted:a": 4.0}, {"x": 2.0}))
    parts = [whole.sharded(shard) for shard in shards(5)]
    shares = [len(part) / len(whole) for part in parts]
    assert [part.budget.run_usd for part in parts if part.budget] == [8 * s for s in shares]
    assert sum(part.budget.run_usd or 0 for part in parts if part.budget) == pytest.approx(8.0)
    assert [part.budget.models_usd for part in parts if part.budget] == [
        {"counted:a": 4 * s} for s in shares
    ]


def test_a_shard_runs_its_trials_alone_and_says_what_it_is(workspace: Workspace) -> None:
    part = filled(workspace).sharded(Shard(1, 4))
    ran = run(part, workspace.root / "results")
    assert ran.summary.shard == "1/4"
    assert ran.summary.run.status == "complete"
    assert ran.progress.done == len(part) > 0
    assert sum(cell.scheduled for cell in ran.summary.cells) == len(part)
    assert all(cell.outcomes["skipped"] == 0 for cell in ran.summary.cells)


def test_a_shard_without_items_is_complete(workspace: Workspace) -> None:
    workspace.sums(1)
    workspace.grid()
    whole = workspace.experiment()
    empty = next(part for s in shards(5) if not len(part := whole.sharded(s)))
    ran = run(empty, workspace.root / "results")
    assert ran.summary.run.status == "complete"
    assert ran.cell.accuracy is None


def test_a_folder_holds_one_shard(workspace: Workspace) -> None:
    part = filled(workspace).sharded(Shard(1, 4))
    run(part, workspace.root / "results")
    path = workspace.root / "results/trip/trials.db"
    check_folder(path, Shard(1, 4))
    check_folder(path, None)
    with pytest.raises(ConfigError, match=r"--shard 2/4: .*trip has shard 1/4; give each shard"):
        check_folder(path, Shard(2, 4))


def test_results_of_the_whole_take_no_shard(workspace: Workspace) -> None:
    run(filled(workspace), workspace.root / "results")
    path = workspace.root / "results/trip/trials.db"
    with closing(StoredTrials(path)) as stored:
        assert stored.description.shard == ""
    with pytest.raises(ConfigError, match="has results that are no shard's"):
        check_folder(path, Shard(1, 4))


@pytest.mark.parametrize("text", ["", "3", "0/8", "9/8", "3/0", "-1/8", "3/8/2", "a/b", "1/10001"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--shard: expected NUMBER/COUNT, 1/8 to 8/8 say, found"):
        Shard.parse(text)


def test_an_index_from_zero_gets_a_hint() -> None:
    with pytest.raises(ConfigError, match="shards are counted from 1: add 1"):
        Shard.parse("0/8")


@pytest.mark.parametrize("text", ["1/1", "3/8", "8/8"])
def test_a_shard_is_written_as_it_is_read(text: str) -> None:
    assert str(Shard.parse(text)) == text


PINNED = [5, 4, 1, 5, 8, 2, 6, 1, 7, 4, 8, 3]
