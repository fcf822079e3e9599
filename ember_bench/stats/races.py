"""Choices among cells that are sure before all items are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from ember_bench.stats._arrays import check_probability
from ember_bench.stats.betting import NEVER, cannot_show, first_shown

if TYPE_CHECKING:
    from ember_bench.stats._arrays import BoolArray, FloatArray, IntArray

Want = Literal["cheapest", "most_accurate", "front"]

TINY: Final = 1e-9
COST_ITEMS: Final = 10
"""Items before the first bet on costs; the highest cost among them sets the scale."""
COST_FACTOR: Final = 4.0
"""No item is assumed to cost more than this times the most expensive of the first items."""
_SHORTER: Final = 0.5
"""Part by which a stage of all cells is shorter than one that costs nothing."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a race is to find, and how sure.

    A choice is wrong, for

    * `most_accurate`, if a cell is more than ``within`` more accurate than it;
    * `cheapest`, if it is more than ``within`` less accurate than the most accurate cell, or less
      than ``at_least``, or another cell that is not costs less;
    * `front`, if a cell outside has no cell of the choice that costs no more and is at most
      ``within`` less accurate, or if a cell of the choice has one that costs no more and is more
      than ``within`` more accurate.
    """

    want: Want
    within: float = 0.0
    """In units of the score, of which the largest is 1."""
    at_least: float | None = None
    """Only for `cheapest`, in place of ``within``."""
    alpha: float = 0.05
    """Most probable share of wrong choices."""
    others: int = 0
    """Number of cells beside those of a race that could have been in it: those that were are no
    random part of all of them, so the errors are divided as if all were."""

    def share(self, n_cells: int) -> float:
        """Return the share of ``alpha`` for each comparison that can mislead.

        Only comparisons with the truly best cell b, or the truly right choice q, mislead: of b with
        each other cell; for `cheapest`, beside those, of q with each in accuracy and in cost; with
        ``at_least``, of each cell with that, and of q with each in cost. On the front, either cell
        of each pair can be the one that is done wrong, in accuracy and in cost.
        """
        n_cells += self.others
        others = n_cells - 1
        number = others
        if self.want == "front":
            number = n_cells * others
        elif self.want == "cheapest":
            number = 3 * others if self.at_least is None else 2 * n_cells
        return check_probability(self.alpha, "alpha") / max(1, number)


@dataclass(frozen=True, slots=True)
class Shown:
    """Number of items after which each was shown, `NEVER` if it was not; shape (n_cells, n_cells).

    Of cell i (axis 0) against cell j (axis 1), on the items that both have.
    """

    close: IntArray
    """i is at most ``within`` less accurate than j."""
    better: IntArray
    """i is more accurate than j."""
    far_better: IntArray
    """i is more accurate than j by more than ``within``."""
    no_dearer: IntArray
    """i costs no more than j."""
    cheaper: IntArray
    """i costs less than j."""
    reaches: IntArray
    """i is at least as accurate as ``at_least``; shape (n_cells,)."""
    misses: IntArray
    """i is less accurate than that; shape (n_cells,)."""

    @classmethod
    def nothing(cls, n_cells: int) -> Shown:
        """Return that nothing was shown of ``n_cells`` cells."""
        pairs = (np.full((n_cells, n_cells), NEVER, dtype=np.int64) for _ in range(5))
        cells = (np.full(n_cells, NEVER, dtype=np.int64) for _ in range(2))
        return cls(*pairs, *cells)

    def add(
        self,
        goal: Goal,
        low: FloatArray,
        high: FloatArray,
        cost: FloatArray | None,
        cells: IntArray,
        population: int | None,
        i: IntArray,
        j: IntArray,
    ) -> None:
        """Add what some pairs of cells show on their first items.

        Args:
            goal: What is to be found.
            low: the lowest score of each item that failed trials allow, shape
                ``(n_items, n_cells)``; items in random order.
            high: the highest, same shape.
            cost: US dollars, same shape; None if no matter.
            cells: cells to hold against ``at_least``.
            population: see `first_shown`.
            i: first cell of each pair; both have all these items.
            j: second cell of each pair.
        """
        alpha = goal.share(self.close.shape[0])
        if cannot_show(len(low), goal.within, alpha, population):
            return
        if i.size and goal.at_least is None:
            nulls = [-goal.within - TINY, TINY, goal.within + TINY]
            found = first_shown(low[:, i] - high[:, j], nulls, alpha=alpha, population=population)
            self.close[i, j], self.better[i, j], self.far_better[i, j] = found
        if cost is not None and i.size:
            scale = COST_FACTOR * np.maximum(
                cost[:COST_ITEMS, i].max(axis=0, initial=0.0),
                cost[:COST_ITEMS, j].max(axis=0, initial=0.0),
            )
            scale[scale == 0] = 1.0
            self.no_dearer[i, j], self.cheaper[i, j] = first_shown(
                (cost[:, j] - cost[:, i]) / scale,
                [-TINY, TINY],
                alpha=alpha,
                population=population,
                first=COST_ITEMS,
            )
        if goal.at_least is not None and cells.size:
            level = goal.at_least
            self.reaches[cells] = first_shown(
                low[:, cells] - level, [-TINY], alpha=alpha, population=population
            )[0]
            self.misses[cells] = first_shown(
                level - high[:, cells], [TINY], alpha=alpha, population=population
            )[0]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a race stands.

    Attributes:
        choice: The cells chosen; None as long as that is not sure, and () if it is sure that no
            cell does.
        sure: Cells each of which would be a right choice; for a front those of ``choice``.
        possible: Cells that may still be chosen, shape ``(n_cells,)``.
        open: Cells of which more items would help, shape ``(n_cells,)``.
        leader: The cells that would be chosen by the values so far.
    """

    choice: tuple[int, ...] | None
    sure: BoolArray
    possible: BoolArray
    open: BoolArray
    leader: tuple[int, ...]


