"""The options that hold for the whole process: recorded data, and code without a sandbox."""

from __future__ import annotations

from pathlib import Path

from ember_bench.running.messages import say


def settle(data_dir: Path | None, *, unsafe_code: bool) -> None:
    """Look for recorded data in `data_dir`, and warn of `--unsafe-code`."""
    from ember_bench.running.places import use_data_dir

    if data_dir is not None:
        use_data_dir(data_dir)
    if unsafe_code:
        _warn_of_unsafe_code()


def _warn_of_unsafe_code() -> None:
    """Warn of `--unsafe-code`, if there is no sandbox."""
    from ember_bench.evaluators.sandbox import find_sandbox

    if find_sandbox(unsafe=True).bubblewrap is None:
        say(
            "WARNING: --unsafe-code: there is no sandbox. Programs that models wrote run with your "
            "rights: they can read your files and keys, use the network, and forge their scores. "
            "Only time, memory and file size are limited."
        )
