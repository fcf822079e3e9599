"""Preferences between two outputs: length-controlled win rates and Bradley-Terry strengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import special

from ember_bench.stats._arrays import codes, in_unit_interval, same_length, vector
from ember_bench.stats.bootstrap import cluster_sums
from ember_bench.stats.intervals import Estimate, Interval, normal_critical

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, IntArray, Labels

_MOST_STEPS: Final = 1000
_TOLERANCE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class LengthAnchor:
    """Comparisons of which only the length differs, which hold the effect of length in place.

    Dubois et al. 2024 use the reference model told to be verbose, and told to be concise.
    """

    preferences: npt.ArrayLike
    """Shape ``(n,)``, in [0, 1]."""
    length_gaps: npt.ArrayLike
    """Shape ``(n,)``: characters of the reference less those of the other output."""
    difficulty: npt.ArrayLike
    """Shape ``(n,)``."""
    weight: float = 0.1
    """Of each comparison, beside 1 of those that are estimated."""


@dataclass(frozen=True, slots=True)
class LengthControlled:
    """A win rate as it would be if both outputs were of one length."""

    estimate: Estimate
    """In [0, 1]; its error is that of the items and of the fitted weights."""
    spread: float
    """Standard error of the mean of the items' predictions, the weights taken as known: what
    AlpacaEval publishes."""
    length_weight: float
    """Log-odds for one unit of ``tanh(gap / sd)``; below zero longer outputs are preferred."""
    difficulty_weight: float
    """Log-odds for one unit of difficulty."""
    model_weight: float
    """Log-odds of a win at equal length and difficulty 0."""


def length_controlled_win_rate(
    preferences: npt.ArrayLike,
    length_gaps: npt.ArrayLike,
    *,
    difficulty: npt.ArrayLike | None = None,
    anchors: Sequence[LengthAnchor] = (),
    strength: float | None = None,
    level: float = 0.95,
) -> LengthControlled | None:
    """Estimate how often an output would be preferred at equal length.

    Dubois et al. 2024, "Length-Controlled AlpacaEval": a logistic regression without intercept,
    logit E[y] = w_l tanh(gap / sd) + w_d difficulty + w_m, and the mean over the items of its
    predictions with the first term left out. The interval is of the influence of each item on
    that mean, by its own prediction and by the weights; the anchors count as known.

    None for fewer than two items.

    Args:
        preferences: shape ``(n,)``, in [0, 1]; 1 where the output is preferred to the reference.
        length_gaps: shape ``(n,)``: characters of the reference less those of the output.
        difficulty: shape ``(n,)``; None leaves that term out.
        anchors: Comparisons that hold the effect of length in place.
        strength: C of an L1 penalty sum|w| + C (loss); None for no penalty.
        level: Confidence level.

    Raises:
        ValueError: a preference is not in [0, 1], or arrays are not of the same items.
    """
    y = in_unit_interval(vector(preferences, "preferences"), "preferences")
    n = y.size
    if n < 2:
        return None
    own = np.column_stack([_length_term(length_gaps, n), _column(difficulty, n), np.ones(n)])
    x, outcome, weight = _with_anchors(own, y, anchors)
    used = x.any(axis=0)
    fitted = np.zeros(3)
    fitted[used] = _fit(x[:, used], outcome, weight, strength)
    even = own * np.array([0.0, 1.0, 1.0])
    predicted = special.expit(even @ fitted)
    value = float(predicted.mean())
    slope = (even * (predicted * (1 - predicted))[:, np.newaxis]).mean(axis=0)[used]
    free = x[:, used]
    chance = special.expit(x @ fitted)
    information = (free * (weight * chance * (1 - chance))[:, np.newaxis]).T @ free
    scores = own[:, used] * (y - special.expit(own @ fitted))[:, np.newaxis]
    influence = (predicted - value) / n + scores @ np.linalg.solve(information, slope)
    error = float(np.sqrt(np.sum(influence**2)))
    half = normal_critical(level) * error
    interval = Interval(max(0.0, value - half), min(1.0, value + half), level)
    return LengthControlled(
        Estimate(value, interval, error, n, "influence of items"),
        float(predicted.std(ddof=1) / np.sqrt(n)),
        *map(float, fitted),
    )


def _with_anchors(
    own: FloatArray, y: FloatArray, anchors: Sequence[LengthAnchor]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return design, outcomes and weights of the comparisons and of the anchors below them."""
    designs, targets, weights = [own], [y], [np.ones(y.size)]
    for anchor in anchors:
        wins = in_unit_interval(vector(anchor.preferences, "preferences"), "preferences")
        gaps = _length_term(anchor.length_gaps, wins.size)
        hard = _column(anchor.difficulty, wins.size)
        designs.append(np.column_stack([gaps, hard, np.zeros(wins.size)]))
        targets.append(wins)
        weights.append(np.full(wins.size, anchor.weight))
    return np.vstack(designs), np.concatenate(targets), np.concatenate(weights)


