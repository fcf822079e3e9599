"""Messages to the user on stderr."""

from __future__ import annotations

import sys
from contextlib import suppress

from ember_bench.drawing.text import clean
from ember_bench.secrets import without_secrets


def say(message: str) -> None:
    """Print a message, without what moves the cursor and without secrets.

    Whoever listens may go away: what is printed is worth less than what goes on meanwhile.
    """
    with suppress(OSError):
        print(clean(without_secrets(message)), file=sys.stderr, flush=True)
