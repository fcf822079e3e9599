"""FilterVote: a vote over what a model accepts."""

from __future__ import annotations

import math

import pytest
from scipy.stats import binom

from ember_bench.operators import EnsembleOperator, FilterVote, MostCommonOperator
from tests.operators.networks import assert_accuracy, run_items
from tests.support.models import module, modules, scripted, serve, simulated


def filter_vote(p: float, k: int, accept_right: float, accept_wrong: float) -> float:
    """P(right) with one wrong answer and ties by lot (Chen et al. 2024, section 3)."""
    total = 0.0
    for right in range(k + 1):
        for kept in range(right + 1):
            for wrong in range(k - right + 1):
                chance = (
                    binom.pmf(right, k, p)
                    * binom.pmf(kept, right, accept_right)
                    * binom.pmf(wrong, k - right, accept_wrong)
                )
                pair = (kept, wrong) if kept + wrong else (right, k - right)
                total += chance * (0.5 if pair[0] == pair[1] else pair[0] > pair[1])
    return total


@pytest.mark.slow
@pytest.mark.parametrize(
    ("p", "k", "accept_right", "accept_wrong"),
    [(0.6, 5, 0.9, 0.3), (0.3, 5, 0.5, 0.05), (0.55, 4, 0.2, 0.2), (0.4, 3, 1.0, 0.0)],
)
def test_filter_vote_meets_its_closed_form(
    p: float, k: int, accept_right: float, accept_wrong: float
) -> None:
    model = simulated(accuracy=p, true_positive=accept_right, false_positive=accept_wrong)
    service = serve(model)
    network = EnsembleOperator(lm_modules=modules(service, model, k)) >> FilterVote(
        lm_modules=[module(service, model)], ties="random"
    )
    assert_accuracy(network, filter_vote(p, k, accept_right, accept_wrong))


def test_a_perfect_filter_is_right_as_soon_as_any_response_is() -> None:
    assert math.isclose(filter_vote(0.4, 3, 1.0, 0.0), 1 - 0.6**3)


@pytest.mark.parametrize("verdict", ["Verdict: yes", "Verdict: no", "I cannot tell."])
def test_accepting_all_or_none_is_a_plain_vote(verdict: str) -> None:
    async def say(_: object) -> str:
        return verdict

    model = scripted(say)
    inputs = {"query": "?", "responses": ["b", "a", "a"]}
    vote = FilterVote(lm_modules=[module(serve(model), model)])(inputs)
    assert vote["final_answer"] == "a"
    assert vote["votes"] == MostCommonOperator()(inputs)["votes"] == {"b": 1, "a": 2}
    assert vote["accepted"] == [verdict == "Verdict: yes"] * 3


def test_responses_without_an_answer_cost_no_call() -> None:
    model = simulated()
    vote = FilterVote(lm_modules=[module(serve(model), model)])
    inputs = {"query": "?", "answer_format": "number", "responses": ["no idea", "3", "well"]}
    ((output, strand),) = run_items(vote, 1, inputs)
    assert len(strand.trial.calls) == 1
    assert output["final_answer"] == "3"


def test_no_response_gives_no_answer() -> None:
    model = simulated()
    vote = FilterVote(lm_modules=[module(serve(model), model)])
    assert vote(query="?", responses=[]) == {"final_answer": None, "votes": {}, "accepted": []}
