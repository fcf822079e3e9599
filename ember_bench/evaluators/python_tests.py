"""Unit tests given by the item, run against the program in the answer, in sandboxes.

The tests run in one sandbox and the program in another; what joins them is a socket on which plain
values go (`_guest`). So a program can pass only by giving right values: it never sees the tests,
and it cannot reach what counts them.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from ember_bench.answers.formats import parse_answer
from ember_bench.errors import ConfigError, EmberBenchError
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.in_sandbox import InSandbox
from ember_bench.evaluators.kinds import evaluator, parameter_identity, shorten
from ember_bench.evaluators.sandbox import Limits, Sandbox, find_sandbox

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item

_LONGEST_REPORT: Final = 2**16
_LONGEST_JOB: Final = 2**20
# Seconds until the clock, and the program's files, are looked at again.
_LONGEST_WAIT: Final = 0.2
_REMEMBERED: Final = 1_024
_SHOWN: Final = 300


@dataclass(frozen=True)
class Job:
    """What is judged.

    Attributes:
        code: The program under test.
        setup: Run before the tests, where they are.
        tests: The tests: `assert` statements, functions `test...`, or `check(candidate)`.
        entry_point: The one function that the tests get from the program.
        reference: Without an entry point, what this program defines is what they get.
    """

    code: str
    setup: str
    tests: str
    entry_point: str | None
    reference: str


@dataclass(frozen=True)
class Verdict:
    """What the tests said.

    Attributes:
        passed: How many did.
        tests: How many there are.
        failure: Why not all of them; empty if they did.
    """

    passed: int
    tests: int
    failure: str


class InvalidTestsError(EmberBenchError):
    """The item's tests cannot be run, whatever the answer is."""


class SandboxError(EmberBenchError):
    """The sandbox did not do its work; nothing is known of the answer."""


@evaluator("python_tests", version=2)
@dataclass(frozen=True)
class PythonTests(InSandbox):
    """Right if the program in the answer passes all of the item's tests (standard library only).

    The item's target is a program that does. Its metadata has the rest, as text or as a list of
    texts, under the names given here.

    Attributes:
        tests: The metadata field of the tests.
        setup: The field of what the tests need before them, such as imports.
        preamble: The field of what stands before every program, and before the tests: the start
            of a function that the answer may continue, as in HumanEval.
        entry_point: The field that names the one function under test; without it the tests get
            every name that the target defines.
        cpu_seconds: Processor time for the program, and as much for the tests.
        wall_seconds: Time for everything.
        memory_mib: Address space for the program, and as much for the tests.
    """

    name: str
    tests: str = "tests"
    setup: str | None = None
    preamble: str | None = None
    entry_point: str | None = None
    cpu_seconds: Annotated[int, Field(ge=1, le=3600)] = 10
    wall_seconds: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 30.0
    memory_mib: Annotated[int, Field(ge=64, le=65_536)] = 512

    def confined(self, *, unsafe: bool) -> PythonTests:
        """Return the same with its sandbox found.

        Args:
            unsafe: Do without a sandbox where there is none.

        Raises:
            ConfigError: if there is none.
        """
        twin = replace(self)
        twin._put_into(find_sandbox(unsafe=unsafe))
        return twin

    @cached_property
    def identity(self) -> str:
        """Kind, version, parameters, answer format, sandbox, and Python's version."""
        return f"{parameter_identity(self)} {self.surroundings}"

    def evaluate(self, item: Item, output: str) -> Score:
        """Score 1 if all tests pass, else 0.

        Raises:
            ConfigError: if the item has no tests, or they cannot be run.
            SandboxError: if the sandbox fails.
        """
        code = parse_answer(output, "python")
        if code is None:
            return Score(0.0, None, "No Python program could be read.")
        try:
            verdict = run_tests(self._job(item, code), self.limits, self.sandbox)
        except InvalidTestsError as error:
            raise ConfigError(f"item {item.id!r}: {self.name!r}: {error}") from None
        count = f"{verdict.passed} of {verdict.tests} tests passed"
        if not verdict.failure:
            return Score(1.0, code, f"{count}.")
        return Score(0.0, code, f"{count}; {shorten(verdict.failure, _SHOWN)}.")

    def _job(self, item: Item, code: str) -> Job:
        fields = item.metadata
        preamble = _text(fields, self.preamble, item, self.name)
        setup = _text(fields, self.setup, item, self.name)
        tests = _text(fields, self.tests, item, self.name)
        entry_point = _text(fields, self.entry_point, item, self.name).strip()
        reference = preamble + (parse_answer(item.target, "python") or "")
        return Job(
            preamble + code,
            f"{preamble}\n{setup}",
            tests,
            entry_point or None,
            "" if entry_point else reference,
        )


