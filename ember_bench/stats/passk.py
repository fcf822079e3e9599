"""pass@k and pass^k: the probabilities that one of k samples is correct, or all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ember_bench.stats._arrays import check_count, vector
from ember_bench.stats.scores import mean_score

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import FloatArray, Labels
    from ember_bench.stats.intervals import Estimate, ProportionMethod


def pass_at_k(n: npt.ArrayLike, c: npt.ArrayLike, k: int) -> FloatArray:
    """Return the unbiased estimate of pass@k for every item, shape ``(n_items,)``.

    1 - C(n - c, k) / C(n, k), Chen et al. 2021, "Evaluating large language models trained on
    code", equation (1), as a product of k ratios that stays in [0, 1].

    Args:
        n: samples of each item, shape ``(n_items,)``.
        c: correct samples of each item, shape ``(n_items,)``.
        k: how many samples may be tried.

    Raises:
        ValueError: fewer than k samples of an item, or c not between 0 and n.
    """
    drawn, correct = _checked(n, c, k, f"pass@{k}")
    return 1 - _all_of(drawn - correct, drawn, k)


def pass_hat_k(n: npt.ArrayLike, c: npt.ArrayLike, k: int) -> FloatArray:
    """Return the unbiased estimate of pass^k for every item, shape ``(n_items,)``.

    C(c, k) / C(n, k), the probability that all of k samples are correct: Yao et al. 2024,
    "tau-bench", section 4. Where pass@k rises with k, it falls.

    Args:
        n: samples of each item, shape ``(n_items,)``.
        c: correct samples of each item, shape ``(n_items,)``.
        k: how many samples must be correct.

    Raises:
        ValueError: fewer than k samples of an item, or c not between 0 and n.
    """
    drawn, correct = _checked(n, c, k, f"pass^{k}")
    return _all_of(correct, drawn, k)


def _checked(
    n: npt.ArrayLike, c: npt.ArrayLike, k: int, name: str
) -> tuple[FloatArray, FloatArray]:
    check_count(k, "k")
    drawn, correct = _counts(n, "n"), _counts(c, "c")
    if drawn.shape != correct.shape:
        raise ValueError(f"n is of {drawn.size} items and c of {correct.size}")
    if np.any(drawn < k):
        raise ValueError(f"{name} needs {k} samples of every item, one has {drawn.min():g}")
    if np.any((correct < 0) | (correct > drawn)):
        raise ValueError("c must lie between 0 and n for every item")
    return drawn, correct


def _all_of(kind: FloatArray, drawn: FloatArray, k: int) -> FloatArray:
    """Return the probability that k samples, drawn without return, are all of one kind."""
    share = np.ones_like(drawn)
    for tried in range(k):
        share *= np.maximum(kind - tried, 0) / (drawn - tried)
    return share


def mean_pass_at_k(
    n: npt.ArrayLike,
    c: npt.ArrayLike,
    k: int,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate pass@k over items, with :func:`mean_score`'s interval; None without items.

    For more than one sample its bounds are the exact ones: pass@k comes near 1, where Wilson's
    cover less than they say. Where pass@k is 1 on every item the lower end is still below 1.

    Args:
        n: samples of each item, shape ``(n_items,)``.
        c: correct samples of each item, shape ``(n_items,)``.
        k: how many samples may be tried.
        clusters: one label per item.
        level: nominal coverage.

    Raises:
        ValueError: as for :func:`pass_at_k`, or labels of another length.
    """
    method = proportion_method(k)
    return mean_score(pass_at_k(n, c, k), clusters=clusters, level=level, method=method)


def mean_pass_hat_k(
    n: npt.ArrayLike,
    c: npt.ArrayLike,
    k: int,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate pass^k over items, with bounds as of :func:`mean_pass_at_k`; None without items.

    Args:
        n: samples of each item, shape ``(n_items,)``.
        c: correct samples of each item, shape ``(n_items,)``.
        k: how many samples must be correct.
        clusters: one label per item.
        level: nominal coverage.

    Raises:
        ValueError: as for :func:`pass_hat_k`, or labels of another length.
    """
    method = proportion_method(k)
    return mean_score(pass_hat_k(n, c, k), clusters=clusters, level=level, method=method)


def proportion_method(k: int) -> ProportionMethod:
    """Return how pass@k is bounded; for one sample it is the accuracy."""
    return "wilson" if k == 1 else "clopper-pearson"


def _counts(values: npt.ArrayLike, name: str) -> FloatArray:
    counts = vector(values, name)
    if np.any(counts != np.floor(counts)):
        raise ValueError(f"{name} must hold whole numbers")
    return counts
