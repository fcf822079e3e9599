"""Comparisons of cells as data, from which tables, pages and files are made."""

from __future__ import annotations

import msgspec

from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import Correction


class Side(msgspec.Struct, frozen=True):
    """One of the two cells of a comparison.

    Attributes:
        source: The experiment or run that it is of.
        accuracy: Mean score over the items that both have, in [0, 1].
        items: Items with at least one trial that counts.
        scheduled: Items that its grid asks; None where that is not known.
        failed: Trials that ended in an error.
    """

    source: str
    cell: str
    label: str
    dataset: str
    simulated: bool
    oracle: bool
    accuracy: float
    items: int
    scheduled: int | None
    failed: int


class Flip(msgspec.Struct, frozen=True):
    """An item that one cell scores higher on than the other.

    Attributes:
        score: Score of the cell, mean over its epochs.
        baseline_score: Score of the baseline.
        answers: Answers of the cell, by epoch; None if not parsed.
        baseline_answers: Answers of the baseline.
    """

    item: str
    question: str | None
    target: str | None
    score: float
    baseline_score: float
    answers: list[str | None]
    baseline_answers: list[str | None]


class WithinMargin(msgspec.Struct, frozen=True):
    """Whether a difference lies within a margin, by two one-sided tests.

    Attributes:
        margin: In the unit of accuracy: 0.01 is one point.
        p_worse: Of the cell being worse than the baseline by the margin or more; small if it is
            not. If trials of either failed, the largest of the worst and the best case.
        p_value: Of a difference of the margin or more either way: small if both are as good.
    """

    margin: float
    p_worse: float
    p_value: float


class Comparison(msgspec.Struct, frozen=True):
    """A cell against a baseline.

    Attributes:
        items: Items that both have; everything else here is over these.
        clusters: Number of their clusters; None if each item stands for itself.
        difference: Accuracy of the cell minus that of the baseline, in [-1, 1].
            If trials of either failed, the interval covers the difference whatever they would have
            scored. After max-T it holds together with those of all comparisons. No interval for
            `same_calls`.
        effect_items: The same in items: how many more the cell gets.
        wins: Items that the cell scores higher on.
        losses: Items that the baseline scores higher on.
        mcnemar_p: Exact, two-sided; None where a score is not 0 or 1, or items have clusters.
        sign_flip_p: p-value of the sign-flip permutation test, two-sided; whole clusters flip.
        p_value: The one of the two that `test` names; if trials failed, the larger one of the worst
            and the best case. None for `same_calls`.
        p_adjusted: The same, corrected over all comparisons made together; None for an oracle,
            which is an upper limit and not a system, and for `same_calls`: neither is counted.
        cost_ratio: Cost of the cell over that of the baseline; None if a price is unknown.
        best_probability: Probability that the cell is the most accurate of the baseline and all
            cells compared with it, on their common items; None without such items, and for an
            oracle.
        differing: Reasons why the two are not comparable, if they were compared all the same.
        flips: Items that they score differently on: those won, then those lost; empty where only
            their numbers were asked for.
        sign: 1 if the cell scores higher, -1 if lower; 0 if equal, or if failed trials could have
            turned it.
        shared_draws: Whether the two cells share calls, which makes the pairing tighter.
        same_calls: Whether the cell makes the baseline's own calls, and so scores the same.
        within: Tests against a margin, not corrected; None if none was given, or for `same_calls`.
        rank: Between which ranks the cell lies among the baseline and all cells compared with it, 1
            for the best; the ranks of all of them hold together. None as for `best_probability`.
        may_be_best: Whether it may be the most accurate of these; None as for `rank`.
    """

    cell: Side
    baseline: Side
    items: int
    clusters: int | None
    difference: Quantity
    effect_items: float
    wins: int
    losses: int
    mcnemar_p: float | None
    sign_flip_p: float
    p_value: float | None
    p_adjusted: float | None
    test: str
    cost_ratio: Quantity | None
    best_probability: float | None
    differing: list[str]
    flips: list[Flip]
    sign: int = 0
    shared_draws: bool = False
    same_calls: bool = False
    within: WithinMargin | None = None
    rank: tuple[int, int] | None = None
    may_be_best: bool | None = None

    @property
    def simulated(self) -> bool:
        """Whether either cell has answers from simulated models."""
        return self.cell.simulated or self.baseline.simulated

    def flipped(self) -> tuple[tuple[str, list[Flip]], ...]:
        """Return the flips that are `won` and those that are `lost`, with these words."""
        won = [flip for flip in self.flips if flip.score > flip.baseline_score]
        return ("won", won), ("lost", self.flips[len(won) :])

    def is_clear(self, level: float) -> bool:
        """Return whether the difference is significant after correction, failed trials or not."""
        return bool(self.sign) and self.p_adjusted is not None and self.p_adjusted < 1 - level


class Winner(msgspec.Struct, frozen=True):
    """The most accurate of a baseline and the cells compared with it, on their common items.

    Attributes:
        cell: Name of the cell.
        label: The same for people.
        accuracy: Its interval holds although the cell was chosen for its accuracy.
        items: Number of the common items.
        may_be_best: Labels of the cells that may be the best, this one first.
        ranks: Between which ranks each cell lies, 1 for the best, by the cell's name, after
            its source if there are several; all of these hold together.
        baseline_rank: The same of the baseline.
        baseline_may_be_best: Whether the baseline may be the best.
    """

    cell: str
    label: str
    accuracy: Quantity
    items: int
    may_be_best: list[str]
    ranks: dict[str, tuple[int, int]]
    baseline_rank: tuple[int, int] | None = None
    baseline_may_be_best: bool = False


class ComparisonTable(msgspec.Struct, frozen=True):
    """Comparisons made together.

    Attributes:
        correction: `maxt` for Westfall and Young's, `holm`, or `bh` for Benjamini-Hochberg.
        level: Confidence level of the intervals.
        baseline_best: Probability of each baseline that it is the most accurate of itself and the
            cells compared with it, in the order of their first pairs.
        left_out: Pairs of cells without a common item.
        winners: The most accurate cell of each baseline's family, in the same order; None if there
            are too few common items. A family of oracles has none.
    """

    correction: Correction
    level: float
    pairs: list[Comparison]
    baseline_best: list[float | None]
    left_out: list[str]
    winners: list[Winner | None] = []
