"""A lock that processes hold on a file: many as its users, or one that has it alone."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self


class FileLock:
    """A lock in a file of its own, held until it is released or the process has ended.

    Whoever releases it last removes the file.

    Args:
        path: The lock's file; made, with its folder, if it is not there.
        shared: Whether others may share it.
        wait: Whether to wait for those that hold it.

    Raises:
        BlockingIOError: if others hold it, and it is not waited for.
        OSError: if there can be no such file.
    """

    def __init__(self, path: Path, *, shared: bool = False, wait: bool = True) -> None:
        self._path = path
        self._owner = os.getpid()
        how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(self._file, how)
                if self._is_there():
                    return
            except BaseException:
                os.close(self._file)
                raise
            os.close(self._file)  # meanwhile its last holder has removed it

    def release(self) -> None:
        """Let go of it."""
        # What a fork copied is the parent's to remove.
        if self._owner == os.getpid():
            with suppress(BlockingIOError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_there():
                    self._path.unlink()
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _is_there(self) -> bool:
        """Whether the file that is locked is the one that others would find."""
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            return False
