"""Unit tests given by the item: what they can say, and what becomes of it."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from ember_bench.datasets import load_dataset
from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators import load_evaluator
from ember_bench.evaluators.python_tests import PythonTests, SandboxError
from ember_bench.evaluators.sandbox import Sandbox
from ember_bench.registry import Cards, builtin_root
from tests.support.mbpp import MBPP

if TYPE_CHECKING:
    from ember_bench.evaluators.base import Score

if shutil.which("bwrap") is None:
    pytest.skip("needs bubblewrap (apt-get install bubblewrap)", allow_module_level=True)

CARDS = Cards([builtin_root()])
PLAIN = PythonTests("p")


def item(target: str, tests: Any, **metadata: Any) -> Item:
    fields = {"tests": tests, **metadata}
    return Item("1", "?", target, answer_format="python", metadata=fields)


def score(target: str, tests: Any, answer: str | None = None) -> Score:
    return PLAIN.evaluate(item(target, tests), target if answer is None else answer)


ADD = "def add(a, b):\n    return a + b"
ADDS = ["assert add(1, 2) == 3", "assert add(0, 0) == 0"]


class TestAScore:
    def test_is_one_if_all_tests_pass(self) -> None:
        found = score(ADD, ADDS)
        assert (found.value, found.outcome) == (1.0, "correct")
        assert found.answer == ADD
        assert found.explanation == "2 of 2 tests passed."

    def test_is_nothing_if_one_fails_and_says_which(self) -> None:
        found = score(ADD, ADDS, "def add(a, b): return 0")
        assert (found.value, found.outcome) == (0.0, "wrong")
        assert found.explanation == (
            "1 of 2 tests passed; 'assert add(1, 2) == 3: AssertionError: '."
        )

    def test_is_unparsed_without_a_program(self) -> None:
        assert score(ADD, ADDS, "I do not know.").outcome == "unparsed"

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            ("def add(a, b) return", "SyntaxError"),
            ("def sub(a, b): return 0", "NameError: name 'add' is not defined"),
            ("import numpy\ndef add(a, b): return a + b", "No module named 'numpy'"),
            ("def add(a, b): raise KeyError('x')", "KeyError"),
            ("class Odd(Exception): pass\ndef add(a, b): raise Odd('no')", "Odd: no"),
            ("import os\ndef add(a, b): os._exit(0)", "the code ended before the tests did"),
        ],
    )
    def test_says_why_a_program_is_wrong(self, answer: str, reason: str) -> None:
        found = score(ADD, ADDS, answer)
        assert found.value == 0.0
        assert reason in found.explanation

    def test_says_it_printably_and_shortly(self) -> None:
        answer = "def add(a, b): raise ValueError('\\x1b[31m' * 100_000)"
        found = score(ADD, ADDS, answer)
        assert len(found.explanation) < 500
        assert found.explanation.isprintable()


class TestTests:
    def test_are_asserts_and_functions(self) -> None:
        tests = "CASES = [(1, 2)]\nassert add(1, 1) == 2\ndef test_cases():\n"
        tests += "    for a, b in CASES:\n        assert add(a, b) == a + b"
        assert score(ADD, tests).explanation == "2 of 2 tests passed."

    def test_go_on_after_one_that_fails(self) -> None:
        tests = ["assert add(1, 1) == 3", "assert add(1, 1) == 2", "assert add(1, 1) == 2"]
        assert score(ADD, tests).explanation.startswith("2 of 3 tests passed")

    @pytest.mark.parametrize(
        "value",
        [
            "None", "True", "-3", "10**400", "1.5", "float('inf')", "1e-300", "2j", "'\\ud800'",
            "'caf\\u00e9'", "b'\\x00\\xff'", "bytearray(b'x')", "(1, (2,))", "[[], {}]", "{}",
            "{1: 'a', (2, 3): [4]}", "{1, 2}", "frozenset({frozenset({1})})", "{None: b''}",
        ],
    )  # fmt: skip
    def test_get_a_plain_value_as_it_is(self, value: str) -> None:
        echo = "def echo(x): return x"
        same = f"assert echo({value}) == {value} and type(echo({value})) is type({value})"
        there = f"def made(): return {value}"
        assert score(echo, same).explanation == "1 of 1 tests passed."
        assert score(there, f"assert made() == {value}").explanation == "1 of 1 tests passed."

    def test_get_the_plain_value_of_a_subclass(self) -> None:
        code = (
            "from collections import Counter, OrderedDict, namedtuple\n"
            "Point = namedtuple('Point', 'x y')\n"
            "def f(): return [Counter('aab'), OrderedDict(a=1), Point(1, 2)]"
        )
        assert score(code, "assert f() == [{'a': 2, 'b': 1}, {'a': 1}, (1, 2)]").value == 1.0

    def test_can_use_objects_without_seeing_into_them(self) -> None:
        code = (
            "class Shelf:\n"
            "    def __init__(self, *things): self.things = list(things)\n"
            "    def add(self, thing): self.things.append(thing); return self\n"
            "    def __len__(self): return len(self.things)\n"
            "    def __iter__(self): return iter(self.things)\n"
            "    def __getitem__(self, i): return self.things[i]\n"
            "    def __str__(self): return 'a shelf'\n"
            "def first(shelf): return shelf.things[0]\n"
            "def squares(n): yield from (i * i for i in range(n))"
        )
        tests = [
            "assert Shelf(1).things == [1]",
            "assert len(Shelf().add(1).add(2)) == 2",
            "assert list(Shelf(1, 2)) == [1, 2] and 2 in Shelf(1, 2)",
            "assert Shelf(5)[0] == 5 and str(Shelf()) == 'a shelf'",
            "assert first(Shelf('x')) == 'x'",
            "assert list(squares(4)) == [0, 1, 4, 9] and next(squares(1)) == 0",
        ]
        assert score(code, tests).explanation == "6 of 6 tests passed."

    def test_see_what_becomes_of_their_arguments(self) -> None:
        code = "def clear(xs, seen, by): xs.clear(); seen.add(1); by['a'] = 2"
        tests = (
            "def test():\n    xs, seen, by = [1], set(), {}\n    clear(xs, seen, by=by)\n"
            "    assert (xs, seen, by) == ([], {1}, {'a': 2})"
        )
        assert score(code, tests).explanation == "1 of 1 tests passed."

    def test_can_expect_exceptions(self) -> None:
        code = "def f(x):\n    if x < 0: raise ValueError('negative')\n    return [1][x]"
        tests = (
            "def test():\n"
            "    for x, kind in ((-1, ValueError), (9, IndexError), (9, LookupError)):\n"
            "        try:\n            f(x)\n        except kind:\n            continue\n"
            "        raise AssertionError(x)"
        )
        assert score(code, tests).explanation == "1 of 1 tests passed."

    def test_count_for_nothing_if_they_never_call_the_program(self) -> None:
        found = score(ADD, "assert 1 + 1 == 2")
        assert found.value == 0.0
        assert "the tests never call the program" in found.explanation

    @pytest.mark.parametrize(
        ("tests", "reason"),
        [
            ("x = 1", "there is no test"),
            ("assert add(", "the tests are not Python"),
            ("def check(candidate): pass", "`check` needs an entry point"),
            (None, r"the metadata field 'tests' \(found nothing\)"),
            ([1], r"the metadata field 'tests' \(found list\)"),
        ],
    )
    def test_that_cannot_be_run_are_the_datasets_mistake(self, tests: Any, reason: str) -> None:
        with pytest.raises(ConfigError, match=f"item '1': .*{reason}"):
            score(ADD, tests)


class TestWhereThePromptIsTheBeginningOfTheProgram:
    """HumanEval: the answer continues the prompt, or repeats it, and `check` gets the function."""

    PROMPT = """import math

