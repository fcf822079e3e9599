"""Printing: results to stdout, messages to stderr, nothing in either that moves the cursor.

Whoever listens may go away, and the disk behind a redirection may be full: what is printed is worth
less than what goes on meanwhile.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from ember_bench.running.messages import say

if TYPE_CHECKING:
    from rich.text import Text

    from ember_bench.errors import EmberBenchError


class Status(IntEnum):
    """The command's exit status."""

    DONE = 0
    FAILURES = 1
    BAD_INPUT = 2
    STOPPED = 3


def fail(error: EmberBenchError) -> None:
    """Print an error, a line for each problem."""
    from ember_bench.errors import ConfigError

    problems = error.problems if isinstance(error, ConfigError) else (error,)
    for message in dict.fromkeys(map(str, problems)):
        say(f"error: {message}")


def put(text: str) -> None:
    """Print a result."""
    from ember_bench.drawing.text import clean

    with _printing():
        print(clean(text))


def put_text(text: Text) -> None:
    """Print a result, with its styles if stdout is a terminal."""
    from rich.console import Console
    from rich.text import Text

    from ember_bench.drawing.text import clean

    # Tables clean their texts. If one forgot, it only loses its styles.
    cleaned = clean(text.plain)
    shown = text if cleaned == text.plain else Text(cleaned)

    class Stdout(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # to `_printing`, and not out of the command

    with _printing():
        Stdout(markup=False, highlight=False, emoji=False).print(shown, soft_wrap=True)


def put_json(value: Any) -> None:
    """Print a result for machines."""
    import msgspec

    from ember_bench.drawing.text import clean_json

    text = clean_json(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    with _printing():
        print(text)


@contextmanager
def _printing() -> Iterator[None]:
    """Print a result. A pipe that its reader closes is no error.

    Raises:
        OutputError: if it cannot be written.
    """
    from ember_bench.errors import OutputError

    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        # The rest of the buffer would be written again when the interpreter ends.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - to the end
        if not isinstance(error, BrokenPipeError):
            raise OutputError(f"the results cannot be printed: {error.strerror}") from None


def width() -> int | None:
    """Return the width of the terminal on stdout, or `COLUMNS`; None if there is neither."""
    if not sys.stdout.isatty():
        asked = os.environ.get("COLUMNS", "")
        return int(asked) if asked.isdecimal() and int(asked) else None
    from rich.console import Console

    return Console().width


def ready_streams() -> None:
    """See that there are streams, and that a character that one lacks does not end the command."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed (`2>&-`): the next file that is opened would be taken for it
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - to the end
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def confirmed(question: str) -> bool:
    """Return whether a person agrees.

    Raises:
        ConfigError: if nobody answers.
    """
    import typer

    from ember_bench.errors import ConfigError

    try:
        return typer.confirm(question, default=True, err=True)
    except typer.Abort:
        raise ConfigError("nothing is written; --yes takes what is guessed") from None