def standing(
    goal: Goal, shown: Shown, items: IntArray, accuracy: FloatArray, cost: FloatArray
) -> Standing:
    """Return how a race stands after ``items`` items of each cell.

    Args:
        goal: What is to be found.
        shown: What was shown.
        items: shape ``(n_cells,)``.
        accuracy: mean scores over these items, same shape.
        cost: mean costs over them, same shape; zeros if no matter.
    """
    common = np.minimum(items[:, np.newaxis], items)
    same = np.eye(items.size, dtype=np.bool_)
    close = (shown.close <= common) | same
    better = (shown.better <= common) & ~same
    no_dearer = (shown.no_dearer <= common) | same
    if goal.want == "most_accurate":
        return _most_accurate(close, better, accuracy)
    if goal.want == "front":
        cheaper = (shown.cheaper <= common) & ~same
        return _front(close, no_dearer, cheaper, accuracy, cost)
    if goal.at_least is not None:
        fits = shown.reaches <= items
        fails = shown.misses <= items
        return _cheapest(goal, fits, fails, ~fits[:, np.newaxis] & same, no_dearer, accuracy, cost)
    beaten = np.logical_or.reduce(better, axis=0)
    missing = ~(close | beaten)  # what i lacks to be known as close enough
    fails = np.logical_or.reduce((shown.far_better <= common) & ~same, axis=0)
    fits = ~np.logical_or.reduce(missing, axis=1)
    return _cheapest(goal, fits, fails, missing, no_dearer, accuracy, cost)


def _most_accurate(close: BoolArray, better: BoolArray, accuracy: FloatArray) -> Standing:
    alive: BoolArray = ~np.logical_or.reduce(better, axis=0)
    if not alive.any():  # of comparisons that contradict each other, at least one is wrong
        alive[:] = True
    missing = ~close & alive
    sure: BoolArray = alive & ~np.logical_or.reduce(missing, axis=1)
    if sure.any():
        leader = _highest(accuracy, sure)
        return Standing((leader,), sure, sure, np.zeros_like(sure), (leader,))
    leader = _highest(accuracy, alive)
    opened = missing[leader].copy()
    opened[leader] = True
    return Standing(None, sure, alive, opened, (leader,))


def _cheapest(
    goal: Goal,
    fits: BoolArray,
    fails: BoolArray,
    missing: BoolArray,
    no_dearer: BoolArray,
    accuracy: FloatArray,
    cost: FloatArray,
) -> Standing:
    """Return how the race for the cheapest stands.

    Args:
        goal: What is to be found.
        fits: Cells that are known to be accurate enough.
        fails: Cells that are known not to be.
        missing: Cells (axis 1) that a cell is yet to be held against to be accurate enough; itself
            for a fixed level.
        no_dearer: Whether i costs no more than j.
        accuracy: Mean scores.
        cost: Mean costs.
    """
    nobody = np.zeros_like(fits)
    if fails.all():
        return Standing((), nobody, nobody, nobody, ())
    sure = fits & (no_dearer | fails).all(axis=1)
    if sure.any():
        leader = _highest(-cost, sure)
        return Standing((leader,), sure, sure, nobody, (leader,))
    enough = accuracy[~fails].max() - goal.within if goal.at_least is None else goal.at_least
    seems = ~fails & (accuracy >= enough - TINY)
    leader = _highest(-cost, seems) if seems.any() else _highest(accuracy, ~fails)
    known = fits & ~fails
    # Of two that cost the same and are both good enough, the first one does.
    ties = no_dearer & no_dearer.T & known & (np.arange(fits.size) < np.arange(fits.size)[:, None])
    over = (no_dearer & ~ties & ~np.eye(fits.size, dtype=np.bool_))[known].any(axis=0)
    opened = nobody.copy()
    if not fits[leader]:
        opened |= missing[leader]
        opened[leader] = True
    rest = ~fails & ~no_dearer[leader]
    opened |= rest
    if rest.any():
        # A cell that seems dearer is to be shown dearer than the leader, another one less accurate.
        opened[leader] |= bool((rest & (cost >= cost[leader])).any())
        if goal.at_least is None and (rest & (cost < cost[leader])).any():
            opened[_highest(accuracy, np.ones_like(fits))] = True
    return Standing(None, sure, ~fails & ~over, opened, (leader,))


def _front(
    close: BoolArray,
    no_dearer: BoolArray,
    cheaper: BoolArray,
    accuracy: FloatArray,
    cost: FloatArray,
) -> Standing:
    covers = close & no_dearer & ~np.eye(len(close), dtype=np.bool_)
    chosen = np.zeros(len(close), dtype=np.bool_)
    for cell in np.lexsort((-accuracy, cost)).tolist():
        chosen[cell] = not covers[chosen, cell].any()
    # No j may be more accurate than a chosen i by more than the margin at no higher cost.
    doubts = ~(close | cheaper) & chosen[:, np.newaxis]
    opened: BoolArray = np.logical_or.reduce(doubts, axis=0) | np.logical_or.reduce(doubts, axis=1)
    leader = tuple(np.flatnonzero(chosen).tolist())
    if not doubts.any():
        return Standing(leader, chosen, chosen, np.zeros_like(chosen), leader)
    return Standing(None, np.zeros_like(chosen), chosen, opened, leader)


def _highest(values: FloatArray, among: BoolArray) -> int:
    return int(np.argmax(np.where(among, values, -np.inf)))


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
