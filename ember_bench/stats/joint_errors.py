"""Who is wrong together: members' errors given the difficulty of an item, and what that predicts.

A vote or a cascade needs all of its members on all items. If some have been asked only a part of
them, the missing answers are drawn from what a model of joint errors says of them, given what the
others did on the same item.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from ember_bench.stats._arrays import check_count, check_probability, codes
from ember_bench.stats.intervals import Estimate, Interval

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, IntArray, Labels

Policy = Callable[["IntArray", "FloatArray"], "FloatArray"]
"""Takes codes of answers and scores, shape ``(n_items, n_members)``; returns ``(n_items,)``."""

_NODES: Final = np.linspace(-3.0, 5.0, 17)
"""Difficulties; hard items, on which everyone is wrong, are commoner than a normal law has them."""
_NORMAL_ITEMS: Final = 5.0
"""Weight, in items, of the normal law in the distribution of difficulties."""
_STEPS: Final = 60
_MORE_STEPS: Final = 6
_TOLERANCE: Final = 1e-6
_LEAST_ITEMS: Final = 20
_SLOPE: Final = 1.5
"""Mean of the prior of slopes, whose standard deviation is 1."""
_EASE_SD: Final = 3.0
"""Standard deviation of the prior of members' eases, about 0."""
_WRONG: Final = 1


@dataclass(frozen=True, slots=True)
class JointErrors:
    """A fitted model of joint errors."""

    ease: FloatArray
    """Log odds of each member on an item of middle difficulty, shape ``(n_members,)``."""
    slope: FloatArray
    """By how much they fall per unit of difficulty, same shape."""
    difficulty: FloatArray
    """Share of the items of each difficulty from -3 to 5, in halves, shape ``(17,)``."""
    agreement: float
    """Probability that two wrong answers to an item are the same."""
    n_items: int


def fit_joint_errors(answers: npt.ArrayLike, scores: npt.ArrayLike) -> JointErrors | None:
    """Fit the model to scores of 0 and 1; NaN for what was not asked.

    An item has a difficulty d; member m is right with log odds ease_m - slope_m d, and, given d,
    independently of the others (the two-parameter model of Birnbaum 1968, fitted by Bock & Aitkin's
    1981 EM algorithm, with Mislevy's 1986 priors). The distribution of d is estimated as well, as
    shares of 17 values: real datasets have items that nobody gets right. Two members that are wrong
    give the same answer with one probability.

    None for fewer than 20 items, fewer than two members, a member that was never asked, or scores
    other than 0 and 1.

    Args:
        answers: code of each answer, shape ``(n_items, n_members)``; negative for none.
        scores: same shape.
    """
    x, given = _checked(answers, scores)
    known = ~np.isnan(x)
    if len(x) < _LEAST_ITEMS or x.shape[1] < 2 or not known.any(axis=0).all():
        return None
    if not np.isin(x[known], (0.0, 1.0)).all():
        return None
    start = _Parameters(np.ones(x.shape[1]), np.full(x.shape[1], _SLOPE), _normal())
    found = _fitted(*_patterns(x, np.ones(len(x))), start, _STEPS)
    return JointErrors(found.ease, found.slope, found.shares, _agreement(x, given), len(x))


def predict_policy(
    answers: npt.ArrayLike,
    scores: npt.ArrayLike,
    policy: Policy,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
    n_draws: int = 200,
    seed: int = 0,
) -> Estimate | None:
    """Predict the mean of a policy over items of which some members were not asked all.

    Answers that are there are used as they are. The others are drawn from the model, given the
    item's known ones. The interval is a percentile bootstrap: items are resampled, the model is
    fitted anew and the missing answers are drawn anew, so that it holds the errors of all three
    (Shao & Sitter 1996, "Bootstrap for imputed survey data").

    None as :func:`fit_joint_errors`.

    Args:
        answers: code of each answer, shape ``(n_items, n_members)``; negative for none.
        scores: 0 or 1, NaN for what was not asked, same shape.
        policy: computes each item's score from full tables. Right answers come with one code.
        clusters: one label per item; whole clusters are resampled.
        level: nominal coverage.
        n_draws: how many resamples.
        seed: of the random number generator.
    """
    check_probability(level, "level")
    check_count(n_draws, "n_draws")
    model = fit_joint_errors(answers, scores)
    if model is None:
        return None
    x, given = _checked(answers, scores)
    given = np.where(np.nan_to_num(x) == 1, 0, np.where(given >= 0, given + _WRONG, given))
    rng = np.random.default_rng(seed)
    unit = np.arange(len(x)) if clusters is None else codes(clusters, len(x), "clusters")
    start = _Parameters(model.ease, model.slope, model.difficulty)
    means, whole = np.empty(n_draws), np.empty(n_draws)
    for number in range(n_draws):
        counts = np.bincount(
            rng.integers(0, unit.max() + 1, unit.max() + 1), minlength=unit.max() + 1
        )[unit].astype(np.float64)
        refitted = _fitted(*_patterns(x, counts), start, _MORE_STEPS)
        drawn = policy(*_drawn(x, given, refitted, model.agreement, rng))
        means[number] = counts @ drawn / max(counts.sum(), 1.0)
        whole[number] = policy(*_drawn(x, given, start, model.agreement, rng)).mean()
    tail = 50 * (1 - level)
    low, high = np.percentile(means, [tail, 100 - tail])
    value = float(whole.mean())
    interval = Interval(min(float(low), value), max(float(high), value), level)
    return Estimate(value, interval, float(means.std(ddof=1)), len(x), "joint errors, bootstrap")


