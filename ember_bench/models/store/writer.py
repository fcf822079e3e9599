"""The file format of a response store, and the thread that writes it.

Writes are grouped: one thread commits all calls that came during the last commit, so that a
thousand calls in flight share a disk flush.
"""

from __future__ import annotations

import asyncio
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from ember_bench.errors import StoreError
from ember_bench.models.store.payments import Payment, Sums, sums_of
from ember_bench.models.store.sqlite import connect, is_damage, suspect
from ember_bench.models.types import Completion, TokenLogprob, ToolCall, Usage

APPLICATION_ID: Final = 0x454D4252  # "EMBR"
SCHEMA_VERSION: Final = 2

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

# Few sizes, so that the statements stay prepared; SQLite takes 32,766 values in one.
_ROWS_PER_STATEMENT: Final = (256, 32, 4, 1)

# Draws of one prompt come close together: that many prompts back, it is known to be there.
_PROMPTS_REMEMBERED: Final = 4096

# A prompt has no index, which would cost as much as the answer: one that is asked again much
# later, or by another process, is there twice.
SCHEMA: Final = """
CREATE TABLE prompts (id INTEGER PRIMARY KEY, messages TEXT NOT NULL);
CREATE TABLE responses (
    key BLOB PRIMARY KEY,
    prompt INTEGER NOT NULL REFERENCES prompts (id),
    model TEXT NOT NULL,
    role TEXT NOT NULL,
    parameters TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    replica TEXT NOT NULL,
    draw TEXT NOT NULL,
    text TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    usage TEXT NOT NULL,
    more TEXT,
    cost_usd REAL,
    latency_seconds REAL,
    created REAL NOT NULL
);
CREATE TABLE payments (
    account TEXT PRIMARY KEY,
    requests INTEGER NOT NULL,
    spend INTEGER NOT NULL
) WITHOUT ROWID;
"""
# What is not known of the payments; stores from before it are taken over.
DOUBTS_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS doubts (
    account TEXT PRIMARY KEY,
    unpriced INTEGER NOT NULL,
    unanswered INTEGER NOT NULL,
    most INTEGER NOT NULL,
    unbounded INTEGER NOT NULL
) WITHOUT ROWID
"""

_SUMS: Final = {
    "payments": ("requests", "spend"),
    "doubts": ("unpriced", "unanswered", "most", "unbounded"),
}

ANSWER_COLUMNS: Final = "text, finish_reason, usage, more, cost_usd, latency_seconds"


class StoredCall(msgspec.Struct, frozen=True, gc=False):
    """One finished call as the store keeps it.

    `completion` has its cost and its latency filled in, as far as they are known.
    """

    key: bytes
    messages: str
    model: str
    role: str
    parameters: str
    epoch: int
    replica: str
    draw: str
    completion: Completion


class Entry(NamedTuple):
    """A payment to be written, with its call if that has a usable answer, and the waiter."""

    call: StoredCall | None
    payment: Payment
    written: asyncio.Future[bool]
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
        on_commit: Called, in the thread, with the highest row before and after each commit.
    """

    def __init__(self, path: Path, on_commit: Callable[[int, int], None]) -> None:
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
        self._connection.execute(DOUBTS_SCHEMA)
        _reset_damaged_sums(self._connection)
        self._prompts: dict[bytes, int] = {}
        self._failure: StoreError | None = None
        self._waiting: Batch = []
        self._wake = threading.Condition()
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
        if os.getpid() != self._pid:  # the thread that writes is in the other process
            raise StoreError(f"{self._path}: was opened before a fork; open it again in the child")
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        with self._wake:
            if self._closed.is_set():
                raise StoreError(f"{self._path}: the response store is closed")
            self._waiting.append(Entry(call, payment, future, patient))
            if self._idle:
                self._wake.notify()
        return future

    def close(self) -> None:
        """Write what is waiting, and end the thread."""
        with self._wake:
            self._closed.set()
            self._wake.notify()
        self._thread.join()

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
            if not _blames_data(outcome):
                self._failure = problem
            outcome = problem
        _settle([entry.written for entry in batch], outcome)

    def _write(self, batch: Batch) -> bool | Exception:
        """Write a batch; return whether all of it was new, or why it could not be written."""
        connection, now = self._connection, time.time()
        try:
            connection.execute("BEGIN IMMEDIATE")
            prompt, before = connection.execute(
                "SELECT (SELECT max(id) FROM prompts), (SELECT max(rowid) FROM responses)"
            ).fetchone()
            new_prompts: dict[bytes, int] = {}
            texts: list[tuple[int, str]] = []
            rows = []
            for call in (entry.call for entry in batch if entry.call is not None):
                digest = blake2b(call.messages.encode(), digest_size=16).digest()
                number = self._prompts.get(digest) or new_prompts.get(digest)
                if number is None:
                    number = new_prompts[digest] = (prompt or 0) + len(texts) + 1
                    texts.append((number, call.messages))
                rows.append(row_of(call, number, now))
            insert(connection, "prompts", texts)
            new = insert(connection, "responses", rows)
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
        self._on_commit(before or 0, (before or 0) + new)
        return new == len(rows)


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


