"""The keys of a response store that may be there, known without a look into its file."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import Final

# Misses from which on it pays to know the keys that are there.
_FEW_MISSES: Final = 256
_LOOK_AGAIN_SECONDS: Final = 0.05

TABLES: Final = ("responses", "places")
"""The tables that have calls."""


class KnownKeys:
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
        self._read = dict.fromkeys(TABLES, 0)  # rows up to here are marked
        self._misses = 0
        self._look_again = 0.0

    def may_have(self, key: bytes) -> bool:
        """Return whether a key may be in the file; False for one that is not."""
        if self._misses < _FEW_MISSES:
            return True
        if (now := time.monotonic()) >= self._look_again:
            with self._lock:
                self._read_on()
            self._look_again = now + _LOOK_AGAIN_SECONDS
        return self._marks[int.from_bytes(key[:3])] != 0

    def missed(self) -> None:
        """Hear that a key was not there."""
        self._misses += 1

    def add(self, key: bytes) -> None:
        """Mark a key that is, or will be, in the file."""
        self._marks[int.from_bytes(key[:3])] = 1

    def committed(self, table: str, before: int, after: int) -> None:
        """Hear that this process wrote the rows of a table after `before` up to `after`."""
        with self._lock:
            if self._read[table] == before:  # else another process has written, too
                self._read[table] = after

    def _read_on(self) -> None:
        for table, read in self._read.items():
            rows = self._reader.execute(
                f"SELECT rowid, key FROM {table} WHERE rowid > ?",  # noqa: S608 - ours
                (read,),
            )
            for number, key in rows:
                self.add(key)
                self._read[table] = max(self._read[table], number)