def _checked(answers: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
    x, given = np.asarray(scores, dtype=np.float64), np.asarray(answers, dtype=np.int64)
    if x.ndim != 2 or x.shape != given.shape:
        raise ValueError(f"answers have shape {given.shape} and scores {x.shape}")
    return x, given


def _patterns(x: FloatArray, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return rows that differ, and the number of items of each."""
    used = counts > 0
    rows, where = np.unique(np.nan_to_num(x[used], nan=-1.0), axis=0, return_inverse=True)
    rows[rows < 0] = np.nan
    totals = np.bincount(where.reshape(-1), weights=counts[used], minlength=len(rows))
    return rows, totals.astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Parameters:
    """Eases and slopes of members, and the share of items of each difficulty."""

    ease: FloatArray
    slope: FloatArray
    shares: FloatArray

    def chances(self) -> FloatArray:
        """Return each member's probability of being right, ``(n_difficulties, n_members)``."""
        return np.asarray(special.expit(self.ease - self.slope * _NODES[:, np.newaxis]))

    def posterior(self, rows: FloatArray) -> FloatArray:
        """Return the probability of each difficulty given an item's scores."""
        logit = self.ease - self.slope * _NODES[:, np.newaxis]
        right, asked = np.nan_to_num(rows), ~np.isnan(rows)
        likelihood = right @ special.log_expit(logit).T
        likelihood += (asked - right) @ special.log_expit(-logit).T + np.log(self.shares)
        found = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
        return np.asarray(found / found.sum(axis=1, keepdims=True))


def _normal() -> FloatArray:
    density = np.exp(-(_NODES**2) / 2)
    return np.asarray(density / density.sum())


def _fitted(rows: FloatArray, counts: FloatArray, start: _Parameters, steps: int) -> _Parameters:
    """Climb the penalised likelihood."""
    right, asked = np.nan_to_num(rows), (~np.isnan(rows)).astype(np.float64)
    found = start
    for _ in range(steps):
        weights = found.posterior(rows) * counts[:, np.newaxis]
        shares = weights.sum(axis=0) + _NORMAL_ITEMS * _normal()
        before = found
        ease, slope = _newton(
            found.ease, found.slope, asked.T @ weights, (asked * right).T @ weights
        )
        found = _Parameters(ease, slope, shares / shares.sum())
        if max(np.abs(ease - before.ease).max(), np.abs(slope - before.slope).max()) < _TOLERANCE:
            break
    return found


def _newton(
    ease: FloatArray, slope: FloatArray, n: FloatArray, r: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Take two Newton steps of every member's logistic regression on difficulty."""
    for _ in range(2):
        p = special.expit(ease[:, np.newaxis] - slope[:, np.newaxis] * _NODES)
        residual, weight = r - n * p, n * p * (1 - p)
        first = residual.sum(axis=1) - ease / _EASE_SD**2
        second = -(residual @ _NODES) - (slope - _SLOPE)
        h11 = weight.sum(axis=1) + 1 / _EASE_SD**2
        h12, h22 = -(weight @ _NODES), weight @ _NODES**2 + 1
        determinant = h11 * h22 - h12**2
        ease = ease + np.clip((h22 * first - h12 * second) / determinant, -1, 1)
        slope = slope + np.clip((h11 * second - h12 * first) / determinant, -1, 1)
    return ease, slope


def _agreement(x: FloatArray, given: IntArray) -> float:
    """Return the share of pairs of wrong answers that are the same, one of two pairs added."""
    wrong = (x == 0) & (given >= 0)
    pairs = np.triu_indices(x.shape[1], 1)
    both = wrong[:, pairs[0]] & wrong[:, pairs[1]]
    same = both & (given[:, pairs[0]] == given[:, pairs[1]])
    return float((same.sum() + 0.5) / (both.sum() + 1))


def _drawn(
    x: FloatArray,
    given: IntArray,
    parameters: _Parameters,
    agreement: float,
    rng: np.random.Generator,
) -> tuple[IntArray, FloatArray]:
    """Return full tables: what is known, and draws of what is not.

    A wrong answer that is drawn is that of another wrong member with the probability of agreement,
    else one of its own.
    """
    missing = np.isnan(x)
    cumulated = parameters.posterior(x).cumsum(axis=1)
    place = (rng.random((len(x), 1)) > cumulated).sum(axis=1).clip(0, _NODES.size - 1)
    p = parameters.chances()[place]
    scores = np.where(missing, (rng.random(x.shape) < p).astype(np.float64), x)
    found = np.where(missing, 0, given)
    rows = np.arange(len(x))
    fresh = int(found.max(initial=0)) + 1
    for member in range(x.shape[1]):
        drawn = missing[:, member] & (scores[:, member] == 0)
        if not drawn.any():
            continue
        # Known members, and those drawn before, may be agreed with.
        wrong = (scores == 0) & (found > 0) & (~missing | (np.arange(x.shape[1]) < member))
        wrong[:, member] = False
        pick = (rng.random(x.shape) * wrong).argmax(axis=1)
        follows = wrong.any(axis=1) & (rng.random(len(x)) < agreement)
        found[:, member] = np.where(
            drawn, np.where(follows, found[rows, pick], fresh + member), found[:, member]
        )
    return found, scores
