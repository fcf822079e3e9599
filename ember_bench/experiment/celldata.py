"""The trials of cells as arrays: each cell, and each list of items, is read once and shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from ember_bench.experiment.asked import AskedItem, AskedItems
from ember_bench.experiment.rows import TrialRows
from ember_bench.experiment.summary import OUTCOMES

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

ERROR: Final = OUTCOMES.index("error")

_NUMBERS: Final = (
    "outcome", "score", "cost_usd", "latency_seconds",
    "calls_used", "calls_made", "input_tokens", "output_tokens", "spend_usd",
)  # fmt: skip


@dataclass(frozen=True)
class Match:
    """How the items of one list are found in another one.

    Attributes:
        places: For each item its place in the other list, -1 where that has none of the same id
            and content; shape (n_items,).
        edited: How many have the same id there and another content.
        missing: How many ids the other list has not.
    """

    places: IntArray
    edited: int
    missing: int


@dataclass(frozen=True, eq=False)
class Items:
    """The items that a cell's trials are of; cells of one dataset share them.

    Attributes:
        asked: In order; trials have the places of theirs.
        whole: Whether these are all that the grid asks, rather than those that have a trial.
    """

    asked: AskedItems
    whole: bool

    def __len__(self) -> int:
        return len(self.asked)

    def clusters(self, places: IntArray) -> list[str] | None:
        """Return the clusters of the items at `places`, one without being its own.

        None if none of them has one.
        """
        if not self.asked.clustered:
            return None
        return clusters_of([self.asked[place] for place in places.tolist()])

    @cached_property
    def categories(self) -> tuple[list[str], IntArray]:
        """The categories, sorted, and the number of each item's among them, -1 without one."""
        labels = self.asked.categories
        names = sorted({label for label in labels if label is not None})
        numbers: dict[str | None, int] = {name: number for number, name in enumerate(names)}
        return names, np.asarray([numbers.get(label, -1) for label in labels], dtype=np.int64)

    def match(self, other: Items) -> Match:
        """Return how these are found among others; the same ones are looked for once."""
        if other is self:
            return Match(np.arange(len(self), dtype=np.int64), 0, 0)
        known = self._matches.get(id(other))
        if known is None or known[0] is not other:
            known = self._matches[id(other)] = other, self._match(other)
        return known[1]

    def _match(self, other: Items) -> Match:
        places = np.full(len(self), -1, dtype=np.int64)
        edited = missing = 0
        for number, item in enumerate(self.asked):
            place = other._places.get(item.id)
            if place is None:
                missing += 1
            elif _same(item, other.asked[place]):
                places[number] = place
            else:
                edited += 1
        return Match(places, edited, missing)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {item.id: place for place, item in enumerate(self.asked)}

    @cached_property
    def _matches(self) -> dict[int, tuple[Items, Match]]:
        return {}


def _same(one: AskedItem, other: AskedItem) -> bool:
    return not (one.digest and other.digest) or one.digest == other.digest


def clusters_of(items: Sequence[AskedItem]) -> list[str] | None:
    """Return each item's cluster, an item without one being its own; None if none has one."""
    if all(item.cluster is None for item in items):
        return None
    return [item.cluster if item.cluster is not None else f"\0{item.id}" for item in items]


@dataclass(frozen=True, eq=False)
class CellData:
    """A cell's stored trials, one entry each, in the order of items and epochs.

    Attributes:
        n_items: How many items there are, with trials or without.
        item: Place of the item, shape (n_trials,) as all that follow.
        outcome: Of each trial, by its place among `OUTCOMES`.
        score: In [0, 1], 0 where the trial failed.
        cost: US dollars; NaN where a price is unknown.
        latency: Seconds; NaN where it is unknown.
    """

    n_items: int
    item: IntArray
    outcome: npt.NDArray[np.int8]
    score: FloatArray
    cost: FloatArray
    latency: FloatArray

    @cached_property
    def failed(self) -> BoolArray:
        """Which trials ended in an error."""
        failed: BoolArray = self.outcome == ERROR
        return failed

    @cached_property
    def epochs(self) -> IntArray:
        """How many trials each item has, shape (n_items,)."""
        return np.bincount(self.item, minlength=self.n_items)

    def means(self, values: FloatArray, keep: BoolArray | None = None) -> FloatArray:
        """Return the mean of `values` over each item's epochs; NaN for items without a trial.

        Args:
            values: Shape (n_trials,).
            keep: Which trials count; None for all.

        Returns:
            Shape (n_items,).
        """
        items = self.item if keep is None else self.item[keep]
        kept = values if keep is None else values[keep]
        counts = self.epochs if keep is None else np.bincount(items, minlength=self.n_items)
        sums = np.bincount(items, weights=kept, minlength=self.n_items)
        means = np.full(self.n_items, np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means

    def first(self, item: int) -> int:
        """Return the number of an item's first trial."""
        return int(np.searchsorted(self.item, item))


@dataclass(frozen=True, slots=True)
class CellTotals:
    """Sums over a cell's trials.

    Attributes:
        unpriced: How many made a request whose price is unknown.
    """

    calls_used: int
    calls_made: int
    input_tokens: int
    output_tokens: int
    spend_usd: float
    unpriced: int


class StoredCells:
    """The cells of a trial store.

    What was written after a cell was first asked for is not seen.
    """

    def __init__(self, rows: TrialRows) -> None:
        self.rows = rows
        self._items: dict[str, Items] = {}
        self._read: dict[int, tuple[CellData, CellTotals]] = {}

    def items(self, dataset: str) -> Items:
        """Return the items that are asked of a dataset."""
        if dataset not in self._items:
            self._items[dataset] = Items(self.rows.description.items[dataset], whole=True)
        return self._items[dataset]

    def data(self, cell: int) -> CellData:
        """Return a cell's trials."""
        return self._cell(cell)[0]

    def totals(self, cell: int) -> CellTotals:
        """Return what they came to together."""
        return self._cell(cell)[1]

    def _cell(self, cell: int) -> tuple[CellData, CellTotals]:
        if cell not in self._read:
            n_items = len(self.items(self.rows.description.cells[cell].dataset))
            self._read[cell] = _parts(self.rows.numbers(cell, _NUMBERS), n_items)
        return self._read[cell]


def _parts(found: FloatArray, n_items: int) -> tuple[CellData, CellTotals]:
    item, _, outcome, score, cost, latency, used, made, sent, received, spend = found
    data = CellData(
        n_items=n_items,
        item=item.astype(np.int64),
        outcome=outcome.astype(np.int8),
        score=score.copy(),
        cost=cost.copy(),
        latency=latency.copy(),
    )
    totals = CellTotals(
        calls_used=int(used.sum()),
        calls_made=int(made.sum()),
        input_tokens=int(sent.sum()),
        output_tokens=int(received.sum()),
        spend_usd=float(spend.sum()),
        unpriced=int(np.count_nonzero(np.isnan(cost) & (made > 0))),
    )
    return data, totals