def _length_term(length_gaps: npt.ArrayLike, n: int) -> FloatArray:
    gaps = vector(length_gaps, "length_gaps")
    if gaps.size != n:
        raise ValueError(f"length_gaps has {gaps.size} entries for {n} preferences")
    spread = float(gaps.std(ddof=1))
    return np.tanh(gaps / spread) if spread else np.zeros(n)


def _column(difficulty: npt.ArrayLike | None, n: int) -> FloatArray:
    if difficulty is None:
        return np.zeros(n)
    found = vector(difficulty, "difficulty")
    if found.size != n:
        raise ValueError(f"difficulty has {found.size} entries for {n} preferences")
    return found


def _fit(x: FloatArray, y: FloatArray, weight: FloatArray, strength: float | None) -> FloatArray:
    """Return the weights of a logistic regression, by Newton's method.

    With a penalty each step solves its quadratic model by coordinate descent (Friedman, Hastie &
    Tibshirani 2010, "Regularization paths for generalized linear models", section 3).
    """
    w = np.zeros(x.shape[1])
    shrink = 0.0 if strength is None else 1 / strength
    for _ in range(_MOST_STEPS):
        chance = special.expit(x @ w)
        gradient = x.T @ (weight * (chance - y))
        hessian = (x * (weight * chance * (1 - chance))[:, np.newaxis]).T @ x
        hessian[np.diag_indices_from(hessian)] += _TOLERANCE
        step = _descend(w, gradient, hessian, shrink) - w
        before = _loss(x, y, weight, w, shrink)
        while _loss(x, y, weight, w + step, shrink) > before and np.abs(step).max() > _TOLERANCE:
            step /= 2
        w = w + step
        if np.abs(step).max() < _TOLERANCE:
            break
    return w


def _loss(x: FloatArray, y: FloatArray, weight: FloatArray, w: FloatArray, shrink: float) -> float:
    score = x @ w
    return float(np.sum(weight * (np.logaddexp(0, score) - y * score)) + shrink * np.abs(w).sum())


def _descend(w: FloatArray, gradient: FloatArray, hessian: FloatArray, shrink: float) -> FloatArray:
    """Minimise gradient (v - w) + (v - w) hessian (v - w) / 2 + shrink |v| over v."""
    if not shrink:
        return np.asarray(w - np.linalg.solve(hessian, gradient))
    found = w.copy()
    for _ in range(_MOST_STEPS):
        moved = 0.0
        for j in range(w.size):
            slope = gradient[j] + hessian[j] @ (found - w)
            target = found[j] * hessian[j, j] - slope
            new = np.sign(target) * max(abs(target) - shrink, 0.0) / hessian[j, j]
            moved, found[j] = max(moved, abs(new - found[j])), new
        if moved < _TOLERANCE:
            break
    return found


