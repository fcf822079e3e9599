"""The scoring of the reproduced papers, against their published tables.

The recorded data is looked for where EMBER_BENCH_DATA says, else in `../shared/data` beside the
checkout.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from ember_bench.datasets.item import Item
from ember_bench.evaluators import load_evaluator
from ember_bench.operators import parse_answer
from ember_bench.registry import Cards, builtin_root

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
PAPERS = CHECKOUT / "experiments" / "papers"
DATA = Path(os.environ.get("EMBER_BENCH_DATA") or CHECKOUT.parent / "shared" / "data")

Answers = dict[str, dict[str, str | None]]
"""Model -> item -> the answer that was read."""
Scores = dict[str, dict[str, float]]
"""Model -> item -> score."""


def needs(folder: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not (DATA / folder).is_dir(),
        reason=f"needs the recorded data {folder!r}: set EMBER_BENCH_DATA to its folder",
    )


def cards(paper: str) -> Cards:
    found = Cards([builtin_root(), PAPERS / paper / "registry"])
    found.all("evaluators")  # reads the code beside the cards
    return found


def vote(answers: Answers, targets: dict[str, str], models: list[str]) -> tuple[float, float]:
    """Return the accuracy of the vote of `models`, ties sharing credit, and of their oracle."""
    voted = best = 0.0
    for item, target in targets.items():
        given = [a for model in models if (a := answers[model].get(item)) is not None]
        votes = Counter(given)
        winners = [a for a, count in votes.items() if count == max(votes.values())]
        voted += winners.count(target) / max(1, len(winners))
        best += target in given
    return round(100 * voted / len(targets), 2), round(100 * best / len(targets), 2)


# --- ZeroEval -------------------------------------------------------------------------------------

# What the summary calls the models whose files have other names.
RENAMED = {
    "DeepSeek-Coder-V2-0724": "deepseek-v2-coder-0724",
    "Llama-3.1-405B-Instruct-Turbo": "Llama-3.1-405B-Inst-fp8@together",
    "Meta-Llama-3.1-405B-Instruct@hyperbolic": "Llama-3.1-405B-Inst@hyperbolic",
    "deepseek-chat": "deepseek-v2-chat-0628",
    "deepseek-coder": "deepseek-v2-coder-0614",
    "gemma-2-27b-it@together": "gemma-2-27b-it",
}
# Their answers contain unevaluated arithmetic, which the source hands to eval().
EVALUATED_THERE = {"yi-large": (79.98, 80.06), "yi-large-preview": (82.41, 82.64)}


@cache
def zeroeval() -> tuple[dict[str, str], Answers, Scores]:
    """Return targets, answers and scores of all models."""
    evaluator = load_evaluator("zeroeval_gsm8k", cards("zeroeval_gsm8k"))
    lines = (DATA / "zeroeval" / "gsm.items.jsonl").read_text(encoding="utf-8").splitlines()
    items = {
        record["id"]: Item(record["id"], "?", record["answer"], answer_format="zeroeval_gsm8k")
        for record in map(json.loads, lines)
    }
    answers: Answers = {}
    scored: Scores = {}
    for path in sorted((DATA / "zeroeval").glob("gsm__*.jsonl.gz")):
        model = path.name.removeprefix("gsm__").removesuffix(".jsonl.gz")
        with gzip.open(path, "rt", encoding="utf-8") as file:
            scores = {r["id"]: evaluator.evaluate(items[r["id"]], r["output"])
                      for r in map(json.loads, file)}  # fmt: skip
        answers[model] = {item: score.answer for item, score in scores.items()}
        scored[model] = {item: score.value for item, score in scores.items()}
    targets = {i: str(parse_answer(item.target, "zeroeval_gsm8k")) for i, item in items.items()}
    return targets, answers, scored


def accuracy(scored: dict[str, float]) -> float:
    return round(100 * sum(scored.values()) / len(scored), 2)


@needs("zeroeval")
def test_zeroeval_accuracies_equal_the_published_ones_but_for_two() -> None:
    rows = json.loads((DATA / "zeroeval" / "gsm.summary.json").read_text(encoding="utf-8"))
    published = {row["Model"]: float(row["Acc"]) for row in rows}
    ours = {model: accuracy(scored) for model, scored in zeroeval()[2].items()}
    different = {
        model: (value, published[RENAMED.get(model, model)])
        for model, value in ours.items()
        if value != published[RENAMED.get(model, model)]
    }
    assert len(ours) == 44
    assert different == EVALUATED_THERE


@needs("zeroeval")
@pytest.mark.parametrize(
    ("end", "voted", "oracle", "best"),
    [("weakest", 83.42, 93.63, 76.42), ("best", 97.36, 98.26, 96.66)],
)
def test_zeroeval_answers_can_be_voted_on(
    end: str, voted: float, oracle: float, best: float
) -> None:
    targets, answers, scored = zeroeval()
    complete = sorted(
        (model for model in scored if len(scored[model]) == len(targets)),
        key=lambda model: accuracy(scored[model]),
    )
    five = complete[:5] if end == "weakest" else complete[-5:]
    assert vote(answers, targets, five) == (voted, oracle)
    assert max(accuracy(scored[model]) for model in five) == best


@needs("zeroeval")
def test_zeroeval_answers_are_read_again_as_themselves() -> None:
    answers = {answer for read in zeroeval()[1].values() for answer in read.values() if answer}
    assert len(answers) > 1000
    assert all(parse_answer(answer, "zeroeval_gsm8k") == answer for answer in answers)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("# 18", "18"),
        ("# 1,800", "1800"),
        ("18", "18"),
        ('{"reasoning": "16 - 3\n= 13", "answer": "$13.00 a day, 7 days"}', "13"),
        ('Sure: {"answer": 13} or {"answer": 14}', "13"),
        ('{"reasoning": "a \\( b", "answer": "13"}', "13"),
        ('{"reasoning": "cut off at 12, "answer": 13, ', "13"),
        ("answer: 13 of 14", "13"),
        (r"so \boxed{13}", "13"),
        ('{"answer": "26/2"}', "13"),
        ('{"answer": "2/3"}', "2/3"),
        ('{"answer": "400 * 0.4 / 4"}', "400"),
        ('{"answer": "__import__(\'os\').abort() / 1"}', "1"),
        ('{"answer": ""}', None),
        ('{"answer": null}', None),
        ("It is 13.", None),
        ("", None),
        ('{"answer": ' * 50_000, None),
        ('{"answer": 1e99999}', None),
    ],
)
def test_zeroeval_reads_the_first_number_of_the_answer_field(text: str, number: str | None) -> None:
    cards("zeroeval_gsm8k")
    assert parse_answer(text, "zeroeval_gsm8k") == number


# --- LLMDrift -------------------------------------------------------------------------------------

MODELS = ("gpt-4-0314", "gpt-4-0613", "gpt-3.5-turbo-0301", "gpt-3.5-turbo-0613")


@cache
def llmdrift(name: str, file: str) -> tuple[dict[str, str], Answers, Scores]:
    evaluator = load_evaluator(name, cards("chen2023_llmdrift"))
    csv.field_size_limit(sys.maxsize)
    targets: dict[str, str] = {}
    answers: Answers = {model: {} for model in MODELS}
    scored: Scores = {model: {} for model in MODELS}
    with gzip.open(DATA / "llmdrift" / file, "rt", encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            item = Item(row["dataset"] + row["id"], "?", row["ref_answer"], answer_format=name)
            score = evaluator.evaluate(item, row["answer"])
            model = row["model"].removeprefix("openaichat/")
            targets[item.id] = str(parse_answer(item.target, name))
            answers[model][item.id] = score.answer
            scored[model][item.id] = score.value
    return targets, answers, scored


PRIME = ("llmdrift_prime", "PRIME_FULL_EVAL.csv.gz")
HAPPY = ("llmdrift_happy", "COUNTAHAPPYNUMBER_EVAL.csv.gz")


@needs("llmdrift")
@pytest.mark.parametrize(
    ("task", "published"), [(PRIME, (84.0, 51.1, 49.6, 76.2)), (HAPPY, (83.6, 35.2, 30.6, 48.2))]
)
def test_llmdrift_accuracies_equal_the_published_ones(
    task: tuple[str, str], published: tuple[float, ...]
) -> None:
    scored = llmdrift(*task)[2]
    assert tuple(accuracy(scored[model]) for model in MODELS) == published


@needs("llmdrift")
def test_the_vote_of_four_on_primes_is_worse_than_the_best_of_them() -> None:
    targets, answers, _ = llmdrift(*PRIME)
    assert vote(answers, targets, list(MODELS)) == (69.4, 99.6)


@pytest.mark.parametrize(
    ("form", "text", "answer"),
    [
        ("llmdrift_prime", "yes", "yes"),
        ("llmdrift_prime", "No", "no"),
        ("llmdrift_prime", "[No] ... Therefore: [Yes].", "yes"),
        ("llmdrift_prime", "Yes, it is. No doubt.", "yes"),
        ("llmdrift_prime", "(no)", None),
        ("llmdrift_prime", "Not known, yesterday's", None),
        ("llmdrift_prime", "", None),
        ("llmdrift_happy", r"\boxed{1}", "1"),
        ("llmdrift_happy", r"so \\boxed{03} of 4, not \\boxed{4}", "3"),
        ("llmdrift_happy", "2", "2"),
        ("llmdrift_happy", "There are 2.", None),
        ("llmdrift_happy", r"\boxed{}", None),
    ],
)
def test_llmdrift_reads(form: str, text: str, answer: str | None) -> None:
    cards("chen2023_llmdrift")
    assert parse_answer(text, form) == answer
