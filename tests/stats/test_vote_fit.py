import numpy as np
import pytest

from ember_bench.stats import fit_vote, modal_right, vote_curve, vote_scaling

SIZES = np.array([1, 3, 5, 7, 9])


def curve(parameters, sizes):
    return np.exp(-np.dot(parameters, [sizes, np.sqrt(sizes), np.ones(len(sizes))]))


def drawn(rng, p, n):
    """Return answers and scores of n draws of items that are right with probability p."""
    right = rng.random((p.size, n)) < p[:, np.newaxis]
    return np.where(right, "right", "wrong").astype(object), right.astype(float)


def test_a_curve_of_the_model_is_found_again():
    easy, hard = curve([0.1, 0.3, 0.2], SIZES), curve([0.02, 0.4, 0.1], SIZES)
    found = fit_vote([1 - easy, hard], SIZES, [1, 0])
    assert found.parameters == pytest.approx(
        np.array([[0.1, 0.3, 0.2], [0.02, 0.4, 0.1]]), abs=1e-4
    )
    assert found.error < 1e-6
    for k in (3, 15, 101):
        expected = [1 - curve([0.1, 0.3, 0.2], [k])[0], curve([0.02, 0.4, 0.1], [k])[0]]
        assert found.by_item(k) == pytest.approx(expected, abs=1e-4)


def test_items_that_are_always_right_or_always_wrong_stay_so():
    found = fit_vote([[1.0] * 5, [0.0] * 5], SIZES, [True, False])
    assert found.by_item(99) == pytest.approx([1, 0])
    assert found.accuracy(99) == 0.5


def test_an_item_tends_to_its_most_likely_answer():
    # Just a little more often right: nine draws of it may well look like falling.
    found = fit_vote([[0.6, 0.55, 0.52, 0.5, 0.49]], SIZES, [True])
    scores = [found.accuracy(k) for k in (1, 3, 9, 99, 999)]
    assert scores == sorted(scores)


def test_the_best_vote_of_two_difficulties_is_predicted_from_votes_of_up_to_nine():
    # The worked example of Chen et al.: half the items at .8, half at .45; the best K is 9.
    rng = np.random.default_rng(1)
    answers, scores = drawn(rng, np.where(rng.random(400) < 0.5, 0.8, 0.45), 31)
    votes = vote_curve(answers, scores, max_k=9)
    odd = votes.k % 2 == 1
    found = fit_vote(votes.vote_by_item[:, odd], votes.k[odd], modal_right(answers, scores))
    assert found.error < 0.01
    assert abs(found.best_k(61) - vote_scaling(0.5, 0.8, 0.45).best_k) <= 2
    # Beyond what it was fitted to, against all subsets of all draws.
    beyond = vote_curve(answers, scores)
    assert found.accuracy(15) == pytest.approx(beyond.vote[14], abs=0.01)


def test_the_modal_answer_is_the_most_frequent_and_ties_share():
    answers = [["a", "a", "b"], ["a", "b", None], ["a", "b", "b"], [None, None, None]]
    scores = [[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert modal_right(answers, scores).tolist() == [True, True, False, False]


def test_three_parameters_take_three_sizes():
    assert fit_vote([[0.5, 0.6]], [1, 3], [True]) is None
    assert fit_vote(np.empty((0, 3)), [1, 3, 5], []) is None


@pytest.mark.parametrize(
    ("scores", "sizes"),
    [([[0.5] * 3], [1, 2, 3]), ([[0.5] * 3], [5, 3, 1]), ([[0.5] * 4], [1, 3, 5])],
)
def test_even_sizes_wrong_orders_and_other_shapes_are_refused(scores, sizes):
    with pytest.raises(ValueError, match="sizes"):
        fit_vote(scores, sizes, [True])
