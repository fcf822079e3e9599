from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import proportion_confint

from ember_bench import stats
from ember_bench.stats.strata import Average

BOTH: tuple[Average, ...] = ("macro", "micro")


def test_macro_is_the_mean_of_means_and_micro_that_of_items() -> None:
    scores, strata = [1, 1, 1, 0, 0], ["a", "a", "a", "a", "b"]
    macro = stats.stratified_score(scores, strata, average="macro")
    micro = stats.stratified_score(scores, strata, average="micro")
    assert macro is not None
    assert micro is not None
    assert (macro.value, micro.value) == pytest.approx((0.375, 0.6))
    assert (macro.n, macro.method) == (5, "stratified, macro")
    assert stats.stratified_score([], [], average="macro") is None


@pytest.mark.parametrize(("right", "n"), [(0, 10), (7, 10), (60, 80), (80, 80)])
def test_one_stratum_has_the_interval_of_agresti_and_coull(right: int, n: int) -> None:
    scores = np.repeat([1.0, 0.0], [right, n - right])
    found = stats.stratified_score(scores, ["a"] * n, average="micro")
    # "Add two successes and two failures", which statsmodels does with z^2 / 2 of each.
    p = (right + 2) / (n + 4)
    half = scipy_stats.norm.ppf(0.975) * np.sqrt(p * (1 - p) / (n + 4))
    assert found is not None
    assert found.interval is not None
    assert found.interval.low == pytest.approx(max(0, p - half))
    assert found.interval.high == pytest.approx(min(1, p + half))
    near = proportion_confint(right, n, method="agresti_coull")
    assert (found.interval.low, found.interval.high) == pytest.approx(near, abs=0.01)


def test_one_stratum_has_the_interval_of_the_paired_difference() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 2, (2, 60)).astype(float)
    found = stats.stratified_difference(a, b, np.zeros(60, dtype=int), average="macro")
    paired = stats.paired_difference(a, b)
    assert found is not None
    assert paired is not None
    assert (found.value, found.interval) == (paired.difference, paired.interval)


def test_the_interval_of_two_strata_is_price_and_bonetts() -> None:
    # f = (3 of 4, 1 of 6), c = (1/2, 1/2), m = 2: one success and one failure to each.
    scores = [1, 1, 1, 0, 1, 0, 0, 0, 0, 0]
    found = stats.stratified_score(scores, [0] * 4 + [1] * 6, average="macro")
    p, n = np.array([4 / 6, 2 / 8]), np.array([6, 8])
    half = scipy_stats.norm.ppf(0.975) * np.sqrt(np.sum(p * (1 - p) / n) / 4)
    assert found is not None
    assert found.interval is not None
    assert found.interval.low == pytest.approx(p.mean() - half)
    assert found.interval.high == pytest.approx(p.mean() + half)
    assert found.value == pytest.approx((3 / 4 + 1 / 6) / 2)


def test_the_standard_error_is_that_of_a_stratified_sample() -> None:
    # Cochran 1977, "Sampling Techniques", (5.6): the root of sum w_h^2 s_h^2 / n_h.
    x, strata = np.array([0.1, 0.5, 0.9, 0.2, 0.4, 0.4, 1.0]), np.array([0, 0, 0, 1, 1, 1, 1])
    found = stats.stratified_score(x, strata, average="micro")
    parts = [x[strata == s] for s in (0, 1)]
    squares = [(len(p) / 7) ** 2 * p.var(ddof=1) / len(p) for p in parts]
    assert found is not None
    assert found.standard_error == pytest.approx(np.sqrt(sum(squares)))
    single = stats.stratified_score([1, 0, 1], ["a", "a", "b"], average="macro")
    assert single is not None
    assert single.standard_error is None


def coverage_of(p: tuple[float, float], n: tuple[int, int], average: Average) -> float:
    """Return the exact probability that the interval of two strata holds the true average."""
    weights = np.array([0.5, 0.5]) if average == "macro" else np.array(n) / sum(n)
    truth = weights @ p
    covered = 0.0
    strata = np.repeat([0, 1], n)
    for right in itertools.product(range(n[0] + 1), range(n[1] + 1)):
        scores = np.concatenate([np.arange(size) < k for k, size in zip(right, n, strict=True)])
        found = stats.stratified_score(scores.astype(float), strata, average=average)
        assert found is not None
        assert found.interval is not None
        if found.interval.low <= truth <= found.interval.high:
            covered += float(np.prod(scipy_stats.binom.pmf(right, n, p)))
    return covered


