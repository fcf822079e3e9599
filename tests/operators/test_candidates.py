from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ember_bench.errors import SignatureError, UnknownNameError
from ember_bench.operators.candidates import (
    Candidate,
    candidates_of,
    count,
    leaders,
    seeded_index,
    settle,
    tally,
)

answers = st.lists(st.none() | st.sampled_from("abc"), max_size=12)


class TestCandidates:
    def test_are_read_by_the_items_format(self) -> None:
        inputs = {"responses": ["so Answer: B", "x"], "answer_format": "choice", "choices": "pq"}
        assert candidates_of(inputs) == [Candidate("so Answer: B", "B"), Candidate("x", None)]

    def test_are_read_by_the_operators_format_before_the_items(self) -> None:
        inputs = {"responses": ["it is 7"], "answer_format": "choice"}
        assert candidates_of(inputs, "number") == [Candidate("it is 7", "7")]

    def test_are_read_as_text_where_nobody_says_how(self) -> None:
        assert candidates_of({"responses": ["Answer: x"]}) == [Candidate("Answer: x", "x")]

    @pytest.mark.parametrize("responses", ["text", 7, None, {"a": 1}])
    def test_are_a_list(self, responses: object) -> None:
        with pytest.raises(SignatureError, match="responses: expected a list, found"):
            candidates_of({"responses": responses})

    def test_of_an_unknown_format_are_refused(self) -> None:
        with pytest.raises(UnknownNameError, match="did you mean 'number'"):
            candidates_of({"responses": ["7"]}, "numbr")


class TestVote:
    @given(answers)
    def test_the_winners_have_the_most_votes_in_order_of_appearance(
        self, given: list[str | None]
    ) -> None:
        counts = Counter(answer for answer in given if answer is not None)
        most = max(counts.values(), default=0)
        assert leaders(count(given)) == [answer for answer in counts if counts[answer] == most]

    @given(answers)
    def test_equal_weights_change_nothing(self, given: list[str | None]) -> None:
        assert leaders(tally(given, [0.1] * len(given))) == leaders(count(given))

    def test_weights_count(self) -> None:
        assert leaders(tally(["a", "b", "b"], [3, 1, 1])) == ["a"]

    def test_nobody_votes_for_nothing(self) -> None:
        assert leaders(count([None, None])) == []


class TestTies:
    def test_without_answers_there_is_none(self) -> None:
        for ties in ("first", "random", "share", "none"):
            assert settle([], ties, {}) == {"final_answer": None}

    def test_a_single_winner_wins_by_every_rule(self) -> None:
        for ties in ("first", "random", "share", "none"):
            assert settle(["a"], ties, {}) == {"final_answer": "a"}

    def test_none_has_no_answer(self) -> None:
        assert settle(["a", "b"], "none", {}) == {"final_answer": None}

    def test_first_takes_the_first(self) -> None:
        assert settle(["b", "a"], "first", {"query": "q"}) == {"final_answer": "b"}

    def test_share_names_them_all(self) -> None:
        shared = {"final_answer": "b", "answers": ["b", "a"], "credit": "mean"}
        assert settle(["b", "a"], "share", {}) == shared

    def test_random_is_fair_over_questions_and_fixed_for_each(self) -> None:
        won = Counter[str]()
        for number in range(3_000):
            outcome = settle(["a", "b", "c"], "random", {"query": f"question {number}"})
            assert outcome == settle(["a", "b", "c"], "random", {"query": f"question {number}"})
            won[outcome["final_answer"]] += 1
        assert stats.chisquare([won[a] for a in "abc"]).pvalue > 1e-3

    def test_random_takes_any_query(self) -> None:
        assert settle(["a", "b"], "random", {"query": 7})["final_answer"] in ("a", "b")


@given(st.integers(1, 9), st.lists(st.text()))
def test_a_seeded_index_is_within_range_and_fixed(n: int, content: list[str]) -> None:
    assert 0 <= seeded_index(n, *content) < n
    assert seeded_index(n, *content) == seeded_index(n, *content)
