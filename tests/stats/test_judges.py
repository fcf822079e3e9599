"""Judged scores, corrected by labels: closed forms, laws, and coverage by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.stats import difference_of_groups, prediction_powered_mean, rogan_gladen

from .coverage import simulated_coverage

SCORES = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=10, max_size=60)


def judged(rng, n, share, sensitivity, specificity):
    """What outputs are, and what a judge says of them."""
    right = rng.random(n) < share
    accepted = np.where(right, rng.random(n) < sensitivity, rng.random(n) >= specificity)
    return right, accepted


class TestRoganGladen:
    def test_the_value_is_the_formula(self):
        """Sensitivity .9, specificity .8: (.62 + .8 - 1) / (.9 + .8 - 1) = .6."""
        found = rogan_gladen([1] * 62 + [0] * 38, [1] * 9 + [0] + [1] * 2 + [0] * 8,
                             [1] * 10 + [0] * 10)  # fmt: skip
        assert found.value == pytest.approx(0.6)

    def test_a_perfect_judge_is_left_as_it_is(self):
        found = rogan_gladen([1, 1, 0, 0, 0], [1] * 20 + [0] * 20, [1] * 20 + [0] * 20)
        assert found.value == pytest.approx(0.4)

    def test_the_interval_is_wider_than_that_of_the_verdicts_alone(self):
        found = rogan_gladen([1] * 600 + [0] * 400, [1] * 45 + [0] * 5 + [1] * 5 + [0] * 45,
                             [1] * 50 + [0] * 50)  # fmt: skip
        assert found.interval.high - found.interval.low > 2 * 0.061

    def test_the_value_stays_in_the_unit_interval(self):
        labels = ([1] * 9 + [0] + [1] * 2 + [0] * 8, [1] * 10 + [0] * 10)
        assert rogan_gladen([0] * 10, *labels).value == 0
        assert rogan_gladen([1] * 10, *labels).value == 1

    def test_nothing_is_estimated_without_error_rates(self):
        assert rogan_gladen([1, 0], [1, 1], [1, 1]) is None
        assert rogan_gladen([1, 0], [0, 0], [0, 0]) is None
        assert rogan_gladen([], [1, 0], [1, 0]) is None

    def test_nothing_is_estimated_of_a_judge_that_tells_nothing(self):
        assert rogan_gladen([1, 0], [1, 0, 1, 0], [1, 1, 0, 0]) is None

    def test_copies_of_outputs_in_clusters_tell_no_more(self):
        rng = np.random.default_rng(3)
        right, said = judged(rng, 80, 0.6, 0.9, 0.8)
        _, z = judged(rng, 200, 0.6, 0.9, 0.8)
        once = rogan_gladen(z, said, right)
        items, others = [f"a{i}" for i in range(200)], [f"b{i}" for i in range(80)]
        thrice = rogan_gladen(
            [*z] * 3, [*said] * 3, [*right] * 3, clusters=items * 3, labelled_clusters=others * 3
        )
        assert thrice.standard_error == pytest.approx(once.standard_error, rel=0.1)
        assert rogan_gladen([*z] * 3, [*said] * 3, [*right] * 3).standard_error < (
            0.7 * once.standard_error
        )

    def test_scores_that_are_no_verdicts_are_refused(self):
        with pytest.raises(ValueError, match="judged must hold only true and false"):
            rogan_gladen([0.5], [1], [1])
        with pytest.raises(ValueError, match="labelled and labels"):
            rogan_gladen([1], [1, 0], [1])


class TestPredictionPoweredMean:
    @given(SCORES)
    def test_all_labels_make_it_the_mean_of_the_labels(self, scores):
        found = prediction_powered_mean(scores[::-1], scores, [])
        assert found.value == pytest.approx(np.mean(scores))

    def test_a_judge_that_says_one_thing_of_all_is_not_heeded(self):
        labels = [1] * 12 + [0] * 8
        assert prediction_powered_mean([1] * 20, labels, [1] * 500).value == pytest.approx(0.6)

    @given(SCORES, st.lists(st.sampled_from([0.0, 1.0]), max_size=40), st.randoms())
    def test_the_interval_holds_the_value(self, labels, rest, random):
        said = random.sample(labels, len(labels))
        found = prediction_powered_mean(said, labels, rest)
        assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1

    def test_a_good_judge_makes_the_interval_narrow(self):
        rng = np.random.default_rng(0)
        right, said = judged(rng, 1000, 0.6, 0.97, 0.97)
        with_judge = prediction_powered_mean(said[:100], right[:100], said[100:]).interval
        alone = prediction_powered_mean(said[:100], right[:100], []).interval
        assert with_judge.high - with_judge.low < 0.7 * (alone.high - alone.low)

    def test_few_labels_are_not_enough(self):
        assert prediction_powered_mean([1] * 9, [1] * 9, [1] * 100) is None

    def test_scores_outside_the_unit_interval_are_refused(self):
        with pytest.raises(ValueError, match="labels must lie"):
            prediction_powered_mean([1] * 10, [2] * 10, [])


JUDGES = ((0.9, 0.8), (0.95, 0.9), (0.75, 0.7))
"""Sensitivity and specificity."""
LABELS = (50, 100, 200, 500)


def coverages(interval, share):
    """The shares of intervals that hold the truth, by judge and number of labels."""
    return {
        (rates, n): simulated_coverage(
            lambda rng, rates=rates, n=n: interval(rng, share, rates, n), share, n_samples=1500
        )
        for rates in JUDGES
        for n in LABELS
    }


def of_rogan_gladen(rng, share, rates, n):
    """Labels of other outputs, of which half are right."""
    right, said = judged(rng, n, 0.5, *rates)
    _, z = judged(rng, 1000, share, *rates)
    found = rogan_gladen(z, said, right)
    return None if found is None else found.interval


def of_its_own(rng, share, rates, n):
    """Labels of some of the outputs themselves."""
    right, said = judged(rng, 1000, share, *rates)
    own = np.arange(1000)
    found = rogan_gladen(said, said[:n], right[:n], clusters=own, labelled_clusters=own[:n])
    return None if found is None else found.interval


def of_prediction_powered(rng, share, rates, n):
    right, said = judged(rng, 1000, share, *rates)
    return prediction_powered_mean(said[:n], right[:n], said[n:]).interval


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
@pytest.mark.parametrize("interval", [of_rogan_gladen, of_its_own, of_prediction_powered])
def test_the_corrected_interval_covers_what_it_says(interval, share):
    """93 to 97 % on the whole, with the error of a simulation and the steps of counts in each."""
    found = coverages(interval, share)
    assert 0.93 <= np.mean([*found.values()]) <= 0.97, found
    assert all(0.92 <= value <= 0.99 for value in found.values()), found


@pytest.mark.slow
def test_few_errors_are_covered_at_least():
    """A judge that errs once or twice in its labels: steps of counts make the interval wide."""
    for interval in (of_rogan_gladen, of_its_own, of_prediction_powered):
        covered = simulated_coverage(
            lambda rng, of=interval: of(rng, 0.6, (0.99, 0.99), 50), 0.6, n_samples=800
        )
        assert covered >= 0.95, interval


class TestDifferenceOfGroups:
    def test_of_independent_values_it_is_nearly_welchs(self):
        from scipy import stats as reference

        rng = np.random.default_rng(5)
        one, other = rng.normal(1, 1, 60), rng.normal(0, 2, 90)
        found = difference_of_groups([*one, *other], [1] * 60 + [0] * 90)
        welch = reference.ttest_ind(one, other, equal_var=False).confidence_interval()
        assert found.value == pytest.approx(one.mean() - other.mean())
        assert found.interval.low == pytest.approx(welch.low, rel=0.05)
        assert found.interval.high == pytest.approx(welch.high, rel=0.05)

    def test_values_in_pairs_are_compared_within_their_clusters(self):
        rng = np.random.default_rng(6)
        base = rng.normal(0, 10, 50)
        values, group = [*(base + 1), *base], [1] * 50 + [0] * 50
        paired = difference_of_groups(values + rng.normal(0, 0.1, 100), group,
                                      clusters=[*range(50)] * 2)  # fmt: skip
        assert paired.interval.high - paired.interval.low < 0.5
        assert difference_of_groups(values, group).standard_error > 1

    def test_a_group_of_one_has_no_spread(self):
        assert difference_of_groups([1, 2, 3], [1, 0, 0]) is None

    def test_equal_values_give_no_interval(self):
        assert difference_of_groups([1, 1, 0, 0], [1, 1, 0, 0]).interval is None
