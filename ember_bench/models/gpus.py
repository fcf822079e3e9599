"""The GPUs of this machine, and the servers that have them."""

from __future__ import annotations

import os
import subprocess
import threading
from collections import Counter
from typing import Final

from ember_bench.errors import ConfigError, ProviderError

COUNT_VARIABLE: Final = "EMBER_BENCH_GPUS"
"""Number of GPUs that servers may have."""
VISIBLE_VARIABLE: Final = "CUDA_VISIBLE_DEVICES"
"""GPUs that a process may use, as CUDA reads it."""

_TOOL: Final = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")
_TOOL_SECONDS: Final = 30.0
_NONE: Final = frozenset({"", "-1", "NoDevFiles"})  # the last is Slurm's

_lock = threading.Lock()
# Of this process: who has which.
_taken: dict[str, str] = {}


def gpus_here() -> tuple[tuple[str, ...], str]:
    """Return the GPUs that servers may have, as CUDA names them, and who says so.

    These are the GPUs of `CUDA_VISIBLE_DEVICES`, or else those that `nvidia-smi` lists.
    `EMBER_BENCH_GPUS` takes the first of them, or says how many there are if neither is there.

    Raises:
        ConfigError: if `EMBER_BENCH_GPUS` is no number, or more than there are.
    """
    count = _count()
    if (visible := os.environ.get(VISIBLE_VARIABLE)) is not None:
        found, source = _visible(visible), VISIBLE_VARIABLE
    elif count is not None:
        return tuple(map(str, range(count))), COUNT_VARIABLE
    else:
        found, source = _listed(), _TOOL[0]
    if count is None:
        return found, source
    if count > len(found):
        raise ConfigError(
            f"{COUNT_VARIABLE}={count}: {VISIBLE_VARIABLE} names {len(found)}: {visible!r}"
        )
    return found[:count], COUNT_VARIABLE


def take(count: int, model_id: str) -> tuple[str, ...]:
    """Take GPUs for the server of a model, until `give_back`.

    Raises:
        ProviderError: if so many are not free.
    """
    if not count:
        return ()
    with _lock:
        found, source = gpus_here()
        free = [gpu for gpu in found if gpu not in _taken]
        if count > len(free):
            raise ProviderError(_too_few(count, model_id, len(found), source))
        chosen = tuple(free[:count])
        _taken.update(dict.fromkeys(chosen, model_id))
        return chosen


def give_back(gpus: tuple[str, ...]) -> None:
    """Give GPUs back that were taken."""
    with _lock:
        for gpu in gpus:
            _taken.pop(gpu, None)


def counted(number: int) -> str:
    """Return a number of GPUs in words."""
    return f"{number} GPU" if number == 1 else f"{number} GPUs"


def _too_few(count: int, model_id: str, there: int, source: str) -> str:
    text = f"{model_id}: its server takes {counted(count)}, and there is {there} ({source})"
    if there != 1:
        text = text.replace("there is", "there are")
    owners = [f"{owner} has {counted(n)}" for owner, n in Counter(_taken.values()).items()]
    return f"{text}; {', '.join(owners)}" if owners else text


def _count() -> int | None:
    if (given := os.environ.get(COUNT_VARIABLE)) is None:
        return None
    if not given.isdecimal():
        raise ConfigError(f"{COUNT_VARIABLE}: expected a whole number from 0, found {given!r}")
    return int(given)


def _visible(value: str) -> tuple[str, ...]:
    """Return the devices up to the first that is none, as CUDA does."""
    found: list[str] = []
    for name in (part.strip() for part in value.split(",")):
        if name in _NONE:
            break
        found.append(name)
    return tuple(found)


def _listed() -> tuple[str, ...]:
    try:
        listed = subprocess.run(  # noqa: S603 - of this module
            _TOOL, capture_output=True, text=True, timeout=_TOOL_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):  # no such program, or no GPU that it knows
        return ()
    return tuple(line.strip() for line in listed.stdout.splitlines() if line.strip())
