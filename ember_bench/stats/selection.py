"""How well verifiers and judges choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ember_bench.stats._arrays import codes, in_unit_interval, mask, matrix, vector
from ember_bench.stats.scores import mean_score

if TYPE_CHECKING:
    import numpy.typing as npt

    from ember_bench.stats._arrays import BoolArray, Labels
    from ember_bench.stats.intervals import Estimate


@dataclass(frozen=True, slots=True)
class Confusion:
    """What a verifier or judge accepted against what was right, with rates."""

    true_positives: int
    """Right and accepted."""
    false_positives: int
    """Wrong and accepted."""
    false_negatives: int
    """Right and refused."""
    true_negatives: int
    """Wrong and refused."""
    sensitivity: Estimate | None
    """Share of right candidates that are accepted; None if there are none."""
    specificity: Estimate | None
    """Share of wrong candidates that are refused; None if there are none."""
    precision: Estimate | None
    """Share of accepted candidates that are right; None if there are none."""
    accuracy: Estimate | None
    """Share of candidates judged as they are; None if there are none."""


def confusion(
    accepted: npt.ArrayLike,
    right: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> Confusion:
    """Count what was accepted against what was right.

    The intervals are :func:`mean_score`'s. Where an item has several candidates, pass the item of
    each as ``clusters``: they are not independent.

    Args:
        accepted: true or false, shape ``(n_candidates,)``.
        right: true or false, same shape.
        clusters: one label per candidate.
        level: nominal coverage.

    Raises:
        ValueError: values other than true and false, or arrays or labels of different length.
    """
    yes, good = mask(accepted, "accepted"), mask(right, "right")
    if yes.size != good.size:
        raise ValueError(f"accepted is of {yes.size} candidates and right of {good.size}")
    tp, fp = int(np.sum(yes & good)), int(np.sum(yes & ~good))
    fn, tn = int(np.sum(~yes & good)), int(np.sum(~yes & ~good))
    return Confusion(
        true_positives=tp,
        false_positives=fp,
        false_negatives=fn,
        true_negatives=tn,
        sensitivity=_rate(yes, good, clusters, level),
        specificity=_rate(~yes, ~good, clusters, level),
        precision=_rate(good, yes, clusters, level),
        accuracy=_rate(yes == good, np.ones_like(yes), clusters, level),
    )


def _rate(
    values: BoolArray, among: BoolArray, clusters: Labels | None, level: float
) -> Estimate | None:
    chosen = None
    if clusters is not None:
        chosen = codes(clusters, among.size, "clusters")[among]
    return mean_score(values[among], clusters=chosen, level=level)


@dataclass(frozen=True, slots=True)
class OracleGap:
    """What a choice among candidates scored, against the best and a random one."""

    chosen: Estimate
    oracle: Estimate
    """Of the best candidate of each item."""
    random: Estimate
    """Of a candidate drawn at random."""
    gap: Estimate
    """Oracle less chosen: what a perfect choice would add."""
    recovered: float | None
    """Share of the way from random to oracle that the choice goes; None if they are equal."""


def oracle_gap(
    chosen: npt.ArrayLike,
    candidates: npt.ArrayLike,
    *,
    clusters: Labels | None = None,
    level: float = 0.95,
) -> OracleGap | None:
    """Compare what was chosen with what there was to choose from; None without items.

    Args:
        chosen: score of the answer given, in [0, 1], shape ``(n_items,)``.
        candidates: scores of the candidates, in [0, 1], shape ``(n_items, n_candidates)``.
        clusters: one label per item.
        level: nominal coverage.

    Raises:
        ValueError: arrays of different length, no candidates, or an answer that scores more
            than every candidate of its item.
    """
    given = in_unit_interval(vector(chosen, "chosen"), "chosen")
    scores = in_unit_interval(matrix(candidates, "candidates"), "candidates")
    if scores.shape[0] != given.size or scores.shape[1] == 0:
        raise ValueError(f"{given.size} items need candidates, their scores have {scores.shape}")
    best = scores.max(axis=1)
    if np.any(given > best):
        raise ValueError("an answer scores more than every candidate it was chosen from")
    picked, oracle, blind, gap = (
        mean_score(values, clusters=clusters, level=level)
        for values in (given, best, scores.mean(axis=1), best - given)
    )
    if picked is None or oracle is None or blind is None or gap is None:
        return None
    room = oracle.value - blind.value
    recovered = (picked.value - blind.value) / room if room > 1e-12 else None
    return OracleGap(picked, oracle, blind, gap, recovered)
