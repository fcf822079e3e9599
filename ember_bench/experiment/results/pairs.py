"""A cell and its baseline: their paired difference, and what failed trials leave of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from ember_bench import stats
from ember_bench.experiment.results.cells import BoolArray, CellResults, FloatArray, IntArray
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.items import AskedItems

# Whether two cells make the same calls is a matter of structure: a few items show it.
_ITEMS_LOOKED_AT: Final = 5
_MOST_ITEMS_LOOKED_AT: Final = 500

SAME_CALLS: Final = "same calls"
"""Method of the difference of cells that make the same calls."""


@dataclass(frozen=True)
class Pair:
    """A cell and its baseline; their paired difference is computed once.

    Attributes:
        cell: The cell.
        baseline: The cell that it is compared with.
        family: Number of comparisons that are corrected together.
    """

    cell: CellResults
    baseline: CellResults
    family: int = 1

    @cached_property
    def found(self) -> stats.PairedDifference | None:
        """The paired difference of the scores; None without an item in common."""
        first, second = self.scores
        return stats.paired_difference(
            first,
            second,
            clusters=self.clusters,
            level=self.baseline.level,
            n_draws=self.n_draws,
            seed=self.baseline.seed,
        )

    @cached_property
    def bounds(self) -> stats.DifferenceBounds | None:
        """The worst and the best case of failed trials; None if no trial failed.

        Over all items that both have trials of, also if failed ones are excluded from the scores.
        """
        if not (self.cell.failed or self.baseline.failed):
            return None
        first = self.cell.score_range
        second = [self.of_baseline(values) for values in self.baseline.score_range]
        both = ~np.isnan(first[0]) & ~np.isnan(second[0])
        items = tuple(np.flatnonzero(both).tolist())
        return stats.difference_bounds(
            stats.ScoreRanges(items, first[0][both], first[1][both]),
            stats.ScoreRanges(items, second[0][both], second[1][both]),
            clusters=self.cell.items.clusters(both),
            level=self.baseline.level,
            n_draws=self.n_draws,
            seed=self.baseline.seed,
        )

    @property
    def cases(self) -> Iterator[FloatArray]:
        """The differences, in the order of the baseline's items; NaN for items not in both.

        One case without failed trials; else the worst and the best, and the scores as they are if
        these leave failed trials out.
        """
        if self.bounds is None or self._excluding:
            yield self.of_cell(self.cell.scores) - self.baseline.scores
        if self.bounds is not None:
            low, high = map(self.of_cell, self.cell.score_range)
            baseline_low, baseline_high = self.baseline.score_range
            yield low - baseline_high
            yield high - baseline_low

    @property
    def difference(self) -> Quantity:
        """Accuracy of the cell minus that of the baseline, in [-1, 1]."""
        found = self._known
        if self.same_calls:
            return Quantity(found.difference, None, None, SAME_CALLS)
        if self.bounds is None:
            return Quantity.with_interval(found.difference, found.interval, "paired")
        interval = self.bounds.interval
        if interval is not None and found.interval is not None and self._excluding:
            # Scores that leave failed trials out may lie beyond what all trials allow.
            interval = stats.Interval(
                min(interval.low, found.interval.low),
                max(interval.high, found.interval.high),
                interval.level,
            )
        return Quantity.with_interval(found.difference, interval, "paired, failures either way")

    @property
    def p_value(self) -> float | None:
        """The p-value of the difference; None for the same calls."""
        if self.same_calls:
            return None
        p_value = self._known.p_value
        if self.bounds is None:
            return p_value
        return max(self.bounds.p_value, p_value) if self._excluding else self.bounds.p_value

    @property
    def test(self) -> str:
        """Name of the test that gave the p-value."""
        return self._known.test if self.bounds is None else self.bounds.worst.test

    @property
    def sign(self) -> int:
        """1 if the cell scores higher, -1 if lower; 0 if equal, or if failures could turn it."""
        sign = int(np.sign(self._known.difference))
        if self.same_calls:
            return 0
        return sign if self.bounds is None or self.bounds.sign == sign else 0

    @cached_property
    def shared_draws(self) -> bool:
        """Whether the two cells share calls on the first items in common."""
        return any(
            not set(ours).isdisjoint(theirs)
            for ours, theirs in map(self._calls, self.items[:_ITEMS_LOOKED_AT].tolist())
        )

    @cached_property
    def same_calls(self) -> bool:
        """Whether the cell makes the baseline's own calls, and so has the same scores.

        As a vote of one does. A cascade that could go on to another model, and did not, has a
        module that made no call.
        """
        if self.cell.lm_modules == 0 or not np.array_equal(*self.scores):
            return False
        step = max(1, len(self.items) // _MOST_ITEMS_LOOKED_AT)
        looked_at = map(self._calls, self.items[::step].tolist())
        return bool(self.items.size) and all(
            len(ours) >= self.cell.lm_modules and sorted(ours) == sorted(theirs)
            for ours, theirs in looked_at
        )

    @property
    def n_draws(self) -> int:
        """Number of random sign patterns, enough for the family."""
        return stats.draws_for_family(self.family, alpha=1 - self.baseline.level)

    @cached_property
    def clusters(self) -> list[str] | None:
        """The clusters of the items in common; None if each item stands for itself."""
        return self.cell.items.clusters(self._both)

    @property
    def items(self) -> IntArray:
        """The places, among the cell's items, of those with a score in both cells."""
        return np.flatnonzero(self._both)

    @property
    def scores(self) -> tuple[FloatArray, FloatArray]:
        """The scores of the cell and of the baseline on the items in common."""
        both = self._both
        if both.all():  # which spares a copy
            return self.cell.scores, self.baseline_scores
        return self.cell.scores[both], self.baseline_scores[both]

    @cached_property
    def baseline_scores(self) -> FloatArray:
        """The baseline's scores in the order of the cell's items; NaN for items that it lacks."""
        return self.of_baseline(self.baseline.scores)

    def of_baseline(self, values: FloatArray) -> FloatArray:
        """Return values of the baseline's items, shape (n_items,), in the order of the cell's."""
        return _taken(values, self.cell.items, self.baseline.items)

    def of_cell(self, values: FloatArray) -> FloatArray:
        """Return values of the cell's items, shape (n_items,), in the order of the baseline's."""
        return _taken(values, self.baseline.items, self.cell.items)

    @cached_property
    def _both(self) -> BoolArray:
        """Mask of the cell's items with a score in both cells."""
        return ~np.isnan(self.cell.scores) & ~np.isnan(self.baseline_scores)

    @property
    def _known(self) -> stats.PairedDifference:
        assert self.found is not None  # noqa: S101 - only called for pairs with common items
        return self.found

    @property
    def _excluding(self) -> bool:
        return "excluded" in (self.cell.failures, self.baseline.failures)

    def _calls(self, place: int) -> tuple[list[bytes], list[bytes]]:
        """Return the keys of both cells' calls on one of the cell's items."""
        there = int(self.cell.items.match(self.baseline.items).places[place])
        return list(self.cell.read_calls(place)), list(self.baseline.read_calls(there))


def _taken(values: FloatArray, items: AskedItems, source: AskedItems) -> FloatArray:
    """Return for each of `items` its value among those of `source`, NaN if it is not there."""
    return values if items is source else np.append(values, np.nan)[items.match(source).places]
