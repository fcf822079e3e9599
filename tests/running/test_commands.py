"""A run's command is known again to the user who gave it, and to nobody through the results."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ember_bench.running.commands import command_of, keep_command


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("EMBER_BENCH_STATE", str(folder))
    return folder


def test_the_last_command_of_an_experiment_is_kept(tmp_path: Path, state: Path) -> None:
    experiment = tmp_path / "results/trip"
    assert command_of(experiment) is None
    keep_command(experiment, ("run", "other.yaml"))
    keep_command(experiment, ("run", "grid.yaml", "--budget-usd", "2"))
    found = command_of(experiment)
    assert found is not None
    assert found.arguments == ("run", "grid.yaml", "--budget-usd", "2")
    assert found.folder == str(Path.cwd())
    assert command_of(tmp_path / "results/other") is None


def test_nothing_of_it_is_in_the_results(tmp_path: Path, state: Path) -> None:
    (experiment := tmp_path / "results/trip").mkdir(parents=True)
    keep_command(experiment, ("run", "grid.yaml"))
    assert list(experiment.iterdir()) == []
    copied = tmp_path / "copied"
    shutil.copytree(tmp_path / "results", copied)
    assert command_of(copied / "trip") is None


def test_it_is_readable_by_its_user_alone(tmp_path: Path, state: Path) -> None:
    keep_command(tmp_path / "trip", ("run", "grid.yaml"))
    assert state.stat().st_mode & 0o077 == 0


def test_a_command_with_a_password_is_not_kept_nor_one_before_it(
    tmp_path: Path, state: Path
) -> None:
    keep_command(tmp_path / "trip", ("run", "grid.yaml"))
    uri = "postgresql://me:hunter2secret@db/mlflow"
    keep_command(tmp_path / "trip", ("run", "grid.yaml", "--tracking-uri", uri))
    assert command_of(tmp_path / "trip") is None
    assert list(state.iterdir()) == []


def test_commands_of_folders_that_are_gone_are_forgotten(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    keep_command(tmp_path / "one", ("run", "grid.yaml"))
    monkeypatch.chdir(tmp_path)
    gone.rmdir()
    keep_command(tmp_path / "two", ("run", "grid.yaml"))
    assert len(list(state.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_a_damaged_file_is_no_command(tmp_path: Path, state: Path, content: bytes) -> None:
    keep_command(tmp_path / "trip", ("run", "grid.yaml"))
    (path,) = state.iterdir()
    path.write_bytes(content)
    assert command_of(tmp_path / "trip") is None


def test_the_command_runs_wherever_the_first_one_was_found(tmp_path: Path, state: Path) -> None:
    (tmp_path / "typer.py").write_text("raise SystemExit('the wrong module')", encoding="utf-8")
    keep_command(tmp_path / "trip", ("--version",))
    found = command_of(tmp_path / "trip")
    assert found is not None
    done = subprocess.run(found.line, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.line[0] == sys.executable
    assert done.stdout.startswith("ember-bench")
