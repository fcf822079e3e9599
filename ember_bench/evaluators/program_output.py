"""Programs that are run for their answer: PAL (Gao et al. 2023) and program of thoughts."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import Field

from ember_bench.answers.formats import parse_answer
from ember_bench.evaluators.base import Evaluator, Score
from ember_bench.evaluators.in_sandbox import InSandbox
from ember_bench.evaluators.kinds import evaluator, shorten
from ember_bench.evaluators.nested import NestedEvaluator
from ember_bench.evaluators.sandbox import Guest, Limits, Sandbox, find_sandbox

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item

_LONGEST_OUTPUT: Final = 2**16
# Seconds until the program's files are looked at again.
_LONGEST_WAIT: Final = 0.2
_REMEMBERED: Final = 1_024
_SHOWN: Final = 300


@dataclass(frozen=True)
class Run:
    """What came of running a program.

    Attributes:
        output: What it gave, trimmed.
        failure: Why it did not end well; empty if it did.
    """

    output: str
    failure: str


@evaluator("program_output", version=1)
@dataclass(frozen=True)
class ProgramOutput(InSandbox, NestedEvaluator):
    """Runs the program in the response in the sandbox, and scores what it gives as an answer.

    Gao et al. 2023, "PAL: Program-aided Language Models"; Chen et al. 2023, "Program of Thoughts
    Prompting". Only the standard library is there. A program that fails is a wrong answer.

    Attributes:
        evaluator: The evaluator of the answer.
        result: The variable, or function without arguments, whose value is the answer (PAL's
            `solution`, `ans` of program of thoughts); without it, what the program prints.
        cpu_seconds: Processor time.
        wall_seconds: Time for everything.
        memory_mib: Address space.
    """

    evaluator: str = "numeric_match"
    result: str | None = None
    cpu_seconds: Annotated[int, Field(ge=1, le=3600)] = 10
    wall_seconds: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 30.0
    memory_mib: Annotated[int, Field(ge=64, le=65_536)] = 512

    def named(self) -> Sequence[str]:
        """Return the name of the answer's evaluator."""
        return [self.evaluator]

    def with_evaluators(self, evaluators: Mapping[str, Evaluator]) -> Self:
        """Return the same with the answer's evaluator, by its name, and the sandbox if found."""
        twin = super().with_evaluators(evaluators)
        if "sandbox" in self.__dict__:
            twin._put_into(self.sandbox)
        return twin

    def confined(self, *, unsafe: bool) -> Self:
        """Return the same with its sandbox found.

        Args:
            unsafe: Do without a sandbox where there is none.

        Raises:
            ConfigError: if there is none.
        """
        twin = super().confined(unsafe=unsafe)
        twin._put_into(find_sandbox(unsafe=unsafe))
        return twin

    @cached_property
    def identity(self) -> str:
        """As of all that name others; and answer format, Python's version and sandbox."""
        return f"{super().identity} {self.surroundings}"

    def normal(self, item: Item, answer: str) -> str:  # noqa: ARG002 - of the protocol
        """Return the program itself: nothing is run to count votes."""
        return answer

    def evaluate(self, item: Item, output: str) -> Score:
        """Run the program, and score its answer."""
        code = parse_answer(output, "python")
        if code is None:
            return Score(0.0, None, "No Python program could be read.")
        run = run_program(code, self.result, self.limits, self.sandbox)
        if run.failure:
            return Score(0.0, code, f"The program failed: {shorten(run.failure, _SHOWN)}.")
        if not run.output:
            return Score(0.0, None, "The program gives nothing.")
        score = self.evaluators[self.evaluator].evaluate(item, run.output)
        return Score(score.value, score.answer, f"The program's answer: {score.explanation}")


# Of an ensemble's programs many are one.
@lru_cache(maxsize=_REMEMBERED)
def run_program(code: str, result: str | None, limits: Limits, sandbox: Sandbox) -> Run:
    """Run a program in the sandbox.

    Args:
        code: The program.
        result: The name whose value is the answer; None for what it prints.
        limits: What it may use.
        sandbox: Where it runs.
    """
    job = json.dumps({"code": code, "result": result}).encode()
    with sandbox.start(
        "program", limits, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as guest:
        pipes = _Pipes(guest.process, job)
        failure = _wait(guest, limits)
        status = guest.process.returncode
    said, complaint = pipes.end()
    if pipes.full:
        failure = f"it writes more than {_LONGEST_OUTPUT:,} bytes"
    elif status and not failure:
        lines = complaint.splitlines()
        failure = lines[-1] if lines else f"it ended with status {status}"
    return Run("" if failure else said, failure)


def _wait(guest: Guest, limits: Limits) -> str:
    """Wait for the end of a program; return why it must not go on, or "" at its end."""
    deadline = time.monotonic() + limits.wall_seconds
    while True:
        try:
            left = deadline - time.monotonic()
            guest.process.wait(timeout=min(_LONGEST_WAIT, max(0.0, left)))
            return ""
        except subprocess.TimeoutExpired:
            if left <= _LONGEST_WAIT:
                return f"no answer within {limits.wall_seconds:g} s"
            if guest.tmp_files() > limits.tmp_files:
                return f"more than {limits.tmp_files:,} files in /tmp"


class _Pipes:
    """Hands over a job and reads what comes, so that neither side waits for the other.

    Attributes:
        full: Whether more came than is read.
    """

    def __init__(self, process: subprocess.Popen[bytes], job: bytes) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("a program's standard streams must be pipes")
        self.full = False
        self._process, self._stdin = process, process.stdin
        self._streams = (process.stdout, process.stderr)
        self._texts = [b"", b""]
        self._threads = [threading.Thread(target=self._give, args=(job,), daemon=True)]
        self._threads += [
            threading.Thread(target=self._read, args=(index,), daemon=True) for index in (0, 1)
        ]
        for thread in self._threads:
            thread.start()

    def _give(self, job: bytes) -> None:
        with contextlib.suppress(OSError):  # it is gone, as its status will tell
            self._stdin.write(job)
            self._stdin.close()

    def _read(self, index: int) -> None:
        text = self._streams[index].read(_LONGEST_OUTPUT + 1)
        self._texts[index] = text
        if len(text) > _LONGEST_OUTPUT:
            self.full = True
            self._process.kill()  # it would wait for ever to write the rest

    def end(self) -> tuple[str, str]:
        """Return what a process that has ended wrote to its two streams, trimmed."""
        for thread in self._threads:
            thread.join()
        for stream in self._streams:
            stream.close()
        said, complaint = (text.decode("utf-8", "replace").strip() for text in self._texts)
        return said, complaint
