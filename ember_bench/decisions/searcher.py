"""A run that searches: which trials it does next, within a budget, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from ember_bench import stats
from ember_bench.decisions.certifying import Searched, Undecided, certify, costs_for
from ember_bench.decisions.evidence import Evidence, stored_evidence
from ember_bench.decisions.search_space import cell_calls, cell_features
from ember_bench.experiment.forecast.search_plan import searched_items
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.certificate import Certificate, Search
from ember_bench.experiment.trial import Trial
from ember_bench.experiment.trial_store import TrialStore
from ember_bench.models.budget import Budget

SEARCH: Final = "search"
"""Name of the fact that holds what a search that was stopped goes on from."""


class _Journal(msgspec.Struct):
    """What the stages of a search depend on beside the rows.

    Attributes:
        identity: Changes with anything that the search depends on.
        paid_before: US dollars that the experiment had paid before it.
        known: Number of items that were stored before it, by cell; those without are left out.
        used: Share of the budget that was used after each stage.
        over: The limits with which it came to its end; None if it did not.
    """

    identity: str
    paid_before: float
    known: dict[str, int]
    used: list[float]
    over: tuple[float | None, int | None] | None = None


class Searcher:
    """Searches among the cells of an experiment, a stage of trials at a time.

    The first items are searched with; the last ones are held out, and only the cell that is found
    is asked these. Stages follow from the rows, the seed and the journal, so a search that was
    killed goes on with the stage that it was in.

    Args:
        experiment: The experiment; its grid says what is to be found.
        store: Its trial store, which has the trials of a stage before the next one is taken.
    """

    def __init__(self, experiment: Experiment, store: TrialStore) -> None:
        assert experiment.spec.search is not None  # noqa: S101 - only made for those that search
        self.spec = experiment.spec.search
        self.experiment = experiment
        self.store = store
        parts: dict[str, list[int]] = {}
        for place, cell in enumerate(experiment.cells):
            if not cell.architecture.card.oracle:
                parts.setdefault(cell.dataset, []).append(place)
        self.datasets = [*parts] if len(parts) > 1 else []
        self.cells, *beside = parts.values()
        self.evidence = Evidence(store, self.cells, beside)
        total = len(self.evidence)
        self.items = searched_items(total, self.spec.held_out)
        self.goal = stats.Goal(
            self.spec.want, self.spec.margin, self.spec.at_least, 1 - self.spec.confidence
        )
        cells = [experiment.cells[place] for place in self.cells]
        calls, self._weights = cell_calls(cells)
        self._features = cell_features(cells)
        self._halving = stats.Halving(
            self.goal,
            self.items,
            self._features,
            price=self._prices(np.zeros(len(cells), dtype=np.int64)),
            # Of trials, each counts.
            calls=calls if self.spec.trials is None else None,
            held_out=total - self.items,
            seed=experiment.spec.seed,
        )
        self._ends: Undecided = "stopped"
        self._measured_on = 0
        self._journal = self._opened()
        self._left_usd: float | None = None
        if self.spec.budget_usd is not None:
            self._left_usd = max(0.0, self.spec.budget_usd - self._spent)
            budget = experiment.budget or Budget()
            cap = self._left_usd if budget.run_usd is None else min(self._left_usd, budget.run_usd)
            # One budget for all runs of the search.
            self.experiment = replace(experiment, budget=replace(budget, run_usd=cap))

    @property
    def _spent(self) -> float:
        """What all runs of the search have paid, requests without an answer at their most."""
        totals = self.store.all_totals()
        return totals.known_usd + (totals.unanswered_usd or 0.0) - self._journal.paid_before

    def _opened(self) -> _Journal:
        """Return the journal of the search as far as it came, or of a new one."""
        spec = self.spec.model_dump_json(exclude={"budget_usd", "trials"})
        identity = f"{self.experiment.digest} {spec}"
        try:
            found = msgspec.json.decode(self.store.fact(SEARCH) or "null", type=_Journal | None)
        except msgspec.MsgspecError:
            found = None
        if found is not None and found.identity == identity:
            return found
        self.evidence.read(range(len(self.cells)))
        whole = np.minimum(self.evidence.whole, self.items).tolist()
        names = (self.experiment.cells[place].name for place in self.cells)
        known = {name: number for name, number in zip(names, whole, strict=True) if number}
        totals = self.store.all_totals()
        paid = totals.known_usd + (totals.unanswered_usd or 0.0)
        journal = _Journal(identity, paid, known, [])
        self._note(journal)
        return journal

    def _note(self, journal: _Journal) -> None:
        self.store.note(SEARCH, msgspec.json.encode(journal).decode())

    def stages(self) -> Iterator[Iterator[Trial]]:
        """Yield the trials of each stage, those that are stored already among them."""
        limits = self.spec.budget_usd, self.spec.trials
        known = self._known
        if known.any():
            self.evidence.read(np.flatnonzero(known).tolist())
            self._halving.take(*self._taken(known, 0.0))
        number = 0
        while True:
            cells, target = self._within_trials(*self._halving.wanted)
            asked = self._halving.race.asked.copy()
            asked[cells] = target
            replayed = number == len(self._journal.used) and self._journal.over == limits
            if cells.size and not replayed:
                self._keep_back(self._halving.reserved)
                yield self._stage(cells.tolist(), target)
            self.evidence.read(cells.tolist())
            if not cells.size or (self.evidence.whole < asked).any():
                break
            if number == len(self._journal.used):
                self._journal.used.append(self._used(asked))
                self._note(self._journal)
            self._halving.take(*self._taken(asked, self._journal.used[number]))
            number += 1
        if cells.size:
            if not (replayed or self._is_spent):
                return
            self._take_part(cells)
        yield from self._measured(replayed=replayed)
        if self._ends == "spent":
            self._journal.over = limits
            self._note(self._journal)

    def _measured(self, *, replayed: bool) -> Iterator[Iterator[Trial]]:
        """Yield the stage that measures what was found on the items that are held out."""
        if (winners := list(self._halving.winners)) and self._halving.race.now.choice != ():
            number = self._affordable_held_out(winners)
            if not replayed:
                self._keep_back(0.0)
                yield self._held_out(winners, number)
            self.evidence.read(winners)
            self._measured_on = min(self.evidence.held_out(one, self.items) for one in winners)
            if self._measured_on < number and not (replayed or self._is_spent):
                return
        self._ends = "spent"

    def _keep_back(self, share: float) -> None:
        """Let calls spend what is left of the search's budget, but a share of all of it."""
        budget = self.experiment.budget
        if budget is None or budget.run_usd is None or self._left_usd is None:
            return
        assert self.spec.budget_usd is not None  # noqa: S101 - else nothing would be left of it
        usable = self._left_usd - share * self.spec.budget_usd
        budget.keep(max(0.0, min(budget.run_usd, budget.run_usd - usable)))

    def _take_part(self, cells: npt.NDArray[np.int64]) -> None:
        """Take what came of a stage for which there was not enough money."""
        asked = self._halving.race.asked.copy()
        asked[cells] = np.maximum(asked[cells], self.evidence.whole[cells].min())
        if (asked > self._halving.race.asked).any():
            self._halving.take(*self._taken(asked, self._used(asked)))

    def _within_trials(
        self, cells: npt.NDArray[np.int64], target: int
    ) -> tuple[npt.NDArray[np.int64], int]:
        """Return as many of some cells as the number of trials that is left allows."""
        if self.spec.trials is None:
            return cells, target
        asked = self._halving.race.asked
        left = self.spec.trials / self.experiment.spec.epochs - int((asked - self._known).sum())
        return cells[np.cumsum(target - asked[cells]) <= left + 1e-9], target

    @property
    def _is_spent(self) -> bool:
        """Whether a call was rejected by the search's own budget, and not by a run's."""
        budget = self.experiment.budget
        if budget is None or not budget.exhausted or self._left_usd is None:
            return False
        return budget.keeps or budget.run_usd == self._left_usd

    @property
    def _known(self) -> npt.NDArray[np.int64]:
        """Number of items that each cell had before the search."""
        names = (self.experiment.cells[place].name for place in self.cells)
        return np.asarray([self._journal.known.get(name, 0) for name in names], dtype=np.int64)

    def _stage(self, columns: Sequence[int], target: int) -> Iterator[Trial]:
        """Yield trials item by item, all epochs of one after each other."""
        asked = self._halving.race.asked
        for item in range(target):
            for column in columns:
                if item >= asked[column]:
                    yield from self._epochs(column, item)

    def _epochs(self, column: int, row: int) -> Iterator[Trial]:
        cell, item = self.evidence.asked(row, column)
        for epoch in range(self.experiment.spec.epochs):
            yield Trial(cell, item, epoch)

    def _affordable_held_out(self, winners: Sequence[int]) -> int:
        """Return the number of held-out items that the rest of the budget pays for."""
        number = len(self.evidence) - self.items
        asked = self._halving.race.asked
        price = float(self._prices(asked)[winners].sum())
        if price > 0:
            # Known to be stored, they cost nothing; that is not looked at, as runs may differ.
            number = min(number, int(max(0.0, 1 - self._used(asked)) / price + 1e-9))
        return number

    def _held_out(self, winners: Sequence[int], number: int) -> Iterator[Trial]:
        for item in range(self.items, self.items + number):
            for winner in winners:
                yield from self._epochs(winner, item)

    def _taken(
        self, asked: npt.NDArray[np.int64], used: float
    ) -> tuple[
        npt.NDArray[np.int64],
        npt.NDArray[np.float64],
        npt.NDArray[np.float64],
        npt.NDArray[np.float64] | None,
        float,
        npt.NDArray[np.float64],
    ]:
        """Return what `Halving.take` is given; an item is held out beyond those searched with."""
        evidence, items = self.evidence, self.items
        costs = costs_for(self.goal, evidence)
        return (
            asked,
            evidence.low[:items],
            evidence.high[:items],
            None if costs is None else costs[:items],
            used,
            self._prices(asked),
        )

    def _prices(self, asked: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the share of the budget that an item of each cell takes; NaN if unknown."""
        epochs = self.experiment.spec.epochs
        found = np.full(
            len(self.cells), 0.0 if self.spec.trials is None else epochs / self.spec.trials
        )
        if self.spec.budget_usd is not None:
            taken = self.evidence.taken(asked) & ~np.isnan(self.evidence.cost)
            sums = np.where(taken, self.evidence.cost, 0.0).sum(axis=0)
            counts = taken.sum(axis=0)
            means = np.full(len(self.cells), np.nan)
            np.divide(sums, counts, out=means, where=counts > 0)
            # Of cells that were not asked, the calls that they may make are known, and the
            # tokens of those that were.
            known = (counts > 0) & (self._weights > 0)
            scale = np.ones(len(self.cells))
            if known.any():
                places = np.flatnonzero(known)
                ratios = np.log(np.maximum(means[known], 1e-12) / self._weights[known])
                scale = np.exp(stats.guess_linear(self._features, places, ratios).mean)
            means = np.where((counts == 0) & (self._weights > 0), scale * self._weights, means)
            found = np.maximum(found, means * epochs / self.spec.budget_usd)
        return found

    def _used(self, asked: npt.NDArray[np.int64]) -> float:
        """Return the share of the budget that is used."""
        used = 0.0
        if self.spec.trials is not None:
            trials = int((asked - self._known).sum()) * self.experiment.spec.epochs
            used = trials / self.spec.trials
        if self.spec.budget_usd is not None:
            used = max(used, self._spent / self.spec.budget_usd)
        return used

    def certificate(self) -> Certificate | None:
        """Return what it found, from the rows that are stored now; None if nothing was asked."""
        columns = np.flatnonzero(self._halving.race.asked).tolist()
        if not columns:
            return None
        names = [self.experiment.cells[self.cells[column]].name for column in columns]
        evidence = stored_evidence(self.store, names, self.datasets)
        asked = np.minimum(self._halving.race.asked[columns], evidence.whole)
        winners: tuple[int, ...] = ()
        if self._ends == "spent":
            winners = tuple(columns.index(winner) for winner in self._halving.winners)
        terms = Search(
            space=self.experiment.space,
            candidates=len(self.cells),
            worse=0,
            held_out=len(evidence) - self.items,
            datasets=self.datasets,
            trials_taken=self._trials_taken,
            spent_usd=self._spent,
            budget_usd=self.spec.budget_usd,
            trials=self.spec.trials,
        )
        goal = replace(self.goal, others=len(self.cells) - len(names))
        found = Searched(terms, self.items, winners, self._measured_on)
        return certify(evidence, goal, asked, "items", self._ends, found)

    @property
    def _trials_taken(self) -> int:
        asked = self._halving.race.asked
        items = int((asked - self._known).sum()) + self._measured_on * len(self._halving.winners)
        return items * self.experiment.spec.epochs
