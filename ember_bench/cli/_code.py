"""The warning before model-written code runs without a sandbox."""

from __future__ import annotations

from ember_bench.running.messages import say


def warn_of_unsafe_code() -> None:
    """Warn of `--unsafe-code`, if there is no sandbox."""
    from ember_bench.evaluators.sandbox import find_sandbox

    if find_sandbox(unsafe=True).bubblewrap is None:
        say(
            "WARNING: --unsafe-code: there is no sandbox. Programs that models wrote run with your "
            "rights: they can read your files and keys, use the network, and forge their scores. "
            "Only time, memory and file size are limited."
        )
