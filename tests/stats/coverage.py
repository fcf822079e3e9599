"""How often an interval covers: by enumeration where it can be, else by simulation.

``python -m tests.stats.coverage`` prints the table of ``docs/statistics.md``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ember_bench.stats import (
    Interval,
    cost_difference,
    cost_per_correct,
    cost_ratio,
    mean_cost,
    mean_pass_at_k,
    mean_score,
    quantile,
)

SIZES = (30, 50, 100, 300)
"""Items, or clusters, of the table."""


def binomial_coverage(
    interval: Callable[[int, int], Interval | None], n: int, shares: Iterable[float]
) -> np.ndarray:
    """Return the exact coverage of ``interval(successes, n)`` at each true share."""
    found = [interval(k, n) for k in range(n + 1)]
    low = np.array([i.low for i in found])
    high = np.array([i.high for i in found])
    k = np.arange(n + 1)
    return np.array([stats.binom.pmf(k, n, p)[(low <= p) & (p <= high)].sum() for p in shares])


def simulated_coverage(
    interval: Callable[[np.random.Generator], Interval | None],
    truth: float,
    *,
    n_samples: int = 1200,
    seed: int = 20261122,
) -> float:
    """Return the share of samples whose interval holds ``truth``; no interval counts as a miss."""
    rng = np.random.default_rng(seed)
    found = (interval(rng) for _ in range(n_samples))
    return float(np.mean([i is not None and i.low <= truth <= i.high for i in found]))


def f1_like(rng: np.random.Generator, n: int) -> np.ndarray:
    """Two of a hundred items score 0, the rest near 1: the mean is .98 * 60 / 62."""
    return np.where(rng.random(n) < 0.02, 0.0, rng.beta(60, 2, n))


def epochs_of_20(rng: np.random.Generator, n: int) -> np.ndarray:
    """Two of a hundred items are impossible, the rest right .97 of the time."""
    return np.where(rng.random(n) < 0.02, 0.0, rng.binomial(20, 0.97, n) / 20)


def pass_at_9(rng: np.random.Generator, n: int, samples: int = 20) -> Interval | None:
    """Two of a hundred items are impossible, the rest right .7 of the time."""
    right = np.where(rng.random(n) < 0.02, 0, rng.binomial(samples, 0.7, n))
    return mean_pass_at_k(np.full(n, samples), right, 9).interval


def homogeneous(rng: np.random.Generator, n: int) -> np.ndarray:
    """No item is far from the rest: the mean is 6 / 7.6."""
    return rng.beta(6, 1.6, n)


def threes(n_clusters: int) -> np.ndarray:
    """Return the labels of clusters of 3 items."""
    return np.repeat(np.arange(n_clusters), 3)


def clustered_f1(rng: np.random.Generator, n_clusters: int, size: int = 3) -> Interval | None:
    """Of items in clusters, two of a hundred score 0."""
    clusters = np.repeat(np.arange(n_clusters), size)
    return mean_score(f1_like(rng, clusters.size), clusters=clusters).interval


def impossible_clusters(rng: np.random.Generator, n: int, size: int = 3) -> Interval | None:
    """Two of a hundred clusters score 0 on all items, the others near 1."""
    clusters = np.repeat(np.arange(n), size)
    scores = np.where((rng.random(n) < 0.02)[clusters], 0.0, rng.beta(60, 2, clusters.size))
    return mean_score(scores, clusters=clusters).interval


def right_or_wrong_clusters(rng: np.random.Generator, n: int, size: int = 3) -> Interval | None:
    """Two of a hundred clusters are wrong on all items, the others right .99 of the time."""
    clusters = np.repeat(np.arange(n), size)
    right = (rng.random(clusters.size) < 0.99) & ~(rng.random(n) < 0.02)[clusters]
    return mean_score(right.astype(float), clusters=clusters).interval


def lognormal_mean(sigma: float) -> float:
    return float(np.exp(sigma**2 / 2))


def dearer_if_wrong(rng: np.random.Generator, n: int) -> Interval | None:
    """Seven of ten answers are right; a wrong one costs 2.7 times as much."""
    right = rng.random(n) < 0.7
    return cost_per_correct(rng.lognormal(0, 0.7, n) * np.where(right, 1, 2.7), right).interval


def costs_in_clusters(rng: np.random.Generator, clusters: np.ndarray) -> np.ndarray:
    """Log costs whose variance of 1 lies to three quarters between clusters."""
    between = rng.normal(0, 0.75**0.5, clusters.max() + 1)[clusters]
    return np.exp(between + rng.normal(0, 0.5, clusters.size))


def cost_of_clusters(rng: np.random.Generator, n: int) -> Interval | None:
    clusters = threes(n)
    return mean_cost(costs_in_clusters(rng, clusters), clusters=clusters).interval


def costs_in_step(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    item = rng.lognormal(0, 1, n)
    return 4 * item * rng.lognormal(-0.02, 0.2, n), item


def trials(rng: np.random.Generator, n: int, q: float) -> Interval | None:
    """Five trials of each item; items take time that differs more than that of their trials."""
    items = np.repeat(np.arange(n), 5)
    return quantile(costs_in_clusters(rng, items), q, clusters=items).interval


@dataclass(frozen=True)
class Row:
    """An interval whose coverage the page states."""

    label: str
    interval: Callable[[np.random.Generator, int], Interval | None]
    truth: float
    sizes: tuple[int, ...] = SIZES
    n_samples: int = 1200

    def measured(self) -> list[float | None]:
        """Return the coverage at each size of the table; None where it is not measured."""
        return [
            simulated_coverage(
                lambda rng, n=n: self.interval(rng, n), self.truth, n_samples=self.n_samples
            )
            if n in self.sizes
            else None
            for n in SIZES
        ]

    def cells(self) -> list[str]:
        return ["" if c is None else f"{100 * c:.0f}" for c in self.measured()]


ROWS = (
    Row(
        "scores near 1, 2 % of items 0",
        lambda r, n: mean_score(f1_like(r, n)).interval,
        0.98 * 60 / 62,
    ),
    Row(
        "20 epochs, 2 % of items impossible",
        lambda r, n: mean_score(epochs_of_20(r, n)).interval,
        0.98 * 0.97,
    ),
    Row(
        "pass@9 of 9, 2 % of items impossible", lambda r, n: pass_at_9(r, n, 9), 0.98 * (1 - 0.3**9)
    ),
    Row("pass@9 of 20, 2 % of items impossible", pass_at_9, 0.98 * (1 - 0.3**9)),
    Row("homogeneous scores", lambda r, n: mean_score(homogeneous(r, n)).interval, 6 / 7.6),
    Row(
        "scores near 1, 2 % of items 0, clusters of 3", clustered_f1, 0.98 * 60 / 62, n_samples=500
    ),
    Row(
        "scores near 1, 2 % of clusters of 3 all 0",
        impossible_clusters,
        0.98 * 60 / 62,
        n_samples=500,
    ),
    Row(
        "right or wrong, 2 % of clusters of 3 all wrong",
        right_or_wrong_clusters,
        0.98 * 0.99,
        n_samples=500,
    ),
    Row(
        "right or wrong, 2 % of clusters of 20 all wrong",
        lambda r, n: right_or_wrong_clusters(r, n, 20),
        0.98 * 0.99,
        n_samples=300,
    ),
    Row(
        "mean cost, lognormal, sigma 1",
        lambda r, n: mean_cost(r.lognormal(0, 1, n)).interval,
        lognormal_mean(1),
    ),
    Row("the same in clusters of 3", cost_of_clusters, lognormal_mean(1), n_samples=600),
    Row(
        "cost per correct, 70 % right",
        dearer_if_wrong,
        lognormal_mean(0.7) * (0.7 + 0.3 * 2.7) / 0.7,
        (50, 300),
        500,
    ),
    Row(
        "cost ratio, costs in step",
        lambda r, n: cost_ratio(*costs_in_step(r, n)).interval,
        4,
        (50, 300),
        400,
    ),
    Row(
        "cost difference, lognormal",
        lambda r, n: cost_difference(*costs_in_step(r, n)).interval,
        3 * lognormal_mean(1),
        (50, 300),
        600,
    ),
    Row(
        "median latency of 5 trials of each item",
        lambda r, n: trials(r, n, 0.5),
        1.0,
        n_samples=500,
    ),
    Row(
        "95th percentile of 5 trials of each item",
        lambda r, n: trials(r, n, 0.95),
        float(np.exp(stats.norm.ppf(0.95))),
        (100, 300),
        500,
    ),
)


def markdown() -> str:
    """Return the page's table: percent of samples covered at a nominal 95 %."""
    lines = [
        f"| coverage, % | {' | '.join(map(str, SIZES))} |",
        f"| --- | {' | '.join('---' for _ in SIZES)} |",
        *(f"| {row.label} | {' | '.join(row.cells())} |" for row in ROWS),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
