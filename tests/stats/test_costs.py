import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ember_bench.stats import (
    bootstrap_interval,
    cluster_mean,
    cost_difference,
    cost_per_correct,
    cost_ratio,
    mean_cost,
    t_interval,
)

from .coverage import costs_in_clusters, simulated_coverage, threes

pytestmark = pytest.mark.slow


def lognormal_mean(sigma):
    return np.exp(sigma**2 / 2)


@pytest.mark.parametrize(("sigma", "n", "least"), [(0.5, 20, 0.93), (1, 50, 0.92), (1, 200, 0.935)])
def test_mean_cost_covers_lognormal_costs_better_than_student(sigma, n, least):
    truth = lognormal_mean(sigma)
    ours = simulated_coverage(lambda rng: mean_cost(rng.lognormal(0, sigma, n)).interval, truth)
    student = simulated_coverage(lambda rng: t_interval(rng.lognormal(0, sigma, n)), truth)
    assert least <= ours <= 0.96
    assert ours > student


def test_mean_cost_covers_symmetric_costs():
    ours = simulated_coverage(lambda rng: mean_cost(rng.uniform(1, 2, 30)).interval, 1.5)
    assert ours == pytest.approx(0.95, abs=0.015)


def test_mean_cost_agrees_with_the_bias_corrected_bootstrap_on_many_items():
    costs = np.random.default_rng(1).lognormal(size=4000)
    ours, bca = mean_cost(costs), bootstrap_interval(costs)
    assert ours.interval.low == pytest.approx(bca.low, abs=0.1 * ours.standard_error)
    assert ours.interval.high == pytest.approx(bca.high, abs=0.1 * ours.standard_error)


def test_mean_cost_solves_halls_equation_at_both_ends():
    costs = np.random.default_rng(2).lognormal(size=12)
    found, n = mean_cost(costs, level=0.9), 12
    g = np.mean((costs - costs.mean()) ** 3) / costs.std() ** 3
    for end, quantile in [(found.interval.low, 1.795884819), (found.interval.high, -1.795884819)]:
        t = (costs.mean() - end) / (costs.std(ddof=1) / np.sqrt(n))
        hall = t + g * t**2 / (3 * n**0.5) + g**2 * t**3 / (27 * n) + g / (6 * n**0.5)
        assert hall == pytest.approx(quantile, rel=1e-6)


def test_costs_without_spread_have_no_interval():
    assert mean_cost([]) is None
    assert mean_cost([0.2]).interval is None
    assert mean_cost([0.1] * 50).interval is None
    assert mean_cost([0.1] * 50).value == pytest.approx(0.1)


def test_negative_costs_are_refused():
    with pytest.raises(ValueError, match=r"costs must not be negative, found -0\.5"):
        mean_cost([1, -0.5])


@pytest.mark.parametrize(("accuracy", "n"), [(0.97, 50), (0.7, 300), (0.3, 50)])
@pytest.mark.parametrize("dearer_if_wrong", [2.7, 0.5])
def test_cost_per_correct_is_covered(accuracy, n, dearer_if_wrong):
    sigma = 0.7
    wrong = 1 - accuracy
    truth = lognormal_mean(sigma) * (accuracy + wrong * dearer_if_wrong) / accuracy

    def interval(rng):
        right = rng.random(n) < accuracy
        costs = rng.lognormal(0, sigma, n) * np.where(right, 1, dearer_if_wrong)
        return cost_per_correct(costs, right).interval

    assert 0.92 <= simulated_coverage(interval, truth, n_samples=1000) <= 0.98


def test_few_correct_answers_are_covered_or_left_open():
    def samples(rng):
        while True:
            right = rng.random(100) < 0.1
            if right.any():
                return cost_per_correct(rng.lognormal(0, 1, 100), right).interval

    rng = np.random.default_rng(3)
    found = [samples(rng) for _ in range(2000)]
    truth = lognormal_mean(1) / 0.1
    missed = np.mean([i is not None and not i.low <= truth <= i.high for i in found])
    assert 0.02 <= missed <= 0.075


def test_all_right_makes_cost_per_correct_the_mean_cost():
    costs = np.random.default_rng(4).lognormal(size=40)
    ratio, mean = cost_per_correct(costs, np.ones(40)), mean_cost(costs)
    assert ratio.value == pytest.approx(mean.value)
    assert ratio.interval.low == pytest.approx(mean.interval.low)
    assert ratio.interval.high == pytest.approx(mean.interval.high)


def test_without_a_correct_answer_its_cost_is_undefined():
    assert cost_per_correct([1, 2, 3], [0, 0, 0]) is None
    assert cost_per_correct([], []) is None


def test_one_correct_answer_in_many_does_not_bound_its_cost():
    costs = np.random.default_rng(5).lognormal(size=40)
    found = cost_per_correct(costs, [1] + [0] * 39)
    assert found.value == pytest.approx(costs.sum())
    assert found.interval is None


