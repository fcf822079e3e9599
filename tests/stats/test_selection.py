import numpy as np
import pytest

from ember_bench.stats import confusion, mean_score, oracle_gap, wilson_interval


def test_accepted_against_right_is_counted_with_rates():
    accepted = [1] * 40 + [0] * 10 + [1] * 5 + [0] * 45
    right = [1] * 50 + [0] * 50
    found = confusion(accepted, right)
    assert (found.true_positives, found.false_negatives) == (40, 10)
    assert (found.false_positives, found.true_negatives) == (5, 45)
    assert found.sensitivity.value == 0.8
    assert found.specificity.value == 0.9
    assert found.precision.value == pytest.approx(40 / 45)
    assert found.accuracy.value == 0.85
    assert found.sensitivity.interval == wilson_interval(40, 50)
    assert found.precision.interval == wilson_interval(40, 45)


def test_rates_of_nothing_are_undefined():
    found = confusion([True, True], [True, True])
    assert found.specificity is None
    assert found.sensitivity.value == 1
    assert confusion([False], [True]).precision is None
    assert confusion([], []).accuracy is None


def test_arrays_of_different_length_are_refused():
    with pytest.raises(ValueError, match="accepted is of 2 candidates and right of 1"):
        confusion([1, 0], [1])


def test_the_oracle_gap_is_what_a_perfect_choice_would_add():
    candidates = [[1, 0], [0, 1], [0, 0], [1, 1]]
    found = oracle_gap([1, 0, 0, 1], candidates)
    assert found.chosen.value == 0.5
    assert found.oracle.value == 0.75
    assert found.random.value == 0.5
    assert found.gap.value == 0.25
    assert found.gap.interval == wilson_interval(1, 4)
    assert found.recovered == 0


def test_a_perfect_choice_recovers_everything_and_no_choice_is_undefined():
    assert oracle_gap([1, 1], [[1, 0], [0, 1]]).recovered == 1
    assert oracle_gap([1, 0], [[1, 1], [0, 0]]).recovered is None
    assert oracle_gap([], np.empty((0, 3))) is None


def test_an_answer_better_than_its_candidates_is_refused():
    with pytest.raises(ValueError, match="scores more than every candidate"):
        oracle_gap([1, 1], [[1, 0], [0, 0]])
    with pytest.raises(ValueError, match="2 items need candidates"):
        oracle_gap([1, 1], [[1, 0]])


def test_candidates_of_one_item_are_not_independent():
    rng = np.random.default_rng(6)
    items = np.repeat(np.arange(30), 5)
    accepted = np.repeat(rng.random(30) < 0.7, 5)
    right = np.repeat(rng.random(30) < 0.6, 5)
    found, naive = confusion(accepted, right, clusters=items), confusion(accepted, right)
    once = confusion(accepted[::5], right[::5])
    for rate in ("sensitivity", "specificity", "precision", "accuracy"):
        tied, free, alone = (getattr(c, rate) for c in (found, naive, once))
        assert tied.value == pytest.approx(alone.value)
        assert tied.interval.low < alone.interval.low < free.interval.low
    assert found.true_positives == naive.true_positives == 5 * once.true_positives


def test_a_rate_of_clusters_is_the_mean_score_of_the_candidates_it_is_among():
    accepted, right = np.arange(60) % 3 > 0, np.arange(60) % 4 > 0
    items = [f"q{i // 6}" for i in range(60)]
    found = confusion(accepted, right, clusters=items)
    among = np.array(items)[accepted]
    assert found.precision == mean_score(right[accepted], clusters=among)


def test_an_oracle_gap_of_items_in_clusters_is_cluster_robust():
    rng = np.random.default_rng(7)
    candidates = (rng.random((40, 3)) < 0.5).astype(float)
    passages = np.arange(40) // 4
    found = oracle_gap(candidates[:, 0], candidates, clusters=passages)
    best = candidates.max(axis=1)
    assert found.oracle == mean_score(best, clusters=passages)
    assert found.gap == mean_score(best - candidates[:, 0], clusters=passages)