def poly(xs, x):
    return sum(c * math.pow(x, i) for i, c in enumerate(xs))


def root(xs):
    '''Return the root of a line.

    >>> root([1, 2])
    -0.5
    '''
"""
    BODY = "    return -xs[0] / xs[1]\n"
    TEST = """

METADATA = {}


def check(candidate):
    assert candidate([1, 2]) == -0.5
    for xs in ([3, 4], [-1, 7]):
        assert abs(poly(xs, candidate(xs))) < 1e-9
"""

    def judged(self, answer: str) -> Score:
        asked = Item(
            "HumanEval/0", self.PROMPT, self.BODY, answer_format="python",
            metadata={"prompt": self.PROMPT, "test": self.TEST, "entry_point": "root"},
        )  # fmt: skip
        return load_evaluator("humaneval", CARDS).evaluate(asked, answer)

    @pytest.mark.parametrize(
        "answer",
        [
            BODY,
            f"```python\n{BODY}```",
            f"Here it is:\n\n```python\n{PROMPT}{BODY}```\nIt divides.",
            "```python\ndef root(xs):\n    return -xs[0] / xs[1]\n```",
        ],
    )
    def test_body_or_whole_is_right(self, answer: str) -> None:
        assert self.judged(answer).explanation == "1 of 1 tests passed."

    def test_the_tests_have_their_own_copy_of_what_the_prompt_defines(self) -> None:
        forged = "```python\ndef poly(xs, x): return 0\n\ndef root(xs): return -0.5\n```"
        assert self.judged(forged).value == 0.0

    def test_the_docstring_alone_is_wrong(self) -> None:
        assert self.judged("```python\nx = 1\n```").value == 0.0


class TestMBPP:
    def judged(self, answer: str, **fields: object) -> Score:
        asked = Item("2", "?", MBPP["code"], answer_format="python", metadata=MBPP | fields)
        return load_evaluator("mbpp", CARDS).evaluate(asked, answer)

    def test_its_own_code_is_right(self) -> None:
        assert self.judged(MBPP["code"]).explanation == "2 of 2 tests passed."

    def test_tests_have_their_imports(self) -> None:
        code = "```python\ndef common(a, b): return math.floor(2.5)\n```"
        assert "NameError" in self.judged(code).explanation
        tests = ["assert common([4], [4]) == [math.floor(4.5)]"]
        assert self.judged(MBPP["code"], test_list=tests).value == 1.0
        assert self.judged(MBPP["code"], test_list=tests, test_imports=[]).value == 0.0

    def test_one_test_that_fails_is_wrong(self) -> None:
        assert self.judged("```python\ndef common(a, b): return [4]\n```").value == 0.0


class TestTheEvaluator:
    def test_accepts_every_target_of_the_built_in_programs(self) -> None:
        programs = load_dataset("small_programs", CARDS)
        judge = load_evaluator("python_tests", CARDS)
        assert len(programs) == 12
        for program in programs:
            found = judge.evaluate(program, program.target)
            assert found.value == 1.0, (program.id, found.explanation)

    def test_accepts_none_of_them_for_another(self) -> None:
        programs = load_dataset("small_programs", CARDS).items
        judge = load_evaluator("python_tests", CARDS)
        for program, other in itertools.pairwise(programs):
            assert judge.evaluate(program, other.target).value == 0.0

    def test_says_nothing_of_an_answer_when_the_sandbox_fails(self) -> None:
        broken = PythonTests("p")
        broken.__dict__["sandbox"] = Sandbox(shutil.which("false"))
        with pytest.raises(SandboxError):
            broken.evaluate(item(ADD, ADDS), ADD)

    def test_is_another_with_other_limits(self) -> None:
        identities = {
            PythonTests("p").identity,
            PythonTests("p", cpu_seconds=20).identity,
            PythonTests("p", wall_seconds=5).identity,
            PythonTests("p", memory_mib=64).identity,
            PythonTests("p", setup="imports").identity,
        }
        assert len(identities) == 5
        assert PythonTests("a").identity == PythonTests("b").identity
        assert " python@2 " in PythonTests("p").identity

    def test_runs_what_the_tests_need_before_them(self) -> None:
        judge = PythonTests("p", setup="imports")
        asked = item(ADD, "assert math.isclose(add(.1, .2), .3)", imports=["import math"])
        assert judge.evaluate(asked, ADD).value == 1.0

    def test_gives_a_program_as_much_memory_as_its_card_says(self) -> None:
        code = "def f(): return len(bytearray(200 * 2**20)) // 2**20"
        asked = item(code, "assert f() == 200")
        assert PythonTests("p", memory_mib=128).evaluate(asked, code).value == 0.0
        assert PythonTests("p", memory_mib=512).evaluate(asked, code).value == 1.0