@dataclass(frozen=True, slots=True)
class BradleyTerry:
    """Strengths of competitors; P(a is preferred to b) = 1 / (1 + exp(strength b - strength a))."""

    strengths: FloatArray
    """Shape ``(n_competitors,)``, in log-odds; they sum to zero."""
    covariance: FloatArray
    """Shape ``(n_competitors, n_competitors)``, robust to comparisons that go together."""
    level: float
    """Of :attr:`intervals`."""

    @property
    def intervals(self) -> list[Interval]:
        """Wald intervals of the strengths."""
        halves = normal_critical(self.level) * np.sqrt(np.diag(self.covariance))
        pairs = zip(self.strengths, halves, strict=True)
        return [Interval(float(s - half), float(s + half), self.level) for s, half in pairs]

    def win_probability(self, first: int, second: int) -> Estimate:
        """Return the probability that one is preferred to another, by their numbers."""
        gap = float(self.strengths[first] - self.strengths[second])
        c = self.covariance
        error = float(np.sqrt(c[first, first] + c[second, second] - 2 * c[first, second]))
        half = normal_critical(self.level) * error
        low, high = special.expit([gap - half, gap + half])
        value = float(special.expit(gap))
        interval = Interval(float(low), float(high), self.level)
        return Estimate(value, interval, value * (1 - value) * error, 2, "Bradley-Terry")


def bradley_terry(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    items: Labels | None = None,
    level: float = 0.95,
) -> BradleyTerry | None:
    """Fit strengths to comparisons by maximum likelihood.

    Bradley & Terry 1952, "Rank analysis of incomplete block designs"; a tie is half a win. The
    covariance is the sandwich of Liang & Zeger 1986 over items, which all comparisons of an item
    belong to.

    None where no finite strengths fit (Ford 1957): somebody, or a group, never loses to the rest.

    Args:
        first: number of the one competitor, from 0, shape ``(n_comparisons,)``.
        second: number of the other.
        scores: in [0, 1]: 1 if the first is preferred, 0.5 for a tie.
        items: the item of each comparison; None if each has its own.
        level: Confidence level.

    Raises:
        ValueError: arrays are not of the same comparisons, or a competitor meets itself.
    """
    a, b = (np.asarray(numbers, dtype=np.int64) for numbers in (first, second))
    y = in_unit_interval(vector(scores, "scores"), "scores")
    same_length(a.astype(np.float64), y, "first and scores")
    same_length(b.astype(np.float64), y, "second and scores")
    if np.any(a == b):
        raise ValueError("a competitor cannot be compared with itself")
    if not y.size or not _has_finite_fit(a, b, y):
        return None
    n = int(max(a.max(), b.max())) + 1
    design = np.zeros((y.size, n))
    rows = np.arange(y.size)
    design[rows, a], design[rows, b] = 1.0, -1.0
    # The first competitor's strength is 0 while the rest are fitted.
    fitted = np.concatenate([[0.0], _fit(design[:, 1:], y, np.ones(y.size), None)])
    chance = special.expit(design @ fitted)
    information = (design * (chance * (1 - chance))[:, np.newaxis]).T @ design
    bread = np.linalg.pinv(information)
    pieces = design * (y - chance)[:, np.newaxis]
    groups = np.arange(y.size) if items is None else codes(items, y.size, "items")
    sums, _ = cluster_sums(pieces, groups)
    return BradleyTerry(fitted - fitted.mean(), bread @ sums.T @ sums @ bread, level)


def _has_finite_fit(a: IntArray, b: IntArray, y: FloatArray) -> bool:
    """Whether everybody can be reached from everybody by wins and ties."""
    n = int(max(a.max(), b.max())) + 1
    reached = np.eye(n)
    np.add.at(reached, (a, b), y)
    np.add.at(reached, (b, a), 1 - y)
    for _ in range(n.bit_length()):  # each round doubles the length of the ways
        reached = np.minimum(reached @ reached, 1.0)
    return bool((reached > 0).all())
