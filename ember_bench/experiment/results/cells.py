"""The trials of cells as arrays, and each cell's values item by item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from ember_bench.experiment.results.items import AskedItems
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.summary import FAILED, OUTCOMES, DatasetSummary

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

ERROR: Final = OUTCOMES.index("error")
UNJUDGED: Final = OUTCOMES.index("unjudged")
_FAILED: Final = tuple(map(OUTCOMES.index, FAILED))

_NUMBERS: Final = (
    "outcome", "score", "cost_usd", "latency_seconds", "spend_usd",
    "calls_used", "calls_made", "input_tokens", "output_tokens",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class CellData:
    """A cell's stored trials, one entry each, in the order of items and epochs.

    Attributes:
        n_items: Number of items, with trials or without.
        item: Place of the item, shape (n_trials,) as all that follow.
        outcome: Index in `OUTCOMES`.
        score: In [0, 1], 0 if the trial failed.
        cost: US dollars; NaN if a price is unknown.
        latency: Seconds; NaN if unknown.
    """

    n_items: int
    item: npt.NDArray[np.int32]
    outcome: npt.NDArray[np.int8]
    score: FloatArray
    cost: FloatArray
    latency: FloatArray

    @cached_property
    def failed(self) -> BoolArray:
        """Which trials have no score: they ended in an error, or a judge failed."""
        failed: BoolArray = np.isin(self.outcome, _FAILED)
        return failed

    @cached_property
    def broken(self) -> BoolArray:
        """Which trials ended in an error of their architecture, somewhere in the middle."""
        broken: BoolArray = self.outcome == ERROR
        return broken

    @cached_property
    def unjudged(self) -> BoolArray:
        """Which trials have an output on which a judge gave no verdict."""
        unjudged: BoolArray = self.outcome == UNJUDGED
        return unjudged

    @cached_property
    def epochs(self) -> IntArray:
        """Number of trials of each item, shape (n_items,)."""
        return np.bincount(self.item, minlength=self.n_items)

    @property
    def items_done(self) -> int:
        """Number of items with a trial."""
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
        unpriced: Number of trials with a request of unknown price.
    """

    calls_used: int
    calls_made: int
    input_tokens: int
    output_tokens: int
    spend_usd: float
    unpriced: int


@dataclass(frozen=True)
class CellResults:
    """The trials of one cell that are done.

    Attributes:
        source: Its experiment's name, or a run of MLflow.
        name: Name of the cell, unique in its source.
        label: Its name in tables.
        asked: Its dataset.
        simulated: Whether any of its answers is from a simulated model.
        oracle: Whether it looks at the target.
        failures: How failed trials are scored: `wrong`, or `excluded`.
        level: Confidence level of its intervals.
        seed: Seed of the random parts of its analysis.
        items: The items that it was asked, as far as they are known.
        data: Its trials, which have the places of their items in `items`.
        read_answers: Reads the answer of each trial; None if it could not be parsed.
        read_calls: Reads the keys of the calls of an item's first trial, by the item's place; an
            empty sequence if they are not known.
        lm_modules: Number of LM modules in its graph; 0 if unknown.
    """

    source: str
    name: str
    label: str
    asked: DatasetSummary
    simulated: bool
    oracle: bool
    failures: str
    level: float
    seed: int
    items: AskedItems
    data: CellData
    read_answers: Callable[[], Sequence[str | None]]
    read_calls: Callable[[int], Sequence[bytes]] = lambda _: ()
    lm_modules: int = 0

    @property
    def measured(self) -> bool:
        """Whether it can be said to have scores: not if there are trials and all of them failed."""
        return not self.failed or self.failed < len(self.data.failed)

    @cached_property
    def scores(self) -> FloatArray:
        """The mean score of each item over its epochs; the grid decides how failures count.

        What a judge gave no verdict on is unknown, and counts in no way.

        Shape (n_items,) as those that follow; NaN for items without a trial that counts, and
        for all items of a cell that was not measured.
        """
        if not self.measured:
            return np.full(len(self.items), np.nan)
        keep = ~(self.data.unjudged if self.failures == "wrong" else self.data.failed)
        return self.data.means(self.data.score, keep)

    @property
    def score_range(self) -> tuple[FloatArray, FloatArray]:
        """The lowest and the highest mean score of each item that its failed trials allow.

        NaN for items without a trial; failed trials score 0 in the one, and 1 in the other.
        """
        data = self.data
        return data.means(data.score), data.means(np.where(data.failed, 1.0, data.score))

    @cached_property
    def costs(self) -> FloatArray:
        """The mean known cost of each item over the trials that did not fail."""
        return self.data.means(self.data.cost, ~self.data.broken & ~np.isnan(self.data.cost))

    @cached_property
    def latencies(self) -> FloatArray:
        """The mean latency of the same."""
        known = ~self.data.broken & ~np.isnan(self.data.latency)
        return self.data.means(self.data.latency, known)

    @cached_property
    def priced(self) -> bool:
        """Whether the price of every trial that did not fail is known."""
        return not np.isnan(self.data.cost[~self.data.broken]).any()

    @cached_property
    def answers(self) -> Sequence[str | None]:
        """The answer of each trial, shape (n_trials,)."""
        return self.read_answers()

    def answers_to(self, item: int) -> list[str | None]:
        """Return the answers to the item at a place, by epoch."""
        first = self.data.first(item)
        return list(self.answers[first : first + int(self.data.epochs[item])])

    @property
    def scheduled(self) -> int | None:
        """Number of items in its grid; None if unknown."""
        return len(self.items) if self.items.whole else None

    @property
    def failed(self) -> int:
        """Number of its trials that ended in an error."""
        return int(np.count_nonzero(self.data.failed))


class StoredCells:
    """The cells of a trial store.

    Args:
        rows: The trial store.
        source: Name of the experiment in comparisons; by default its own.
        keep: Whether cells are kept in memory. A kept cell does not show trials that were written
            after it was read.
    """

    def __init__(self, rows: TrialRows, *, source: str | None = None, keep: bool = True) -> None:
        self.rows = rows
        self.keep = keep
        self._source = rows.description.name if source is None else source
        self._read: dict[int, tuple[CellResults, CellTotals]] = {}

    def results(self, name: str) -> CellResults:
        """Return the results of the cell of this name."""
        return self.cell(self.rows.description.places[name])[0]

    def cell(self, place: int) -> tuple[CellResults, CellTotals]:
        """Return the results of a cell by its place in the grid, and the sums over its trials."""
        if place in self._read:
            return self._read[place]
        asked = self.rows.description
        cell = asked.cells[place]
        items = asked.items[cell.dataset]
        blocks = self.rows.numbers(place, _NUMBERS)
        data, totals = _parts(blocks, len(items), len(items) * asked.epochs)
        results = CellResults(
            source=self._source,
            name=cell.name,
            label=cell.label,
            asked=asked.dataset(cell.dataset),
            simulated=cell.simulated,
            oracle=cell.oracle,
            failures=asked.failures,
            level=asked.level,
            seed=asked.seed,
            items=items,
            data=data,
            read_answers=lambda: [row[2] for row in self.rows.columns(place, ["answer"])],
            read_calls=lambda item: [c.key for c in self.rows.calls(place, item, 0) or ()],
            lm_modules=sum(len(node.models) for node in cell.nodes),
        )
        if self.keep:
            self._read[place] = results, totals
        return results, totals


def _parts(blocks: Iterable[FloatArray], n_items: int, most: int) -> tuple[CellData, CellTotals]:
    """Return the arrays and sums of blocks of `_NUMBERS`, of at most `most` trials."""
    # Pages that are never written to take no memory.
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
