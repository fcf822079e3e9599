import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ember_bench.stats import (
    Interval,
    clopper_pearson_interval,
    cluster_mean,
    mean_score,
    t_interval,
    wilson_interval,
)

from .coverage import (
    clustered_f1,
    epochs_of_20,
    f1_like,
    homogeneous,
    impossible_clusters,
    right_or_wrong_clusters,
    simulated_coverage,
    threes,
)


def width(interval):
    return interval.high - interval.low


def unaugmented(scores):
    """Return Wilson's interval at the effective size of the sample's own variance, with t."""
    n, mean = len(scores), np.mean(scores)
    size = n * max(1.0, mean * (1 - mean) / np.var(scores, ddof=1))
    level = 2 * stats.norm.cdf(stats.t.ppf(0.975, n - 1)) - 1
    found = wilson_interval(size * mean, size, level=level)
    return Interval(found.low, found.high, 0.95)


def test_right_and_wrong_get_wilsons_interval():
    scores = [1] * 97 + [0] * 3
    assert mean_score(scores).interval == wilson_interval(97, 100)
    assert mean_score(np.array(scores) == 1).value == 0.97


@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda rng, n: np.where(rng.random(n) < 0.97, 1, 0.5), 0.985),
        (lambda rng, n: rng.choice([1, 0.5, 0], p=[0.9, 0.07, 0.03], size=n), 0.935),
        (lambda rng, n: rng.binomial(5, 0.99, n) / 5, 0.99),
        (lambda rng, n: rng.binomial(5, rng.beta(0.5, 0.2, n)) / 5, 5 / 7),
        (lambda rng, n: rng.beta(2, 2, n), 0.5),
        (lambda rng, n: rng.beta(8, 1, n), 8 / 9),
    ],
    ids=["one half in 33", "three values", "epochs near 1", "epochs", "symmetric", "skewed"],
)
@pytest.mark.parametrize("n", [20, 30, 100])
def test_partial_credit_is_covered(draw, truth, n):
    covered = simulated_coverage(lambda rng: mean_score(draw(rng, n)).interval, truth)
    assert covered >= 0.93


@pytest.mark.parametrize(
    ("draw", "truth"),
    [(f1_like, 0.98 * 60 / 62), (epochs_of_20, 0.98 * 0.97)],
    ids=["f1", "epochs"],
)
@pytest.mark.parametrize("n", [30, 50])
def test_rare_items_far_from_the_rest_are_covered_where_the_samples_variance_is_not(draw, truth, n):
    ours = simulated_coverage(lambda rng: mean_score(draw(rng, n)).interval, truth)
    plain = simulated_coverage(lambda rng: unaugmented(draw(rng, n)), truth)
    assert ours >= 0.95
    assert plain < 0.75


@pytest.mark.parametrize(
    "draw",
    [homogeneous, lambda rng, n: rng.beta(2, 2, n), lambda rng, n: 1 - homogeneous(rng, n)],
    ids=["high", "middle", "low"],
)
@pytest.mark.parametrize(("n", "most"), [(30, 1.5), (100, 1.2), (300, 1.1)])
def test_the_scores_added_widen_the_interval_of_homogeneous_scores_by_less_than_half(draw, n, most):
    rng = np.random.default_rng(8)
    samples = [draw(rng, n) for _ in range(200)]
    ours = np.median([width(mean_score(x).interval) for x in samples])
    plain = np.median([width(unaugmented(x)) for x in samples])
    assert 1 < ours / plain < most


def test_the_variance_is_of_the_scores_with_a_0_and_a_1_about_the_mean_of_the_scores_alone():
    scores = [0.4, 0.55, 0.7, 0.47, 0.62, 0.59]
    mean = np.mean(scores)
    size = 6 * mean * (1 - mean) / np.var([*scores, 0, 1], ddof=1)
    found = mean_score(scores)
    # The bounds are the roots of |mean - p| = t sqrt(p (1 - p) / size).
    t = stats.t.ppf(0.975, 5)
    roots = np.roots([1 + t**2 / size, -2 * mean - t**2 / size, mean**2])
    assert (found.interval.low, found.interval.high) == pytest.approx(sorted(roots))
    assert found.value == pytest.approx(mean)


def test_the_order_and_the_direction_of_scores_do_not_matter():
    scores = np.random.default_rng(1).beta(8, 1, 40)
    found, mirrored = mean_score(scores).interval, mean_score(1 - scores[::-1]).interval
    assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low))


def test_right_and_wrong_get_the_exact_interval_on_request():
    scores = [1] * 49 + [0]
    found = mean_score(scores, method="clopper-pearson")
    assert found.interval == clopper_pearson_interval(49, 50)


def test_student_does_not_cover_where_nearly_all_score_one():
    def scores(rng):
        return np.where(rng.random(100) < 0.97, 1, 0.5)

    assert simulated_coverage(lambda rng: t_interval(scores(rng)), 0.985) < 0.85


def test_with_many_items_the_interval_is_students():
    scores = np.random.default_rng(3).beta(3, 2, 20_000)
    ours, students = mean_score(scores).interval, t_interval(scores)
    assert ours.low == pytest.approx(students.low, abs=1e-5)
    assert ours.high == pytest.approx(students.high, abs=1e-5)


