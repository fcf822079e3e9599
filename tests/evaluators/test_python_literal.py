"""Python literals: equal values of equal types, however they are written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ember_bench.datasets import Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators import PythonLiteral

LITERAL = PythonLiteral("literal")


@pytest.mark.parametrize(
    ("target", "output", "outcome"),
    [
        ("[1, 2]", "[1,2]", "correct"),
        ("[1, 2]", "(1, 2)", "wrong"),
        ("'a b '", "Step 1: hm.\nAnswer: 'a b '", "correct"),
        ("'a b '", "Answer: 'a b'", "wrong"),
        ("'x'", '**Answer:** `"x"`', "correct"),
        ("{'a': 1, 'b': [2]}", "answer: {'b': [2], 'a': 1}", "correct"),
        ("{1, 2}", "{2, 1}", "correct"),
        ("True", "Answer: 1", "wrong"),
        ("1", "Answer: 1.0", "wrong"),
        ("6", "Answer: 2 * 3", "unparsed"),
        ("''", "Answer: ''", "correct"),
        ("3", "Answer: 4\nNo, wait.\nAnswer: 3", "correct"),
        ("3", "<think>Answer: 3</think>Answer: 4", "wrong"),
        ("3", "I cannot say.", "unparsed"),
        ("3", "[" * 10_000, "unparsed"),
    ],
)
def test_the_literal_of_an_output_is_compared_with_the_targets(
    target: str, output: str, outcome: str
) -> None:
    assert LITERAL.evaluate(Item("1", "?", target), output).outcome == outcome


def test_a_target_that_is_no_literal_is_refused() -> None:
    with pytest.raises(ConfigError, match="'f\\(x\\)' is no Python literal"):
        LITERAL.evaluate(Item("1", "?", "f(x)"), "1")


def test_a_vote_counts_ways_to_write_a_value_together() -> None:
    item = Item("1", "?", "[1]")
    assert LITERAL.normal(item, "Answer: [1, 'a']") == LITERAL.normal(item, '[1,"a"]')
    assert LITERAL.normal(item, "none") == "none"


@pytest.mark.slow
def test_recorded_answers_get_the_verdicts_of_their_source(data_dir: Path) -> None:
    """The source runs the answers, so that it takes some expressions and other texts for right."""
    folder = data_dir / "cruxeval"
    if not folder.is_dir():
        pytest.skip(f"needs the recorded data 'cruxeval' in {data_dir}")
    lines = (folder / "cruxeval.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    path = folder / "evaluation_results/gpt-4-0613_temp0.2_output.json.gz"
    with gzip.open(path, "rb") as file:
        recorded = json.load(file)
    alike = total = taken = 0
    for row in rows:
        item = Item(row["id"], "?", row["output"])
        texts = recorded["raw_generations"][row["id"]]
        verdicts = recorded["raw_scored_generations"][row["id"]]
        for text, verdict in zip(texts, verdicts, strict=True):
            right = LITERAL.evaluate(item, text).value == 1
            total += 1
            alike += right == verdict
            taken += right and not verdict
    assert taken == 0
    assert alike / total > 0.995
