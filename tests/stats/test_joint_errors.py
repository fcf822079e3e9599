"""The model of joint errors: recovered parameters, and predictions that cover."""

from __future__ import annotations

import numpy as np
import pytest

from ember_bench import stats

EASE, SLOPE = np.array([0.5, 1.0, 1.5, 2.0, 2.5]), np.array([1.0, 1.5, 2.0, 1.5, 1.0])


D = np.linspace(-3, 5, 17)


def members(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return codes and scores of five members, who agree on a wrong answer with 40 %."""
    difficulty = rng.standard_normal((n, 1))
    right = rng.random((n, 5)) < 1 / (1 + np.exp(SLOPE * difficulty - EASE))
    popular = rng.random((n, 5)) < 0.4**0.5
    wrong = np.where(popular, 1, 2 + np.arange(5))
    return np.where(right, 0, wrong), right.astype(float)


def vote(codes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return stats.combine_votes(codes, scores).credit


def test_parameters_are_recovered_from_many_items() -> None:
    model = stats.fit_joint_errors(*members(20_000, np.random.default_rng(0)))
    rates = [(model.difficulty / (1 + np.exp(s * D - e))).sum()
             for e, s in zip(model.ease, model.slope, strict=True)]  # fmt: skip
    _, scores = members(20_000, np.random.default_rng(1))
    assert rates == pytest.approx(scores.mean(axis=0), abs=0.01)
    assert model.agreement == pytest.approx(0.4, abs=0.02)
    assert np.argmax(model.slope) == 2


@pytest.mark.parametrize(
    ("codes", "scores"),
    [
        (np.zeros((19, 2), int), np.ones((19, 2))),
        (np.zeros((30, 1), int), np.ones((30, 1))),
        (np.zeros((30, 2), int), np.full((30, 2), 0.5)),
        (np.zeros((30, 2), int), np.column_stack([np.ones(30), np.full(30, np.nan)])),
    ],
)
def test_it_says_nothing_without_enough_of_scores_of_0_and_1(
    codes: np.ndarray, scores: np.ndarray
) -> None:
    assert stats.fit_joint_errors(codes, scores) is None


def test_a_table_without_gaps_is_not_changed() -> None:
    codes, scores = members(200, np.random.default_rng(2))
    found = stats.predict_policy(codes, scores, vote, n_draws=20)
    assert found.value == pytest.approx(vote(codes, scores).mean())


@pytest.mark.slow
def test_predictions_cover_and_are_narrower_than_what_is_complete() -> None:
    rng = np.random.default_rng(3)
    truth = vote(*members(200_000, rng)).mean()
    covered, runs, narrower = 0, 120, []
    for seed in range(runs):
        codes, scores = members(300, rng)
        scores[60:, 3] = np.nan
        scores[:40, 4] = scores[100:, 4] = np.nan
        found = stats.predict_policy(codes, scores, vote, n_draws=60, seed=seed)
        covered += found.interval.low <= truth <= found.interval.high
        whole = ~np.isnan(scores).any(axis=1)
        alone = stats.mean_score(vote(codes[whole], scores[whole])).interval
        narrower.append((found.interval.high - found.interval.low) / (alone.high - alone.low))
    assert covered / runs > 0.9
    assert np.mean(narrower) < 0.6
