"""Pairwise preferences, against closed forms, reference packages and published numbers."""

import csv
import gzip
import json

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit

from ember_bench.stats import (
    LengthAnchor,
    bradley_terry,
    length_controlled_win_rate,
    standard_error,
)

from .coverage import simulated_coverage

Z = 1.959963984540054


def rows(path):
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def table(path):
    with path.open() as lines:
        return {next(iter(row.values())): row for row in csv.DictReader(lines)}


class TestBradleyTerry:
    def test_two_competitors_have_the_log_odds_of_a_proportion(self):
        found = bradley_terry([0] * 50, [1] * 50, [1.0] * 35 + [0.0] * 15)
        assert found.strengths == pytest.approx([logit(0.7) / 2, -logit(0.7) / 2])
        # The error of a log-odds is sqrt(1/wins + 1/losses); of one of two that sum to 0, half.
        half = Z * np.sqrt(1 / 35 + 1 / 15) / 2
        interval = found.intervals[0]
        assert (interval.low, interval.high) == pytest.approx(
            (logit(0.7) / 2 - half, logit(0.7) / 2 + half)
        )
        chance = found.win_probability(0, 1)
        assert chance.value == pytest.approx(0.7)
        assert chance.standard_error == pytest.approx(np.sqrt(0.7 * 0.3 / 50))

    def test_a_tie_is_half_a_win(self):
        ties = bradley_terry([0, 0, 0], [1, 1, 1], [1.0, 0.5, 0.0])
        assert ties.strengths == pytest.approx([0, 0])

    def test_strengths_are_those_of_a_logistic_regression(self):
        rng = np.random.default_rng(0)
        a, b = rng.integers(0, 5, 600), rng.integers(0, 5, 600)
        a, b = a[a != b], b[a != b]
        truth = np.array([1.0, 0.5, 0.0, -0.5, -1.0])
        y = (rng.random(a.size) < expit(truth[a] - truth[b])).astype(float)
        design = np.eye(5)[a] - np.eye(5)[b]
        fit = sm.GLM(y, design[:, 1:], family=sm.families.Binomial()).fit(cov_type="HC0")
        found = bradley_terry(a, b, y)
        assert found.strengths - found.strengths[0] == pytest.approx([0, *fit.params], abs=1e-6)
        c = found.covariance
        errors = [np.sqrt(c[0, 0] + c[i, i] - 2 * c[0, i]) for i in range(1, 5)]
        assert errors == pytest.approx(fit.bse, rel=1e-6)
        assert found.strengths.sum() == pytest.approx(0)

    def test_comparisons_of_one_item_count_as_one_unit(self):
        once = bradley_terry([0, 1, 0], [1, 0, 1], [1, 1, 0], items=["a", "b", "c"])
        twice = bradley_terry([0, 1, 0] * 2, [1, 0, 1] * 2, [1, 1, 0] * 2, items=[*"abc"] * 2)
        assert twice.strengths == pytest.approx(once.strengths)
        assert twice.covariance == pytest.approx(once.covariance)

    def test_the_interval_covers(self):
        truth = expit(0.8)

        def draw(rng):
            found = bradley_terry([0] * 80, [1] * 80, rng.random(80) < truth)
            return found.win_probability(0, 1).interval

        assert simulated_coverage(draw, truth) == pytest.approx(0.95, abs=0.025)

    @pytest.mark.parametrize(
        ("first", "second", "scores"),
        [([0, 0], [1, 1], [1, 1]), ([0, 1], [1, 2], [0.5, 1.0]), ([], [], []), ([0], [2], [0.5])],
    )
    def test_who_never_loses_has_no_strength(self, first, second, scores):
        assert bradley_terry(first, second, scores) is None

    def test_nobody_meets_himself(self):
        with pytest.raises(ValueError, match="with itself"):
            bradley_terry([1], [1], [1])


