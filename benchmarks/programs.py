"""Programs that are measured: each in a process of its own, given its jobs one by one."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from benchmarks.peers.measured import RESULTS_VARIABLE, Job

ROOT: Final = Path(__file__).parent.parent
_STOP_SECONDS: Final = 10.0
_LONGEST_REASON: Final = 300
# Nothing is asked beyond loopback, whatever is set here, and nobody is told of it.
_DROPPED: Final = ("API_KEY", "BASE_URL", "PROXY", "EMBER_BENCH", "PYTHONDONTWRITEBYTECODE")
_QUIET: Final = {
    "PYTHONPATH": str(ROOT),
    "PYTHONUNBUFFERED": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "LANGSMITH_TRACING": "false",
    "DO_NOT_TRACK": "1",
}


class ProgramFailedError(RuntimeError):
    """A program that is measured ended before its time, or took too long."""


def environment(home: Path) -> dict[str, str]:
    """Return the variables that measured programs see; what they keep at home goes to `home`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not any(part in name.upper() for part in _DROPPED)
    }
    return kept | _QUIET | {"HOME": str(home)}


@dataclass(frozen=True)
class Program:
    """A program that is running, and waits for jobs."""

    process: subprocess.Popen[str]
    results: IO[str]
    log: Path

    def do(self, job: Job, *, seconds: float) -> dict[str, Any]:
        """Have a job done; returns its measurement (`peers.measured.Measurement`).

        Raises:
            ProgramFailedError: if it is not done in that time, or never will be.
        """
        sink = self.process.stdin
        assert sink is not None
        with suppress(BrokenPipeError):  # why it is gone is in its log
            sink.write(json.dumps(asdict(job)) + "\n")
            sink.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self.results, selectors.EVENT_READ)
            if not selector.select(seconds):
                raise ProgramFailedError(f"{job.name}: not done in {seconds:.0f} s")
        line = self.results.readline()
        if not line:
            raise ProgramFailedError(f"{job.name}: {last_words(self.log)}")
        measurement: dict[str, Any] = json.loads(line)
        return measurement


@contextmanager
def started(command: Sequence[str], *, folder: Path) -> Iterator[Program]:
    """Run a program in `folder` until the block is left; its log goes there too."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    reading, writing = os.pipe()
    with os.fdopen(reading) as results, log.open("w") as said:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                text=True,
                cwd=folder,
                env=environment(folder) | {RESULTS_VARIABLE: str(writing)},
                pass_fds=[writing],
                start_new_session=True,
            )
        finally:
            os.close(writing)
        try:
            yield Program(process, results, log)
            assert process.stdin is not None
            process.stdin.close()  # there are no more jobs
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
        finally:
            with suppress(ProcessLookupError):  # it is over, or is to be over, with all it started
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()


def last_words(log: Path) -> str:
    """Return what a program said last: most likely its error."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    said = next((line for line in reversed(lines) if line), "it ended without a word")
    return said[:_LONGEST_REASON]
