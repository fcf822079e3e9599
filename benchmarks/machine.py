"""What results were measured on: machine, date, versions."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.programs import ROOT

# Of ours, what the numbers depend on.
_PACKAGES: Final = (
    "ember-bench", "aiohttp", "greenlet", "msgspec", "numpy", "openai", "orjson", "pydantic",
    "scipy", "uvloop",
)  # fmt: skip


def describe(command: Sequence[str], work: Path) -> dict[str, Any]:
    """Return what is to be said of this machine, this moment and this checkout."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(command),
        "commit": _commit(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": [round(load, 2) for load in os.getloadavg()],
        "memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "file_system": _file_system(work),
        "python": platform.python_version(),
        "compiler": _first_line(["cc", "--version"]),
        "packages": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except ModuleNotFoundError:  # it is not needed by all
        return None


def _commit() -> str:
    found = _first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"])
    return found or "not a checkout"


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.splitlines()[0] if done.stdout else ""


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.is_file() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _file_system(folder: Path) -> str:
    """Return the kind of file system that `folder` is on."""
    mounts = Path("/proc/mounts")
    found = ("", "unknown")
    for line in mounts.read_text().splitlines() if mounts.is_file() else ():
        _, place, kind, *_ = line.split()
        if folder.resolve().is_relative_to(place) and len(place) >= len(found[0]):
            found = (place, kind)
    return found[1]
