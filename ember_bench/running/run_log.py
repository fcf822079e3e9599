"""The log of a run: changes of its limits and other messages of the library."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ember_bench.secrets import without_secrets

RUN_LOG: Final = "run.log"


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