@pytest.mark.parametrize("average", BOTH)
@pytest.mark.parametrize("p", [(0.5, 0.8), (0.9, 0.3), (0.95, 0.95)])
def test_the_interval_covers_exactly_computed(p: tuple[float, float], average: Average) -> None:
    assert coverage_of(p, (10, 20), average) > 0.935


def simulated(average: Average, *, clustered: bool, draws: int = 400) -> tuple[float, float]:
    """Return the coverage of the score's and the difference's interval, 12 strata of 8 to 60."""
    rng = np.random.default_rng(7)
    sizes = rng.integers(2, 16, 12) * 4
    strata = np.repeat(np.arange(12), sizes)
    easy = rng.beta(2, 1, 12)[strata]
    clusters = np.arange(strata.size) // 4 if clustered else None
    weights = np.full(12, 1 / 12) if average == "macro" else sizes / sizes.sum()

    def probabilities(shift: float) -> np.ndarray:
        lift = rng.normal(0, 1.5, strata.size // 4).repeat(4) if clustered else 0.0
        logit = np.log(easy / (1 - easy)) + shift + lift
        found: np.ndarray = 1 / (1 + np.exp(-logit))
        return found

    def truth(shift: float) -> float:
        many = np.mean([probabilities(shift) for _ in range(4000 if clustered else 1)], axis=0)
        return float(weights @ [many[strata == s].mean() for s in range(12)])

    first, second = truth(0.5), truth(0.0)
    hits = np.zeros(2)
    for _ in range(draws):
        a = (rng.random(strata.size) < probabilities(0.5)).astype(float)
        b = (rng.random(strata.size) < probabilities(0.0)).astype(float)
        score = stats.stratified_score(a, strata, average=average, clusters=clusters)
        gain = stats.stratified_difference(a, b, strata, average=average, clusters=clusters)
        for place, (found, true) in enumerate(((score, first), (gain, first - second))):
            assert found is not None
            assert found.interval is not None
            hits[place] += found.interval.low <= true <= found.interval.high
    score_hits, gain_hits = hits / draws
    return float(score_hits), float(gain_hits)


@pytest.mark.slow
@pytest.mark.parametrize("average", BOTH)
@pytest.mark.parametrize("clustered", [False, True])
def test_the_interval_covers_in_simulation(average: Average, clustered: bool) -> None:
    # Four standard errors of 400 draws at 95 % are 4.4 points.
    for share in simulated(average, clustered=clustered):
        assert 0.95 - 0.044 < share <= 1


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=40),
    st.sampled_from(BOTH),
)
def test_the_interval_holds_the_value_and_stays_in_range(
    rows: list[tuple[int, float]], average: Average
) -> None:
    strata, scores = [s for s, _ in rows], [x for _, x in rows]
    found = stats.stratified_score(scores, strata, average=average)
    assert found is not None
    assert found.interval is not None
    assert 0 <= found.interval.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.interval.high <= 1


def test_items_of_one_cluster_do_not_count_as_many() -> None:
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 2, 20).repeat(5).astype(float)
    strata, clusters = np.repeat([0, 1], 50), np.arange(100) // 5
    alone = stats.stratified_score(scores, strata, average="macro")
    whole = stats.stratified_score(scores, strata, average="macro", clusters=clusters)
    assert alone is not None
    assert whole is not None
    assert alone.interval is not None
    assert whole.interval is not None
    wide = whole.interval.high - whole.interval.low
    assert wide > 2 * (alone.interval.high - alone.interval.low)
    single = stats.stratified_score(scores, strata, average="macro", clusters=strata)
    assert single is not None
    assert single.standard_error is None


def test_what_is_no_score_is_refused() -> None:
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        stats.stratified_score([1.5], ["a"], average="macro")
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        stats.stratified_difference([2.0], [0.0], ["a"], average="macro")
    with pytest.raises(ValueError, match="strata"):
        stats.stratified_score([1.0, 0.0], ["a"], average="macro")
