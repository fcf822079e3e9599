"""Mathematical equivalence, by math-verify in processes of its own."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from ember_bench.answers.formats import parse
from ember_bench.errors import ConfigError, EmberBenchError
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.kinds import evaluator, parameter_identity, shorten
from ember_bench.evaluators.libraries import library_identity

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item

_EXTRA: Final = "math"
_WORKER: Final = "ember_bench.evaluators.math_worker"
_PACKAGES: Final = ("math-verify", "latex2sympy2-extended", "sympy")
_START_SECONDS: Final = 60.0
_LONGEST: Final = 2_000


@dataclass(frozen=True)
class Comparison:
    """What a worker says of an answer.

    Attributes:
        read: Whether the answer is an expression.
        equal: The target that it equals, by its index; None if it equals none.
        failure: Why they could not be compared; empty if they could.
    """

    read: bool
    equal: int | None
    failure: str = ""


@evaluator("math_equivalence", version=1)
@dataclass(frozen=True)
class MathEquivalence:
    r"""Right if the answer is mathematically equal to the target, however it is written.

    Read and compared by math-verify (Kydlíček et al. 2025): fractions, roots, intervals, sets,
    tuples, matrices, equations, with or without LaTeX; `50\%` is .5, and `(1,2)` is `$(1, 2)$`. An
    answer that takes longer to compare than `seconds` is wrong, and its explanation says so.

    Attributes:
        seconds: Time for one comparison.
    """

    name: str
    seconds: Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)] = 10.0

    @property
    def blocking(self) -> bool:
        """A process is waited for."""
        return True

    @cached_property
    def identity(self) -> str:
        """Kind, version, parameters, and the versions of the packages."""
        packages = (library_identity(package, extra=_EXTRA) for package in _PACKAGES)
        return f"{parameter_identity(self)} {' '.join(packages)}"

    def evaluate(self, item: Item, output: str) -> Score:
        """Compare the answer with the target and its alternatives.

        Raises:
            ConfigError: if a target is empty, or math-verify is not installed.
            EmberBenchError: if the process that compares cannot be started.
        """
        targets = (item.target, *item.alternatives)
        if not all(target.strip() for target in targets):
            raise ConfigError(f"item {item.id!r}: {self.name!r}: the target is empty")
        answer = parse(output, "text").answer
        if answer is None:
            return Score(0.0, None, f"No answer could be read; the target is {shorten(targets[0])}")
        if len(answer) > _LONGEST:
            return Score(0.0, None, f"No expression has more than {_LONGEST:,} characters.")
        found = compare(answer, targets, self.seconds)
        shown = shorten(answer)
        if found.failure:
            return Score(0.0, answer, f"{shown} could not be compared: {found.failure}.")
        if not found.read:
            return Score(0.0, None, f"{shown} is no mathematical expression.")
        if found.equal is None:
            return Score(0.0, answer, f"{shown} does not equal {shorten(targets[0])}.")
        return Score(1.0, answer, f"{shown} equals {shorten(targets[found.equal])}.")


# Of an ensemble's answers many are one.
@lru_cache(maxsize=4096)
def compare(answer: str, targets: tuple[str, ...], seconds: float) -> Comparison:
    """Compare an answer with targets in a worker.

    Raises:
        ConfigError: if math-verify is not installed.
        EmberBenchError: if no worker can be started.
    """
    library_identity("math-verify", extra=_EXTRA)
    with _workers.one() as worker:
        reply = worker.ask({"answer": answer, "targets": targets}, seconds)
    if reply is None:
        return Comparison(read=True, equal=None, failure=f"no verdict within {seconds:g} s")
    if "failed" in reply:
        return Comparison(read=True, equal=None, failure=str(reply["failed"]))
    return Comparison(bool(reply["read"]), reply["equal"])


class _Worker:
    """A process that compares; it is replaced after a question that it did not answer in time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, question: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Return the reply; None if there is none in time."""
        process = self._process
        if process is None or process.poll() is not None:
            process = self._start()
        reply = _exchange(process, question, seconds)
        if reply is None:
            self.stop()
        return reply

    def _start(self) -> subprocess.Popen[str]:
        process = self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        # The first comparison imports sympy, for which no answer is to blame.
        if _exchange(process, {"answer": "1", "targets": ["2"]}, _START_SECONDS) is None:
            self.stop()
            raise EmberBenchError("the process that compares expressions does not start")
        return process

    def stop(self) -> None:
        """Kill the process."""
        if (process := self._process) is not None:
            self._process = None
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()


def _exchange(
    process: subprocess.Popen[str], question: dict[str, Any], seconds: float
) -> dict[str, Any] | None:
    if process.stdin is None or process.stdout is None:
        raise ValueError("a worker's standard input and output must be pipes")
    # A pipe cannot be read with a timeout on every platform; the end of the process ends reading.
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except OSError:
        line = ""
    finally:
        timer.cancel()
    if not line.endswith("\n"):
        return None
    reply: dict[str, Any] = json.loads(line)
    return reply


class _Workers:
    """As many workers as there are processors, each started when it is first needed."""

    def __init__(self) -> None:
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._all = [_Worker() for _ in range(os.cpu_count() or 1)]
        for worker in self._all:
            self._idle.put(worker)

    @contextlib.contextmanager
    def one(self) -> Iterator[_Worker]:
        """Yield a worker that nobody else has."""
        worker = self._idle.get()
        try:
            yield worker
        finally:
            self._idle.put(worker)

    def stop(self) -> None:
        """Kill them all."""
        for worker in self._all:
            worker.stop()


_workers: Final = _Workers()
atexit.register(_workers.stop)
