from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ember_bench.tracking import TrackingError
from ember_bench.tracking.messages import Open
from ember_bench.tracking.mlflow_store import open_store


@pytest.mark.parametrize("uri", ["nonsense://x", "file:///tmp/mlruns", "mlruns"])
def test_a_uri_that_mlflow_cannot_use(uri: str, tmp_path: Path):
    with pytest.raises(TrackingError, match="not a tracking URI that MLflow can use"):
        open_store(Open(uri, "demo", str(tmp_path)))


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path):
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"this is not a database" * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        open_store(Open(f"sqlite:///{file}", "demo", str(tmp_path)))
    assert file.read_bytes() == b"this is not a database" * 100


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        open_store(Open(f"sqlite:///{tmp_path}/file/mlflow.db", "demo", str(tmp_path)))


def test_an_empty_file_becomes_a_database(tmp_path: Path):
    (tmp_path / "mlflow.db").touch()
    store = open_store(Open(f"sqlite:///{tmp_path}/mlflow.db", "demo", str(tmp_path / "artifacts")))
    assert store.client.get_experiment(store.experiment_id).name == "demo"
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == ["mlflow.db"]
