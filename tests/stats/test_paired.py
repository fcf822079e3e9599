import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ember_bench.stats import (
    align,
    best_probabilities,
    cluster_mean,
    mcnemar_exact,
    paired_difference,
    sign_flip_test,
    t_interval,
)

from .coverage import simulated_coverage
from .test_shrinkage import above_zero


def cells(wins, losses, n):
    a = np.zeros(n)
    b = np.zeros(n)
    a[:wins] = 1
    b[wins : wins + losses] = 1
    return a, b


def exact_coverage(interval, n, discordant, wins_share):
    """Sum the trinomial probability of every (wins, losses) whose interval covers."""
    p, q = discordant * wins_share, discordant * (1 - wins_share)
    covered = 0.0
    for wins in range(n + 1):
        losses = np.arange(n + 1 - wins)
        chance = stats.binom.pmf(wins, n, p) * stats.binom.pmf(losses, n - wins, q / (1 - p))
        for x in losses[chance > 1e-7]:
            low, high = interval(wins, int(x))
            covered += chance[x] * (low <= p - q <= high)
    return covered


@pytest.fixture(scope="module")
def found_intervals():
    cache = {}

    def interval(wins, losses, n):
        key = (wins, losses, n)
        if key not in cache:
            cache[key] = paired_difference(*cells(wins, losses, n)).interval
        return cache[key].low, cache[key].high

    return interval


@pytest.mark.parametrize("n", [20, 50])
@pytest.mark.parametrize("discordant", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("wins_share", [0.5, 0.8])
def test_the_difference_is_covered_exactly_computed(found_intervals, n, discordant, wins_share):
    coverage = exact_coverage(
        lambda wins, losses: found_intervals(wins, losses, n), n, discordant, wins_share
    )
    assert coverage >= 0.945


def test_students_interval_of_the_differences_does_not_cover_rare_ones():
    def student(wins, losses):
        found = t_interval(np.subtract(*cells(wins, losses, 50)))
        return (0, 0) if found is None else (found.low, found.high)

    assert exact_coverage(student, 50, 0.02, 0.8) < 0.7


@given(n=st.integers(1, 300), data=st.data())
def test_on_right_and_wrong_the_interval_is_bonett_and_prices(n, data):
    wins = data.draw(st.integers(0, n))
    losses = data.draw(st.integers(0, n - wins))
    found = paired_difference(*cells(wins, losses, n)).interval
    p, q = (wins + 1) / (n + 2), (losses + 1) / (n + 2)
    half = 1.959963985 * np.sqrt((p + q - (p - q) ** 2) / (n + 2))
    assert found.low == pytest.approx(max(-1, p - q - half), abs=1e-8)
    assert found.high == pytest.approx(min(1, p - q + half), abs=1e-8)


@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda rng, n: (rng.binomial(5, 0.99, n) / 5, rng.binomial(5, 0.98, n) / 5), 0.01),
        (
            lambda rng, n: (rng.choice([0, 0.5, 1], p=[0.1, 0.1, 0.8], size=n), np.full(n, 0.5)),
            0.35,
        ),
        (lambda rng, n: (np.clip(rng.normal(0.6, 0.05, n), 0, 1), np.full(n, 0.5)), 0.1),
    ],
    ids=["epochs near 1", "partial credit", "continuous"],
)
@pytest.mark.parametrize("n", [25, 100])
def test_differences_of_partial_credit_are_covered(draw, truth, n):
    covered = simulated_coverage(
        lambda rng: paired_difference(*draw(rng, n), n_draws=1).interval, truth, n_samples=1000
    )
    assert covered >= 0.935


def test_differences_in_clusters_are_covered_where_independence_is_not():
    clusters = np.repeat(np.arange(25), 6)

    def both(rng):
        share = rng.beta(2, 2, 25)[clusters]
        shift = np.clip(share + rng.choice([-0.3, 0.3], 25)[clusters], 0, 1)
        return (rng.random(150) < shift).astype(float), (rng.random(150) < share).astype(float)

    def covered(**options):
        return simulated_coverage(
            lambda rng: paired_difference(*both(rng), n_draws=1, **options).interval,
            0,
            n_samples=1000,
        )

    assert 0.93 <= covered(clusters=clusters) <= 0.98
    assert covered() < 0.88


def test_many_clusters_give_the_cluster_robust_interval():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(500), 4)
    a, b = rng.random(2000), rng.random(2000)
    found, robust = paired_difference(a, b, clusters=clusters), cluster_mean(a - b, clusters)
    tolerance = 0.02 * robust.standard_error
    assert found.interval.low == pytest.approx(robust.interval.low, abs=tolerance)
    assert found.interval.high == pytest.approx(robust.interval.high, abs=tolerance)
    assert found.standard_error == pytest.approx(robust.standard_error)


