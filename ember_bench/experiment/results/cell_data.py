"""The trials of cells as arrays: each cell, and each list of items, is read once and shared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from ember_bench.experiment.results.items import AskedItem, AskedItems
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.summary import OUTCOMES

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

ERROR: Final = OUTCOMES.index("error")

_NUMBERS: Final = (
    "outcome", "score", "cost_usd", "latency_seconds", "spend_usd",
    "calls_used", "calls_made", "input_tokens", "output_tokens",
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
    def categories(self) -> tuple[list[str], npt.NDArray[np.int32]]:
        """The categories, sorted, and the number of each item's among them, -1 without one."""
        found: dict[str | None, int] = {}
        labels = (found.setdefault(label, len(found)) for label in self.asked.categories())
        numbers = np.fromiter(labels, np.int32, len(self))
        names = sorted(label for label in found if label is not None)
        places: dict[str | None, int] = {label: place for place, label in enumerate(names)}
        sorted_places = np.asarray([places.get(label, -1) for label in found], dtype=np.int32)
        return names, sorted_places[numbers]

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
    item: npt.NDArray[np.int32]
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

    @property
    def items_done(self) -> int:
        """How many items have a trial."""
        changes = np.count_nonzero(self.item[1:] != self.item[:-1])
        return int(changes) + bool(len(self.item))

    def means(self, values: FloatArray, keep: BoolArray | None = None) -> FloatArray:
        """Return the mean of `values` over each item's epochs; NaN for items without a trial.

        Args:
            values: Shape (n_trials,).
            keep: Which trials count; None for all.

        Returns:
            Shape (n_items,).
        """
        if keep is not None and keep.all():
            keep = None
        if keep is None and self._once:
            return values
        items = self.item if keep is None else self.item[keep]
        kept = values if keep is None else values[keep]
        counts = self.epochs if keep is None else np.bincount(items, minlength=self.n_items)
        sums = np.bincount(items, weights=kept, minlength=self.n_items)
        means = np.full(self.n_items, np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means

    @cached_property
    def _once(self) -> bool:
        """Whether every item has one trial, which then is the mean of its trials."""
        return len(self.item) == self.n_items == self.items_done

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
        return self.cell(cell)[0]

    def cell(self, cell: int) -> tuple[CellData, CellTotals]:
        """Return a cell's trials, and what they came to together."""
        if cell not in self._read:
            self._read[cell] = self.read_once(cell)
        return self._read[cell]

    def read_once(self, cell: int) -> tuple[CellData, CellTotals]:
        """Return the same without keeping it."""
        described = self.rows.description
        n_items = len(self.items(described.cells[cell].dataset))
        return _parts(self.rows.numbers(cell, _NUMBERS), n_items, n_items * described.epochs)


def _parts(blocks: Iterable[FloatArray], n_items: int, most: int) -> tuple[CellData, CellTotals]:
    """Return what blocks of `_NUMBERS` say, which are of `most` trials at most."""
    # What is not written to takes no memory.
    item, outcome = np.empty(most, np.int32), np.empty(most, np.int8)
    score, cost, latency, spend = (np.empty(most) for _ in range(4))
    counts = np.zeros(len(_NUMBERS) - 5)
    unpriced = end = 0
    for block in blocks:
        part = slice(end, end := end + block.shape[1])
        item[part], outcome[part], score[part], cost[part], latency[part], spend[part] = block[:6]
        counts += block[6:].sum(axis=1)
        unpriced += int(np.count_nonzero(np.isnan(cost[part]) & (block[7] > 0)))
    in_order = (item[1:end] >= item[: max(0, end - 1)]).all()
    order = slice(end) if in_order else np.argsort(item[:end], kind="stable")
    used, made, sent, received = map(int, counts)
    data = CellData(
        n_items=n_items,
        item=item[order],
        outcome=outcome[order],
        score=score[order],
        cost=cost[order],
        latency=latency[order],
    )
    totals = CellTotals(
        calls_used=used,
        calls_made=made,
        input_tokens=sent,
        output_tokens=received,
        spend_usd=float(spend[order].sum()),
        unpriced=unpriced,
    )
    return data, totals
