"""Comparisons that are corrected together: their adjusted p-values and simultaneous intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ember_bench import stats
from ember_bench.experiment.results.cells import FloatArray
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.items import AskedItems
from ember_bench.experiment.results.pairs import Pair
from ember_bench.experiment.results.summary import Correction

Column = npt.NDArray[np.float64] | npt.NDArray[np.int8]

_ABSENT = -128


@dataclass(frozen=True, slots=True)
class Adjusted:
    """A comparison after correction.

    Attributes:
        p_value: None for an oracle, which is an upper limit and not a system, and for cells that
            make the same calls: these are no hypotheses, and to count them would weaken the others.
        difference: With its interval; simultaneous after max-T, and then 0 is outside exactly if
            the p-value is below 1 - level.
        sign: 1 if the cell scores higher, -1 if lower; 0 if equal, or if failures could turn it.
    """

    p_value: float | None
    difference: Quantity
    sign: int


@dataclass(frozen=True, slots=True)
class _Member:
    """A comparison, as much of it as the family needs.

    Attributes:
        items: The baseline's items, of which all columns are.
        cases: Differences item by item; with failures, in the worst and in the best case.
    """

    p_value: float
    difference: Quantity
    sign: int
    items: AskedItems
    cases: tuple[Column, ...]

    @property
    def nearest(self) -> FloatArray:
        """The case that says least of a difference, which the others must not contradict."""
        return min((floats(case) for case in self.cases), key=_distance)


class Family:
    """Collects comparisons, and corrects their p-values together.

    What it keeps of a comparison is a few bytes an item.

    Args:
        correction: The method.
        level: Confidence level of the intervals.
        seed: Of the random sign patterns.
    """

    def __init__(self, correction: Correction, level: float, seed: int) -> None:
        self.correction = correction
        self.level = level
        self.seed = seed
        self._found: list[Adjusted] = []
        self._members: dict[int, _Member] = {}

    def add(self, pair: Pair) -> None:
        """Take in a comparison with items in common."""
        p_value, place = pair.p_value, len(self._found)
        alone = Adjusted(None, pair.difference, pair.sign)
        self._found.append(alone)
        if p_value is None or pair.cell.oracle:
            return
        cases = tuple(map(compact, pair.cases)) if self.correction == "maxt" else ()
        self._members[place] = _Member(
            p_value, alone.difference, alone.sign, pair.baseline.items, cases
        )

    def adjusted(self) -> list[Adjusted]:
        """Return all comparisons in the order in which they came."""
        found = list(self._found)
        for place, member in zip(self._members, self._corrected(), strict=True):
            found[place] = member
        return found

    def _corrected(self) -> list[Adjusted]:
        members = list(self._members.values())
        if self.correction != "maxt":
            adjust = stats.holm if self.correction == "holm" else stats.benjamini_hochberg
            p_values = adjust([member.p_value for member in members]).tolist()
            return [
                Adjusted(p_value, member.difference, member.sign)
                for member, p_value in zip(members, p_values, strict=True)
            ]
        differences, clusters = _side_by_side(members)
        test = stats.max_t(
            differences,
            clusters=clusters,
            p_values=[member.p_value for member in members],
            level=self.level,
            seed=self.seed,
        )
        return [
            self._simultaneous(member, p_value, test.level_each)
            for member, p_value in zip(members, test.p_values.tolist(), strict=True)
        ]

    def _simultaneous(self, member: _Member, p_value: float, level_each: float) -> Adjusted:
        """Return a comparison with its interval over all cases, which agrees with the p-value."""
        value = member.difference.value
        clusters = member.items.clusters(np.ones(len(member.items), dtype=np.bool_))
        found = [
            stats.simultaneous_interval(
                floats(case), p_value, level_each, clusters=clusters, level=self.level
            )
            for case in member.cases
        ]
        known = [interval for interval in found if interval is not None]
        method = f"{member.difference.method}, simultaneous"
        if len(known) < len(found) or not known:
            return Adjusted(p_value, Quantity(value, None, None, method), member.sign)
        low, high = min(i.low for i in known), max(i.high for i in known)
        # Without an interval on one side of 0 no sign is shown, with one it is.
        sign = int(low > 0) - int(high < 0) or member.sign
        return Adjusted(p_value, Quantity(value, low, high, method), sign)


def _side_by_side(members: Sequence[_Member]) -> tuple[FloatArray, list[tuple[int, str]] | None]:
    """Return the differences, a row for each item, and the cluster of each row.

    Cells of different datasets have no items in common, and so different rows.
    """
    starts: dict[int, int] = {}
    lists: list[AskedItems] = []
    rows = 0
    for member in members:
        if id(member.items) not in starts:
            starts[id(member.items)] = rows
            lists.append(member.items)
            rows += len(member.items)
    values = np.full((rows, len(members)), np.nan)
    for column, member in enumerate(members):
        start = starts[id(member.items)]
        values[start : start + len(member.items), column] = member.nearest
    labels: list[tuple[int, str]] = []
    clustered = False
    for number, items in enumerate(lists):
        found = items.clusters(np.ones(len(items), dtype=np.bool_))
        clustered = clustered or found is not None
        labels += [(number, label) for label in found or map(str, range(len(items)))]
    return values, labels if clustered else None


def _distance(differences: FloatArray) -> float:
    """Return how far from 0 differences are, in standard errors of no difference."""
    squares = float(np.nansum(differences**2))
    return abs(float(np.nansum(differences))) / squares**0.5 if squares else 0.0


def compact(values: FloatArray) -> Column:
    """Return differences of right and wrong answers in a byte each."""
    absent = np.isnan(values)
    whole = np.where(absent, _ABSENT, values)
    return whole.astype(np.int8) if np.array_equal(whole, np.rint(whole)) else values


def floats(column: Column) -> FloatArray:
    """Return what was made compact."""
    if column.dtype != np.int8:
        return np.asarray(column, dtype=np.float64)
    return np.where(column == _ABSENT, np.nan, column)
