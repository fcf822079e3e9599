"""One writer to a results folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ember_bench.errors import ResultsLockedError, StoreError
from ember_bench.file_lock import FileLock


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; the lock ends with the process, however that ends.

    Raises:
        ResultsLockedError: naming the process that holds it.
        StoreError: if there can be no such folder, or nothing can be written to it.
    """
    path = folder / ".lock"
    try:
        lock = FileLock(path, wait=False)
    except BlockingIOError:
        holder = ""
        with suppress(OSError):  # released meanwhile
            holder = path.read_text(encoding="ascii", errors="replace").strip()
        raise ResultsLockedError(
            f"{folder}: process {holder or 'unknown'} is writing to this results folder; wait for "
            "it to end, or write to another folder with --results"
        ) from None
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written to: {error.strerror}") from None
    with lock:
        yield
