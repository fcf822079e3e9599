"""A system without the modules and functions that only POSIX has, as far as Linux can show it.

As a program (`python -m tests.support.windows CODE`) it runs CODE on such a system.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import struct
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

_POSIX_MODULES = ("fcntl", "grp", "posix_ipc", "pwd", "resource", "syslog", "termios", "uvloop")


def _locking(file: int, mode: int, count: int) -> None:
    """Lock `count` bytes from where the file stands, as `msvcrt.locking` does.

    Locks that belong to the open file conflict also within a process, and end when it is closed.
    """
    assert mode == msvcrt.LK_NBLCK
    start = os.lseek(file, 0, os.SEEK_CUR)
    request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, count, 0)
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, request)


msvcrt = SimpleNamespace(LK_NBLCK=2, locking=_locking)


def _not_here(*_: Any) -> None:
    raise NotImplementedError


def pretend() -> None:
    """Take away what only POSIX has; for a process that has imported nothing of the project."""
    modules: dict[str, Any] = sys.modules
    modules |= dict.fromkeys(_POSIX_MODULES) | {"msvcrt": msvcrt}
    for module, names in (
        (os, ("fork", "register_at_fork", "sched_yield", "pread", "pwrite", "O_CLOEXEC", "killpg")),
        (select, ("poll", "epoll")),
    ):
        for name in names:
            if isinstance(module, ModuleType) and hasattr(module, name):
                delattr(module, name)
    asyncio.SelectorEventLoop.add_signal_handler = _not_here  # type: ignore[assignment]
    asyncio.SelectorEventLoop.remove_signal_handler = _not_here  # type: ignore[assignment]


if __name__ == "__main__":
    pretend()
    exec(sys.argv[1])
