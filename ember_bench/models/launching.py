"""Servers of local models that are started when they are first needed, and ended after use."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Final, NoReturn
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ember_bench.errors import CallGivenUpError, ProviderError
from ember_bench.models import gpus
from ember_bench.models.types import Usage
from ember_bench.secrets import without_secrets

_LOOK_EVERY_SECONDS: Final = 0.2
_ANSWER_WITHIN_SECONDS: Final = 5.0
_END_WITHIN_SECONDS: Final = 15.0
_LAST_CHARACTERS: Final = 2_000
_LAST_LINES: Final = 15
# Asks Linux for a signal when the process that started it is killed, and becomes the server. It is
# a program of its own: after a fork, Python code may wait for locks of threads that are not there.
_BECOME: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[3:])
"""


class Launch(BaseModel):
    """How the server of a local model is started.

    Attributes:
        command: The program and its arguments; `{host}`, `{port}` and `{model}` stand for those of
            the card.
        ready: Path that the server answers with status 200 once it can be asked.
        wait_seconds: How long it may take until then.
        gpus: Number of GPUs that it takes. No other server has them while it runs; they are named
            in its `CUDA_VISIBLE_DEVICES`.
        per_hour: Cost of its machine, in US dollars an hour. What the server cost, and what that is
            for a million tokens, is said at the end of a run; it is no price of single calls.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: tuple[str, ...] = Field(min_length=1)
    ready: str = "/health"
    wait_seconds: float = Field(default=900.0, gt=0, allow_inf_nan=False)
    gpus: int = Field(default=0, ge=0)
    per_hour: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    @field_validator("ready")
    @classmethod
    def _is_path(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError(f"expected a path that begins with /, found {value!r}")
        return value


class Meter:
    """The time of a server, and the tokens that it served.

    Args:
        model_id: The model.
        per_hour: Cost of its machine, in US dollars an hour; None if that is unknown.
    """

    def __init__(self, model_id: str, per_hour: float | None) -> None:
        self.seconds = 0.0
        self._model_id = model_id
        self._per_hour = per_hour
        self._tokens: int | None = 0

    def served(self, usage: Usage) -> None:
        """Count the tokens of an answer."""
        if self._tokens is not None:
            total = usage.total_tokens
            self._tokens = None if total is None else self._tokens + total

    @property
    def report(self) -> str:
        """The time and the cost of the server as a sentence; "" if it was not started."""
        if not self.seconds:
            return ""
        short = self.seconds < 60
        span = f"{self.seconds:.1f} s" if short else f"{self.seconds / 60:,.1f} minutes"
        said = f"{self._model_id}: its server ran for {span}"
        if self._per_hour is None:
            return said
        usd = self._per_hour * self.seconds / 3600
        said += f": ${usd:,.4f} of machine time at ${self._per_hour:g} an hour"
        if not self._tokens:
            return said
        return f"{said}, ${usd / self._tokens * 1e6:,.2f} per million tokens served"


class LocalServer:
    """The server of a local model, on this machine.

    One that answers at its address already is used as it is, and not ended.

    Args:
        model_id: The model, for messages.
        model_name: The name that it has at the server.
        base_url: The address of its API.
        launch: How it is started.
    """

    def __init__(self, model_id: str, model_name: str, base_url: str, launch: Launch) -> None:
        self.model_id = model_id
        self.base_url = base_url
        self.launch = launch
        parts = urlsplit(base_url)
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
        named = f"[{host}]" if ":" in host else host
        self._ready_url = f"{parts.scheme}://{named}:{port}{launch.ready}"
        values = {"{host}": host, "{port}": str(port), "{model}": model_name}
        self._command = [_filled(part, values) for part in launch.command]
        # One thread starts it; whoever else needs it waits for that.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="ember-bench-launch")
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._printed: IO[bytes] | None = None
        self._began = 0.0
        self._gpus: tuple[str, ...] = ()
        self._meter = Meter(model_id, launch.per_hour)
        self._up = False
        self._failure = ""
        self._given_up = threading.Event()
        self._finalizer: weakref.finalize[..., LocalServer] | None = None

    async def ready(self) -> str:
        """Return the address of its API once it can be asked; start it if need be.

        Raises:
            ProviderError: if it does not start, or has ended, with what it printed; or if other
                servers have the GPUs that it takes.
            CallGivenUpError: if it is not up as of `give_up`.
        """
        if self._failure:
            raise ProviderError(self._failure)
        if self._up and (self._process is None or self._process.poll() is None):
            return self.base_url
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._starter, self._ensure)
        return self.base_url

    def served(self, usage: Usage) -> None:
        """Count the tokens of an answer."""
        self._meter.served(usage)

    def unheard(self) -> None:
        """Do nothing: `ready` looks at the process."""

    async def is_foreign(self) -> bool:
        """Whether it answers, and was not started here."""
        return self._process is None and await asyncio.to_thread(self._answers)

    def give_up(self) -> None:
        """Wait no longer for a server that is not up yet, and start none; until it is closed."""
        self._given_up.set()

    async def close(self) -> None:
        """End the server, if it was started here."""
        await asyncio.get_running_loop().run_in_executor(None, self._end)
        self._given_up.clear()

    @property
    def report(self) -> str:
        """The time and the cost of the server as a sentence; "" if it was not started here."""
        return self._meter.report

    def _ensure(self) -> None:
        with self._lock:
            if self._failure:
                raise ProviderError(self._failure)
            self._go_on()
            if self._process is None and not self._answers():
                self._start()
            if self._process is not None:
                self._wait(self._process)
            self._up = True

    def _start(self) -> None:
        if (program := shutil.which(self._command[0])) is None:
            self._fail(f"cannot be started: {self._command[0]}: No such file or directory")
        self._gpus = gpus.take(self.launch.gpus, self.model_id)
        given = {gpus.VISIBLE_VARIABLE: ",".join(self._gpus)} if self._gpus else {}
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        try:
            process = subprocess.Popen(  # noqa: S603 - the command of the user's own card
                _ended_with_us(program, self._command),
                env={**os.environ, **given},
                stdin=subprocess.DEVNULL,
                stdout=self._printed,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C is for the run, and all of it can be ended.
                start_new_session=True,
            )
        except OSError as error:
            self._give_back()
            self._fail(f"cannot be started: {self._command[0]}: {error.strerror}")
        self._process, self._began = process, time.monotonic()
        self._finalizer = weakref.finalize(self, _end_left, process, self._gpus)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        until = self._began + self.launch.wait_seconds
        while True:
            if (status := process.poll()) is not None:
                self._give_back()
                self._fail(f"ended with status {status}; {self._last_words()}")
            if self._up or self._answers():
                return
            self._go_on()
            if time.monotonic() > until:
                self._end()
                self._fail(
                    f"did not answer {self._ready_url} within {self.launch.wait_seconds:g} s;"
                    f" {self._last_words()}"
                )
            self._given_up.wait(_LOOK_EVERY_SECONDS)

    def _go_on(self) -> None:
        if self._given_up.is_set() and not self._up:
            raise CallGivenUpError(f"{self.model_id}: not asked, as the run is to stop")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(  # noqa: S310 - http, as the card says
                self._ready_url, timeout=_ANSWER_WITHIN_SECONDS
            ) as answer:
                return 200 <= int(answer.status) < 300
        except (OSError, ValueError, urllib.error.URLError):
            return False

    def _fail(self, reason: str) -> NoReturn:
        self._failure = f"{self.model_id}: the server of its card's `launch` {reason}"
        raise ProviderError(self._failure)

    def _last_words(self) -> str:
        """Return what it printed, the last line first: tables show one line of a failure."""
        if self._printed is None:
            return ""
        size = self._printed.seek(0, os.SEEK_END)
        self._printed.seek(max(0, size - _LAST_CHARACTERS))
        text = without_secrets(self._printed.read().decode(errors="replace")).strip()
        lines = text.splitlines()[-_LAST_LINES:]
        if not lines:
            return "it printed nothing"
        ending = f"its last line: {lines[-1]}"
        return ending if len(lines) == 1 else "\n".join([ending, "The lines up to it:", *lines])

    def _end(self) -> None:
        process, self._up = self._process, False
        if process is None:
            return
        self._process = None
        self._meter.seconds += time.monotonic() - self._began
        _signal(process, signal.SIGTERM)
        try:
            process.wait(_END_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            _kill(process)
        self._give_back()
        if self._finalizer is not None:
            self._finalizer.detach()

    def _give_back(self) -> None:
        taken, self._gpus = self._gpus, ()
        gpus.give_back(taken)


def _ended_with_us(program: str, command: list[str]) -> list[str]:
    """Return the command of a server that ends when this process is killed, where that can be."""
    if sys.platform != "linux":
        return command
    become = [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid())]
    return [*become, os.path.abspath(program), *command]


def _end_left(process: subprocess.Popen[bytes], taken: tuple[str, ...]) -> None:
    """End a server that nobody ended."""
    _kill(process)
    gpus.give_back(taken)


def _filled(part: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        part = part.replace(name, value)
    return part


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_WITHIN_SECONDS)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal the process and those that it started."""
    if process.poll() is not None:
        return
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:
            process.terminate()
