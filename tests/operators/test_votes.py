from __future__ import annotations

import pytest

from ember_bench.errors import SignatureError
from ember_bench.models.types import CutOff
from ember_bench.operators import MostCommonOperator, OperatorKind, OracleOperator


class TestMostCommon:
    def test_the_answer_most_responses_come_to_wins(self) -> None:
        responses = ["Answer: 7", "so I say 8", "7.0 is the answer", "7"]
        output = MostCommonOperator(answer_format="number")(responses=responses)
        assert output == {"final_answer": "7", "votes": {"7": 3, "8": 1}}

    def test_a_response_without_an_answer_has_no_vote(self) -> None:
        output = MostCommonOperator()(responses=["?", "?", "Answer: 3"], answer_format="number")
        assert output == {"final_answer": "3", "votes": {"3": 1}}

    def test_if_none_has_one_there_is_none(self) -> None:
        output = MostCommonOperator(answer_format="number")(responses=["?", ""])
        assert output == {"final_answer": None, "votes": {}}

    def test_a_vote_of_nobody_is_empty(self) -> None:
        assert MostCommonOperator()(responses=[])["final_answer"] is None

    @pytest.mark.parametrize(
        ("ties", "more"),
        [("first", {}), ("share", {"answers": ["b", "a"], "credit": "mean"})],
    )
    def test_ties(self, ties: str, more: dict[str, object]) -> None:
        operator = MostCommonOperator(ties=ties)  # type: ignore[arg-type]
        votes = {"b": 1, "a": 1}
        assert operator(responses=["b", "a"]) == {"final_answer": "b", "votes": votes, **more}

    def test_random_ties_depend_on_the_question_alone(self) -> None:
        operator = MostCommonOperator(ties="random")
        picks = {
            query: operator(responses=["a", "b"], query=query)["final_answer"]
            for query in map(str, range(50))
        }
        assert set(picks.values()) == {"a", "b"}
        for query, pick in picks.items():
            assert operator(responses=["a", "b"], query=query)["final_answer"] == pick

    def test_it_needs_responses(self) -> None:
        with pytest.raises(SignatureError, match="missing input 'responses'"):
            MostCommonOperator()(query="q")

    def test_answers_that_the_inputs_call_the_same_are_counted_together(self) -> None:
        responses = ["Rome", "Paris.", "paris", "Rome", "PARIS"]
        output = MostCommonOperator()(
            responses=responses, normalise=lambda answer: answer.strip(".").lower()
        )
        assert output == {"final_answer": "Paris.", "votes": {"Rome": 2, "Paris.": 3}}

    def test_a_text_that_was_cut_off_has_a_vote_only_if_it_states_an_answer(self) -> None:
        responses = [CutOff("It is 7, or 8"), CutOff("The answer is 8. For"), "7"]
        output = MostCommonOperator(answer_format="number")(responses=responses)
        assert output["votes"] == {"8": 1, "7": 1}


class TestOracle:
    def test_keeps_every_distinct_answer_of_which_the_best_counts(self) -> None:
        output = OracleOperator(answer_format="number")(responses=["8", "?", "7", "8.0"])
        assert output == {"final_answer": "8", "answers": ["8", "7"], "credit": "best"}

    def test_without_answers_there_is_none(self) -> None:
        output = OracleOperator(answer_format="number")(responses=["?"])
        assert output == {"final_answer": None, "answers": [], "credit": "best"}


def test_they_fan_in() -> None:
    assert MostCommonOperator.kind is OracleOperator.kind is OperatorKind.FAN_IN
