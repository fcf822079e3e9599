"""Dual execution agreement: programs and tests by the same model, chosen by what passes what.

CodeT (Chen et al. 2023, section 2): programs that pass the same generated tests are a group; its
score is the square root of the number of its samples times the number of tests that it passes, each
counted as often as it was written. One sample of the group with the highest score is the answer.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ember_bench.errors import DataMissingError
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.kinds import evaluator, parameter_identity
from ember_bench.evaluators.program_output import run_program
from ember_bench.evaluators.sandbox import Limits, find_sandbox
from ember_bench.models.recorded.data_dir import data_dir
from ember_bench.operators import Operator, operator

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item

STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
TESTS_EACH = 5
TEST_SECONDS = 0.1
Group = tuple[list[int], float]
"""Samples, and the score."""

_HARNESS = """
def _ember_run():
    import contextlib, io, json, os, signal, sys
    told = os.dup(1)
    names = dict(globals())
    def late(number, frame):
        raise TimeoutError
    signal.signal(signal.SIGALRM, late)
    def passes(code, seconds):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            heard = io.StringIO()
            with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
                exec(code, dict(names))
            return True
        except BaseException:
            return False
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    program, tests, seconds = json.loads(names["_EMBER_JOB"])
    said = ""
    if passes(program, 1.0):
        said = "".join("01"[passes(program + "\\n" + test, seconds)] for test in tests)
    os.write(told, said.encode())
    os._exit(0)
_ember_run()
"""


def cut(text: str) -> str:
    """Return a completion up to the end of the function."""
    ends = [place for stop in STOPS if (place := text.find(stop)) >= 0]
    return text[: min(ends, default=len(text))]


def tests_of(completion: str, entry_point: str) -> list[str]:
    """Return the assertions about the entry point that a completion after `assert ` has."""
    parts = [f"assert {part}" for part in f"assert {completion}".split("assert ")[1:]]
    found = [cut(part).rstrip() for part in parts]
    return [test for test in found if entry_point in test and _compiles(test)][:TESTS_EACH]


def _compiles(code: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(code, "test.py", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def passed(program: str, tests: Sequence[str], seconds_each: float = TEST_SECONDS) -> str:
    """Run a program in the sandbox.

    Returns:
        A digit for each test; "" if the program itself fails.
    """
    job = json.dumps([program, list(tests), seconds_each])
    code = f"_EMBER_JOB = {job!r}\n{_HARNESS}"
    seconds = 5 + math.ceil(1.5 * seconds_each * len(tests))
    limits = Limits(wall_seconds=2 * seconds, cpu_seconds=seconds)
    said = run_program(code, None, limits, find_sandbox())
    return said.output if len(said.output) == len(tests) else ""


def groups(samples: Sequence[str], counts: Sequence[int]) -> list[Group]:
    """Return the groups, best first, those with equal scores merged.

    Args:
        samples: For each sample the digits of `passed`.
        counts: For each test how often it was written.
    """
    members: dict[str, list[int]] = {}
    for number, digits in enumerate(samples):
        if "1" in digits:
            members.setdefault(digits, []).append(number)
    scored: dict[float, list[int]] = {}
    for digits, found in members.items():
        weight = sum(n for n, digit in zip(counts, digits, strict=True) if digit == "1")
        scored.setdefault(math.sqrt(len(found)) * weight, []).extend(found)
    return [(scored[score], score) for score in sorted(scored, reverse=True)]


# --- what the repository's samples did when they were run


@dataclass(frozen=True)
class Recorded:
    """The matrix of one problem.

    Attributes:
        samples: The texts, in the order of the file.
        tests: Tests and how often they were written.
        digits: Text of a sample -> the digits of `passed`.
        right: Text of a sample -> whether its program passes the benchmark's own tests.
    """

    samples: Sequence[str]
    tests: Mapping[str, int]
    digits: Mapping[str, str]
    right: Mapping[str, bool]


def recorded() -> Mapping[str, Recorded]:
    """Return the matrices of all problems.

    Raises:
        DataMissingError: if they are not in the data directory.
    """
    folder = (data_dir() or Path()) / "codet"
    paths = [folder / f"{name}.jsonl.gz" for name in ("solutions", "execution")]
    if missing := [path for path in paths if not path.is_file()]:
        raise DataMissingError(f"{missing[0]} is not there: see experiments/papers/codet")
    return _recorded(*paths)


@cache
def _recorded(solutions: Path, execution: Path) -> Mapping[str, Recorded]:
    texts = {record["task_id"]: record["samples"] for record in lines(solutions)}
    found = {}
    for record in lines(execution):
        samples = texts[record["task_id"]]
        pairs = list(zip(samples, record["sample_program"], strict=True))
        digits, right = record["program_passes_tests"], record["program_passes_benchmark"]
        found[record["task_id"]] = Recorded(
            samples,
            dict(record["tests"]),
            {text: digits[program] for text, program in pairs},
            {text: bool(right[program]) for text, program in pairs},
        )
    return found


def lines(path: Path) -> list[Any]:
    """Return the records of a file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


# --- the operator and the evaluator


@operator
class CodeT(Operator):
    """Takes the programs of the group with the highest score; they share its credit.

    Inputs: `responses`, the programs and then as many texts with tests; `metadata` with `task_id`,
    `prompt` and `entry_point`. Outputs: `final_answer` and the `answers` of the group; all
    programs, if none passes a test.

    Args:
        by: `sandbox` runs programs and tests; `recorded` looks up what they did.
    """

    blocking = True

    def __init__(self, *, by: Literal["sandbox", "recorded"] = "sandbox") -> None:
        super().__init__()
        self.by = by

    def forward(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run all programs with all tests, and group them."""
        responses, item = inputs["responses"], inputs["metadata"]
        half = len(responses) // 2
        programs, written = responses[:half], responses[half:]
        tests = Counter(t for text in written for t in tests_of(text, item["entry_point"]))
        digits = (
            self._recorded(programs, tests, item)
            if self.by == "recorded"
            else [passed(item["prompt"] + cut(text), list(tests)) for text in programs]
        )
        best = groups(digits, list(tests.values()))
        chosen = [programs[n] for n in best[0][0]] if best else list(programs)
        return {"final_answer": chosen[0], "answers": chosen, "credit": "mean"}

    def _recorded(
        self, programs: Sequence[str], tests: Mapping[str, int], item: Mapping[str, Any]
    ) -> list[str]:
        known = recorded()[item["task_id"]]
        places = [list(known.tests).index(test) for test in tests]
        found = [known.digits[text] for text in programs]
        return ["".join(digits[place] for place in places) if digits else "" for digits in found]


@evaluator("codet", version=1)
@dataclass(frozen=True)
class PassesBenchmark:
    """Right if the program passed the benchmark's tests when the recorded samples were run."""

    name: str

    @property
    def identity(self) -> str:
        """Kind, version, parameters, and the digest of the recorded verdicts."""
        path = (data_dir() or Path()) / "codet" / "execution.jsonl.gz"
        digest = ""
        with contextlib.suppress(OSError):
            digest = sha256(path.read_bytes()).hexdigest()[:32]
        return f"{parameter_identity(self)} {digest}"

    def check_item(self, item: Item) -> None:
        """See that the problem was run."""
        recorded()[item.id]

    def evaluate(self, item: Item, output: str) -> Score:
        """Look the program up."""
        known = recorded()[item.id].right
        right = known.get(output)
        if right is None:  # without blanks around it
            right = next(r for text, r in known.items() if text.strip() == output.strip())
        said = "passed" if right else "failed"
        return Score(float(right), output, f"{self.name}: it {said} the benchmark's tests")
