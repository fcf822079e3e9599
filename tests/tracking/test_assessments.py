"""What traces say of their trials."""

from __future__ import annotations

import pytest
from mlflow.entities import Assessment

from ember_bench.tracking.assessments import Assessor
from ember_bench.tracking.messages import TracedTrial, Verdict
from tests.tracking.summaries import trial

FAILED = trial(outcome="error", score=0.0, answer=None, error="ProviderError: HTTP 500")


def assessed(given: TracedTrial, *, wrong: bool = True) -> dict[str, Assessment]:
    assessor = Assessor("run", evaluator="exact", dataset="primes", wrong=wrong)
    return {said.name: said for said in assessor.assess(given, 7)}


def test_the_score_the_cost_and_the_target() -> None:
    found = assessed(trial(score=0.5, outcome="partial"))
    values = {name: said.value for name, said in found.items()}
    assert values == {
        "correct": False, "score": 0.5, "cost_usd_per_1000": 2.0, "expected_response": "yes",
    }  # fmt: skip
    assert found["correct"].rationale == "equal"
    assert {said.metadata["mlflow.assessment.sourceRunId"] for said in found.values()} == {"run"}
    assert found["expected_response"].expectation is not None
    assert {said.create_time_ms for said in found.values()} == {7}


def test_code_is_the_source_of_scores() -> None:
    source = assessed(trial())["score"].source
    assert (source.source_type, source.source_id) == ("CODE", "exact")


def test_an_unknown_cost_and_an_unknown_target_are_not_said() -> None:
    assert set(assessed(trial(cost_usd=None, target=""))) == {"correct", "score"}


def test_a_failed_trial_counts_as_the_grid_says() -> None:
    wrong = assessed(FAILED)
    assert (wrong["correct"].value, wrong["score"].value) == (False, 0.0)
    assert wrong["correct"].rationale == "ProviderError: HTTP 500"
    left_out = assessed(FAILED, wrong=False)
    for name in ("correct", "score"):
        assert left_out[name].value is None
        error = left_out[name].error
        assert (error.error_code, error.error_message) == ("ProviderError", "HTTP 500")


@pytest.mark.parametrize("value", [True, 0.25, "concise"])
def test_a_further_evaluator_has_a_feedback_of_its_own(value: bool | float | str) -> None:
    found = assessed(trial(verdicts=[Verdict("style", value, "short")]))
    assert found["style"].value == value
    assert found["style"].source.source_type == "CODE"
    assert found["correct"].value is True


def test_a_judges_verdict_has_its_reasons_and_stands_in_place_of_the_scores() -> None:
    judged = Verdict("correct", False, "It names the wrong city.", "openai:gpt-4o")
    found = assessed(trial(verdicts=[judged]))["correct"]
    assert (found.value, found.rationale) == (False, "It names the wrong city.")
    assert (found.source.source_type, found.source.source_id) == ("LLM_JUDGE", "openai:gpt-4o")