def _text(fields: Mapping[str, Any], name: str | None, item: Item, evaluator: str) -> str:
    """Return a metadata field, a list as lines; "" for none."""
    if name is None:
        return ""
    value = fields.get(name)
    lines = [value] if isinstance(value, str) else value
    if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
        found = "nothing" if value is None else type(value).__name__
        raise ConfigError(
            f"item {item.id!r}: {evaluator!r} needs a text, or a list of texts, in the metadata "
            f"field {name!r} (found {found})"
        )
    return "\n".join(lines)


# Of an ensemble's answers many are one; and simulated models ask what is right again and again.
@lru_cache(maxsize=_REMEMBERED)
def run_tests(
    job: Job, limits: Limits, sandbox: Sandbox, clock: Callable[[], float] = time.monotonic
) -> Verdict:
    """Judge a program.

    Raises:
        InvalidTestsError: if the tests cannot be run.
        SandboxError: if the sandbox fails.
    """
    nonce = secrets.token_hex(16)
    work = json.dumps({"nonce": nonce, **vars(job)}).encode("ascii")
    if len(work) > _LONGEST_JOB:
        return Verdict(0, 0, f"program and tests have more than {_LONGEST_JOB:,} bytes")
    deadline = clock() + limits.wall_seconds
    with contextlib.ExitStack() as stack:
        ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
        candidate = stack.enter_context(sandbox.start("candidate", limits, stdin=theirs.fileno()))
        judge = stack.enter_context(
            sandbox.start(
                "judge",
                limits,
                str(ours.fileno()),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                inherited=[ours.fileno()],
            )
        )
        # Only the two processes hold the socket now: each hears of the other's end.
        ours.close()
        theirs.close()
        reports = _Reports(judge.process, nonce, deadline, clock)
        reports.stop = lambda: candidate.tmp_files() > limits.tmp_files
        reports.give(work)
        return _verdict(reports, limits)


def _verdict(reports: _Reports, limits: Limits) -> Verdict:
    begun = reports.next()
    if begun is None:
        raise SandboxError("the sandbox did not start, or not in time")
    if "error" in begun:
        raise InvalidTestsError(str(begun["error"]))
    if "broken" in begun:
        raise SandboxError(str(begun["broken"]))
    tests = int(begun["tests"])
    if (ended := reports.next()) is None:
        if reports.stopped:
            return Verdict(0, tests, f"more than {limits.tmp_files:,} files in /tmp")
        late = f"no verdict within {limits.wall_seconds:g} s"
        return Verdict(0, tests, late if reports.late else "the program stopped its own tests")
    passed, failure = int(ended["passed"]), str(ended["failure"])
    if not failure and not int(ended["calls"]):
        failure = "the tests never call the program"
    if not failure and not passed == tests == int(ended["tests"]):
        failure = "some tests were not run"
    return Verdict(passed, tests, failure)


class _Reports:
    """Talks to the judge until the deadline, which holds whatever the judge does.

    Attributes:
        stop: Asked from time to time whether to go on.
        stopped: Whether it said no.
        late: Whether the deadline has passed.
    """

    def __init__(
        self,
        judge: subprocess.Popen[bytes],
        nonce: str,
        deadline: float,
        clock: Callable[[], float],
    ) -> None:
        if judge.stdin is None or judge.stdout is None:
            raise ValueError("the judge's standard input and output must be pipes")
        self._stdin, self._stdout = judge.stdin, judge.stdout
        self._nonce, self._deadline, self._clock = nonce, deadline, clock
        self._buffer = bytearray()
        self.stop: Callable[[], bool] = lambda: False
        self.stopped = self.late = False

    def give(self, work: bytes) -> None:
        """Hand over the job; a judge that is gone will be missed by its report."""
        descriptor, sent = self._stdin.fileno(), 0
        os.set_blocking(descriptor, False)
        with contextlib.suppress(BrokenPipeError):
            while sent < len(work) and self._wait(descriptor, select.POLLOUT):
                sent += os.write(descriptor, work[sent:])
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def next(self) -> dict[str, Any] | None:
        """Return the next report; None if it does not come."""
        descriptor = self._stdout.fileno()
        while b"\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_REPORT or not self._wait(descriptor, select.POLLIN):
                return None
            part = os.read(descriptor, _LONGEST_REPORT)
            if not part:
                return None
            self._buffer += part
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer[:] = rest
        report = json.loads(line)
        if report.get("nonce") != self._nonce:
            raise SandboxError("a report without the nonce of its job")
        return dict(report)

    def _wait(self, descriptor: int, event: int) -> bool:
        """Wait until something can be read or written, or the other end is closed."""
        poll = select.poll()
        poll.register(descriptor, event)
        while (seconds := self._deadline - self._clock()) > 0:
            if poll.poll(1000 * min(seconds, _LONGEST_WAIT)):
                return True
            if self.stop():
                self.stopped = True
                return False
        self.late = True
        return False
