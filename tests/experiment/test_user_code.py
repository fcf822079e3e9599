"""Edited user code gives no old number: what depends on it runs again, and the file is named."""

from __future__ import annotations

import os
import py_compile
import sys
from itertools import count

import pytest

from tests.support import counted
from tests.support.workspace import Workspace, single

OPERATOR = """\
import sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
from ember_bench.operators import Operator, operator
from beside_ops import tidy
PROMPT = "Be brief. {query}"

@operator
class OfATest(Operator):
    suffix = ""

    def forward(self, inputs, prompt=PROMPT):
        answer = self.lms[0](prompt.format(query=inputs["query"]))
        return {"final_answer": tidy(answer) + self.suffix}
"""
FORMAT = """\
from ember_bench.operators import answer_format
MARK = "Answer:"

@answer_format("of_a_test")
def parse(text, choices):
    return text.rpartition(MARK)[2].strip() or None
"""
EVALUATOR = """\
from dataclasses import dataclass
from ember_bench.evaluators import AnswerEvaluator, evaluator
CREDIT = True

@evaluator("of_a_test")
@dataclass(frozen=True)
class OfATest(AnswerEvaluator):
    def agrees(self, answer, target):
        return answer == target or (CREDIT and answer == "8")
"""
GENERATOR = """\
from ember_bench.datasets import Item, generator
FACTOR = 2

@generator("of_a_test")
def double(random, item_id, *, largest: int = 10_000):
    number = random.between(1, largest)
    return Item(item_id, f"{number} + {FACTOR} = ?", target=str(number + FACTOR),
                answer_format="number")
"""

_NUMBERS = count()


@pytest.fixture
def ran(workspace: Workspace) -> Workspace:
    sys.modules.pop("beside_ops", None)  # of another test's folder
    unique = f"of_test_{next(_NUMBERS)}"  # a name is registered once in a process
    workspace.write("registry/ops.py", OPERATOR)
    workspace.write("registry/beside_ops.py", "def tidy(text):\n    return text\n")
    workspace.write("registry/formats.py", FORMAT.replace("of_a_test", unique))
    workspace.write("registry/scores.py", EVALUATOR.replace("of_a_test", unique))
    workspace.write("registry/makes.py", GENERATOR.replace("of_a_test", unique))
    workspace.write("registry/unrelated.py", "nothing = 1\n")
    workspace.write("registry/evaluators/mine.yaml", {"name": "mine", "kind": unique})
    workspace.edit("registry/datasets/sums.yaml", "numeric_match", "mine")
    workspace.edit(
        "registry/datasets/sums.yaml", "answer_format: number", f"answer_format: {unique}"
    )
    made = {"generated": {"generator": unique, "parameters": {"count": 10}}}
    card = {"name": "made", "purpose": "x", "source": made, "evaluator": "numeric_match"}
    workspace.write("registry/datasets/made.yaml", card)
    node = {"operator": "OfATest", "lm_modules": [{"model": "counted:a"}]}
    own = {"name": "own", "purpose": "x", "parameters": {}, "graph": {"answer": node}}
    workspace.write("registry/architectures/own.yaml", own)
    only = {"datasets": ["sums"]}
    workspace.grid(datasets=["sums", "made"], architectures=[single(), {"name": "own", **only}])
    first = workspace.run().progress
    assert (first.done, first.errors) == (30, 0)
    return workspace


@pytest.mark.parametrize(
    ("path", "old", "new", "trials", "requests"),
    [
        ("registry/ops.py", "Be brief.", "Be short.", 10, 10),
        ("registry/ops.py", 'suffix = ""', 'suffix = "!"', 10, 0),
        ("registry/beside_ops.py", "return text", "return 'no'", 10, 0),
        ("registry/formats.py", "Answer:", "answer:", 20, 0),
        ("registry/scores.py", "CREDIT = True", "CREDIT = False", 20, 0),
        ("registry/makes.py", "FACTOR = 2", "FACTOR = 3", 10, 10),
    ],
)
def test_an_edited_file_is_named_and_what_depends_on_it_runs_again(
    ran: Workspace, path: str, old: str, new: str, trials: int, requests: int
) -> None:
    ran.edit(path, old, new)
    asked = sum(counted.requests().values())
    again = ran.run()
    assert again.progress.done == trials
    assert sum(counted.requests().values()) - asked == requests
    assert f"{path} changed: {trials} trials run again" in again.changes
    assert ran.run().progress.done == 0


@pytest.mark.parametrize(
    ("path", "old", "new", "requests"),
    [
        ("registry/ops.py", "Be brief.", "Be short.", 10),
        ("registry/beside_ops.py", "return text", "return 'no'", 0),
        ("registry/makes.py", "FACTOR = 2", "FACTOR = 3", 10),
    ],
)
def test_code_edited_in_the_second_of_its_compilation_is_the_code_that_runs(
    ran: Workspace, path: str, old: str, new: str, requests: int
) -> None:
    # Python tells bytecode that is out of date by the source's size and whole second.
    source = ran.root / path
    second = 1_790_000_000
    os.utime(source, (second, second))
    os.utime(py_compile.compile(str(source), doraise=True), (second + 0.5, second + 0.5))
    ran.edit(path, old, new)
    os.utime(source, (second + 0.7, second + 0.7))
    asked = sum(counted.requests().values())
    again = ran.run()
    assert again.progress.done == 10
    assert sum(counted.requests().values()) - asked == requests
    assert sys.modules["beside_ops"].tidy("yes") == ("no" if "beside" in path else "yes")


def test_an_edited_file_that_nothing_depends_on_changes_nothing(ran: Workspace) -> None:
    ran.edit("registry/unrelated.py", "nothing = 1", "nothing = 2")
    ran.edit("registry/architectures/own.yaml", "purpose: x", "purpose: y")
    again = ran.run()
    assert (again.progress.done, again.changes) == (0, [])
