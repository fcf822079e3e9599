"""Search among more cells than can be asked: successive halving on the same items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ember_bench.stats._arrays import check_count, matrix, vector
from ember_bench.stats.pareto import order_by_layers
from ember_bench.stats.races import TINY, Goal, Race
from ember_bench.stats.surrogate import guess_linear

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from ember_bench.stats._arrays import BoolArray, FloatArray, IntArray

FIRST: Final = 10
"""Items of the first rung."""
USUALLY_RESERVED: Final = 0.2
"""Share of the budget that is kept as long as no price is known."""
_FACTOR: Final = 3
"""By how much more items a cell is asked on each rung."""
_FEWEST: Final = 4
"""Cells that are asked before anything is known, and the least of a stage of new ones."""
_FEW: Final = 8
"""So many cells are not parted any more."""
_LEAST_LEFT: Final = 0.05
"""Share of the budget for which no new bracket is begun."""
_FINALISTS: Final = 2
CONTENDERS: Final = 20
"""So many of the best cells are compared with all others: of a thousand cells, all pairs take
minutes."""
_MOST_RESERVED: Final = 0.4
"""Largest share of the budget that is kept for the estimate on other items."""


class Halving:
    """Cells that climb rungs of ever more items, as many of the best as the budget pays.

    Each rung has three times the items of the one below, and an equal share of what is left of the
    budget (Karnin, Koren & Somekh 2013, "Almost optimal exploration in multi-armed bandits"). On
    the first rung cells are drawn: the first ones at random, the others by Thompson sampling from a
    linear guess of the score by the cells' features (Russo et al. 2018, "A tutorial on Thompson
    sampling", section 4). As long as money is left, another bracket begins with new cells (Li et
    al. 2018, "Hyperband"). All cells are asked the same items from the first on, so they are
    compared item by item, and by the bounds of `Race`, which hold for any rule of whom to ask next:
    a cell that is surely beaten never climbs, and the search is over once its choice is sure. For a
    front, cells climb layer by layer of those that none dominates, and those of a layer in an order
    that spreads them (Schmucker et al. 2021, "Multi-objective asynchronous successive halving").

    Give `take` the values of the items that `wanted` names, until it names no cell.

    Args:
        goal: what is to be found.
        items: number of items that cells may be asked.
        features: of the cells, shape ``(n_cells, n_features)``.
        price: share of the budget that an item of each cell may take, as far as that is known
            before, else NaN; shape ``(n_cells,)``.
        calls: of each cell the calls that it makes of an item: their indices, and their shares of
            its price. What one cell asked is free for others. By default cells share none.
        held_out: number of other items on which what is found is to be measured.
        first: number of items of the first rung.
        seed: of the random draws.

    Attributes:
        race: what is shown so far.
        used: share of the budget that is used.
    """

    def __init__(
        self,
        goal: Goal,
        items: int,
        features: npt.ArrayLike,
        *,
        price: npt.ArrayLike | None = None,
        calls: Sequence[Mapping[int, float]] | None = None,
        held_out: int = 0,
        first: int = FIRST,
        seed: int = 0,
    ) -> None:
        check_count(items, "items")
        check_count(first, "first")
        self._features = matrix(features, "features")
        self.race = Race(goal, len(self._features), items, contenders=CONTENDERS)
        self.used = 0.0
        self._held_out = held_out
        self._sizes = rungs(items, first)
        self._rng = np.random.default_rng(seed)
        self._order = self._rng.permutation(len(self._features))
        self._price = np.full(len(self._features), np.nan)
        if price is not None:
            self._price = vector(price, "price")
        self._calls = [{cell: 1.0} for cell in range(len(self._features))]
        if calls is not None:
            self._calls = [{**found} for found in calls]
        self._done: dict[int, int] = {}
        self._low = self._high = self._cost = np.empty((0, len(self._features)))
        self._rung = 0
        self._climbed = 0
        self._before = -1
        self._until = 0.0
        self._wanted: tuple[IntArray, int] | None = None
        self._open_rung()

    @property
    def wanted(self) -> tuple[IntArray, int]:
        """The cells that go next, and to how many items; no cells if the search is over."""
        if self._wanted is None:
            self._wanted = self._next()
        return self._wanted

    def take(
        self,
        asked: IntArray,
        low: FloatArray,
        high: FloatArray,
        cost: FloatArray | None,
        used: float,
        price: FloatArray,
    ) -> None:
        """Take the items that the cells have now.

        Args:
            asked: number of items of each cell, shape ``(n_cells,)``.
            low: the lowest score of each that failed trials allow, shape ``(n_items, n_cells)``.
                A row that a cell does not have is not looked at.
            high: the highest, same shape.
            cost: US dollars, same shape; None if no matter.
            used: share of the budget that is used so far.
            price: share of the budget that an item of each cell takes, NaN if unknown; shape
                ``(n_cells,)``.
        """
        for cell in np.flatnonzero(asked > self.race.asked).tolist():
            self._have_done(self._done, cell, int(asked[cell]))
        self.race.take(asked, low, high, cost)
        self._low, self._high = low, high
        self._cost = np.zeros_like(low) if cost is None else cost
        self.used, self._price = used, price
        self._wanted = None

    @property
    def reserved(self) -> float:
        """Share of the budget that is kept for measuring what is found on other items."""
        if not self._held_out:
            return 0.0
        prices = self._price[list(self.winners)]
        if not prices.size or np.isnan(prices).all():
            return USUALLY_RESERVED
        return min(_MOST_RESERVED, self._held_out * float(np.nansum(prices)))

    @property
    def winners(self) -> tuple[int, ...]:
        """What is found among the cells that were asked the most items: the best, or the front.

        Empty if none was asked any.
        """
        if self.race.now.choice:
            return self.race.now.choice
        last = self._last
        if not last.size:
            return ()
        n = int(self.race.asked[last[0]])
        if self.race.goal.want != "front":
            return (int(self._ranked(last, n, slack=0.0)[0]),)
        scores, costs = self._scores(last, n)
        found: list[int] = []
        most = -np.inf
        for place in np.lexsort((-scores, costs)).tolist():
            if scores[place] > most + self.race.goal.within + TINY:
                most = float(scores[place])
                found.append(int(last[place]))
        return tuple(sorted(found))

    @property
    def _last(self) -> IntArray:
        """Cells that may still be chosen and were asked the most items, if any were asked."""
        asked = self.race.asked
        most = asked[self._alive].max(initial=0)
        return np.flatnonzero(self._alive & (asked > 0) & (asked == most))

    @property
    def _alive(self) -> BoolArray:
        """Cells that may still be chosen."""
        possible = self.race.now.possible
        return possible if possible.any() else np.ones_like(possible)

    def _open_rung(self) -> None:
        """Give a rung its share of the budget.

        Rungs so high that their share would not pay for the finalists get none.
        """
        left = max(0.0, 1 - self.reserved - self.used)
        steps = np.diff([0, *self._sizes])[self._rung :]
        shares = left / np.arange(1, len(steps) + 1)
        # Finalists are taken to cost as much as what is best now.
        prices = self._price[list(self.winners)] if self.winners else self._price
        known = prices[~np.isnan(prices)]
        usual = float(known.mean()) if known.size else 0.0
        pays = shares >= _FINALISTS * steps * usual - TINY
        self._until = self.used + shares[max(np.flatnonzero(pays), default=0)]
        self._climbed = 0

    def _next(self) -> tuple[IntArray, int]:
        nobody = np.empty(0, dtype=np.int64), self._sizes[-1]
        while self.race.now.choice is None:
            chosen = self._affordable(self._line())
            if chosen.size:
                self._climbed += chosen.size
                return chosen, self._sizes[self._rung]
            self._rung += 1
            if self._rung == len(self._sizes):
                total = int(self.race.asked.sum())
                left = 1 - self.reserved - self.used
                if total == self._before or left < _LEAST_LEFT:
                    return nobody
                self._before, self._rung = total, 0
            self._open_rung()
        return nobody

    def _line(self) -> IntArray:
        """Return the cells that may go onto this rung, the most promising first."""
        asked = self.race.asked
        if self._rung == 0:
            return self._cheap_first(self._proposed(np.flatnonzero(asked == 0)))
        below, here = self._sizes[self._rung - 1], self._sizes[self._rung]
        ready = np.flatnonzero(self._alive & (asked >= below) & (asked < here))
        return self._ranked(ready, below)

    def _cheap_first(self, line: IntArray) -> IntArray:
        """Put off cells that would take more than an eighth of what the rung has left.

        Before anything is known of the real prices, put off the more expensive half.
        """
        prices = self._price[line]
        most = (self._until - self.used) / 8 / self._sizes[0]
        if not self.race.asked.any() and not np.isnan(prices).all():
            most = float(np.nanmedian(prices))
        dear = prices > most
        return np.concatenate([line[~dear], line[dear]])

    def _affordable(self, line: IntArray) -> IntArray:
        """Return the cells of a line that are asked next, and all those that cost nothing.

        On the first rung a quarter of what it has left is used at a time, as what is seen tells
        whom to ask next.
        """
        left = self._until - self.used
        # With one cell there is nothing to compare.
        least = _FEWEST if self._rung == 0 else max(1, _FINALISTS - self._climbed)
        prices, done = self._marginal(line), dict(self._done)
        if np.isnan(prices).all():
            return line[:_FEWEST]
        free = line[self._marginal(line, done) <= TINY]
        if left <= TINY or len(line) < (1 if self._rung == 0 else least):
            return free
        costs = np.cumsum(prices)
        room = 1 - self.reserved - self.used
        if not self.race.asked.any():
            # Prices are a guess as yet; with one cell there would be nothing to compare.
            return line[: min(_FEWEST, max(2, int((costs <= room + TINY).sum())))]
        fits = int((costs <= left).sum())
        number = int((costs <= left / (4 if self._rung == 0 else 1)).sum())
        number = max(number, min(least, len(line)))
        if fits <= _FEW:
            number = max(number, fits)
        if self._climbed >= least:
            room = left
        if self._rung == 0:
            number = min(number, int((costs <= room + TINY).sum()))
        elif costs[number - 1] > room + TINY:
            number = 0
        for cell in line[:number].tolist():
            self._have_done(done, cell, self._sizes[self._rung])
        rest = line[number:]
        free = rest[self._marginal(rest, done) <= TINY]
        return np.concatenate([line[:number], free])

    def _have_done(self, done: dict[int, int], cell: int, items: int) -> None:
        """Note that the calls of a cell were made of so many items."""
        for call in self._calls[cell]:
            done[call] = max(done.get(call, 0), items)

    def _marginal(self, line: IntArray, done: Mapping[int, int] | None = None) -> FloatArray:
        """Return what each cell of a line takes of the budget for this rung.

        What was asked before is free: with ``done`` that alone, else also what the cells before it
        in the line ask. NaN if no price is known.
        """
        known = self._price[~np.isnan(self._price)]
        usual = float(known.mean()) if known.size else np.nan
        to = self._sizes[self._rung]
        asked = dict(self._done) if done is None else dict(done)
        found = np.empty(line.size)
        for place, cell in enumerate(line.tolist()):
            price = usual if np.isnan(self._price[cell]) else self._price[cell]
            shares = self._calls[cell].items()
            found[place] = price * sum(
                share * max(0, to - asked.get(call, 0)) for call, share in shares
            )
            if done is None:
                self._have_done(asked, cell, to)
        return found

    def _scores(self, cells: IntArray, n: int) -> tuple[FloatArray, FloatArray]:
        """Return mean scores and costs of cells over the first n items."""
        scores = (self._low[:n, cells] + self._high[:n, cells]).mean(axis=0) / 2
        return scores, self._cost[:n, cells].mean(axis=0)

    def _level(self, best: float) -> float:
        goal = self.race.goal
        return best - goal.within if goal.at_least is None else goal.at_least

    def _ranked(self, cells: IntArray, n: int, slack: float = 1.0) -> IntArray:
        """Return cells by promise on the first n items.

        For `cheapest` those that may be accurate enough, within ``slack`` standard errors, by cost,
        and then the others by accuracy; for `front` layer by layer.
        """
        if not cells.size:
            return cells
        scores, costs = self._scores(cells, n)
        if self.race.goal.want == "most_accurate":
            return cells[np.lexsort((costs, -scores))]
        if self.race.goal.want == "front":
            return cells[order_by_layers(scores, costs)]
        error = slack * np.sqrt((scores * (1 - scores) + 0.5 / n) / n)
        fits = scores + error >= self._level(float(scores.max())) - TINY
        return cells[np.lexsort((-scores, np.where(fits, costs, np.inf), ~fits))]

    def _proposed(self, unasked: IntArray) -> IntArray:
        """Return cells that were not asked, in the order in which they are to be."""
        known = np.flatnonzero(self.race.asked)
        if known.size < _FEWEST or not unasked.size:
            return self._order[np.isin(self._order, unasked)]
        scores = guess_linear(self._features, known, self._adjusted(known))
        draws = scores.draws(min(unasked.size, 64), self._rng)[:, unasked]
        if self.race.goal.want != "most_accurate":
            draws = self._by_cost(draws, known, unasked)
        chosen: dict[int, None] = {}
        for draw in draws:
            for place in np.argsort(-draw)[: len(chosen) + 1].tolist():
                if place not in chosen:
                    chosen[place] = None
                    break
        rest = np.argsort(-draws.mean(axis=0))
        return unasked[list(dict.fromkeys([*chosen, *rest.tolist()]))]

    def _by_cost(self, draws: FloatArray, known: IntArray, unasked: IntArray) -> FloatArray:
        """Turn draws of scores into draws of promise.

        For `cheapest` the cheapest that is good enough is first; for `front`, cost has a random
        weight in each draw (Knowles 2006, "ParEGO").
        """
        n = int(self.race.asked[known].min())
        costs = np.log(np.maximum(self._scores(known, n)[1], 1e-12))
        guess = guess_linear(self._features, known, costs).mean[unasked]
        if self.race.goal.want == "front":
            weight = self._rng.random((len(draws), 1))
            spread = np.maximum(np.ptp(draws, axis=1, keepdims=True), 1e-12)
            rank = (guess - guess.min()) / max(float(np.ptp(guess)), 1e-12)
            found: FloatArray = (1 - weight) * draws / spread - weight * rank
            return found
        best = float(self._adjusted(known).max())
        cheap = 1 + (guess.max() - guess) / max(float(np.ptp(guess)), 1e-12)
        return np.where(draws >= self._level(best), cheap, draws - 2)

    def _adjusted(self, cells: IntArray) -> FloatArray:
        """Return scores of cells as if all of them had been asked the same items."""
        n = int(self.race.asked[cells].max())
        scores = (self._low[:n, cells] + self._high[:n, cells]) / 2
        rows = np.arange(n)[:, np.newaxis] < self.race.asked[cells]
        usual = np.where(rows, scores, 0.0).sum(axis=1) / rows.sum(axis=1)
        first = float(usual[: int(self.race.asked[cells].min())].mean())
        ahead = np.where(rows, scores - usual[:, np.newaxis], 0.0).sum(axis=0)
        found: FloatArray = first + ahead / self.race.asked[cells]
        return found


def rungs(items: int, first: int = FIRST) -> list[int]:
    """Return the numbers of items of the rungs of a search; the last one has all."""
    found = [min(first, items)]
    while found[-1] < items:
        size = found[-1] * _FACTOR
        # A last step of a few items is none.
        found.append(items if size * 1.5 >= items else size)
    return found
