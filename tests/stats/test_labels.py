"""Metrics of labels: their values by scikit-learn, their intervals by simulation."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics

from ember_bench.stats import balanced_accuracy, cohens_kappa, macro_f1, matthews_correlation

from .coverage import simulated_coverage

LABELS = st.sampled_from("ABCD")
PAIRS = st.lists(st.tuples(LABELS, st.one_of(LABELS, st.none())), min_size=1, max_size=40)
METRICS = (macro_f1, balanced_accuracy, matthews_correlation, cohens_kappa)


def known(pairs):
    """The labels of the targets; and the answers, where all others are one."""
    labels = sorted({target for target, _ in pairs})
    return labels, [answer if answer in labels else "none of them" for _, answer in pairs]


@given(PAIRS)
def test_macro_f1_is_that_of_scikit_learn_over_the_labels_of_the_targets(pairs):
    labels, answers = known(pairs)
    targets = [target for target, _ in pairs]
    expected = metrics.f1_score(targets, answers, labels=labels, average="macro", zero_division=0)
    assert macro_f1(targets, [a for _, a in pairs]).value == pytest.approx(expected)


@given(PAIRS)
def test_balanced_accuracy_is_the_mean_recall_of_scikit_learn(pairs):
    labels, answers = known(pairs)
    targets = [target for target, _ in pairs]
    expected = metrics.recall_score(
        targets, answers, labels=labels, average="macro", zero_division=0
    )
    assert balanced_accuracy(targets, [a for _, a in pairs]).value == pytest.approx(expected)


@given(PAIRS)
def test_the_correlation_is_that_of_scikit_learn_wherever_it_is_defined(pairs):
    _, answers = known(pairs)
    targets = [target for target, _ in pairs]
    assume(len(set(targets)) > 1 and len(set(answers)) > 1)
    expected = metrics.matthews_corrcoef(targets, answers)
    found = matthews_correlation(targets, [a for _, a in pairs]).value
    assert found == pytest.approx(expected, abs=1e-12)


def test_without_items_there_is_nothing_to_estimate():
    assert [metric([], []) for metric in METRICS] == [None] * len(METRICS)


def test_a_correlation_needs_two_labels_on_both_sides():
    assert matthews_correlation(["a", "a"], ["a", "b"]) is None
    assert matthews_correlation(["a", "b"], ["a", "a"]) is None


@given(PAIRS)
def test_kappa_is_that_of_scikit_learn(pairs):
    one, other = zip(*((repr(a), repr(b)) for a, b in pairs), strict=True)
    assume(len({*one, *other}) > 1)
    expected = metrics.cohen_kappa_score(one, other)
    assert cohens_kappa(one, other).value == pytest.approx(expected)
    assert cohens_kappa(other, one).value == pytest.approx(expected)


def test_kappa_has_the_standard_error_of_fleiss():
    """The example of Fleiss, Levin & Paik 2003, table 18.1, as statsmodels computes it."""
    from statsmodels.stats.inter_rater import cohens_kappa as reference

    counts = np.array([[1060, 20, 20], [40, 390, 70], [0, 70, 330]])
    pairs = [(i, j) for i in range(3) for j in range(3) for _ in range(counts[i, j])]
    found = cohens_kappa(*zip(*pairs, strict=True))
    expected = reference(counts)
    assert found.value == pytest.approx(expected.kappa)
    assert found.standard_error == pytest.approx(expected.std_kappa, rel=0.02)


def test_kappa_is_not_defined_where_both_raters_say_the_same_of_all():
    assert cohens_kappa(["a", "a"], ["a", "a"]) is None
    assert cohens_kappa(["a", "a"], ["b", "b"]).value == 0


def test_each_target_needs_an_answer():
    with pytest.raises(ValueError, match="2 targets and 1 answers"):
        macro_f1(["a", "b"], ["a"])


@given(PAIRS)
def test_the_interval_holds_the_value_and_has_a_width(pairs):
    targets, answers = zip(*pairs, strict=True)
    for metric, lowest in zip(METRICS, (0, 0, -1, -1), strict=True):
        if (found := metric(targets, answers)) is None:
            continue
        if found.interval is None:  # kappa, with one rater who gives one label to all
            assert metric is cohens_kappa
            assert len({*targets}) == 1
            continue
        assert lowest <= found.interval.low <= found.value <= found.interval.high <= 1 + 1e-12
        assert found.interval.low < found.interval.high


def table(prior, recall):
    """Shares of targets and answers: mistakes are spread over the other labels and no label."""
    n = len(prior)
    shares = np.repeat(
        np.array(prior)[:, None] * (1 - np.array(recall)[:, None]) / n, n + 1, axis=1
    )
    shares[range(n), range(n)] = np.array(prior) * recall
    return shares


def truth(metric, shares):
    """The metric of a hundred thousand items of exactly these shares."""
    counts = np.rint(shares * 100_000).astype(int)
    cells = np.repeat(np.arange(counts.size), counts.ravel())
    n = shares.shape[1]
    return metric((cells // n).tolist(), (cells % n).tolist()).value


CASES = {
    "two labels": ((0.5, 0.5), (0.8, 0.7), 100),
    "hardly a mistake": ((0.5, 0.5), (0.98, 0.98), 100),
    "a rare label": ((0.9, 0.1), (0.95, 0.6), 100),
    "five labels": ((0.6, 0.1, 0.1, 0.1, 0.1), (0.9, 0.8, 0.7, 0.95, 0.9), 100),
}


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("prior", "recall", "n"), CASES.values(), ids=CASES)
def test_the_interval_covers_what_it_says(metric, prior, recall, n):
    shares = table(prior, recall)

    def interval(rng):
        cells = rng.choice(shares.size, size=n, p=shares.ravel())
        columns = shares.shape[1]
        found = metric((cells // columns).tolist(), (cells % columns).tolist())
        return found.interval if found else None

    covered = simulated_coverage(interval, truth(metric, shares), n_samples=600)
    assert 0.92 <= covered <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_the_interval_of_clusters_covers_what_it_says(metric):
    """Forty clusters of five items, of which all are right or wrong together half of the time."""
    shares = table((0.5, 0.5), (0.8, 0.7))

    def interval(rng):
        own = rng.choice(shares.size, size=(40, 5), p=shares.ravel())
        common = rng.choice(shares.size, size=(40, 1), p=shares.ravel())
        cells = np.where(rng.random((40, 1)) < 0.5, common, own).ravel()
        found = metric(
            (cells // 3).tolist(), (cells % 3).tolist(), clusters=np.repeat(range(40), 5)
        )
        return found.interval

    covered = simulated_coverage(interval, truth(metric, shares), n_samples=600)
    assert 0.92 <= covered <= 0.985


def test_one_cluster_has_no_interval():
    found = macro_f1(["a", "b"], ["a", "b"], clusters=["one", "one"])
    assert found.interval is None
    assert math.isclose(found.value, 1)