def completion_of(row: Sequence[Any]) -> Completion:
    """Return the answer in a row of `ANSWER_COLUMNS`.

    Raises:
        ValueError: if what stands there is none: the row is damaged.
    """
    text, finish_reason, usage, more, cost_usd, latency = row
    if not (
        isinstance(text, str)
        and isinstance(finish_reason, str)
        and isinstance(usage, str)
        and isinstance(more, str | None)
        and is_amount(cost_usd)
        and is_amount(latency)
    ):
        raise ValueError("a column has a value that was not written there")
    rest = _decode_more(more) if more is not None else _NO_MORE
    return Completion(
        text,
        _decode_usage(usage),
        finish_reason,
        cost_usd,
        latency,
        rest.tool_calls,
        rest.logprobs,
        rest.thoughts,
        first_token_seconds=rest.first_token_seconds,
    )


def is_amount(value: object) -> bool:
    """Whether a value is a number of dollars or seconds, or None."""
    return value is None or (isinstance(value, float) and 0 <= value < math.inf)


class _More(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The parts of an answer that few have; older rows end before the later of them."""

    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    thoughts: str = ""
    first_token_seconds: float | None = None


_NO_MORE: Final = _More()
_decode_usage = msgspec.json.Decoder(Usage).decode
_decode_more = msgspec.json.Decoder(_More).decode


def row_of(call: StoredCall, prompt: int, created: float) -> tuple[Any, ...]:
    """Return the row of the table of responses."""
    done, more = call.completion, None
    rest = _More(done.tool_calls, done.logprobs, done.thoughts, done.first_token_seconds)
    if rest != _NO_MORE:
        more = msgspec.json.encode(rest).decode()
    return (
        call.key, prompt, call.model, call.role, call.parameters, call.epoch, call.replica,
        call.draw, done.text, done.finish_reason, msgspec.json.encode(done.usage).decode(), more,
        done.cost_usd, done.latency_seconds, created,
    )  # fmt: skip


def _blames_data(error: Exception) -> bool:
    """Whether the cause is a value and not the file or the disk."""
    return isinstance(error, sqlite3.DataError) or not isinstance(error, sqlite3.Error)


def insert(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Insert `rows` but for those whose key is there; return how many were inserted.

    Many rows go into one statement: sqlite3 gives up the interpreter lock for each statement, and
    a writer that asks for it back at every row holds up the thread that asks the models.
    """
    inserted, start = 0, 0
    while start < len(rows):
        size = next(size for size in _ROWS_PER_STATEMENT if size <= len(rows) - start)
        chunk = rows[start : start + size]
        one = "(" + ", ".join("?" * len(chunk[0])) + ")"
        inserted += connection.execute(
            f"INSERT OR IGNORE INTO {table} VALUES {', '.join([one] * size)}",  # noqa: S608 - ours
            [value for row in chunk for value in row],
        ).rowcount
        start += size
    return inserted


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
