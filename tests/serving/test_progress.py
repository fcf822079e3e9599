"""How far experiments are, read while another process writes them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ember_bench.experiment.lock import locked
from ember_bench.experiment.results.schema import BUDGET_USD
from ember_bench.experiment.runner import trial_store
from ember_bench.experiment.shards import Shard
from ember_bench.serving.progress import ExperimentProgress, Watch
from tests.experiment.conftest import workspace
from tests.support.workspace import Workspace, run, vote

__all__ = ["workspace"]


def seen(watch: Watch) -> ExperimentProgress:
    (found,) = watch.experiments()
    return found


def test_a_finished_experiment_has_the_accuracy_of_its_summary(workspace: Workspace) -> None:
    workspace.grid(architectures=[vote([1, 3])], epochs=2)
    ran = workspace.run()
    found = seen(Watch(workspace.root / "results"))
    assert (found.name, found.state) == ("trip", "finished")
    assert (found.done, found.scheduled, found.failed) == (40, 40, 0)
    assert [cell.accuracy for cell in found.cells] == [c.accuracy for c in ran.summary.cells]
    assert found.totals.known_usd == ran.summary.spend_usd
    assert found.calls_per_second is None


def test_an_experiment_that_stopped_is_not_running(workspace: Workspace) -> None:
    workspace.grid(in_flight=1)
    workspace.run(stop_after=4)
    found = seen(Watch(workspace.root / "results"))
    assert found.state == "stopped"
    assert 4 <= found.done < 10


def test_it_runs_as_long_as_a_living_process_holds_it(workspace: Workspace) -> None:
    workspace.grid(in_flight=1)
    workspace.run(stop_after=4)
    watch = Watch(workspace.root / "results")
    with locked(workspace.root / "results/trip"):
        assert seen(watch).state == "running"
    assert seen(watch).state == "stopped"


def test_the_lock_of_a_killed_process_counts_for_nothing(workspace: Workspace) -> None:
    workspace.grid(in_flight=1)
    workspace.run(stop_after=4)
    (pid := os.fork()) or os._exit(0)
    os.waitpid(pid, 0)
    (workspace.root / "results/trip/.lock").write_text(str(pid))
    assert seen(Watch(workspace.root / "results")).state == "stopped"


def test_rate_and_time_left_come_from_what_was_done_in_the_last_minute(
    workspace: Workspace,
) -> None:
    workspace.grid(in_flight=1)
    workspace.run(stop_after=2)
    now = 100.0
    watch = Watch(workspace.root / "results", clock=lambda: now)
    with locked(workspace.root / "results/trip"):
        before = seen(watch)
        assert (before.calls_per_second, before.seconds_left) == (None, None)
    workspace.run(stop_after=4)
    now = 110.0
    with locked(workspace.root / "results/trip"):
        # The lock was let go in between, and with it what was known of the rate.
        middle = seen(watch)
        done = middle.done - before.done
        assert done > 0
        assert middle.calls_per_second == pytest.approx(done / 10)
        left = middle.seconds_left
        assert left is not None
        assert left.value == pytest.approx((10 - middle.done) / (done / 10))
        assert left.low is not None
        assert left.high is not None
        assert left.low < left.value < left.high


def test_failures_come_with_their_reasons(workspace: Workspace) -> None:
    workspace.sums(["refuse", "refuse", "", ""])
    workspace.grid()
    workspace.run()
    found = seen(Watch(workspace.root / "results"))
    assert found.failed == 2
    (reason,) = found.reasons
    assert reason.trials == 2
    assert "it will not answer" in reason.message


def test_the_budget_is_that_of_the_last_run(workspace: Workspace) -> None:
    workspace.run()
    path = workspace.root / "results/trip/trials.db"
    with closing(sqlite3.connect(path)) as base:
        base.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (BUDGET_USD, "2.5"))
        base.commit()
    found = seen(Watch(workspace.root / "results"))
    assert found.budget_usd == 2.5
    assert found.run_usd == pytest.approx(0.3)


def test_results_are_read_again_only_if_their_files_changed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ember_bench.serving import progress

    reads: list[Path] = []
    read = progress._read

    def counting(path: Path, changed: float) -> Any:
        reads.append(path)
        return read(path, changed)

    monkeypatch.setattr(progress, "_read", counting)
    workspace.run(stop_after=2)
    watch = Watch(workspace.root / "results")
    for _ in range(3):
        seen(watch)
    assert len(reads) == 1
    workspace.grid(epochs=2)
    workspace.run()
    assert seen(watch).done == 20
    assert len(reads) == 2


def test_a_run_that_goes_on_is_seen_without_being_held_up(workspace: Workspace) -> None:
    experiment = workspace.experiment()
    folder = workspace.root / "results/trip"
    with locked(folder):
        store = trial_store(folder, experiment)
        found = seen(Watch(workspace.root / "results"))
        assert (found.state, found.done, found.scheduled) == ("running", 0, 10)
        store.note("written", "while it was read")
        store.close()


def test_a_shard_is_called_one(workspace: Workspace) -> None:
    run(workspace.experiment().sharded(Shard(1, 3)), workspace.root / "part")
    found = seen(Watch(workspace.root / "part"))
    assert (found.shard, found.state) == ("1/3", "finished")


def test_what_cannot_be_read_is_said_beside_the_rest(workspace: Workspace) -> None:
    workspace.run()
    (broken := workspace.root / "results/broken").mkdir()
    (broken / "trials.db").write_bytes(b"no database" * 100)
    found = {e.name: e for e in Watch(workspace.root / "results").experiments()}
    assert "trials.db" in found["broken"].problem
    assert found["trip"].problem == ""


def test_a_folder_without_results_has_no_experiments(tmp_path: Path) -> None:
    assert Watch(tmp_path / "nowhere").experiments() == []
