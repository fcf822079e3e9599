from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ember_bench.stats import (
    mean_pass_at_k,
    mean_score,
    pass_at_k,
    vote_accuracy,
    vote_curve,
)


def vote_score(answers, scores):
    """Score a plurality vote, ties sharing the credit."""
    counts = Counter(answer for answer in answers if answer is not None)
    if not counts:
        return 0.0
    most = max(counts.values())
    winners = [answer for answer, count in counts.items() if count == most]
    return np.mean([scores[winner] for winner in winners])


def enumerated(answers, scores):
    """Average the vote and the oracle over every subset of each size."""
    votes, oracles = [], []
    for k in range(1, len(answers) + 1):
        subsets = list(combinations(answers, k))
        votes.append(np.mean([vote_score(subset, scores) for subset in subsets]))
        best = [max(0 if a is None else scores[a] for a in subset) for subset in subsets]
        oracles.append(np.mean(best))
    return votes, oracles


SCORES = {"a": 1.0, "b": 0.0, "c": 0.5, "d": 0.0}
DRAWS = st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=9)


@settings(deadline=None)
@given(DRAWS)
def test_every_subset_is_counted_with_ties_shared(draws):
    scores = [SCORES.get(answer, 0) for answer in draws]
    found = vote_curve([draws], [scores], method="exact")
    votes, oracles = enumerated(draws, SCORES)
    assert found.vote == pytest.approx(votes)
    assert found.oracle == pytest.approx(oracles)
    assert found.k.tolist() == list(range(1, len(draws) + 1))


@settings(deadline=None, max_examples=20)
@given(
    st.lists(
        DRAWS.filter(lambda draws: len(draws) >= 6).map(lambda d: d[:6]), min_size=3, max_size=6
    )
)
def test_random_orders_agree_with_counting_within_their_error(rows):
    scores = [[SCORES.get(answer, 0) for answer in row] for row in rows]
    exact = vote_curve(rows, scores, method="exact")
    sampled = vote_curve(rows, scores, method="monte-carlo", n_orders=2000)
    assert exact.monte_carlo_error is None
    gaps = np.abs(sampled.vote - exact.vote)
    assert np.all(gaps <= 5 * sampled.monte_carlo_error + 1e-9)
    assert sampled.oracle == pytest.approx(exact.oracle)


def test_the_error_of_random_orders_is_that_of_repeating_them():
    rng = np.random.default_rng(0)
    answers = rng.choice(3, (8, 12), p=[0.5, 0.3, 0.2])
    scores = answers == 0
    runs = [
        vote_curve(answers, scores, max_k=5, method="monte-carlo", n_orders=100, seed=seed)
        for seed in range(60)
    ]
    spread = np.std([run.vote for run in runs], axis=0, ddof=1)
    assert np.mean([run.monte_carlo_error for run in runs], axis=0) == pytest.approx(
        spread, rel=0.35, abs=1e-9
    )


@pytest.mark.parametrize(("n", "right"), [(200, 120), (1000, 480)])
def test_of_two_answers_the_vote_is_hypergeometric(n, right):
    answers = np.array([[1] * right + [0] * (n - right)])
    found = vote_curve(answers, answers == 1, max_k=101, method="exact")
    for k in (1, 7, 64, 101):
        law = stats.hypergeom(n, right, k)
        expected = law.sf(k // 2) + (law.pmf(k / 2) / 2 if k % 2 == 0 else 0)
        assert found.vote[k - 1] == pytest.approx(expected, rel=1e-9)


def test_votes_over_stored_draws_are_unbiased_for_fresh_ones():
    p, n, k = 0.6, 9, 5
    rng = np.random.default_rng(1)
    right = rng.random((4000, n)) < p
    found = vote_curve(right, right, max_k=k)
    error = found.vote_by_item[:, k - 1].std() / 4000**0.5
    assert found.vote[k - 1] == pytest.approx(vote_accuracy(p, k), abs=4 * error)


def test_a_vote_of_one_is_the_mean_score_and_the_oracle_is_pass_at_k():
    rng = np.random.default_rng(2)
    answers = rng.integers(0, 4, (50, 10))
    right = answers == 0
    found = vote_curve(answers, right)
    assert found.vote[0] == pytest.approx(right.mean())
    assert found.vote[1] == pytest.approx(right.mean())
    assert found.oracle_by_item[:, 3] == pytest.approx(pass_at_k([10] * 50, right.sum(1), 4))
    exact = mean_score(found.oracle_by_item[:, 3], method="clopper-pearson")
    assert found.oracle_intervals[3] == exact.interval
    assert found.vote_intervals[3] == mean_score(found.vote_by_item[:, 3]).interval
    assert found.selection_gap == pytest.approx(found.oracle - found.vote)
    assert np.all(found.selection_gap >= -1e-12)


def test_the_best_k_is_the_smallest_that_scores_highest():
    # Three x among four: a vote of two may tie, one of three or four cannot.
    found = vote_curve([["x", "x", "x", "y"]], [[1, 1, 1, 0]])
    assert found.vote.tolist() == pytest.approx([0.75, 0.75, 1, 1])
    assert found.best_k == 3


def test_draws_of_one_answer_share_their_scores():
    # A judge scored the same answer 1 once and 0 once.
    found = vote_curve([["x", "x", "y"]], [[1, 0, 0]])
    assert found.vote[2] == pytest.approx(0.5)


def test_no_items_no_curve():
    assert vote_curve([], np.empty((0, 5))) is None


def test_bad_draws_are_refused():
    with pytest.raises(ValueError, match="a vote of 3 needs as many draws, there are 2"):
        vote_curve([["a", "b"]], [[1, 0]], max_k=3)
    with pytest.raises(ValueError, match=r"answers must have the shape of scores, \(1, 2\)"):
        vote_curve([["a", "b", "c"]], [[1, 0]])
    with pytest.raises(ValueError, match="counts up to 1000 draws, not 1001"):
        vote_curve(np.zeros((1, 1001)), np.ones((1, 1001)), method="exact")


def test_the_intervals_of_a_curve_are_those_of_its_scores_in_clusters():
    rng = np.random.default_rng(11)
    answers = rng.integers(0, 3, (24, 5))
    scores = (answers == 0).astype(float)
    passages = np.arange(24) // 3
    found = vote_curve(answers, scores, clusters=passages)
    for k in range(5):
        vote = mean_score(found.vote_by_item[:, k], clusters=passages)
        oracle = mean_pass_at_k(np.full(24, 5), scores.sum(axis=1), k + 1, clusters=passages)
        assert found.vote_intervals[k] == vote.interval
        assert found.oracle_intervals[k].low == pytest.approx(oracle.interval.low)
        assert found.oracle_intervals[k].high == pytest.approx(oracle.interval.high)


def test_the_oracle_is_pass_at_k():
    rng = np.random.default_rng(12)
    scores = (rng.random((60, 4)) < rng.random((60, 1))).astype(float)
    found = vote_curve(scores.astype(int), scores)
    for k in range(1, 5):
        passed = mean_pass_at_k(np.full(60, 4), scores.sum(axis=1), k)
        assert found.oracle[k - 1] == pytest.approx(passed.value)
        assert found.oracle_intervals[k - 1].low == pytest.approx(passed.interval.low)
        assert found.oracle_intervals[k - 1].high == pytest.approx(passed.interval.high)
