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
from ember_bench.running.commands import Command, command_of
from ember_bench.secrets import without_secrets

_LAST_BYTES: Final = 2_000


class ControlError(EmberBenchError):
    """A run cannot be stopped, or begun again, from here."""


@dataclass(frozen=True, slots=True)
class _Begun:
    process: subprocess.Popen[bytes]
    output: IO[bytes]


class Control:
    """Stops runs of a results folder, and goes on with those whose command is known.

    Args:
        results: The results folder.
    """

    def __init__(self, results: Path) -> None:
        self.results = results
        self._asked: dict[str, int] = {}
        self._environments: dict[str, dict[str, str]] = {}
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
        environment = host.environment(process)
        try:
            done = host.interrupt(process)
        except OSError as error:
            raise ControlError(f"{name}: process {process}: {error.strerror}") from None
        if not done:
            raise ControlError(f"{name}: on this platform, press Ctrl-C in its terminal")
        self._asked[name] = process
        self._environments.pop(name, None)
        if environment is not None:
            self._environments[name] = environment

    def is_stopping(self, name: str) -> bool:
        """Whether the process that runs an experiment was told to stop here."""
        return name in self._asked and self._asked[name] == holder(self.results / name)

    def command(self, name: str) -> Command | None:
        """Return the command that goes on with an experiment which does not run; None if unknown.

        It is the last one that this user gave on this machine, in a folder that is still there.
        """
        found = command_of(self.results / name)
        if found is None or self.is_resumed(name) or not Path(found.folder).is_dir():
            return None
        return found

    def is_resumed(self, name: str) -> bool:
        """Whether a process that was begun here goes on with an experiment."""
        begun = self._begun.get(name)
        return begun is not None and begun.process.poll() is None

    def resume(self, name: str) -> None:
        """Run the command of an experiment once more, in a session of its own.

        It has the environment of the run that was stopped here, where the platform tells it, and
        else that of the view. It goes on when the view ends.

        Raises:
            ControlError: if it runs, its command is not known, or cannot be begun.
        """
        folder = self.results / name
        process = holder(folder)
        if self.is_resumed(name) or (process is not None and holds(process, folder)):
            raise ControlError(f"{name}: it runs already")
        command = self.command(name)
        if command is None:
            raise ControlError(
                f"{name}: no command of this user on this machine is known to have run it"
            )
        output = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process lives
        try:
            process_again = subprocess.Popen(  # noqa: S603 - a command that the user gave before
                command.line,
                cwd=command.folder,
                env=self._environments.get(name),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            output.close()
            raise ControlError(f"{name}: cannot be resumed: {error}") from None
        self._begun[name] = _Begun(process_again, output)

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
