"""`ember-bench run` in this process, without MLflow."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing

import msgspec
import pytest

from ember_bench.experiment.lock import locked
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.running import session
from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace, single, vote

RUN = ("run", "grid.yaml", "--no-mlflow")


def test_a_run_prints_its_table_and_writes_its_files(command: Command, sums: Workspace) -> None:
    result = command(*RUN)
    assert result.status == 0
    assert "\nsingle " in result.out
    assert "10 trials, 10 in this run; 10 new calls, 0 reused" in result.out
    files = {p.relative_to(sums.root / "results") for p in sums.root.glob("results/**/*")}
    assert {str(file) for file in files} == {
        "responses.db", "trip", "trip/trials.db", "trip/summary.json", "trip/summary.md",
    }  # fmt: skip
    assert "results/trip/summary.md" in result.err
    content = (sums.root / "results/trip/summary.json").read_bytes()
    assert msgspec.json.decode(content, type=ExperimentSummary).name == "trip"


def test_nothing_is_styled_and_no_line_is_cut_in_a_pipe(command: Command, sums: Workspace) -> None:
    sums.grid(architectures=[single(label="a very long label indeed, " * 20)])
    result = command(*RUN)
    assert "\x1b" not in result.out + result.err
    assert ("a very long label indeed, " * 20).strip() in result.out


def test_json_is_all_there_is_on_stdout(command: Command, sums: Workspace) -> None:
    result = command(*RUN, "--json")
    assert result.json["name"] == "trip"
    assert result.json["run"]["trials_run"] == 10


def test_quiet_leaves_stderr_empty(command: Command, sums: Workspace) -> None:
    assert command(*RUN, "--quiet").err == ""


def test_why_trials_failed_is_said_while_they_run_and_at_the_top(
    command: Command, sums: Workspace
) -> None:
    sums.sums(["refuse", "right", "refuse"])
    result = command(*RUN)
    assert result.status == 1
    why = "ProviderError: it will not answer (in node 'answer')"
    assert result.err.count(f"a trial failed: {why}; the run goes on") == 1
    assert f"2 trials failed and count as wrong: 2 x {why}" in result.out.splitlines()[0]
    written = (sums.root / "results/trip/summary.md").read_text().splitlines()
    assert written[2].startswith("**2 trials failed and count as wrong: 2 x ProviderError")
    found = msgspec.json.decode(
        (sums.root / "results/trip/summary.json").read_bytes(), type=ExperimentSummary
    )
    assert [(reason.message, reason.trials) for reason in found.failure_reasons] == [(why, 2)]


def test_a_repeated_run_asks_nobody_and_says_what_it_kept(
    command: Command, sums: Workspace
) -> None:
    first = command(*RUN)
    again = command(*RUN)
    assert again.status == 0
    assert sum(counted.requests().values()) == 10
    assert "kept 10 of 10 trials from earlier runs" in again.err
    assert first.out.split("\n\ntrip")[0] == again.out.split("\n\ntrip")[0]


def test_what_changed_is_said_before_it_is_run_anew(command: Command, sums: Workspace) -> None:
    command(*RUN)
    sums.edit("registry/datasets/sums.jsonl", "3 + 21", "3 + 22")
    sums.edit("registry/datasets/sums.jsonl", '"24"', '"25"')
    result = command(*RUN)
    assert (
        "changed since the last run: sums: item sums-3 changed; 1 trial to run anew" in result.err
    )
    assert "kept 9 of 10 trials" in result.err


def test_failed_trials_are_exit_status_1(command: Command, sums: Workspace) -> None:
    sums.sums(["refuse", "", ""])
    result = command(*RUN)
    assert result.status == 1
    assert re.search(r"1 error: \d+\.\d to \d+\.\d", result.out)
    assert "outcomes:" in result.out
    assert "1 trial ended in an error" in result.err


def test_failures_that_the_grid_knows_of_are_no_failure_of_the_run(
    command: Command, sums: Workspace
) -> None:
    sums.sums(3)
    sums.tape({"sums-0": ["Answer: 0"], "sums-2": ["Answer: 16"]})
    sums.grid(architectures=[single("recorded:tape/m")], failures="excluded")
    for _ in range(2):
        result = command(*RUN)
        assert result.status == 0
        assert result.err.count("has no answer to 1 of the 3 items of sums") == 1
        assert "ended in an error" not in result.err


def test_offline_asks_nobody(command: Command, sums: Workspace) -> None:
    result = command(*RUN, "--offline")
    assert result.status == 1
    assert not counted.requests()
    # The same command would fail in the same way.
    assert "--offline" not in result.err.partition("to try them again:")[2].splitlines()[0]
    command(*RUN)
    assert command(*RUN, "--offline").status == 0


def test_a_label_cannot_draw_on_the_terminal(command: Command, sums: Workspace) -> None:
    sums.grid(architectures=[single(label="[red]\x1b[2Jevil\u202e|<script>")])
    result = command(*RUN)
    assert "[red]\\x1b[2Jevil\\u202e|<script>" in result.out
    written = (sums.root / "results/trip/summary.md").read_text()
    assert "\x1b" not in written
    assert "<script>" not in written.replace("\\<script\\>", "")
    assert "evil\\\\u202e\\|" in written


def test_a_locked_folder_is_refused_with_the_process_that_holds_it(
    command: Command, sums: Workspace
) -> None:
    with locked(sums.root / "results/trip"):
        result = command(*RUN)
    assert result.status == 2
    assert f"process {os.getpid()} is writing" in result.err
    assert not counted.requests()


def test_a_response_store_of_garbage_is_put_aside_and_said(
    command: Command, sums: Workspace
) -> None:
    garbage = "garbage, and long enough to look like something" * 10
    sums.write("results/responses.db", garbage)
    result = command(*RUN)
    assert result.status == 0
    assert "responses.db was damaged; it is responses.db.damaged-1 now" in result.err
    assert (sums.root / "results/responses.db.damaged-1").read_text() == garbage


def test_another_programs_database_is_refused(command: Command, sums: Workspace) -> None:
    sums.write("results/responses.db", "")
    with closing(sqlite3.connect(sums.root / "results/responses.db")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    result = command(*RUN)
    assert result.status == 2
    assert "results/responses.db: a SQLite file, but not one of this kind" in result.err
    assert not counted.requests()


def test_a_failing_store_ends_the_run_with_the_command_to_continue(
    command: Command, sums: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ember_bench.errors import StoreError

    async def put(*_: object, **__: object) -> None:
        raise StoreError("responses.db: disk full")

    monkeypatch.setattr(ResponseStore, "put", put)
    result = command(*RUN)
    assert result.status == 3
    assert "disk full" in result.err
    assert "ember-bench run grid.yaml --no-mlflow" in result.err


def test_trials_in_flight_can_be_limited(
    command: Command, sums: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(session, "run_experiment", lambda e, *_: seen.append(e) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        command(*RUN, "--in-flight", "3")
    assert seen[0].spec.in_flight == 3


def test_a_missing_data_dir_is_bad_input(command: Command, sums: Workspace) -> None:
    result = command(*RUN, "--data-dir", "nowhere")
    assert result.status == 2
    assert "--data-dir: there is no folder nowhere" in result.err
    assert not (sums.root / "results").exists()


def test_shared_calls_are_counted_once(command: Command, sums: Workspace) -> None:
    sums.grid(architectures=[vote([1, 3])])
    result = command(*RUN, "--json")
    assert [cell["calls_made"] for cell in result.json["cells"]] == [10, 20]
    assert [cell["calls_shared"] for cell in result.json["cells"]] == [0, 10]


def test_too_few_recorded_samples_end_a_run_and_a_plan_before_they_begin(
    command: Command, sums: Workspace
) -> None:
    sums.tape({f"sums-{i}": ["Answer: 0"] * 2 for i in range(10)})
    sums.grid(architectures=[single("recorded:tape/m")], epochs=3)
    for action in ("plan", "run"):
        result = command(action, "grid.yaml")
        assert (result.status, result.out) == (2, "")
        assert "grid.yaml:4:1: recorded:tape/m has 2 recorded samples of item " in result.err
        assert "asks for 3 of each: 1 draw x 3 epochs" in result.err
    assert not (sums.root / "results").exists()


def test_items_that_were_not_recorded_are_told_once_where_failures_are_excluded(
    command: Command, sums: Workspace
) -> None:
    sums.tape({f"sums-{i}": [f"Answer: {8 * i}"] for i in range(8)})
    sums.grid(architectures=[single("recorded:tape/m")], failures="excluded")
    result = command(*RUN, "--json")
    assert result.err.count("warning: recorded:tape/m has no answer to 2 of the 10 items") == 1
    assert result.json["cells"][0]["accuracy"]["value"] == 1.0
