"""Programs that are run for their answer."""

from __future__ import annotations

import pytest

from ember_bench.datasets.item import Item
from ember_bench.evaluators import NumericMatch, ProgramOutput

ITEM = Item("1", "?", "18", answer_format="number")


def program(**parameters: object) -> ProgramOutput:
    made = ProgramOutput("p", **parameters)  # type: ignore[arg-type]
    return made.with_evaluators({"numeric_match": NumericMatch("n")})


PRINTED, SOLUTION, ANSWER = program(), program(result="solution"), program(result="ans")


@pytest.mark.parametrize(
    ("evaluator", "code", "outcome"),
    [
        (PRINTED, "print(6 * 3)", "correct"),
        (PRINTED, "if __name__ == '__main__':\n    print('It is', 6 * 3)", "correct"),
        (PRINTED, "print(6 * 4)", "wrong"),
        (PRINTED, "x = 6 * 3", "unparsed"),
        (PRINTED, "import sys\nprint(18)\nsys.exit()", "correct"),
        (PRINTED, "print(18)\nraise ValueError('no')", "wrong"),
        (SOLUTION, "def solution():\n    print(20)\n    return 6 * 3", "correct"),
        (SOLUTION, "def answer():\n    return 18", "wrong"),
        (ANSWER, "from fractions import Fraction\nans = Fraction(36, 2)", "correct"),
    ],
)
def test_what_a_program_gives_is_its_answer(
    evaluator: ProgramOutput, code: str, outcome: str
) -> None:
    assert evaluator.evaluate(ITEM, f"```python\n{code}\n```").outcome == outcome


FAILURES = {
    "1 / 0": "ZeroDivisionError: division by zero",
    "while True:\n    print('x' * 1000)": "it writes more than 65,536 bytes",
    "import time\ntime.sleep(60)": "no answer within 1 s",
    "import subprocess\nsubprocess.run(['ls'])": "Error",
    "open('/etc/passwd').read()": "Error",
    "import numpy": "No module named",
}


@pytest.mark.parametrize(("code", "why"), FAILURES.items())
def test_a_program_that_fails_or_tries_too_much_is_wrong(code: str, why: str) -> None:
    score = program(wall_seconds=1.0).evaluate(ITEM, f"```python\nx = 1\n{code}\nprint(18)\n```")
    assert score.outcome == "wrong"
    assert why in score.explanation


def test_prose_is_unparsed() -> None:
    assert PRINTED.evaluate(ITEM, "It is eighteen, I would say.").outcome == "unparsed"


def test_identity_covers_sandbox_and_the_answers_evaluator() -> None:
    strict = ProgramOutput("p").with_evaluators({"numeric_match": NumericMatch("n")})
    loose = NumericMatch("n", relative_tolerance=1)  # type: ignore[arg-type]
    other = ProgramOutput("p").with_evaluators({"numeric_match": loose})
    assert strict.identity != other.identity
    assert strict.confined(unsafe=True).identity.endswith(strict.sandbox.identity)
