"""The thread that writes a response store.

Writes are grouped: one thread commits all calls that came during the last commit, so that a
thousand calls in flight share a disk flush.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from ember_bench.errors import StoreError
from ember_bench.models.store.payments import Payment, Sums, sums_of
from ember_bench.models.store.rows import (
    StoredCall,
    insert,
    place_row_of,
    recording_id,
    row_of,
    source_as_text,
)
from ember_bench.models.store.sqlite import connect, is_damage, suspect

# A moment's wait makes few large commits of many small ones. It is worth it where the processor is
# what calls wait for (it may be shared with other programs); where it is the models, whatever an
# answer waits here comes on top. Calls that are patient are waited for as long as they come: when
# none does, all trials may wait for this.
_MOMENT_SECONDS: Final = 0.005
_SOME: Final = 2
_LARGE_BATCH: Final = 512
_FEW_MOMENTS: Final = 2
_MANY_MOMENTS: Final = 10
_BUSY_SHARE: Final = 0.4
# Answers that were waited for come in bursts, of which each looks busy.
_SHARE_SECONDS: Final = 1.0

_SUMS: Final = {
    "payments": ("requests", "spend"),
    "doubts": ("unpriced", "unanswered", "most", "unbounded"),
}

# Draws of one prompt come close together: that many prompts back, it is known to be there.
_PROMPTS_REMEMBERED: Final = 4096


class Entry(NamedTuple):
    """A payment to be written, with its call if that has a usable answer, and the waiter if any."""

    call: StoredCall | None
    payment: Payment
    written: asyncio.Future[bool] | None
    patient: bool


Batch = list[Entry]


class OtherWork:
    """The share of a processor that the other threads of this process took lately."""

    def __init__(self) -> None:
        self._share = 1.0  # nothing is known
        self._cpu, self._since = self._cpu_so_far(), time.monotonic()

    def share(self) -> float:
        """Return the share; asked in the thread that is not among the others."""
        seconds = time.monotonic() - self._since
        if seconds >= _SHARE_SECONDS:
            cpu = self._cpu_so_far()
            self._share = (cpu - self._cpu) / seconds
            self._cpu, self._since = cpu, self._since + seconds
        return self._share

    @staticmethod
    def _cpu_so_far() -> float:
        return time.process_time() - time.thread_time()


def moments(calls: int, other_work: float, *, patient: bool) -> int:
    """Return how many moments more calls may gather after a batch of `calls`, if they come.

    Args:
        calls: How many were written together.
        other_work: Which share of a processor the rest of the process takes.
        patient: Whether all of them were.
    """
    if calls < _SOME or other_work < _BUSY_SHARE:
        return 0
    return _MANY_MOMENTS if patient else _FEW_MOMENTS


class GroupCommit:
    """A thread that writes calls in batches and then tells those who wait for them.

    Args:
        path: A response store's file.
        on_commit: Called, in the thread, with the name of a table, and its highest row before and
            after each commit.
    """

    def __init__(self, path: Path, on_commit: Callable[[str, int, int], None]) -> None:
        self._path = path
        self._on_commit = on_commit
        self._pid = os.getpid()
        self._connection = connect(path)
        # A paid answer must outlive a power cut, not only the process.
        self._connection.execute("PRAGMA synchronous = FULL")
        # The same few pages of the index change in every commit: merged less often, they are
        # copied less often. 40 MB of log at most.
        self._connection.execute("PRAGMA wal_autocheckpoint = 10000")
        # The keys are random, so that beyond what one commit changes a larger cache saves nothing.
        self._connection.execute("PRAGMA cache_size = -8192")
        _reset_damaged_sums(self._connection)
        self._prompts: dict[bytes, int] = {}
        self._failure: StoreError | None = None
        self._waiting: Batch = []
        self._wake = threading.Condition()
        # Entries that nobody waits for, handed over and dealt with.
        self._wrote = threading.Condition()
        self._unawaited = self._dealt_with = 0
        self._idle = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="response-store", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise the `StoreError` of an earlier answer that could not be kept, if there is one."""
        if self._failure is not None:
            raise StoreError(str(self._failure)) from self._failure.__cause__

    def submit(
        self, call: StoredCall | None, payment: Payment, *, patient: bool = False
    ) -> asyncio.Future[bool]:
        """Have a call written; the future tells whether all of its batch was new.

        Args:
            call: The call; None for a payment without a usable answer.
            payment: The payment for it.
            patient: It may wait for others, to be written together with them.

        Raises:
            StoreError: if the store is closed, or was opened before a fork.
        """
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        with self._wake:
            self._check_open()
            self._waiting.append(Entry(call, payment, future, patient))
            if self._idle:
                self._wake.notify()
        return future

    def submit_all(self, calls: Sequence[tuple[StoredCall, Payment]]) -> None:
        """Have calls written that nobody waits for; see `flush`.

        Raises:
            StoreError: as `submit`.
        """
        with self._wake:
            self._check_open()
            self._waiting += [Entry(call, payment, None, patient=True) for call, payment in calls]
            self._unawaited += len(calls)
            if self._idle:
                self._wake.notify()

    def flush(self) -> None:
        """Wait until what `submit_all` was given is durable.

        Raises:
            StoreError: if it could not be written.
        """
        with self._wrote:
            self._wrote.wait_for(lambda: self._dealt_with >= self._unawaited)
        self.check()

    def close(self) -> None:
        """Write what is waiting, and end the thread."""
        with self._wake:
            self._closed.set()
            self._wake.notify()
        self._thread.join()

    def _check_open(self) -> None:
        if os.getpid() != self._pid:  # the thread that writes is in the other process
            raise StoreError(f"{self._path}: was opened before a fork; open it again in the child")
        if self._closed.is_set():
            raise StoreError(f"{self._path}: the response store is closed")

    def _run(self) -> None:
        with closing(self._connection):
            others = OtherWork()
            while batch := self._next_batch():
                self._write_all(batch)
                patient = all(entry.patient for entry in batch)
                self._gather(moments(len(batch), others.share(), patient=patient))

    def _gather(self, most: int) -> None:
        """Wait `most` moments at most, as long as calls come in each."""
        gathered = -1
        for _ in range(most):
            if not gathered < len(self._waiting) < _LARGE_BATCH:
                return
            gathered = len(self._waiting)
            self._closed.wait(_MOMENT_SECONDS)

    def _next_batch(self) -> Batch:
        """Wait for calls; an empty batch means that the store is closed."""
        with self._wake:
            while not self._waiting and not self._closed.is_set():
                self._idle = True
                self._wake.wait()
            self._idle = False
            batch, self._waiting = self._waiting, []
            return batch

    def _write_all(self, batch: Batch) -> None:
        """Write a batch and tell those who wait for it."""
        outcome = self._write(batch)
        if isinstance(outcome, Exception) and _blames_data(outcome) and len(batch) > 1:
            # One call that cannot be written must not take the others with it.
            for entry in batch:
                self._write_all([entry])
            return
        if isinstance(outcome, Exception):
            if is_damage(outcome):
                suspect(self._path)
            problem = StoreError(f"{self._path}: an answer could not be stored: {outcome}")
            problem.__cause__ = outcome
            # Who waits is told; a call that nobody waits for must not be lost in silence.
            if not _blames_data(outcome) or any(entry.written is None for entry in batch):
                self._failure = problem
            outcome = problem
        waiting = [entry.written for entry in batch if entry.written is not None]
        if len(waiting) < len(batch):
            with self._wrote:
                self._dealt_with += len(batch) - len(waiting)
                self._wrote.notify_all()
        _settle(waiting, outcome)

    def _write(self, batch: Batch) -> bool | Exception:
        """Write a batch; return whether all of it was new, or why it could not be written."""
        connection, now = self._connection, time.time()
        try:
            connection.execute("BEGIN IMMEDIATE")
            prompt, *before = connection.execute(
                "SELECT (SELECT max(id) FROM prompts), (SELECT max(rowid) FROM responses),"
                " (SELECT max(rowid) FROM places)"
            ).fetchone()
            new_prompts: dict[bytes, int] = {}
            texts: list[tuple[int, str]] = []
            rows, places = [], []
            recordings: dict[int, int] = {}
            for call in (entry.call for entry in batch if entry.call is not None):
                digest = blake2b(call.messages.encode(), digest_size=16).digest()
                number = self._prompts.get(digest) or new_prompts.get(digest)
                if number is None:
                    number = new_prompts[digest] = (prompt or 0) + len(texts) + 1
                    texts.append((number, call.messages))
                if (place := call.place) is None:
                    rows.append(row_of(call, number, now))
                    continue
                known = recordings.get(id(place.source))
                if known is None:
                    source = source_as_text(place.source)
                    known = recordings[id(place.source)] = recording_id(connection, source)
                places.append(place_row_of(call, place, number, known, now))
            insert(connection, "prompts", texts)
            new = [insert(connection, "responses", rows), insert(connection, "places", places)]
            for account, sums in sums_of(entry.payment for entry in batch).items():
                _pay(connection, account, sums)
            connection.execute("COMMIT")
        except Exception as error:  # whatever it is, somebody waits to be told
            if connection.in_transaction:
                connection.rollback()
            return error
        self._prompts |= new_prompts
        for digest in list(self._prompts)[: max(0, len(self._prompts) - _PROMPTS_REMEMBERED)]:
            del self._prompts[digest]
        for table, first, added in zip(("responses", "places"), before, new, strict=True):
            self._on_commit(table, first or 0, (first or 0) + added)
        return new == [len(rows), len(places)]