def test_no_item_that_differs_still_leaves_room_for_a_difference():
    a = np.ones(100)
    free = paired_difference(a, a)
    tied = paired_difference(a, a, clusters=[i // 5 for i in range(100)])
    assert free.p_value == tied.p_value == 1
    assert free.interval.low == pytest.approx(-1.96 * 2**0.5 / 102, rel=1e-3)
    assert tied.interval.low == pytest.approx(-1.96 * 2**0.5 / 22, rel=1e-3)
    assert free.interval.high == -free.interval.low


def test_the_effect_is_told_in_points_and_in_items():
    found = paired_difference(*cells(30, 18, 300))
    assert found.difference == pytest.approx(0.04)
    assert found.points == pytest.approx(4)
    assert found.items == pytest.approx(12)
    assert (found.wins, found.losses, found.ties) == (30, 18, 252)


def test_the_test_suits_the_scores():
    a, b = cells(9, 2, 40)
    binary = paired_difference(a, b)
    partial = paired_difference(a * 0.5, b * 0.25)
    clustered = paired_difference(a, b, clusters=np.arange(40) // 2)
    assert (binary.test, binary.p_value) == ("mcnemar", mcnemar_exact(a, b).p_value)
    assert partial.test == clustered.test == "sign-flip"
    assert partial.p_value == sign_flip_test(a * 0.5 - b * 0.25).p_value
    assert clustered.p_value == sign_flip_test(a - b, clusters=np.arange(40) // 2).p_value


def test_swapping_the_cells_changes_only_the_sign():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 2, (2, 80))
    one, other = paired_difference(a, b), paired_difference(b, a)
    assert one.difference == -other.difference
    assert one.interval.low == pytest.approx(-other.interval.high)
    assert one.p_value == other.p_value


def test_cells_without_items_are_not_compared():
    assert paired_difference([], []) is None


def test_scores_of_other_items_are_refused():
    with pytest.raises(ValueError, match="a and b must be of the same items: 2 and 3 values"):
        paired_difference([0, 1], [0, 1, 1])


def test_align_keeps_the_items_that_all_cells_have_in_the_first_cells_order():
    found = align((["q3", "q1", "q2"], [3, 1, 2]), (["q1", "q4", "q3", "q5"], [10, 40, 30, 50]))
    assert found.ids == ("q3", "q1")
    assert found.values.tolist() == [[3, 30], [1, 10]]
    assert found.dropped == (1, 2)


def test_align_of_cells_without_a_common_item_is_empty():
    found = align((["q1"], [1]), (["q2"], [1]))
    assert found.ids == ()
    assert found.values.shape == (0, 2)


def test_align_refuses_an_item_twice_and_missing_values():
    with pytest.raises(ValueError, match="cell 1 has item 'q1' twice: average its epochs first"):
        align((["q1"], [1]), (["q1", "q1"], [1, 0]))
    with pytest.raises(ValueError, match="cell 0 has 2 ids for 1 values"):
        align((["q1", "q2"], [1]))


def test_best_probability_of_two_cells_is_that_of_their_difference():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.1, 1, 400), rng.normal(0, 1, 400)
    d = a - b
    found = best_probabilities(np.column_stack([a, b]), n_draws=20_000)
    variance = d.var(ddof=1) / 400 + 2 * (np.abs(d).max() / 400) ** 2
    assert found[0] == pytest.approx(above_zero(d.mean(), variance), abs=0.015)


def test_best_probabilities_count_what_cells_share():
    # b is always a little better than a, on every item: paired, there is no doubt.
    a = np.random.default_rng(3).random(50)
    assert best_probabilities(np.column_stack([a, a + 0.001])).tolist() == [0, 1]


def test_equal_cells_share_the_first_place():
    a = np.random.default_rng(4).integers(0, 6, 200) / 5
    found = best_probabilities(np.column_stack([a, a[:, None] @ [[1.0]], a]), n_draws=500)
    assert found == pytest.approx([1 / 3] * 3)


@given(st.integers(1, 6), st.integers(5, 30), st.integers(0, 1000))
def test_best_probabilities_sum_to_one(n_cells, n_items, seed):
    values = np.random.default_rng(seed).integers(0, 2, (n_items, n_cells))
    assert best_probabilities(values, n_draws=50).sum() == pytest.approx(1)


def test_best_probabilities_are_of_whole_clusters():
    rng = np.random.default_rng(6)
    d = np.repeat(rng.normal(0.3, 1, 30), 4)
    found = best_probabilities(
        np.column_stack([d, np.zeros(120)]), clusters=np.arange(120) // 4, n_draws=20_000
    )
    variance = d[::4].var(ddof=1) / 30 + 2 * (np.abs(d).max() / 120) ** 2
    assert found[0] == pytest.approx(above_zero(d.mean(), variance), abs=0.015)


def test_fewer_than_five_items_or_clusters_say_nothing_of_the_best():
    values = np.random.default_rng(5).random((12, 3))
    assert best_probabilities(values[:4]) is None
    assert best_probabilities(values[:5]) is not None
    assert best_probabilities(values, clusters=np.arange(12) // 3) is None
    assert best_probabilities(values, clusters=np.arange(12) % 5) is not None
    assert best_probabilities(np.empty((0, 3))) is None
