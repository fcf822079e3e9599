"""A lock that processes hold on a file: shared, or exclusive."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from ember_bench import host


class FileLock:
    """A lock in a file of its own, held until it is released or the process has ended.

    The last holder removes the file, except on Windows. An exclusive lock has the process id in it.

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
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            self._file = host.open_to_lock(path)
            try:
                host.lock(self._file, shared=shared, wait=wait)
                if self._is_there():
                    if not shared:
                        self._sign()
                    return
            except BaseException:
                os.close(self._file)
                raise
            os.close(self._file)  # its last holder has removed it meanwhile

    def release(self) -> None:
        """Release the lock."""
        # What a fork copied is the parent's to remove.
        if self._owner == os.getpid() and not host.LOCKS_BYTES:
            with suppress(BlockingIOError):
                host.lock(self._file, wait=False)
                if self._is_there():
                    self._path.unlink()
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _sign(self) -> None:
        with suppress(OSError):  # a full disk hinders nobody from having the lock
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, str(self._owner).encode())

    def _is_there(self) -> bool:
        """Whether the file that is locked is the one that others would find."""
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            return False