def _reset_damaged_sums(connection: sqlite3.Connection) -> None:
    """Set to 0 what is no sum any more; the other sums of its account stay."""
    for table, columns in _SUMS.items():
        for column in columns:
            damaged = f"WHERE typeof({column}) <> 'integer' OR {column} < 0"
            if connection.execute(f"SELECT 1 FROM {table} {damaged}").fetchone():  # noqa: S608 - ours
                connection.execute(f"UPDATE {table} SET {column} = 0 {damaged}")  # noqa: S608 - ours


def _pay(connection: sqlite3.Connection, account: str, sums: Sums) -> None:
    connection.execute(
        "INSERT INTO payments VALUES (?, ?, ?) ON CONFLICT (account) DO UPDATE SET"
        " requests = requests + excluded.requests, spend = spend + excluded.spend",
        (account, sums.requests, sums.spend),
    )
    if sums.unpriced or sums.unanswered:
        connection.execute(
            "INSERT INTO doubts VALUES (?, ?, ?, ?, ?) ON CONFLICT (account) DO UPDATE SET"
            " unpriced = unpriced + excluded.unpriced,"
            " unanswered = unanswered + excluded.unanswered,"
            " most = most + excluded.most, unbounded = unbounded + excluded.unbounded",
            (account, sums.unpriced, sums.unanswered, sums.most, sums.unbounded),
        )


def _blames_data(error: Exception) -> bool:
    """Whether the cause is a value and not the file or the disk."""
    return isinstance(error, sqlite3.DataError) or not isinstance(error, sqlite3.Error)


def _settle(futures: list[asyncio.Future[bool]], outcome: bool | StoreError) -> None:
    """Resolve each future on its own loop, with one wake-up a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[bool]]] = {}
    for future in futures:
        by_loop.setdefault(future.get_loop(), []).append(future)

    def resolve(group: list[asyncio.Future[bool]]) -> None:
        for future in group:
            if future.done():
                continue  # its waiter was cancelled
            if isinstance(outcome, StoreError):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    for loop, group in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed, and nobody there waits any more
            loop.call_soon_threadsafe(resolve, group)
