"""SQLite files of this package: creation, recognition, opening."""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from ember_bench.errors import DamagedStoreError, StoreError

BUSY_SECONDS: Final = 60.0
_AGAIN_SECONDS: Final = 0.01


def open_database(
    path: Path, *, application_id: int, version: int, schema: str, later: str = ""
) -> sqlite3.Connection:
    """Open a SQLite file of ours in WAL mode, or make it; refuse any other file.

    Args:
        path: The file.
        application_id: Says whose file it is.
        version: Of the schema.
        schema: What makes its tables.
        later: What makes the tables that a file of this version may lack, where it does.

    Raises:
        DamagedStoreError: if it is not a database, or one without all of its tables and columns.
        StoreError: if it is another kind of database, or of another version.
    """
    with opening(path), ExitStack() as stack:
        path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite would open it, and say so only when an answer that was paid for is to be kept.
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError("it is read-only")
        connection = connect(path)
        stack.callback(connection.close)
        # Looked at before anything is changed: the file may be another program's.
        if _has_tables(connection):
            _check(connection, path, application_id, version, schema)
        _write_ahead(connection)
        connection.execute("BEGIN IMMEDIATE")  # two processes may both have found it empty
        if not _has_tables(connection):
            for statement in schema.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {application_id}")
            connection.execute(f"PRAGMA user_version = {version}")
        else:
            _check(connection, path, application_id, version, schema)
        for statement in later.split(";"):
            connection.execute(statement)
        connection.execute("COMMIT")
        stack.pop_all()
    return connection


def open_for_reading(
    path: Path, *, application_id: int, version: int, schema: str
) -> sqlite3.Connection:
    """Open a SQLite file of ours only to read it: nothing is made or changed.

    Raises:
        StoreError: as `open_database` does.
    """
    uri = reading_uri(path)
    with opening(path), ExitStack() as stack:
        reader = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        stack.callback(reader.close)
        _check(reader, path, application_id, version, schema)
        stack.pop_all()
    return reader


def reading_uri(path: Path) -> str:
    """Return the URI by which SQLite only reads a file."""
    # Reading a file in WAL mode makes two more beside it, unless it is known to lie still.
    still = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    return f"{path.absolute().as_uri()}?mode=ro{still}"


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite reports a damaged file, one that is not a database, or a text that is none."""
    # Its subclasses are about locks, full disks and mistakes of ours.
    return type(error) is sqlite3.DatabaseError or is_undecodable(error)


def is_undecodable(error: BaseException | None) -> bool:
    """Whether a row was read, and a text in it is not UTF-8."""
    # Raised by Python, so that it has no code of SQLite's.
    return isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode")


def suspect(path: Path) -> None:
    """Have a file looked through when it is opened next."""
    with suppress(OSError):
        _mark(path).touch()


def needs_mending(path: Path) -> bool:
    """Whether a file is cut short, or was found damaged at its last use.

    It stays under suspicion until it is put aside or found to be sound.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        header = file.read(100)
    if header.startswith(b"SQLite format 3") and len(header) == 100:
        page = int.from_bytes(header[16:18])
        size = (65_536 if page == 1 else page) * int.from_bytes(header[28:32])
        # The size is that of the last write only if its number is that of the change counter.
        if header[24:28] == header[92:96] and path.stat().st_size < size:
            return True
    if not (mark := _mark(path)).exists():
        return False
    with closing(connect(path)) as connection:
        try:
            sound: bool = connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
        except sqlite3.DatabaseError:
            sound = False
    if sound:
        mark.unlink(missing_ok=True)
    return not sound


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")


def put_aside(path: Path) -> Path:
    """Rename a damaged file, and what SQLite keeps beside it; return what it is now."""
    names = (path.with_name(f"{path.name}.damaged-{number}") for number in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    for suffix in ("-wal", "-shm"):
        if (beside := path.with_name(path.name + suffix)).exists():
            beside.rename(aside.with_name(aside.name + suffix))
    path.rename(aside)
    _mark(path).unlink(missing_ok=True)
    return aside


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Make a `StoreError` of whatever hinders a file from being opened."""
    try:
        yield
    except UnicodeDecodeError as error:  # a message of SQLite's that quotes what stands there
        raise DamagedStoreError(f"{path}: cannot be opened: it is damaged") from error
    except (sqlite3.DatabaseError, OSError) as error:
        kind = DamagedStoreError if is_damage(error) else StoreError
        raise kind(f"{path}: cannot be opened: {error}") from error


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Have the file in WAL mode; where another process does the same, SQLite does not wait."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > end:
                raise
        time.sleep(_AGAIN_SECONDS)


def _has_tables(connection: sqlite3.Connection) -> bool:
    found: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return found > 0


def _check(
    connection: sqlite3.Connection, path: Path, application_id: int, version: int, schema: str
) -> None:
    found_id = connection.execute("PRAGMA application_id").fetchone()[0]
    found_version = connection.execute("PRAGMA user_version").fetchone()[0]
    if found_id != application_id:
        raise StoreError(f"{path}: a SQLite file, but not one of this kind")
    if found_version != version:
        raise StoreError(
            f"{path}: has schema version {found_version}, this version of ember-bench reads "
            f"{version}; use the version that wrote it, or another results folder"
        )
    for table, columns in _tables(schema).items():
        found = _columns(connection, table)
        # A column that may be empty may have been added since the file was made.
        if found != columns[: len(found)] or any(column.needed for column in columns[len(found) :]):
            raise DamagedStoreError(f"{path}: its table {table} is not there, or not whole")


class _Column(NamedTuple):
    """A column of a table, with its place in the primary key, from 1; 0 if it is no part of it."""

    name: str
    type: str
    key: int
    needed: bool


@cache
def _tables(schema: str) -> dict[str, list[_Column]]:
    """Return the columns of each table that a schema makes."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema)
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name: _columns(connection, name) for (name,) in names.fetchall()}


def _columns(connection: sqlite3.Connection, table: str) -> list[_Column]:
    """Return the columns of a table, none if it is not there."""
    asked = 'SELECT name, type, pk, pk OR "notnull" FROM pragma_table_info(?)'
    return [_Column(*row) for row in connection.execute(asked, (table,))]


def connect(path: Path) -> sqlite3.Connection:
    """Open a SQLite file that is one of ours."""
    # Autocommit: every read sees what other connections and processes have committed.
    return sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
