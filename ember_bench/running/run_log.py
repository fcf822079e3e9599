"""The log of a run: changes of its limits and other messages of the library."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ember_bench.secrets import without_secrets

RUN_LOG: Final = "run.log"
_TAIL_BYTES: Final = 1 << 16
# As `WindowHistory` writes it after the formatter's date; ids of models have no space.
_LIMITS: Final = re.compile(
    r"\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d),\d+ \w+ ember_bench\.limits: (\S+): (.*) \(at [\d.]+ s\)"
)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


@contextmanager
def run_log(folder: Path) -> Iterator[None]:
    """Append what is logged under `ember_bench` to `run.log` in `folder`; made when needed."""
    logger = logging.getLogger("ember_bench")
    handler = logging.FileHandler(folder / RUN_LOG, encoding="utf-8", delay=True)
    handler.setLevel(logging.INFO)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level = logger.level
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


def last_limits(folder: Path) -> dict[str, str]:
    """Return what the limits of each model did last, as `run.log` in `folder` says it.

    Growth of a window is not in the log. What stands before its last 64 KiB is not read.
    """
    try:
        with (folder / RUN_LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            tail = file.read().decode(errors="replace")
    except OSError:  # nothing is logged yet
        return {}
    return {model: f"{said}, {at}" for at, model, said in _LIMITS.findall(tail)}
