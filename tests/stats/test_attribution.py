from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ember_bench.stats import shapley, t_interval, vote_attribution

from .test_votes import vote_score


def by_orders(n, worth):
    """Average each member's gain over all orders of joining: the definition."""
    values = np.zeros(n)
    orders = list(permutations(range(n)))
    for order in orders:
        for place, member in enumerate(order):
            gain = worth(frozenset(order[: place + 1])) - worth(frozenset(order[:place]))
            values[member] += gain / len(orders)
    return values


def random_game(n, seed):
    table = np.random.default_rng(seed).random(1 << n)
    return lambda members: table[sum(1 << member for member in members)]


@given(st.integers(1, 5), st.integers(0, 10_000))
def test_shapley_is_the_mean_gain_over_all_orders_of_joining(n, seed):
    worth = random_game(n, seed)
    found = shapley(n, worth)
    assert found.shapley == pytest.approx(by_orders(n, worth))
    assert found.sampling_error is None


@given(st.integers(1, 9), st.integers(0, 10_000))
def test_shapley_values_sum_to_the_worth_of_all(n, seed):
    worth = random_game(n, seed)
    found = shapley(n, worth)
    assert found.shapley.sum() == pytest.approx(found.total - worth(frozenset()))


def test_members_that_add_nothing_get_nothing_and_equal_ones_the_same():
    # Members 0 and 1 are substitutes, 2 is idle, 3 adds on its own.
    found = shapley(4, lambda s: float(bool(s & {0, 1})) + 2 * (3 in s))
    assert found.shapley == pytest.approx([0.5, 0.5, 0, 2])
    assert found.leave_one_out == pytest.approx([0, 0, 0, 2])


def test_each_coalition_is_asked_for_once():
    asked = []
    shapley(5, lambda s: asked.append(s) or 0.0)
    assert len(asked) == len(set(asked)) == 2**5


def test_sampled_orders_agree_with_a_closed_form_within_their_error():
    # The worth of a glove game: pairs of one of the first 5 and one of the other 10 gloves.
    found = shapley(15, lambda s: min(sum(m < 5 for m in s), sum(m >= 5 for m in s)), n_orders=2000)
    assert found.shapley.sum() == pytest.approx(5)
    left, right = found.shapley[:5], found.shapley[5:]
    assert np.all(np.abs(left - left.mean()) < 5 * found.sampling_error[:5])
    assert np.all(np.abs(right - right.mean()) < 5 * found.sampling_error[5:])
    additive = shapley(14, lambda s: sum(s) / 10, n_orders=5)
    assert additive.shapley == pytest.approx(np.arange(14) / 10)
    assert additive.sampling_error == pytest.approx(np.zeros(14))


def random_votes(n_items, n, seed=0):
    rng = np.random.default_rng(seed)
    answers = rng.choice(np.array(["a", "b", "c", None]), (n_items, n), p=[0.5, 0.25, 0.15, 0.1])
    return answers, np.where(answers == "a", 1.0, np.where(answers == "c", 0.5, 0.0))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(0, 1000))
def test_vote_attribution_is_shapley_of_the_voting_game(n, seed):
    answers, scores = random_votes(6, n, seed)
    points = {"a": 1.0, "b": 0.0, "c": 0.5}

    def accuracy(members):
        return np.mean([vote_score([row[m] for m in members], points) for row in answers])

    found, game = vote_attribution(answers, scores), shapley(n, accuracy)
    assert found.shapley == pytest.approx(game.shapley)
    assert found.leave_one_out == pytest.approx(game.leave_one_out)
    assert found.accuracy == pytest.approx(game.total)


def test_vote_attribution_sums_to_the_accuracy_of_the_vote():
    answers, scores = random_votes(300, 11)
    found = vote_attribution(answers, scores)
    assert found.shapley.sum() == pytest.approx(found.accuracy)


def test_a_single_member_is_worth_its_accuracy_with_students_interval():
    answers, scores = random_votes(40, 1)
    found = vote_attribution(answers, scores)
    assert found.shapley[0] == pytest.approx(scores.mean())
    students = t_interval(scores[:, 0])
    assert found.shapley_intervals[0].low == pytest.approx(students.low)
    assert found.leave_one_out_intervals[0].high == pytest.approx(students.high)


def test_large_ensembles_are_sampled_close_to_the_exact_value(monkeypatch):
    answers, scores = random_votes(60, 9)
    exact = vote_attribution(answers, scores)
    monkeypatch.setattr("ember_bench.stats.attribution._MOST_EXACT_MEMBERS", 8)
    sampled = vote_attribution(answers, scores, n_orders=400)
    assert exact.sampling_error is None
    assert np.all(np.abs(sampled.shapley - exact.shapley) < 5 * sampled.sampling_error)
    assert sampled.shapley.sum() == pytest.approx(exact.accuracy)


def test_no_items_no_attribution():
    assert vote_attribution([], np.empty((0, 3))) is None
    with pytest.raises(ValueError, match=r"answers must have the shape of scores, \(1, 2\)"):
        vote_attribution([["a"]], [[1, 0]])


def test_the_worth_of_members_on_items_in_clusters_has_cluster_robust_intervals():
    rng = np.random.default_rng(9)
    # Each question is asked four times in other words, and answered alike.
    right = np.repeat(rng.random((15, 3)) < 0.6, 4, axis=0)
    questions = np.repeat(np.arange(15), 4)
    found = vote_attribution(right.astype(int), right.astype(float), clusters=questions)
    once = vote_attribution(right[::4].astype(int), right[::4].astype(float))
    for tied, alone in zip(
        found.shapley_intervals + found.leave_one_out_intervals,
        once.shapley_intervals + once.leave_one_out_intervals,
        strict=True,
    ):
        assert (tied.low, tied.high) == pytest.approx((alone.low, alone.high))