@given(
    costs=st.lists(st.floats(0.01, 10), min_size=5, max_size=30),
    factor=st.floats(0.001, 1000),
    seed=st.integers(0, 99),
)
def test_the_unit_of_cost_does_not_matter(costs, factor, seed):
    scores = np.random.default_rng(seed).integers(0, 2, len(costs))
    plain = cost_per_correct(costs, scores)
    scaled = cost_per_correct(np.multiply(costs, factor), scores)
    assert (plain is None) == (scaled is None)
    if plain is not None and plain.interval is not None:
        assert plain.interval.low <= plain.value <= plain.interval.high
        assert scaled.interval.low == pytest.approx(plain.interval.low * factor, abs=1e-9 * factor)
        assert scaled.interval.high == pytest.approx(plain.interval.high * factor)


def in_step(rng, n):
    item = rng.lognormal(0, 1, n)
    return 4 * item * rng.lognormal(-0.02, 0.2, n), item


def independent(rng, n):
    return 4 * rng.lognormal(0, 1, n), rng.lognormal(0, 1, n)


def flat_baseline(rng, n):
    return 4 * rng.lognormal(-0.5, 1, n), np.ones(n)


@pytest.mark.parametrize("costs", [in_step, independent, flat_baseline])
def test_cost_ratio_is_covered(costs):
    covered = simulated_coverage(
        lambda rng: cost_ratio(*costs(rng, 80)).interval, 4, n_samples=1000
    )
    assert 0.92 <= covered <= 0.975


def test_pairing_narrows_the_cost_ratio():
    a, b = in_step(np.random.default_rng(6), 80)
    paired, unpaired = cost_ratio(a, b).interval, cost_ratio(a, b[::-1]).interval
    assert paired.high - paired.low < (unpaired.high - unpaired.low) / 3


def test_an_uncorrected_cost_ratio_is_fiellers():
    # Residuals of these four items are symmetric: there is no skewness to correct.
    a, b = np.array([4.0, 6.0, 9.0, 11.0]), np.array([2.0, 2.0, 4.0, 4.0])
    t, n = 3.182446305, 4
    var_a, var_b, cov = *np.var([a, b], axis=1, ddof=1) / n, np.cov(a, b)[0, 1] / n
    roots = np.roots(
        [
            b.mean() ** 2 - t**2 * var_b,
            -2 * (a.mean() * b.mean() - t**2 * cov),
            a.mean() ** 2 - t**2 * var_a,
        ]
    )
    found = cost_ratio(a, b).interval
    assert found.low <= min(roots) + 1e-8
    assert found.high >= max(roots) - 1e-8
    assert found.high - found.low == pytest.approx(np.ptp(roots), rel=0.05)


def test_a_ratio_that_never_varies_has_no_interval():
    found = cost_ratio([2, 4, 6], [1, 2, 3])
    assert found.value == 2
    assert found.interval is None
    assert cost_ratio([2, 4], [0, 0]) is None


@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda rng, item: (item * rng.lognormal(0, 0.2, 60), item * rng.lognormal(0, 0.2, 60)), 0),
        (lambda rng, item: (4 * item, item), 3 * lognormal_mean(1)),
        (
            lambda rng, item: (item * np.where(rng.random(60) < 1 / 3, 10, 1), item),
            3 * lognormal_mean(1),
        ),
    ],
    ids=["heavy tails", "skewed", "cascade"],
)
def test_cost_difference_is_covered(draw, truth):
    covered = simulated_coverage(
        lambda rng: cost_difference(*draw(rng, rng.lognormal(0, 1, 60))).interval, truth
    )
    assert 0.925 <= covered <= 0.98


def test_cost_difference_is_of_the_means():
    assert cost_difference([1, 3], [2, 4]).value == -1
    assert cost_difference([1, 3], [2, 4]).interval is None
    assert cost_difference([], []) is None


def each_statistic(costs, scores, baseline, **options):
    return [
        mean_cost(costs, **options),
        cost_per_correct(costs, scores, **options),
        cost_ratio(costs, baseline, **options),
        cost_difference(costs, baseline, **options),
    ]


def test_clusters_of_one_item_are_independent_items():
    rng = np.random.default_rng(7)
    costs, baseline = rng.lognormal(size=(2, 40))
    scores = rng.random(40) < 0.8
    single = each_statistic(costs, scores, baseline, clusters=range(40))
    for found, plain in zip(single, each_statistic(costs, scores, baseline), strict=True):
        assert found.value == plain.value
        assert found.standard_error == pytest.approx(plain.standard_error)
        assert found.interval.low == pytest.approx(plain.interval.low)
        assert found.interval.high == pytest.approx(plain.interval.high)


