"""Printing: results to stdout, messages to stderr, nothing in either that moves the cursor."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

    from ember_bench.errors import EmberBenchError


class Status(IntEnum):
    """The command's exit status."""

    DONE = 0
    FAILURES = 1
    BAD_INPUT = 2
    STOPPED = 3


def say(message: str) -> None:
    """Print a message for people."""
    from ember_bench.report.text import clean
    from ember_bench.secrets import without_secrets

    print(clean(without_secrets(message)), file=sys.stderr, flush=True)


def fail(error: EmberBenchError) -> None:
    """Print what is wrong, a line for each problem."""
    from ember_bench.errors import ConfigError

    problems = error.problems if isinstance(error, ConfigError) else (error,)
    for message in dict.fromkeys(map(str, problems)):
        say(f"error: {message}")


def put(text: str) -> None:
    """Print a result."""
    from ember_bench.report.text import clean

    print(clean(text))


def put_text(text: Text) -> None:
    """Print a result with its styles, without them where there is no terminal."""
    from rich.console import Console
    from rich.text import Text

    from ember_bench.report.text import clean

    # Tables clean what they are given. If one forgot, it loses its styles, and no more than that.
    cleaned = clean(text.plain)
    shown = text if cleaned == text.plain else Text(cleaned)
    Console(markup=False, highlight=False, emoji=False).print(shown, soft_wrap=True)


def put_json(value: Any) -> None:
    """Print a result for machines."""
    import msgspec

    from ember_bench.report.text import clean_json

    print(clean_json(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))


def columns() -> int | None:
    """Return the width of the terminal on stdout; None if there is none."""
    if not sys.stdout.isatty():
        return None
    from rich.console import Console

    return Console().width


def replace_unprintable() -> None:
    """Let a terminal that lacks a character show another one, and not end the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
