"""The calls of open batches, in a small SQLite file beside the response store.

A batch is written down before it is submitted, and its id as soon as the provider has given it
one; a call's row goes once its answer is in the response store. So a call is in one batch at most,
however often and by however many processes it is asked for.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ember_bench.errors import DamagedStoreError, StoreError
from ember_bench.models.batch.api import OpenBatch
from ember_bench.models.store.sqlite import (
    is_damage,
    needs_mending,
    open_database,
    put_aside,
    suspect,
)

BATCHES: Final = "batches.db"

_APPLICATION_ID: Final = 0x454D4242  # "EMBB"
_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE batches (
    token TEXT PRIMARY KEY,
    id TEXT,
    model TEXT NOT NULL,
    count INTEGER NOT NULL,
    begun REAL NOT NULL,
    owner INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE calls (
    key BLOB PRIMARY KEY,
    token TEXT NOT NULL REFERENCES batches (token),
    place INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX calls_of_a_batch ON calls (token);
"""
# As far as SQLite can tell; a changed byte gives a column any type.
_SOUND_BATCH: Final = (
    "typeof(token) = 'text' AND typeof(id) IN ('text', 'null') AND typeof(model) = 'text'"
    " AND typeof(count) = 'integer' AND count > 0 AND typeof(begun) = 'real'"
    " AND abs(begun) < 9e999 AND typeof(owner) = 'integer'"
)
_DAMAGED_CALL: Final = (
    "typeof(key) <> 'blob' OR typeof(place) <> 'integer' OR place < 0"
    " OR CAST(token AS BLOB) NOT IN (SELECT CAST(token AS BLOB) FROM batches)"
)
_COLUMNS: Final = "batches.token, id, model, count, begun, owner"


_LOGGER: Final = logging.getLogger("ember_bench.batches")


def open_journal(path: Path) -> BatchJournal:
    """Open the journal in `path`; a damaged file is put aside.

    Calls in batches of a damaged journal are asked anew: nothing tells any more which they are.

    Raises:
        StoreError: if the file is not of this kind, or cannot be written.
    """
    try:
        if not needs_mending(path):
            return BatchJournal(path)
    except DamagedStoreError:
        pass
    aside = put_aside(path)
    _LOGGER.warning(
        "%s was damaged; it is %s now, and calls in its batches are asked anew", path, aside.name
    )
    return BatchJournal(path)


