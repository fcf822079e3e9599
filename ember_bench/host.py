"""Differences between operating systems: file locks, forks, processes."""

from __future__ import annotations

import importlib
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

try:
    import fcntl
except ImportError:
    LOCKS_BYTES = True
    """Whether locks are on bytes of a file, which then cannot be removed: on Windows."""
else:
    LOCKS_BYTES = False

# Windows keeps others from reading the bytes that are locked, so these are behind all content.
_FIRST_BYTE: Final = 1 << 30
_SHARES: Final = 256
_AGAIN_SECONDS: Final = 0.01


def open_to_lock(path: Path, mode: int = 0o666) -> int:
    """Return a descriptor of a file for `lock`; makes the file if it is not there.

    Raises:
        OSError: if there can be no such file.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), mode)


def lock(file: int, *, shared: bool = False, wait: bool = True) -> None:
    """Lock an open file until it is closed.

    Args:
        file: Its descriptor, of which a fork has no copy that matters.
        shared: Whether others may share it.
        wait: Whether to wait for those that hold it.

    Raises:
        BlockingIOError: if others hold it, and it is not waited for.
    """
    if not LOCKS_BYTES:
        operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, operation if wait else operation | fcntl.LOCK_NB)
        return
    while not _lock_bytes(file, shared=shared):
        if not wait:
            raise BlockingIOError("another process holds the lock")
        time.sleep(_AGAIN_SECONDS)


def _lock_bytes(file: int, *, shared: bool) -> bool:
    """Lock any one of the bytes to share the file, or all of them to have it alone."""
    windows: Any = importlib.import_module("msvcrt")
    for place in range(_SHARES if shared else 1):
        os.lseek(file, _FIRST_BYTE + place, os.SEEK_SET)
        try:
            windows.locking(file, windows.LK_NBLCK, 1 if shared else _SHARES)
        except OSError:
            continue
        return True
    return False


def after_fork(function: Callable[[], object]) -> None:
    """Have `function` called in each process that is forked from this one."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


def lives(process: int) -> bool:
    """Whether a process runs, as far as that can be told."""
    if os.name != "posix":
        return True  # to ask with signal 0 would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def has_open(process: int, path: Path) -> bool | None:
    """Whether a process of this user has a file open; None where the platform does not tell."""
    if not Path("/proc/self/fd").is_dir():
        return None
    try:
        wanted = path.stat()
        for link in Path(f"/proc/{process}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                if os.path.samestat(link.stat(), wanted):
                    return True
    except OSError:  # the process has ended, or is another user's
        return False
    return False


def environment(process: int) -> dict[str, str] | None:
    """Return the environment with which a process was begun; None where it is not told."""
    try:
        content = Path(f"/proc/{process}/environ").read_bytes()
    except OSError:
        return None
    pairs = (os.fsdecode(text).partition("=") for text in content.split(b"\0"))
    return {name: value for name, sign, value in pairs if sign}


def interrupt(process: int) -> bool:
    """Do to a process what Ctrl-C does; False where that cannot be done.

    Raises:
        OSError: if it has ended, or is another user's.
    """
    if os.name != "posix":
        return False  # a signal would end it at once
    os.kill(process, signal.SIGINT)
    return True