class TestLengthControlled:
    def test_without_an_effect_of_length_it_is_the_win_rate(self):
        preferences = [1, 0, 1, 1, 0.5]
        found = length_controlled_win_rate(preferences, [0] * 5)
        assert found.estimate.value == pytest.approx(0.7)
        assert found.length_weight == 0
        n = len(preferences)
        assert found.estimate.standard_error == pytest.approx(
            standard_error(preferences) * np.sqrt((n - 1) / n)
        )

    def test_weights_are_those_of_a_logistic_regression(self):
        rng = np.random.default_rng(1)
        gaps, hard = rng.normal(0, 500, 300), rng.normal(size=300)
        term = np.tanh(gaps / gaps.std(ddof=1))
        y = expit(-1.5 * term + 0.5 * hard + 0.3 + rng.normal(size=300))
        design = np.column_stack([term, hard, np.ones(300)])
        fit = sm.GLM(y, design, family=sm.families.Binomial()).fit()
        found = length_controlled_win_rate(y, gaps, difficulty=hard)
        weights = (found.length_weight, found.difficulty_weight, found.model_weight)
        assert weights == pytest.approx(fit.params, abs=1e-7)
        even = expit(design[:, 1:] @ fit.params[1:])
        assert found.estimate.value == pytest.approx(even.mean())
        assert found.spread == pytest.approx(standard_error(even))

    def test_swapping_the_outputs_gives_the_rest(self):
        rng = np.random.default_rng(2)
        y, gaps = rng.random(50), rng.normal(size=50)
        one = length_controlled_win_rate(y, gaps).estimate
        other = length_controlled_win_rate(1 - y, -gaps).estimate
        assert one.value + other.value == pytest.approx(1)
        assert one.standard_error == pytest.approx(other.standard_error)

    def test_the_interval_covers(self):
        # E over standard normal difficulty of the chance of a win at equal length.
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        truth = float(weights @ expit(0.4 + 0.8 * nodes) / weights.sum())

        def draw(rng):
            gaps, hard = rng.normal(size=150), rng.normal(size=150)
            chance = expit(-1.2 * np.tanh(gaps / gaps.std(ddof=1)) + 0.8 * hard + 0.4)
            found = length_controlled_win_rate(rng.random(150) < chance, gaps, difficulty=hard)
            return found.estimate.interval

        assert simulated_coverage(draw, truth) == pytest.approx(0.95, abs=0.025)

    def test_a_penalty_gives_up_weights_that_explain_nothing(self):
        rng = np.random.default_rng(3)
        y, gaps = rng.random(60), rng.normal(size=60)
        assert length_controlled_win_rate(y, gaps, strength=1e-4).length_weight == 0

    def test_what_is_not_of_the_same_items_is_refused(self):
        with pytest.raises(ValueError, match="length_gaps has 2 entries for 3"):
            length_controlled_win_rate([1, 0, 1], [1, 2])
        assert length_controlled_win_rate([1], [1]) is None


@pytest.fixture(scope="module")
def alpaca(data_dir):
    folder = data_dir / "alpaca_eval"
    if not folder.is_dir():
        pytest.skip("alpaca_eval is not in EMBER_BENCH_DATA")
    return folder


@pytest.mark.slow
def test_alpaca_evals_published_win_rates_come_out(alpaca):
    published = table(alpaca / "leaderboard.csv")
    seen = 0
    for path in sorted(alpaca.glob("judge__*.jsonl.gz")):
        row = published.get(path.name[len("judge__") : -len(".jsonl.gz")])
        if row is None:
            continue
        wins = np.array([judged["preference"] for judged in rows(path)]) - 1
        assert 100 * wins.mean() == pytest.approx(float(row["win_rate"]), abs=1e-6)
        error = 0.0 if np.ptp(wins) == 0 else standard_error(wins)
        assert 100 * error == pytest.approx(float(row["standard_error"]), abs=1e-6)
        seen += 1
    assert seen == 39


@pytest.mark.slow
def test_alpaca_evals_length_controlled_win_rates_come_out(alpaca):
    """Within 0.12 points without a penalty, and within 0.02 with the source's.

    The source's solver stops early (liblinear at a tolerance of 1e-4), and is off by so much.
    """
    published = table(alpaca / "leaderboard.csv")
    strengths = {m: row["implied_C"] for m, row in table(alpaca / "lc_weights.csv").items()}
    hard = np.array([float(r["difficulty"]) for r in table(alpaca / "lc_difficulty.csv").values()])
    reference = np.array(
        [len(item["reference_output"]) for item in rows(alpaca / "items.jsonl.gz")]
    )
    gamed = rows(alpaca / "lc_gamed_surrogate.jsonl.gz")
    anchors = [
        LengthAnchor(
            [row["preference_surrogate"] for row in mine],
            [reference[row["id"]] - row["output_chars"] for row in mine],
            hard[[row["id"] for row in mine]],
        )
        for name in sorted({row["model"] for row in gamed})
        for mine in [[row for row in gamed if row["model"] == name]]
    ]
    free, fixed = {}, {}
    for path in sorted(alpaca.glob("judge__*.jsonl.gz")):
        model = path.name[len("judge__") : -len(".jsonl.gz")]
        outputs = alpaca / f"outputs__{model}.jsonl.gz"
        if model not in published or not outputs.is_file():
            continue
        judged = {row["id"]: row["preference"] - 1 for row in rows(path)}
        lengths = {row["id"]: len(row["output"]) for row in rows(outputs)}
        asked = [item for item in judged if item in lengths]
        wins = np.array([judged[item] for item in asked])
        gaps = np.array([reference[item] - lengths[item] for item in asked])
        # The source looks difficulty up by row, not by item.
        given = {"difficulty": hard[: len(asked)], "anchors": anchors}
        target = float(published[model]["length_controlled_winrate"])
        plain = length_controlled_win_rate(wins, gaps, **given)
        free[model] = abs(100 * plain.estimate.value - target)
        if strengths.get(model):
            found = length_controlled_win_rate(
                wins, gaps, strength=float(strengths[model]), **given
            )
            fixed[model] = abs(100 * found.estimate.value - target)
    assert len(free) == 38
    assert max(free.values()) < 0.12
    assert len(fixed) == 37
    assert max(fixed.values()) < 0.02
    assert sorted(fixed.values())[-2] < 0.01
    assert np.median([*fixed.values()]) < 0.002