class BatchJournal:
    """The open batches of a results folder.

    Args:
        path: The file; made if it is not there.

    Raises:
        DamagedStoreError: if the file is damaged, or a part of it that SQLite does not notice.
        StoreError: if the file is not of this kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection = open_database(
            path, application_id=_APPLICATION_ID, version=_SCHEMA_VERSION, schema=_SCHEMA
        )
        try:
            # A batch that is forgotten in a power cut would be paid twice.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._forget_damaged()
        except BaseException:
            self._connection.close()
            raise

    def begin(self, batch: OpenBatch, keys: Sequence[bytes]) -> list[bytes]:
        """Write down a batch that is about to be submitted; durable when it returns.

        Returns:
            Those of `keys` that are in no other batch; only they may be submitted.
        """
        with self._writing() as connection:
            taken = {key for key in keys if self._find(key) is not None}
            own = [key for key in keys if key not in taken]
            if own:
                connection.execute(
                    "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)",
                    (batch.token, None, batch.model, len(own), batch.begun, batch.owner),
                )
                rows = [(key, batch.token, place) for place, key in enumerate(own)]
                connection.executemany("INSERT INTO calls VALUES (?, ?, ?)", rows)
        return own

    def submitted(self, token: str, batch_id: str) -> None:
        """Write down the id by which the provider knows a batch."""
        with self._writing() as connection:
            connection.execute("UPDATE batches SET id = ? WHERE token = ?", (batch_id, token))

    def batch_of(self, key: bytes) -> OpenBatch | None:
        """Return the open batch that a call is in."""
        with self._reading():
            return self._find(key)

    def batch(self, token: str) -> OpenBatch | None:
        """Return an open batch."""
        with self._reading() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM batches WHERE token = ?",  # noqa: S608 - ours
                (token,),
            ).fetchone()
        return None if row is None else OpenBatch(*row)

    def places(self, token: str) -> dict[int, str]:
        """Return the keys, in hexadecimal, of a batch's calls by their place in it."""
        with self._reading() as connection:
            rows = connection.execute("SELECT place, key FROM calls WHERE token = ?", (token,))
            return {place: key.hex() for place, key in rows}

    def ids(self) -> set[str]:
        """Return the providers' ids of all open batches."""
        with self._reading() as connection:
            rows = connection.execute("SELECT id FROM batches WHERE id IS NOT NULL").fetchall()
        return {batch_id for (batch_id,) in rows}

    def open_calls(self) -> int:
        """Return how many calls are in open batches."""
        with self._reading() as connection:
            count: int = connection.execute("SELECT count(*) FROM calls").fetchone()[0]
        return count

    def done(self, keys: Iterable[bytes]) -> None:
        """Forget calls that are answered, or failed; a batch goes with its last call."""
        rows = [(key,) for key in keys]
        if not rows:
            return
        with self._writing() as connection:
            connection.executemany("DELETE FROM calls WHERE key = ?", rows)
            _forget_empty(connection)

    def drop(self, token: str) -> None:
        """Forget a batch that does not exist, or has nothing for us."""
        with self._writing() as connection:
            connection.execute("DELETE FROM calls WHERE token = ?", (token,))
            _forget_empty(connection)

    def tidy(self, is_stored: Callable[[bytes], bool], oldest: float) -> None:
        """Forget calls whose answers are stored, and batches from before `oldest`.

        A process that is killed between storing an answer and forgetting its call leaves the
        former; providers keep results for a month, so nothing can be had of the latter.
        """
        with self._writing() as connection:
            connection.execute(
                "DELETE FROM calls WHERE token IN (SELECT token FROM batches WHERE begun < ?)",
                (oldest,),
            )
            keys = [key for (key,) in connection.execute("SELECT key FROM calls")]
            stored = [(key,) for key in keys if is_stored(key)]
            connection.executemany("DELETE FROM calls WHERE key = ?", stored)
            _forget_empty(connection)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _forget_damaged(self) -> None:
        """Forget batches that cannot have been written, and calls that are in no batch."""
        with self._writing() as connection:
            rows = connection.execute(
                f"SELECT CAST(token AS BLOB), CAST(id AS BLOB), CAST(model AS BLOB), {_SOUND_BATCH}"  # noqa: S608 - ours
                " FROM batches"
            ).fetchall()
            for token, *texts, sound in rows:
                if not (sound and all(map(_is_utf8, (token, *texts)))):
                    connection.execute(
                        "DELETE FROM batches WHERE CAST(token AS BLOB) = ?", (token,)
                    )
            forgotten = connection.execute(f"DELETE FROM calls WHERE {_DAMAGED_CALL}").rowcount  # noqa: S608 - ours
            _forget_empty(connection)
        if forgotten:
            _LOGGER.warning(
                "%s: %d calls in batches were damaged; they are asked anew", self.path, forgotten
            )

    def _find(self, key: bytes) -> OpenBatch | None:
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM calls JOIN batches USING (token) WHERE key = ?",  # noqa: S608 - ours
            (key,),
        ).fetchone()
        return None if row is None else OpenBatch(*row)

    def _failed(self, verb: str, error: sqlite3.Error) -> StoreError:
        if is_damage(error):
            suspect(self.path)
        kind = DamagedStoreError if is_damage(error) else StoreError
        return kind(f"{self.path}: cannot be {verb}: {error}")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise self._failed("read", error) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the file for one transaction."""
        with self._lock:
            connection = self._connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._failed("written", error) from error
            finally:
                if connection.in_transaction:
                    connection.rollback()


def _is_utf8(text: bytes | None) -> bool:
    try:
        (text or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _forget_empty(connection: sqlite3.Connection) -> None:
    connection.execute(
        "DELETE FROM batches"
        " WHERE NOT EXISTS (SELECT 1 FROM calls WHERE calls.token = batches.token)"
    )
