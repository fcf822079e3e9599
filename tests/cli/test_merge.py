"""`ember-bench run --shard` and `ember-bench merge`."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Command
from tests.support.workspace import Workspace

RUN = ("run", "grid.yaml")


def run_shards(command: Command, count: int, *numbers: int) -> None:
    for number in numbers or range(1, count + 1):
        shard = ("--shard", f"{number}/{count}", "--results", f"part-{number}")
        assert command(*RUN, *shard).status == 0


def test_a_shard_says_its_share_and_that_its_table_is_no_result(
    command: Command, sums: Workspace
) -> None:
    sums.edit("registry/models/counted-a.yaml", "name:", "context_tokens: 200\nname:")
    sums.grid(budget_usd=10)
    result = command(*RUN, "--shard", "1/2", "--results", "part-1")
    done = json.loads((sums.root / "part-1/trip/summary.json").read_text())["run"]["trials_run"]
    assert 0 < done < 10
    assert f"shard 1/2: {done} trials, and ${done}.00 of the budget" in result.err
    assert result.out.startswith("Shard 1/2: a part of the items, and not the experiment's result.")
    assert "**Shard 1/2" in (sums.root / "part-1/trip/summary.md").read_text()
    assert not (sums.root / "part-1/mlflow.db").exists()


def test_merged_shards_print_the_table_of_the_whole(command: Command, sums: Workspace) -> None:
    whole = command(*RUN, "--no-mlflow")
    run_shards(command, 3)
    merged = command("merge", "merged", "part-1", "part-2", "part-3")
    assert merged.status == 0
    assert merged.out.split("\n\ntrip")[0] == whole.out.split("\n\ntrip")[0]
    assert merged.err == "results: merged/trip/summary.md\n"
    shown = command("show", "trip", "--results", "merged")
    assert shown.out.split("\n\ntrip")[0] == whole.out.split("\n\ntrip")[0]


def test_an_incomplete_merge_says_what_is_missing_and_how_to_complete_it(
    command: Command, sums: Workspace
) -> None:
    run_shards(command, 3, 1, 3)
    merged = command("merge", "merged", "part-1", "part-3")
    assert merged.status == 3
    assert "are missing; no part has shard 2/3" in merged.err
    assert "to complete: ember-bench run grid.yaml --results merged" in merged.err
    assert command(*RUN, "--no-mlflow", "--results", "merged").status == 0
    assert command("merge", "merged", "part-1").status == 0


def test_json_has_a_summary_for_each_experiment(command: Command, sums: Workspace) -> None:
    run_shards(command, 1)
    (summary,) = command("merge", "merged", "part-1", "--json").json
    assert (summary["name"], summary["run"]["status"]) == ("trip", "complete")
    assert "shard" not in summary


def test_failed_trials_are_told_by_the_status(command: Command, sums: Workspace) -> None:
    sums.sums(["refuse", "right"])
    command(*RUN, "--shard", "1/1", "--results", "part-1")
    assert command("merge", "merged", "part-1").status == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--shard", "0/2"), "error: --shard: expected NUMBER/COUNT"),
        (("--shard", "1/2", "--traces", "3"), "error: --shard: shards are not logged to MLflow"),
        (("--shard", "1/2", "--tracking-uri", "sqlite:///x.db"), "error: --shard: shards are not"),
    ],
)
def test_a_shard_that_cannot_be_run_is_refused_before_anything_is_read(
    command: Command, sums: Workspace, arguments: tuple[str, ...], error: str
) -> None:
    result = command(*RUN, *arguments)
    assert result.status == 2
    assert result.err.startswith(error)
    assert not (sums.root / "results").exists()


def test_another_shard_in_the_same_folder_is_refused(command: Command, sums: Workspace) -> None:
    run_shards(command, 2, 1)
    result = command(*RUN, "--shard", "2/2", "--results", "part-1")
    assert result.status == 2
    assert "part-1/trip has shard 1/2; give each shard a folder of its own" in result.err


def test_a_folder_that_is_no_part_is_an_error(command: Command, sums: Workspace) -> None:
    result = command("merge", "merged", "nowhere")
    assert (result.status, result.err) == (2, "error: nowhere: there is no such folder\n")
    assert not (sums.root / "merged").exists()
