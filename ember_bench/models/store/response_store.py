"""The response store: cache, journal, resume and replay in one.

Every finished call is durable in a SQLite file (WAL, full synchronisation) before its answer is
used; one that a recording answered, before the trial's result is. Of its answer the file has the
place in the recording. Several processes may use one file.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import weakref
from itertools import islice
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from ember_bench.file_lock import FileLock
from ember_bench.models.recorded.places import RecordedAnswers
from ember_bench.models.store.known_keys import TABLES, KnownKeys
from ember_bench.models.store.payments import Paid, Payment
from ember_bench.models.store.rows import (
    APPLICATION_ID,
    LATER_SCHEMA,
    SCHEMA,
    SCHEMA_VERSION,
    StoredCall,
)
from ember_bench.models.store.sqlite import open_database, opening
from ember_bench.models.store.stored_answers import StoredAnswers, paid_on, unreadable
from ember_bench.models.store.writer import GroupCommit
from ember_bench.models.types import Completion

_LOGGER: Final = logging.getLogger("ember_bench.store")

# What the key of a damaged row begins with.
_DAMAGED: Final = b"damaged:"
# The writer gets so many calls at once that nobody waits for; that many may wait for it.
_KEPT_AT_ONCE: Final = 2048
_MOST_KEPT: Final = 8192


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


@runtime_checkable
class ReplayStore(CallStore, Protocol):
    """A store that also keeps what recordings answered, for which nobody waits."""

    def knows(self, key: bytes) -> bool:
        """Return whether a call was answered before."""

    def keep(self, call: StoredCall, *, account: str = "") -> None:
        """Keep a new call that cost nothing and can be made again."""

    def flush(self) -> None:
        """Wait until all that `keep` was given is durable.

        Raises:
            StoreError: if it cannot be.
        """


def lock_path(path: Path) -> Path:
    """Return the lock that is shared by all that write to a response store."""
    return path.with_name(f".{path.name}.lock")


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
                path,
                application_id=APPLICATION_ID,
                version=SCHEMA_VERSION,
                schema=SCHEMA,
                later=LATER_SCHEMA,
            )
        except BaseException:
            self._let_go()
            raise
        self._keys = KnownKeys(self._reader)
        self._writer = GroupCommit(path, self._keys.committed)
        self._recordings = RecordedAnswers()
        self._has_places = True
        # What was kept and may not be in the file yet; the writer has the first of it.
        self._kept: dict[bytes, tuple[StoredCall, Payment]] = {}
        self._handed_over = 0
        self._keeping = threading.RLock()  # several loops may use one store

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
            raise unreadable(self.path, error) from error

    def get(self, key: bytes) -> Completion | None:
        """Return the stored answer of a call, or None; raises as `StoredAnswers.get` does."""
        try:
            if not self._keys.may_have(key):
                return None
        except sqlite3.DatabaseError as error:
            raise unreadable(self.path, error) from error
        if (kept := self._kept.get(key)) is not None:
            return kept[0].completion
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

    def knows(self, key: bytes) -> bool:
        """Return whether a call was answered before; raises as `StoredAnswers.get` does."""
        if key in self._kept:
            return True
        try:
            if not self._keys.may_have(key):
                return False
        except sqlite3.DatabaseError as error:
            raise unreadable(self.path, error) from error
        for table in TABLES:
            if self._row(f"SELECT 1 FROM {table} WHERE key = ?", key) is not None:  # noqa: S608 - ours
                return True
        self._keys.missed()
        return False

    def keep(self, call: StoredCall, *, account: str = "") -> None:
        """Keep a new call that cost nothing and can be made again: it is durable after `flush`.

        Raises:
            StoreError: if an earlier call could not be written.
        """
        self._writer.check()
        with self._keeping:
            self._keys.add(call.key)
            self._kept[call.key] = call, Payment(account, 0.0)
            if len(self._kept) - self._handed_over >= _KEPT_AT_ONCE:
                self._hand_over()
            if len(self._kept) >= _MOST_KEPT:
                self.flush()

    def flush(self) -> None:
        """Wait until all that `keep` was given is durable.

        Raises:
            StoreError: if it could not be written.
        """
        with self._keeping:
            if not self._kept:
                return
            self._hand_over()
            self._writer.flush()
            self._kept.clear()
            self._handed_over = 0

    def _hand_over(self) -> None:
        """Have the writer begin with what it was not given yet."""
        self._writer.submit_all(list(islice(self._kept.values(), self._handed_over, None)))
        self._handed_over = len(self._kept)

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
        count: int = self._reader.execute(
            "SELECT (SELECT count(*) FROM responses) + (SELECT count(*) FROM places)"
        ).fetchone()[0]
        return count

    def close(self) -> None:
        """Write what is waiting and close the file."""
        with self._keeping:
            if self._kept:
                self._hand_over()
                self._kept.clear()
        self._writer.close()
        super().close()
        self._let_go()
