"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final
from uuid import uuid4

# Where names stand for open files: one that is redirected to a regular file is written into.
_OPEN_FILES: Final = ("/dev/", "/proc/")


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Open a file that has its new content once the block ends, and its old content until then.

    A link is followed. A device, a pipe or a socket is written into and never replaced.

    Raises:
        OSError: if it cannot be written.
    """
    if _is_replaceable(path):
        target = path.resolve()
        temporary = target.with_name(f".ember-bench-{uuid4().hex}")
        try:
            with temporary.open("xb") as file:
                yield file
            if target.exists():
                temporary.chmod(target.stat().st_mode)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    else:
        with path.open("ab") as file:
            yield file


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, see `written`."""
    with written(path) as file:
        file.write(content)


def _is_replaceable(path: Path) -> bool:
    return not os.path.abspath(path).startswith(_OPEN_FILES) and (
        path.is_file() or not path.exists()
    )