def test_equal_scores_assume_the_largest_variance_that_is_possible():
    assert mean_score([0.5] * 40).interval == wilson_interval(20, 40)
    assert mean_score([0.1] * 30).interval.low < 0.1 < mean_score([0.1] * 30).interval.high


def test_all_right_in_clusters_counts_each_cluster_once():
    found = mean_score([1.0] * 60, clusters=[i // 6 for i in range(60)])
    assert found.interval == wilson_interval(10, 10)
    assert found.standard_error == 0


@pytest.mark.parametrize("accuracy", [0.6, 0.9])
def test_clustered_accuracy_is_covered_where_wilsons_is_not(accuracy):
    clusters = np.repeat(np.arange(30), np.tile([2, 4, 9], 10))
    strength = 2.0

    def scores(rng):
        share = rng.beta(accuracy * strength, (1 - accuracy) * strength, 30)
        return (rng.random(clusters.size) < share[clusters]).astype(float)

    robust = simulated_coverage(
        lambda rng: mean_score(scores(rng), clusters=clusters).interval, accuracy
    )
    naive = simulated_coverage(lambda rng: mean_score(scores(rng)).interval, accuracy)
    assert robust >= 0.93
    assert naive < 0.85


@pytest.mark.parametrize(
    ("interval", "truth"),
    [
        (clustered_f1, 0.98 * 60 / 62),
        (impossible_clusters, 0.98 * 60 / 62),
        (right_or_wrong_clusters, 0.98 * 0.99),
    ],
)
@pytest.mark.parametrize("n_clusters", [30, 60])
def test_rare_items_and_rare_clusters_are_covered(interval, truth, n_clusters):
    covered = simulated_coverage(lambda rng: interval(rng, n_clusters), truth, n_samples=400)
    assert covered >= 0.93


@pytest.mark.parametrize("alike", [False, True])
def test_clusters_added_widen_the_interval_of_homogeneous_scores_by_less_than_half(alike):
    rng = np.random.default_rng(8)
    clusters = threes(30)
    ratios = []
    for _ in range(100):
        scores = homogeneous(rng, 30)[clusters] if alike else homogeneous(rng, 90)
        robust = cluster_mean(scores, clusters).interval
        ratios.append(width(mean_score(scores, clusters=clusters).interval) / width(robust))
    assert np.median(ratios) < 1.5


def test_clusters_of_one_item_are_independent_items():
    scores = np.random.default_rng(2).beta(3, 2, 30)
    alone, plain = mean_score(scores, clusters=range(30)), mean_score(scores)
    assert alone.interval.low == pytest.approx(plain.interval.low)
    assert alone.interval.high == pytest.approx(plain.interval.high)


def test_clusters_never_narrow_the_interval():
    # Each cluster has one right and one wrong: their means do not vary at all.
    scores = [1, 0] * 20
    paired_off = mean_score(scores, clusters=[i // 2 for i in range(40)])
    assert paired_off.interval.low <= wilson_interval(20, 40).low
    assert paired_off.interval.high >= wilson_interval(20, 40).high


def test_one_cluster_tells_nothing_of_the_error():
    found = mean_score([1, 0, 1], clusters=["p", "p", "p"])
    assert found.value == pytest.approx(2 / 3)
    assert found.interval is None
    assert found.standard_error is None


def test_no_items_no_score():
    assert mean_score([]) is None
    assert mean_score([], clusters=[]) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_the_interval_holds_the_mean_inside_the_scale(scores):
    found = mean_score(scores)
    assert 0 <= found.interval.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.interval.high <= 1


def test_scores_outside_the_scale_are_refused():
    with pytest.raises(ValueError, match=r"scores must lie in \[0, 1\], found 0 to 100"):
        mean_score([0, 100])
    with pytest.raises(ValueError, match="clusters has 1 entries for 2 values"):
        mean_score([0, 1], clusters=["a"])


def test_clusters_right_or_wrong_as_a_whole_are_no_surer_than_their_robust_error():
    scores, passages = np.repeat([1.0, 1.0, 0.0, 1.0, 0.0, 0.0], 10), np.repeat(np.arange(6), 10)
    robust = cluster_mean(scores, passages)
    size = 0.25 / robust.standard_error**2
    level = 2 * stats.norm.cdf(stats.t.ppf(0.975, robust.dof)) - 1
    expected = wilson_interval(size / 2, size, level=level)
    found = mean_score(scores, clusters=passages).interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("clusters", [None, np.arange(30) // 3])
def test_scores_that_are_almost_alike_next_to_one_are_as_sure_as_if_they_were_alike(clusters):
    scores = np.full(30, 0.999)
    scores[::7] = 0.9991
    alike = mean_score(np.full(30, 0.999), clusters=clusters).interval
    found = mean_score(scores, clusters=clusters).interval
    assert width(found) < 1.5 * width(alike)


def test_exact_bounds_at_an_effective_size_are_korn_and_graubards():
    scores = np.random.default_rng(3).beta(6, 1.6, 25)
    mean = scores.mean()
    size = 25 * mean * (1 - mean) / np.append(scores, [0, 1]).var(ddof=1)
    size *= (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 24)) ** 2
    found = mean_score(scores, method="clopper-pearson").interval
    low = stats.beta.ppf(0.025, size * mean, size * (1 - mean) + 1)
    high = stats.beta.ppf(0.975, size * mean + 1, size * (1 - mean))
    assert (found.low, found.high) == pytest.approx((low, high))
