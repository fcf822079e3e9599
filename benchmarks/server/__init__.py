"""The loopback server that every measured client talks to: built from C, started, asked, stopped.

A server in Python would be what is measured: it takes as much CPU for a call as the clients do.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from shutil import which
from typing import Any, Final
from urllib.request import urlopen

SOURCES: Final = Path(__file__).parent
_STRICT: Final = ("-std=gnu17", "-Wall", "-Wextra", "-Werror")
_STOP_SECONDS: Final = 10.0


class NoCompilerError(RuntimeError):
    """There is no C compiler here."""


@dataclass(frozen=True)
class ServerStats:
    """What the server has done since it was started, or since `Server.reset`.

    Attributes:
        requests: Completions asked for, answered or not.
        other_requests: For the list of models.
        refused: Answered with an error.
        in_flight: Completions that are not answered yet.
        max_in_flight: Most of them at once.
        connections: Open.
        accepted: Connections that were opened.
        cpu_seconds: Since it was started, whatever was reset.
    """

    requests: int
    other_requests: int
    refused: int
    in_flight: int
    max_in_flight: int
    connections: int
    accepted: int
    bytes_in: int
    bytes_out: int
    cpu_seconds: float


@dataclass(frozen=True)
class Server:
    """A server that is running."""

    port: int
    process: subprocess.Popen[str]

    def base_url(self, latency_ms: int | None = None) -> str:
        """Return what clients take as `base_url`; `latency_ms` in place of the server's own."""
        after = "" if latency_ms is None else f"/after/{latency_ms}ms"
        return f"http://127.0.0.1:{self.port}{after}/v1"

    def stats(self) -> ServerStats:
        """Ask what was done so far."""
        return self._stats("/stats")

    def reset(self) -> ServerStats:
        """Ask what was done so far, and count anew."""
        return self._stats("/stats?reset")

    def _stats(self, path: str) -> ServerStats:
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as response:
            found: dict[str, Any] = json.load(response)
        return ServerStats(**found)


def build(folder: Path, flags: Sequence[str] = ("-O2",)) -> Path:
    """Compile the server into `folder`, unless that was done before; return the program.

    Args:
        folder: Of the program.
        flags: For the compiler, beside those that make it strict.

    Raises:
        NoCompilerError: if there is no `cc`.
        subprocess.CalledProcessError: if it does not compile; the compiler says why on stderr.
    """
    compiler = which("cc")
    if compiler is None:
        raise NoCompilerError("the server is written in C, and there is no `cc` to compile it")
    flags = [*_STRICT, *flags]
    content = sha256(repr(flags).encode())
    for file in sorted(SOURCES.glob("*.[ch]")):
        content.update(file.read_bytes())
    program = folder / f"server-{content.hexdigest()[:16]}"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        sources = map(str, sorted(SOURCES.glob("*.c")))
        with tempfile.TemporaryDirectory(dir=folder) as unfinished:
            made = Path(unfinished, program.name)
            subprocess.run([compiler, *flags, "-o", str(made), *sources], check=True)
            made.replace(program)
    return program


@contextmanager
def serve(program: Path, *, latency_ms: int = 0) -> Iterator[Server]:
    """Run the server on a free port of loopback until the block is left, or this process is gone.

    Raises:
        RuntimeError: if it does not start.
    """
    command = [str(program), "--latency", str(latency_ms), "--until-eof"]
    # A group of its own: Ctrl-C is for the client, which may still want to know what was done.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = process.stdout.readline()
            if not port:
                raise RuntimeError(f"{program.name} did not start: exit status {process.wait()}")
            yield Server(int(port), process)
        finally:
            process.stdin.close()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
