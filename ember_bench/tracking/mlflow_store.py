"""Opens MLflow's store, or creates it. Imports mlflow."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import mlflow.store.db.utils
from mlflow.entities import LifecycleStage
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking.client import MlflowClient
from sqlalchemy import Engine, event

from ember_bench.tracking.messages import Open, TrackingError
from ember_bench.tracking.uris import default_uri, is_server, sqlite_path, unusable

# A server takes .1 s for a request; a database file takes one writer at a time.
_WRITERS_TO_SERVER: Final = 6


@dataclass(frozen=True, slots=True)
class Store:
    """An open store and the experiment in it."""

    client: MlflowClient
    tracking_uri: str
    experiment_id: str

    @property
    def writers(self) -> int:
        """The best number of runs to write at the same time."""
        return _WRITERS_TO_SERVER if is_server(self.tracking_uri) else 1

    def close(self) -> None:
        """Let a database file be one file again."""
        if sqlite_path(self.tracking_uri) is not None:
            for engine in SqlAlchemyStore._engine_map.values():
                engine.dispose()


def open_store(request: Open) -> Store:
    """Open the store; create database, tables and experiment if they are missing.

    Raises:
        TrackingError: The experiment was deleted in MLflow.
        MlflowException: The store cannot be used.
    """
    uri = request.tracking_uri
    # Ten attempts on a database that is not there would take two minutes.
    mlflow.store.db.utils.MAX_RETRY_COUNT = 4
    path = sqlite_path(uri)
    if path is not None:
        if not event.contains(Engine, "connect", _commit_quickly):
            event.listen(Engine, "connect", _commit_quickly)
        _make_database(path.absolute(), Path(request.artifacts))
    elif (problem := unusable(uri)) is not None:
        raise TrackingError(problem)
    client = MlflowClient(tracking_uri=uri)
    return Store(client, uri, _experiment(client, request))


def _make_database(path: Path, artifacts: Path) -> None:
    """Make a SQLite database with MLflow's tables.

    The migrations take seconds, and MLflow cannot use a database in which they broke off; so it
    gets its name only when it is whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > 0:
        # MLflow would try a file that is no database for half a minute.
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
        return
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    try:
        uri = default_uri(new.parent).removesuffix("mlflow.db") + new.name
        store = SqlAlchemyStore(uri, artifacts.absolute().as_uri())  # type: ignore[no-untyped-call]
        store.engine.dispose()
        with closing(sqlite3.connect(new)) as connection:
            # Pages that are open read on while a run writes.
            connection.execute("PRAGMA journal_mode = WAL")
        if path.exists() and path.stat().st_size == 0:
            path.unlink()
        try:
            os.link(new, path)
        except FileExistsError:
            pass  # another process has made it meanwhile
        except OSError:
            new.rename(path)  # a file system without hard links
    finally:
        new.unlink(missing_ok=True)


def _commit_quickly(connection: object, _record: object) -> None:
    """Do not wait for the disk at every commit, of which MLflow makes eight a run.

    With a write-ahead log no power cut can damage the file, only take the last of it away; what
    results there are is in the trial store.
    """
    if isinstance(connection, sqlite3.Connection):
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        if mode == "wal":
            connection.execute("PRAGMA synchronous = NORMAL")


def _experiment(client: MlflowClient, request: Open) -> str:
    found = client.get_experiment_by_name(request.experiment)
    if found is None:
        local = not is_server(request.tracking_uri)
        location = Path(request.artifacts).absolute().as_uri() if local else None
        # The kind of page on which cells are listed below their experiment.
        kind = {"mlflow.experimentKind": "genai_development"}
        return str(client.create_experiment(request.experiment, location, kind))
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise TrackingError(
            f"the experiment {request.experiment!r} was deleted in MLflow: bring it back with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or remove it "
            "for good with `mlflow gc`"
        )
    return str(found.experiment_id)
