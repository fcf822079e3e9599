"""One writer to a results folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ember_bench import host
from ember_bench.errors import ResultsLockedError, StoreError
from ember_bench.file_lock import FileLock

_LOCK: Final = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; the lock ends with the process, however that ends.

    Raises:
        ResultsLockedError: naming the process that holds it.
        StoreError: if there can be no such folder, or nothing can be written to it.
    """
    path = folder / _LOCK
    try:
        lock = FileLock(path, wait=False)
    except BlockingIOError:
        process = holder(folder) or "unknown"
        raise ResultsLockedError(
            f"{folder}: process {process} is writing to this results folder; wait for "
            "it to end, or write to another folder with --results"
        ) from None
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written to: {error.strerror}") from None
    with lock:
        yield


def holder(folder: Path) -> int | None:
    """Return the process that holds a folder, or died with it; None if there is none.

    It is read from the lock's file, which is not touched: nobody is kept from the lock by it.
    """
    with suppress(OSError, ValueError):  # released meanwhile
        return int((folder / _LOCK).read_text(encoding="ascii", errors="replace"))
    return None


def holds(process: int, folder: Path) -> bool:
    """Whether a process holds a folder, for sure: its number may be another's by now.

    Where the platform does not tell who has a file open, it is whether anybody holds the folder.
    """
    path = folder / _LOCK
    if (found := host.has_open(process, path)) is not None:
        return found
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:  # nobody holds it
        return False
    try:
        host.lock(file, shared=True, wait=False)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
