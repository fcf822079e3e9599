"""The response store: cache, journal, resume and replay in one.

Every finished call is durable in a SQLite file (WAL, full synchronisation) before its answer is
used. Several processes may use one file.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from ember_bench.errors import DamagedStoreError, StoreError
from ember_bench.file_lock import FileLock
from ember_bench.models.store.payments import Paid, Payment, Sums
from ember_bench.models.store.rows import (
    ANSWER_COLUMNS,
    APPLICATION_ID,
    SCHEMA,
    SCHEMA_VERSION,
    StoredCall,
    completion_of,
)
from ember_bench.models.store.sqlite import (
    is_damage,
    is_undecodable,
    open_database,
    open_for_reading,
    opening,
    suspect,
)
from ember_bench.models.store.writer import GroupCommit
from ember_bench.models.types import Completion, Message

_LOGGER: Final = logging.getLogger("ember_bench.store")

_CALL_COLUMNS: Final = ("messages", "model", "role", "parameters", "epoch", "replica", "draw")

_decode_messages = msgspec.json.Decoder(tuple[Message, ...]).decode

# What the key of a damaged row begins with.
_DAMAGED: Final = b"damaged:"
# Misses from which on it pays to know the keys that are there.
_FEW_MISSES: Final = 256
_LOOK_AGAIN_SECONDS: Final = 0.05


class CallStore(Protocol):
    """A store of finished calls by call key."""

    def get(self, key: bytes) -> Completion | None:
        """Return the stored answer of a call, or None."""

    async def put(
        self,
        call: StoredCall,
        *,
        account: str = "",
        spend_usd: float | None = 0.0,
        patient: bool = False,
    ) -> Completion:
        """Keep a finished call; returns, once it is kept, the first answer that it had."""

    async def pay(self, payment: Payment) -> None:
        """Keep the payment for a request without a usable answer."""

    def check(self) -> None:
        """See that answers can be kept.

        Raises:
            StoreError: if an earlier one could not be.
        """

    def paid(self, account: str) -> Paid:
        """Return what was paid on `account`."""

    def close(self) -> None:
        """Keep what is waiting to be kept."""


def lock_path(path: Path) -> Path:
    """Return the lock that is shared by all that write to a response store."""
    return path.with_name(f".{path.name}.lock")


class StoredAnswers:
    """The answers in a response store's file, which is only read: nothing is made or changed.

    Args:
        path: The file.

    Raises:
        StoreError: if it is not a response store of this version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = _open_for_reading(path)

    def get(self, key: bytes) -> Completion | None:
        """Return the stored answer of a call, or None.

        Raises:
            StoreError: if the file cannot be read any more.
        """
        row = self._row(
            f"SELECT {ANSWER_COLUMNS} FROM responses WHERE key = ?",  # noqa: S608 - ours
            key,
        )
        if row is None:
            return None
        try:
            return completion_of(row)
        except ValueError:
            self._found_damaged(key)
            return None

    def calls(self, keys: Iterable[bytes]) -> dict[bytes, StoredCall]:
        """Return the stored calls among `keys` with their prompts, for reports.

        Raises:
            StoreError: if the file cannot be read any more.
        """
        found = {}
        for key in keys:
            row = self._row(
                f"SELECT {', '.join(_CALL_COLUMNS)}, {ANSWER_COLUMNS}"  # noqa: S608 - ours
                " FROM responses JOIN prompts ON prompt = id WHERE key = ?",
                key,
            )
            if row is None:
                continue
            fields = dict(zip(_CALL_COLUMNS, row, strict=False))
            with suppress(ValueError):
                fields["messages"] = _readable(fields["messages"])
                completion = completion_of(row[len(_CALL_COLUMNS) :])
                found[key] = msgspec.convert(
                    {"key": key, "completion": completion, **fields}, StoredCall
                )
        return found

    def latest(self, most: int) -> list[StoredCall]:
        """Return the calls that were stored last, the latest first, without damaged ones.

        Raises:
            StoreError: if the file cannot be read any more.
        """
        query = "SELECT key FROM responses ORDER BY rowid DESC LIMIT ?"
        try:
            keys = [key for (key,) in self._reader.execute(query, (most,))]
        except sqlite3.DatabaseError as error:
            raise _unreadable(self.path, error) from error
        return list(self.calls(keys).values())

    def _row(self, query: str, key: bytes) -> tuple[Any, ...] | None:
        """Return the row of a call; None if there is none, or a text in it is not UTF-8."""
        try:
            row: tuple[Any, ...] | None = self._reader.execute(query, (key,)).fetchone()
        except sqlite3.DatabaseError as error:
            if not is_undecodable(error):
                raise _unreadable(self.path, error) from error
            self._found_damaged(key)
            return None
        return row

    def _found_damaged(self, key: bytes) -> None:
        """Take the answer of a call for one that is not stored."""

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class ResponseStore(StoredAnswers):
    """Finished calls by call key, in one SQLite file.

    As long as it is open, no other process replaces the file.

    Args:
        path: The file; made, with its folder, if it is not there.

    Raises:
        StoreError: if the file is not a response store of this version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with opening(path):
            lock = FileLock(lock_path(path), shared=True)
        # Also where it is not closed; once, as often as it is.
        self._let_go = weakref.finalize(self, lock.release)
        try:
            self._reader = open_database(
                path, application_id=APPLICATION_ID, version=SCHEMA_VERSION, schema=SCHEMA
            )
        except BaseException:
            self._let_go()
            raise
        self._keys = _KnownKeys(self._reader)
        self._writer = GroupCommit(path, self._keys.committed)

    def __deepcopy__(self, memo: dict[int, object]) -> ResponseStore:
        return self

    def __reduce__(self) -> tuple[type[ResponseStore], tuple[Path]]:
        """Pickle the path: the other process opens the same file."""
        return ResponseStore, (self.path.absolute(),)

    def _found_damaged(self, key: bytes) -> None:
        """Put the row of a call aside under another key, so that a new answer has its place."""
        _LOGGER.warning(
            "%s: the answer of call %s is damaged; it is asked for again", self.path, key.hex()
        )
        try:
            self._reader.execute(
                "UPDATE OR REPLACE responses SET key = ? WHERE key = ?", (_DAMAGED + key, key)
            )
        except sqlite3.DatabaseError as error:
            raise _unreadable(self.path, error) from error

    def get(self, key: bytes) -> Completion | None:
        """Return the stored answer of a call, or None; raises as `StoredAnswers.get` does."""
        try:
            if not self._keys.may_have(key):
                return None
        except sqlite3.DatabaseError as error:
            raise _unreadable(self.path, error) from error
        found = super().get(key)
        if found is None:
            self._keys.missed()
        return found

    async def put(
        self,
        call: StoredCall,
        *,
        account: str = "",
        spend_usd: float | None = 0.0,
        patient: bool = False,
    ) -> Completion:
        """Keep a finished call; returns, once it is durable, the answer that the store has.

        That is another one than the given if another process answered the same call first: the
        first answer stays, so that every reader sees the same.

        Args:
            call: The call.
            account: Whose request it was, see `paid`.
            spend_usd: Its price, also if another's answer stays; None if it is unknown.
            patient: It may wait a moment for others, to be written together with them.

        Raises:
            StoreError: if it could not be written.
        """
        self._keys.add(call.key)
        payment = Payment(account, spend_usd)
        if await self._writer.submit(call, payment, patient=patient):
            return call.completion
        stored = self.get(call.key)
        return stored if stored is not None else call.completion

    async def pay(self, payment: Payment) -> None:
        """Keep the payment for a request without a usable answer; it is durable on return.

        Raises:
            StoreError: if it could not be written.
        """
        await self._writer.submit(None, payment)

    def check(self) -> None:
        """See that answers can be kept.

        Raises:
            StoreError: if an earlier one could not be: another request would be paid in vain.
        """
        self._writer.check()

    def paid(self, account: str) -> Paid:
        """Return what was paid on `account`, by all processes, ever; also when this is closed.

        A payment is durable in the same moment as the answer that it is for.
        """
        return paid_on(self.path, account)

    def __len__(self) -> int:
        count: int = self._reader.execute("SELECT count(*) FROM responses").fetchone()[0]
        return count

    def close(self) -> None:
        """Write what is waiting and close the file."""
        self._writer.close()
        super().close()
        self._let_go()


def paid_on(path: Path, account: str) -> Paid:
    """Return what was paid on `account` in a response store.

    Raises:
        StoreError: if the file cannot be read.
    """
    with closing(_open_for_reading(path)) as reader:
        try:
            row = reader.execute(
                "SELECT requests, spend, ifnull(unpriced, 0), ifnull(unanswered, 0),"
                " ifnull(most, 0), ifnull(unbounded, 0)"
                " FROM payments LEFT JOIN doubts USING (account) WHERE account = ?",
                (account,),
            ).fetchone()
        except sqlite3.DatabaseError as error:
            raise _unreadable(path, error) from error
    return (Sums() if row is None else Sums(*row)).paid


class _KnownKeys:
    """A filter of the keys that may be in the file.

    A look-up of a missing key in SQLite takes as long as a simulated model. A byte for each of 2^24
    prefixes says whether a key with it may be there. Keys from other processes are read again after
    a moment: two processes may make the same call at the same moment anyway.
    """

    _SIZE: Final = 1 << 24

    def __init__(self, reader: sqlite3.Connection) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._marks = bytearray(self._SIZE)  # as long as nothing is written, it takes no memory
        self._read = 0  # rows up to here are marked
        self._misses = 0
        self._look_again = 0.0

    def may_have(self, key: bytes) -> bool:
        if self._misses < _FEW_MISSES:
            return True
        if (now := time.monotonic()) >= self._look_again:
            with self._lock:
                self._read_on()
            self._look_again = now + _LOOK_AGAIN_SECONDS
        return self._marks[int.from_bytes(key[:3])] != 0

    def missed(self) -> None:
        self._misses += 1

    def add(self, key: bytes) -> None:
        self._marks[int.from_bytes(key[:3])] = 1

    def committed(self, before: int, after: int) -> None:
        """Hear that this process wrote the rows after `before` up to `after`."""
        with self._lock:
            if self._read == before:  # else another process has written, too
                self._read = after

    def _read_on(self) -> None:
        rows = self._reader.execute(
            "SELECT rowid, key FROM responses WHERE rowid > ?", (self._read,)
        )
        for number, key in rows:
            self.add(key)
            self._read = max(self._read, number)


def _readable(messages: object) -> str:
    """Return a prompt as JSON; an empty one where it is damaged: the answer is worth showing."""
    try:
        if isinstance(messages, str):
            _decode_messages(messages)
            return messages
    except msgspec.MsgspecError:
        pass
    return "[]"


def _unreadable(path: Path, error: sqlite3.DatabaseError) -> StoreError:
    if not is_damage(error):
        return StoreError(f"{path}: cannot be read: {error}")
    suspect(path)
    return DamagedStoreError(
        f"{path}: cannot be read: {error}; the next run puts it aside and recovers what can be read"
    )


def _open_for_reading(path: Path) -> sqlite3.Connection:
    return open_for_reading(
        path, application_id=APPLICATION_ID, version=SCHEMA_VERSION, schema=SCHEMA
    )
