"""The commands of runs, by which the live view goes on with one.

They are kept in the user's own folder and not with the results, which may come from others: a click
is to run only what this user has given on this machine.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from ember_bench.files import write
from ember_bench.models.limits.shared import state_folder
from ember_bench.secrets import without_secrets

_SUFFIX: Final = ".command"
_DIGEST_BYTES: Final = 16


class Command(msgspec.Struct, frozen=True):
    """A command that ran an experiment.

    Attributes:
        experiment: The folder of the experiment.
        arguments: What followed `ember-bench`.
        folder: The working directory.
    """

    experiment: str
    arguments: tuple[str, ...]
    folder: str

    @property
    def line(self) -> tuple[str, ...]:
        """The command as a process has it; it does not depend on how the first one was found."""
        # Without -P, a module in the working directory would stand for one of the library's.
        return (sys.executable, "-P", "-m", "ember_bench", *self.arguments)


def keep_command(experiment: Path, arguments: tuple[str, ...]) -> None:
    """Keep the command that runs an experiment, in place of the last one.

    One with a password in it is not kept. Without a folder for it nothing is.

    Args:
        experiment: The folder of the experiment.
        arguments: What follows `ember-bench`.
    """
    command = Command(str(experiment.resolve()), arguments, os.getcwd())
    with suppress(OSError, RuntimeError):
        folder = state_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _tidy(folder)
        path = folder / _name(experiment)
        path.unlink(missing_ok=True)
        if all(without_secrets(text) == text for text in arguments):
            write(path, msgspec.json.encode(command))


def command_of(experiment: Path) -> Command | None:
    """Return the command that ran an experiment last; None if it is not known.

    Args:
        experiment: The folder of the experiment.
    """
    try:
        found = _read(state_folder() / _name(experiment))
    except RuntimeError:  # there is no home
        return None
    return found if found is not None and found.experiment == str(experiment.resolve()) else None


def _name(experiment: Path) -> str:
    digest = blake2b(os.fsencode(experiment.resolve()), digest_size=_DIGEST_BYTES)
    return f"{digest.hexdigest()}{_SUFFIX}"


def _read(path: Path) -> Command | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Command)
    except (OSError, msgspec.MsgspecError):
        return None


def _tidy(folder: Path) -> None:
    """Forget commands whose working directory is no more."""
    for path in folder.glob(f"*{_SUFFIX}"):
        command = _read(path)
        if command is None or not Path(command.folder).is_dir():
            path.unlink(missing_ok=True)
