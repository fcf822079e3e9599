"""One writer to a results folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

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