def test_items_that_repeat_tell_no_more_than_one():
    rng = np.random.default_rng(8)
    costs, baseline = rng.lognormal(size=(2, 40))
    scores = rng.random(40) < 0.8
    tripled = (np.repeat(x, 3) for x in (costs, scores, baseline))
    repeated = each_statistic(*tripled, clusters=np.repeat(np.arange(40), 3))
    for found, once in zip(repeated, each_statistic(costs, scores, baseline), strict=True):
        assert found.value == pytest.approx(once.value)
        assert found.standard_error == pytest.approx(once.standard_error)
        assert found.interval.low == pytest.approx(once.interval.low)
        assert found.interval.high == pytest.approx(once.interval.high)


def test_the_error_of_costs_in_clusters_is_the_cluster_robust_one():
    rng = np.random.default_rng(9)
    costs, passages = rng.lognormal(size=50), rng.integers(0, 9, 50)
    robust = cluster_mean(costs, passages)
    assert mean_cost(costs, clusters=passages).standard_error == pytest.approx(
        robust.standard_error
    )
    spanned = cost_difference(costs, np.zeros(50), clusters=passages).interval
    assert spanned.low <= robust.interval.low
    assert spanned.high >= robust.interval.high


def test_one_cluster_leaves_every_cost_open():
    rng = np.random.default_rng(10)
    found = each_statistic(*rng.random((3, 20)), clusters=["p"] * 20)
    assert [estimate.interval for estimate in found] == [None] * 4
    assert [estimate.standard_error for estimate in found] == [None] * 4


@pytest.mark.parametrize("statistic", ["mean", "per correct", "ratio"])
def test_costs_in_clusters_are_covered_where_independence_is_not(statistic):
    passages = threes(40).repeat(2)

    def interval(rng, **options):
        costs = costs_in_clusters(rng, passages)
        if statistic == "mean":
            return mean_cost(costs, **options).interval
        if statistic == "ratio":
            return cost_ratio(2 * costs, rng.lognormal(size=240), **options).interval
        right = (rng.random(40) < 0.7)[passages]
        return cost_per_correct(costs, right, **options).interval

    truth = {"mean": 1, "per correct": 1 / 0.7, "ratio": 2}[statistic]
    truth *= 1 if statistic == "ratio" else lognormal_mean(1)
    robust = simulated_coverage(lambda rng: interval(rng, clusters=passages), truth, n_samples=300)
    assert robust >= 0.9
    assert simulated_coverage(interval, truth, n_samples=300) < 0.8


def refused(costs, scores, ratios, level=0.95):
    """Say which ratios Hall's statistic refuses."""
    d = costs - ratios[:, np.newaxis] * scores
    n, g = costs.size, stats.skew(d, axis=1)
    t = d.mean(axis=1) / stats.sem(d, axis=1)
    hall = t + g * t**2 / (3 * n**0.5) + g**2 * t**3 / (27 * n) + g / (6 * n**0.5)
    return np.abs(hall) > stats.t.ppf((1 + level) / 2, n - 1)


def first_refused(costs, scores, ratios):
    outside = refused(costs, scores, ratios)
    return ratios[np.argmax(outside)] if outside.any() else None


@pytest.mark.parametrize("seed", range(12))
def test_the_interval_of_a_ratio_ends_at_the_first_ratio_that_is_refused(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(6, 40))
    costs, scores = rng.lognormal(0, 1.2, n), (rng.random(n) < 0.35).astype(float)
    scores[0] = 1
    away = costs.sum() / scores.sum() * np.geomspace(1, 1e4, 10_000)
    low = first_refused(costs, scores, away[0] ** 2 / away)
    high = first_refused(costs, scores, away)
    found = cost_per_correct(costs, scores).interval
    assert (found is None) == (high is None)
    if found is not None:
        assert found.low == pytest.approx(low or 0.0, rel=2e-3)
        assert found.high == pytest.approx(high, rel=2e-3)


@given(
    costs=st.lists(st.floats(0, 10), min_size=2, max_size=12),
    seed=st.integers(0, 99),
    level=st.sampled_from([0.01, 0.5, 0.95, 0.999]),
)
def test_a_ratio_is_never_below_nothing_nor_outside_its_interval(costs, seed, level):
    scores = np.random.default_rng(seed).random(len(costs))
    found = cost_per_correct(costs, scores, level=level)
    if found.interval is not None:
        assert 0 <= found.interval.low <= found.value * (1 + 1e-9)
        assert found.interval.high >= found.value * (1 - 1e-9)


def test_a_set_that_comes_back_after_its_first_end_is_cut_there():
    costs = np.array([0.5, 3.8, 0.5, 6.0, 3.3, 3.1])
    scores = np.array([0.0, 0.5, 0.5, 0.5, 0.5, 0.5])
    found = cost_per_correct(costs, scores).interval
    beyond = refused(costs, scores, found.high * np.geomspace(1.001, 1e3, 4000))
    assert beyond[0]
    assert not beyond.all()


def test_costs_and_scores_must_be_of_the_same_items():
    with pytest.raises(ValueError, match="same items: 3 and 2 values"):
        cost_per_correct([1, 2, 3], [0, 1])
