"""Runs told to stop, and begun again, from the live view."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from ember_bench import host
from ember_bench.errors import EmberBenchError
from ember_bench.experiment.lock import holder, holds
from ember_bench.secrets import without_secrets

_COMMAND: Final = "ember-bench"
_LAST_BYTES: Final = 2_000


class ControlError(EmberBenchError):
    """A run cannot be stopped, or begun again, from here."""


@dataclass(frozen=True, slots=True)
class _Command:
    """A command, as its process was begun; it is kept in memory only."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Begun:
    process: subprocess.Popen[bytes]
    output: IO[bytes]


class Control:
    """Stops runs of a results folder, and begins again those that it stopped.

    Args:
        results: The results folder.
    """

    def __init__(self, results: Path) -> None:
        self.results = results
        self._asked: dict[str, int] = {}
        self._commands: dict[str, _Command] = {}
        self._begun: dict[str, _Begun] = {}

    def stop(self, name: str) -> None:
        """Do what Ctrl-C does in the terminal of a run, once: a second one would end it at once.

        Raises:
            ControlError: if no process of this user runs the experiment, or none can be stopped
                on this platform.
        """
        folder = self.results / name
        process = holder(folder)
        if process is None or not holds(process, folder):
            raise ControlError(f"{name}: no process of this user runs it on this machine")
        if self._asked.get(name) == process:
            return
        command = _command_of(process)
        try:
            done = host.interrupt(process)
        except OSError as error:
            raise ControlError(f"{name}: process {process}: {error.strerror}") from None
        if not done:
            raise ControlError(f"{name}: on this platform, press Ctrl-C in its terminal")
        self._asked[name] = process
        self._commands.pop(name, None)
        if command is not None:
            self._commands[name] = command

    def is_stopping(self, name: str) -> bool:
        """Whether the process that runs an experiment was told to stop here."""
        return name in self._asked and self._asked[name] == holder(self.results / name)

    def can_resume(self, name: str) -> bool:
        """Whether the command is known that would go on with an experiment that does not run."""
        return name in self._commands and not self.is_resumed(name)

    def is_resumed(self, name: str) -> bool:
        """Whether a process that was begun here goes on with an experiment."""
        begun = self._begun.get(name)
        return begun is not None and begun.process.poll() is None

    def resume(self, name: str) -> None:
        """Run the command of a run that was stopped here once more, in a session of its own.

        It has the folder and the environment of the first one, and goes on when the view ends.

        Raises:
            ControlError: if its command is not known, it runs, or it cannot be begun.
        """
        if not self.can_resume(name):
            raise ControlError(f"{name}: only a run that was stopped here is resumed here")
        command = self._commands[name]
        output = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process lives
        try:
            process = subprocess.Popen(  # noqa: S603 - a command that the user gave before
                command.arguments,
                cwd=command.folder,
                env=command.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            output.close()
            raise ControlError(f"{name}: cannot be resumed: {error}") from None
        self._begun[name] = _Begun(process, output)

    def reap(self) -> None:
        """Take note of resumed runs that have ended: else the system lists them as processes."""
        for begun in self._begun.values():
            begun.process.poll()

    def problem(self, name: str) -> str:
        """Return the last output of a resumed run that ended with an error status, else ""."""
        begun = self._begun.get(name)
        if begun is None or not begun.process.poll():
            return ""
        size = begun.output.seek(0, os.SEEK_END)
        begun.output.seek(max(0, size - _LAST_BYTES))
        return without_secrets(begun.output.read().decode(errors="replace")).strip()


def _command_of(process: int) -> _Command | None:
    """Return the command of a process; None if it is none of ours, or the platform hides it."""
    place = Path(f"/proc/{process}")
    try:
        arguments = _texts(place / "cmdline")
        pairs = [text.partition("=") for text in _texts(place / "environ")]
        environment = {name: value for name, sign, value in pairs if sign}
        folder = os.readlink(place / "cwd")
    except OSError:
        return None
    if len(arguments) < 2 or Path(arguments[1]).name != _COMMAND:
        return None
    return _Command(arguments, folder, environment)


def _texts(path: Path) -> list[str]:
    return [os.fsdecode(text) for text in path.read_bytes().removesuffix(b"\0").split(b"\0")]
