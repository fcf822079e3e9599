"""Messages to the user on stderr."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TextIO

from ember_bench.drawing.text import clean
from ember_bench.secrets import without_secrets


def say(message: str, stream: TextIO | None = None) -> None:
    """Print a message, without what moves the cursor and without secrets.

    It goes to `stream`, where another library turns stderr off meanwhile. Whoever listens may go
    away: what is printed is worth less than what goes on meanwhile.
    """
    with suppress(OSError):
        print(clean(without_secrets(message)), file=stream or sys.stderr, flush=True)
