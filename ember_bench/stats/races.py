"""Choices among cells that are sure before all items are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ember_bench.stats.standings import TINY, Goal, Shown, Standing, standing

if TYPE_CHECKING:
    from ember_bench.stats._arrays import BoolArray, FloatArray, IntArray

_SHORTER: Final = 0.5
"""Part by which a stage of all cells is shorter than one that costs nothing."""


class Race:
    """Cells that advance over items in random order until the choice is sure.

    Give `take` the values of the items that `wanted` names, until it names none.

    Args:
        goal: What is to be found.
        n_cells: Number of cells.
        items: Number of items of the whole grid.
        resampled: Whether the choice is to hold for items like these, and not for these.
        step: Number of items of the first stage, and the least of later ones.
        contenders: Only so many of the best are compared with all others, which shows less but is
            faster; None to compare all pairs.

    Attributes:
        asked: Number of items of each cell so far, shape ``(n_cells,)``.
        price: Mean cost of an item of each cell, same shape; None if one is unknown.
        now: How the race stands.
    """

    def __init__(
        self,
        goal: Goal,
        n_cells: int,
        items: int,
        *,
        resampled: bool = False,
        step: int = 10,
        contenders: int | None = None,
    ) -> None:
        self.goal = goal
        self.items = items
        self.step = step
        self.contenders = contenders
        self.population = None if resampled else items
        self.asked = np.zeros(n_cells, dtype=np.int64)
        self.price: FloatArray | None = None
        self._shown = Shown.nothing(n_cells)
        every = np.ones(n_cells, dtype=np.bool_)
        self.now = Standing(None, ~every, every, every, ())

    @property
    def wanted(self) -> tuple[IntArray, int]:
        """The cells that go next, and to how many items; no cells if the race is over.

        Of the cells whose items would help those with the fewest. Stages grow by a tenth; the
        larger the part of an item's cost that the cells of a stage have, the shorter it is, as what
        is asked after the choice became sure is spent for nothing.
        """
        going = np.flatnonzero(self.now.open & (self.asked < self.items))
        if self.now.choice is not None:
            going = going[:0]
        elif not going.size:
            going = np.flatnonzero(self.now.possible & (self.asked < self.items))
        if not going.size:
            return going, self.items
        least = int(self.asked[going].min())
        going = going[self.asked[going] == least]
        step = max(self.step, least // 10)
        if self.price is not None and (total := float(self.price.sum())) > 0:
            step = max(1, round(step * (1 - _SHORTER * float(self.price[going].sum()) / total)))
        return going, min(self.items, least + step)

    def take(
        self, asked: IntArray, low: FloatArray, high: FloatArray, cost: FloatArray | None = None
    ) -> Standing:
        """Take the items that the cells have now; return how the race stands.

        Args:
            asked: number of items of each cell, shape ``(n_cells,)``.
            low: the lowest score of each that failed trials allow, shape ``(n_items, n_cells)``.
                A row that a cell does not have is not looked at.
            high: the highest, same shape.
            cost: US dollars, same shape; None if no matter.
        """
        rows = np.arange(len(low))[:, np.newaxis] < asked
        counts = np.maximum(asked, 1)
        accuracy = np.where(rows, low + high, 0.0).sum(axis=0) / 2 / counts
        costs = np.zeros(asked.size)
        if cost is not None:
            costs = np.where(rows, cost, 0.0).sum(axis=0) / counts
        before = np.minimum(self.asked[:, np.newaxis], self.asked)
        common = np.minimum(asked[:, np.newaxis], asked)
        new = (common > before) & ~np.eye(asked.size, dtype=np.bool_)
        if self.contenders is not None:
            new &= self._best(self.contenders, accuracy, costs, asked)[:, np.newaxis]
        grown = asked > self.asked
        for n in np.unique(np.concatenate([common[new], asked[grown]])).tolist():
            self._shown.add(
                self.goal,
                low[:n],
                high[:n],
                None if cost is None else cost[:n],
                np.flatnonzero(grown & (asked == n)),
                self.population,
                *np.nonzero(new & (common == n)),
            )
        self.asked = asked.copy()
        self.now = standing(self.goal, self._shown, asked, accuracy, costs)
        return self.now

    def _best(
        self, most: int, accuracy: FloatArray, costs: FloatArray, asked: IntArray
    ) -> BoolArray:
        """Return the most accurate cells, the cheapest good enough ones, and the front."""
        known = np.flatnonzero(asked)
        best = known[np.argsort(-accuracy[known], kind="stable")]
        found = best[:most].tolist()
        if self.goal.want != "most_accurate" and known.size:
            enough = accuracy[best[0]] - self.goal.within
            level = enough if self.goal.at_least is None else self.goal.at_least
            by_cost = known[np.lexsort((-accuracy[known], costs[known]))]
            found += by_cost[accuracy[by_cost] >= level - TINY][:most].tolist()
            before = np.r_[-np.inf, np.maximum.accumulate(accuracy[by_cost])[:-1]]
            found += by_cost[accuracy[by_cost] > before].tolist()
        return np.isin(np.arange(asked.size), found)
