"""Mathematical equivalence, and what math-verify gets wrong by itself."""

from __future__ import annotations

import gzip
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators import MathEquivalence
from ember_bench.evaluators.math_worker import written

pytestmark = pytest.mark.slow

MATH = MathEquivalence("m")

EQUAL = {
    # Faults of math-verify alone.
    "(1,2)": "$(1, 2)$",
    r"50\%": "0.5",
    r"\$5.40": "5.4",
    r"0.\overline{3}": "1/3",
    r"\frac12": "0.5",
    r"\text{(C)}": "C",
    # What it is for.
    r"\frac{1}{2}": "So we get \\boxed{\\dfrac{1}{2}}.",
    r"\sqrt{12}": r"2\sqrt{3}",
    "p - q": "-q + p",
    r"11\frac{1}{2}": "11.5",
    r"\{1,2\}": r"\{2, 1\}",
    r"x \in [-2,7]": "[-2, 7]",
    r"\begin{pmatrix}1\\2\end{pmatrix}": r"\begin{bmatrix}1\\2\end{bmatrix}",
    r"90^\circ": "90",
    "1,000": "1000",
    "5": "x = 5",
    r"\text{Evelyn}": "Evelyn",
}
DIFFERENT = {"(1,2)": "(2,1)", "[1,2]": "(1,2)", "3.14": r"\pi", r"\frac{1}{2}": r"\frac{1}{3}"}


@pytest.mark.parametrize(("target", "answer"), EQUAL.items())
def test_an_equal_expression_is_right(target: str, answer: str) -> None:
    assert MATH.evaluate(Item("1", "?", target), answer).outcome == "correct"


@pytest.mark.parametrize(("target", "answer"), DIFFERENT.items())
def test_another_expression_is_wrong(target: str, answer: str) -> None:
    assert MATH.evaluate(Item("1", "?", target), answer).outcome == "wrong"


@pytest.mark.parametrize("answer", ["", "I do not know.", "no idea, sorry about that"])
def test_prose_is_unparsed(answer: str) -> None:
    assert MATH.evaluate(Item("1", "?", "2"), answer).outcome == "unparsed"


def test_an_alternative_is_as_right() -> None:
    score = MATH.evaluate(Item("1", "?", "2", alternatives=("x^2",)), "x*x")
    assert score.explanation == "'x*x' equals 'x^2'."


def test_an_answer_that_takes_all_time_there_is_is_wrong_and_others_go_on() -> None:
    hasty = MathEquivalence("m", seconds=0.5)
    endless = hasty.evaluate(Item("1", "?", "2"), "9^{9^{9^{9}}}")
    assert endless.outcome == "wrong"
    assert endless.explanation.endswith("could not be compared: no verdict within 0.5 s.")
    assert MATH.evaluate(Item("1", "?", "2"), "1 + 1").outcome == "correct"


def test_it_works_in_threads() -> None:
    """Where math-verify's own alarms raise."""

    def outcome(n: int) -> str:
        return MATH.evaluate(Item("1", "?", str(2 * n)), f"{n} + {n}").outcome

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(outcome, range(20))) == {"correct"}


def test_an_empty_target_is_refused() -> None:
    with pytest.raises(ConfigError, match="item '1': 'm': the target is empty"):
        MATH.evaluate(Item("1", "?", " "), "2")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1\\overline{6}", r"$\frac{15}{90}$"),
        ("50%", r"$50\%$"),
        ("$$x$$", "$x$"),
        (r"\(x\)", "$x$"),
        ("$5.40", "$5.40$"),
    ],
)
def test_expressions_are_written_as_math_verify_reads_them(text: str, expected: str) -> None:
    assert written(text) == expected


@pytest.mark.slow
def test_the_solutions_of_math_500_give_their_answers(data_dir: Path) -> None:
    """200 solutions, each against the answer stated behind it, and against the next one's."""
    with gzip.open(data_dir / "tasks" / "math500" / "birm_test.jsonl.gz", "rt") as lines:
        parts = [json.loads(line)["answer"].rpartition("The answer is:") for line in lines]
    solutions, answers = [p[0] for p in parts], [p[2].strip() for p in parts]
    right = [MATH.evaluate(Item("1", "?", a), s) for a, s in zip(answers, solutions, strict=True)]
    assert [score.explanation for score in right if score.outcome != "correct"] == []
    same = [
        (one, other)
        for one, other in itertools.pairwise(answers)
        if MATH.evaluate(Item("1", "?", one), other).value
    ]
    assert same == [("5", "x=5"), ("7", "7")]
