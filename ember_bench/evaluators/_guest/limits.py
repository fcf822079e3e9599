"""What a process gives up before it runs what it does not trust: resources, and this package."""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Final

LIMITS: Final = {
    "cpu_seconds": resource.RLIMIT_CPU,
    "memory_bytes": resource.RLIMIT_AS,
    "threads": resource.RLIMIT_NPROC,
    "file_bytes": resource.RLIMIT_FSIZE,
    "open_files": resource.RLIMIT_NOFILE,
    "core_bytes": resource.RLIMIT_CORE,
}


def confine(limits: dict[str, int]) -> None:
    """Set each limit for good: hard, so that it cannot be raised again.

    Args:
        limits: By the names of `LIMITS`.

    Raises:
        OSError: if one cannot be set.
    """
    for name, value in limits.items():
        number = LIMITS[name]
        _, most = resource.getrlimit(number)
        bound = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(number, (bound, bound))


def forget_package() -> None:
    """Import nothing more from where this package is, which may hold all installed packages."""
    for folder in os.environ.pop("PYTHONPATH", "").split(os.pathsep):
        while folder in sys.path:
            sys.path.remove(folder)


def main() -> None:
    """Do nothing more: whether this much works is what the sandbox's probe asks."""
    confine(json.loads(sys.argv[1]))


if __name__ == "__main__":
    main()
