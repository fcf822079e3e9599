"""ROUGE, BLEU and chrF are those of their packages."""

from __future__ import annotations

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators import Bleu, Chrf, Rouge
from ember_bench.evaluators.libraries import library, library_identity

WORDS = st.lists(
    st.sampled_from(["the", "cat", "cats", "sat", "on", "a", "mat", "running", "today"]),
    min_size=1,
    max_size=9,
).map(" ".join)
VARIANTS = st.sampled_from(["rouge1", "rouge2", "rougeL", "rougeLsum"])


def score(evaluator: Rouge | Bleu | Chrf, answer: str, targets: list[str]) -> float:
    return evaluator.evaluate(Item("1", "?", targets[0], tuple(targets[1:])), answer).value


@given(VARIANTS, WORDS, WORDS, WORDS)
def test_rouge_is_that_of_rouge_score(variant: str, answer: str, one: str, other: str) -> None:
    expected = RougeScorer([variant], use_stemmer=True).score_multi([one, other], answer)[variant]
    found = score(Rouge("r", answer_format="exact", variant=variant), answer, [one, other])
    assert found == pytest.approx(expected.fmeasure)


@given(WORDS, WORDS, WORDS)
def test_bleu_is_that_of_sacrebleu(answer: str, one: str, other: str) -> None:
    expected = sacrebleu.sentence_bleu(answer, [one, other]).score / 100
    assert score(Bleu("b", answer_format="exact"), answer, [one, other]) == pytest.approx(expected)


@given(st.sampled_from([0, 2]), WORDS, WORDS, WORDS)
def test_chrf_is_that_of_sacrebleu(order: int, answer: str, one: str, other: str) -> None:
    expected = sacrebleu.sentence_chrf(answer, [one, other], word_order=order).score / 100
    chrf = Chrf("c", answer_format="exact", word_order=order)
    assert score(chrf, answer, [one, other]) == pytest.approx(expected)


@pytest.mark.parametrize("kind", [Rouge, Bleu, Chrf])
def test_the_same_text_is_right_and_another_wrong(kind: type[Rouge | Bleu | Chrf]) -> None:
    evaluator = kind("k", answer_format="exact")
    text = "The quick brown fox jumps over the lazy dog."
    assert evaluator.evaluate(Item("1", "?", text), text).outcome == "correct"
    assert evaluator.evaluate(Item("1", "?", text), "1234 5678").outcome == "wrong"


def test_the_identity_names_the_version_of_the_package() -> None:
    assert f"sacrebleu@{sacrebleu.__version__}" in Bleu("b").identity


def test_a_missing_package_names_the_extra_that_installs_it() -> None:
    message = r"needs the package not-there: pip install 'ember-bench\[math\]'"
    with pytest.raises(ConfigError, match=message):
        library("not_there", package="not-there", extra="math")
    with pytest.raises(ConfigError, match=message):
        library_identity("not-there", extra="math")
