from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ember_bench.tracking import Logged, Tracker, TrackingError, is_logged
from tests.tracking.summaries import cell, summary, trials

pytestmark = pytest.mark.slow


def log(tracker: Tracker, results: Path, found: Any = None, **changes: Any) -> Logged:
    given = {"markdown": "", "grid": results / "demo.yaml", "trials": lambda _: trials(50)}
    return tracker.log(found or summary(), **(given | changes))


def gone(tracker: Tracker) -> bool:
    return tracker._process.poll() is not None


def test_importing_it_does_not_import_mlflow():
    code = (
        "import sys; from ember_bench.tracking import *; import ember_bench.tracking.tracker; "
        "assert not {'mlflow', 'pyarrow', 'sqlalchemy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_from_an_empty_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    results = tmp_path / "a b#c%20d"
    results.mkdir()
    (results / "demo.yaml").write_text("name: demo\n")
    with Tracker("demo", results=results) as tracker:
        first = log(tracker, results)
        assert log(tracker, results, summary(cell(0), cell(1))).run_id == first.run_id
    assert gone(tracker)
    assert capfd.readouterr() == ("", "")
    assert {file.name for file in results.iterdir()} == {"demo.yaml", "mlartifacts", "mlflow.db"}
    assert is_logged(summary(), first, results=results)
    assert not is_logged(summary(seed=8), first, results=results)
    assert not is_logged(summary(), None, results=results)
    assert not is_logged(summary(), first, results=tmp_path)
    assert not is_logged(summary(), first, results=results, tracking_uri="http://host")


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(statement)


@pytest.mark.slow
def test_what_was_deleted_in_mlflow_is_not_logged_any_more(tmp_path: Path):
    (tmp_path / "demo.yaml").write_text("name: demo\n")
    database = tmp_path / "mlflow.db"
    with Tracker("demo", results=tmp_path) as tracker:
        first = log(tracker, tmp_path)
        assert tracker.has(first)
        change(
            database,
            f"UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = '{first.run_id}'",
        )
        assert not is_logged(summary(), first, results=tmp_path)
        assert not tracker.has(first)
        again = log(tracker, tmp_path)
        assert again.run_id != first.run_id
        assert tracker.has(again)
        assert is_logged(summary(), again, results=tmp_path)
        missing = msgspec.structs.replace(again, run_id="0" * 32)
        assert not tracker.has(missing)
        assert not is_logged(summary(), missing, results=tmp_path)
    change(database, "UPDATE experiments SET lifecycle_stage = 'deleted' WHERE name = 'demo'")
    assert not is_logged(summary(), again, results=tmp_path)
    deleted = pytest.raises(TrackingError, match="'demo' was deleted in MLflow: bring it back with")
    with Tracker("demo", results=tmp_path) as tracker, deleted:
        tracker.has(again)
    database.write_bytes(b"garbage")
    assert not is_logged(summary(), again, results=tmp_path)


@pytest.mark.slow
def test_closing_while_the_database_is_made_leaves_nothing(tmp_path: Path):
    with Tracker("demo", results=tmp_path):
        for _ in range(600):
            if any(tmp_path.glob(".mlflow.db.*")):
                break
            time.sleep(0.05)
    assert not [file for file in tmp_path.iterdir() if "mlflow" in file.name]


def test_a_worker_that_a_signal_did_not_wake_gets_another_and_tidies_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As happens to a signal that comes between Python's look for signals and a read."""
    worker = (
        "import pathlib, signal, sys; from ember_bench.tracking import worker\n"
        "def miss(*_):\n"
        "    pathlib.Path('missed').touch()\n"
        "    signal.signal(signal.SIGTERM, worker._stop)\n"
        "signal.signal(signal.SIGTERM, miss)\n"
        "pathlib.Path('ready').touch()\n"
        "try:\n"
        "    sys.stdin.read()\n"
        "finally:\n"
        "    signal.raise_signal(signal.SIGTERM)\n"  # as a third would come
        "    pathlib.Path('tidied up').touch()\n"
    )
    start = f"import json, sys; sys.path[:] = json.loads(sys.argv[1])\n{worker}"
    monkeypatch.setattr("ember_bench.tracking.tracker._START", start)
    monkeypatch.chdir(tmp_path)
    with Tracker("demo", results=tmp_path) as tracker:
        while not (tmp_path / "ready").exists():
            assert not gone(tracker)
            time.sleep(0.01)
    assert tracker._process.returncode == 143
    assert {file.name for file in tmp_path.iterdir()} == {"ready", "missed", "tidied up"}


@pytest.mark.slow
def test_a_worker_that_dies_is_reported(results: Path):
    tracker = Tracker("demo", results=results)
    tracker._process.send_signal(signal.SIGKILL)
    with pytest.raises(TrackingError, match=r"not in MLflow .*ended with status -9"):
        log(tracker, results)
    with pytest.raises(TrackingError, match="closed"):
        log(tracker, results)


@pytest.mark.slow
def test_an_error_of_the_trials_is_raised_as_it_is(results: Path):
    def broken(_: str) -> Iterator[dict[str, list[Any]]]:
        yield from trials(10)
        raise LookupError("no such cell")

    tracker = Tracker("demo", results=results)
    with pytest.raises(LookupError, match="no such cell"):
        log(tracker, results, trials=broken)
    assert gone(tracker)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("http://127.0.0.1:9", "127.0.0.1"),
        ("postgresql://me:s3cret@127.0.0.1:9/db", r"\*\*\*@127"),
    ],
)
def test_a_store_that_cannot_be_used(uri: str, said: str, results: Path):
    tracker = Tracker("demo", results=results, tracking_uri=uri)
    with pytest.raises(TrackingError, match=said) as caught:
        log(tracker, results)
    assert "s3cret" not in str(caught.value)
    assert gone(tracker)


@pytest.mark.slow
def test_neither_a_module_of_the_user_nor_half_a_character_is_in_the_way(
    results: Path, monkeypatch: pytest.MonkeyPatch
):
    (results / "mlflow.py").write_text("raise SystemExit('the wrong mlflow')")
    monkeypatch.chdir(results)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    half_a_character = [{"item": ["a", "b"], "answer": ["\ud83d", "fine"]}]
    with Tracker("demo", results=results) as tracker:
        assert log(tracker, results, trials=lambda _: half_a_character).cells
