"""The computation of an experiment's summary from its stored trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from ember_bench import stats
from ember_bench.experiment.results.cells import (
    BoolArray,
    CellResults,
    CellTotals,
    FloatArray,
    StoredCells,
)
from ember_bench.experiment.results.certificate import DECISIONS, certificates_in
from ember_bench.experiment.results.checks import Checks
from ember_bench.experiment.results.failures import commonest
from ember_bench.experiment.results.family import Adjusted, Family
from ember_bench.experiment.results.few_items import FewItems
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.pairs import Pair
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.standings import Ranks
from ember_bench.experiment.results.suites import SuiteAverages
from ember_bench.experiment.results.summary import (
    FAILED,
    OUTCOMES,
    BaselineDifference,
    CellSummary,
    EvaluationSummary,
    ExperimentSummary,
    RunSummary,
)

_Number = TypeVar("_Number", bound=np.generic)
_Labels = list[str] | npt.NDArray[np.int32]

# Beside the number of epochs itself.
_SHOWN_PASSES = (2, 5, 10, 100)


class Analysis:
    """Computes the summary of an experiment from its trial store.

    Args:
        store: The trial store.
        read: Its cells, if other code reads them too.

    Attributes:
        pairs: Cells with their baselines by the cell's name, if `read` keeps its cells; only those
            with items in common.
    """

    def __init__(self, store: TrialRows, read: StoredCells | None = None) -> None:
        self.store = store
        self.read = StoredCells(store, keep=False) if read is None else read
        self.asked = store.description
        self.level = self.asked.level
        self.pairs: dict[str, Pair] = {}
        self._baselines: dict[str, CellResults] = {}
        self._whole: dict[str, BoolArray] = {}
        self._family = Family(self.asked.correction, self.level, self.asked.seed)
        self._ranks = Ranks(self.level, self.asked.seed)
        self._compared: list[str] = []
        self._checks = Checks(store)
        self._few = FewItems(self.asked)

    def summary(self, run: RunSummary) -> ExperimentSummary:
        """Return the summary of the experiment; `run` describes the last run."""
        cells = self.cells()
        found = self.asked.summary(cells, self.store.all_totals().spend_usd, run)
        if self.asked.suites:
            rows = SuiteAverages(self.read, cells).all()
            found = msgspec.structs.replace(found, suites=rows)
        if certificates := certificates_in(self.store.fact(DECISIONS)):
            found = msgspec.structs.replace(found, decisions=certificates)
        if checks := self._checks.all():
            found = msgspec.structs.replace(found, checks=checks)
        if not found.failed:
            return found
        return msgspec.structs.replace(found, failure_reasons=commonest(self._errors(found.cells)))

    def _errors(self, cells: Sequence[CellSummary]) -> Iterator[str]:
        for place, cell in enumerate(cells):
            if any(cell.outcomes.get(name) for name in FAILED):
                yield from self.store.errors(place)

    def cells(self) -> list[CellSummary]:
        """Return the summary of each cell, compared with its baseline."""
        cells = self.asked.cells
        first = {*self.asked.baselines.values(), *self.asked.controls.values()}
        self._family = Family(self.asked.correction, self.level, self.asked.seed)
        self._ranks = Ranks(self.level, self.asked.seed)
        self._compared.clear()
        self._checks = Checks(self.store)  # trials may have been written since
        # Baselines and controls first: the trials of the other cells need not be held then.
        order = sorted(range(len(cells)), key=lambda index: cells[index].name not in first)
        found = {index: self._cell(index) for index in order}
        self._baselines.clear()
        adjusted = dict(zip(self._compared, self._family.adjusted(), strict=True))
        ranks = self._ranks.found()
        return [
            _corrected(msgspec.structs.replace(cell, rank=ranks.get(cell.name, UNSET)), adjusted)
            for cell in (found[index] for index in range(len(cells)))
        ]

    def _cell(self, index: int) -> CellSummary:
        cell, totals = self.read.cell(index)
        if cell.name in self.asked.baselines.values():
            self._baselines[cell.name] = cell
        return self._summary(index, cell, totals)

    def _summary(self, index: int, cell: CellResults, totals: CellTotals) -> CellSummary:
        """Return the summary of a cell, the correction of its p-value pending."""
        described, data = self.asked.cells[index], cell.data
        self._ranks.add(cell)
        scheduled = self.asked.scheduled(described)
        outcomes = np.bincount(data.outcome, minlength=len(OUTCOMES))
        outcomes[OUTCOMES.index("skipped")] = scheduled - len(data.outcome)
        failed, broken = data.failed, data.broken
        # A failed trial's calls, and their critical path, end somewhere in the middle.
        timed = _known(data.latency, ~broken)
        return described.summary(
            scheduled,
            items=data.items_done,
            outcomes={
                name: number
                for name, number in zip(OUTCOMES, outcomes.tolist(), strict=True)
                if number or name != "unjudged"  # which is there only with judges
            },
            accuracy=self._accuracy(cell, ~np.isnan(cell.scores)),
            # `stats.failure_bounds` takes as much memory again as all the rest.
            accuracy_worst=_mean(data.means(data.score)) if failed.any() else None,
            accuracy_best=(
                _mean(data.means(np.where(failed, 1.0, data.score))) if failed.any() else None
            ),
            cost_per_item=self._mean(cell, data.means(data.cost, _known(data.cost, ~broken))),
            cost_per_correct=self._cost_per_correct(cell),
            latency_seconds=self._mean(cell, data.means(data.latency, timed)),
            latency_p50=self._quantile(cell, timed, 0.5),
            latency_p95=self._quantile(cell, timed, 0.95),
            calls=totals.calls_used,
            calls_made=totals.calls_made,
            calls_shared=totals.calls_used - totals.calls_made,
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            spend_usd=_spend(totals, replayed=described.replayed),
            comparison=self._comparison(cell),
            categories=self._categories(cell),
            pass_at_k=self._pass_at_k(cell),
            measured=cell.measured,
            never_stated=self.store.never_stated(index),
            unpriced=int(np.count_nonzero(np.isnan(data.cost))),
            evaluation=self._evaluation(index, cell),
            asked_shares=self.store.asked_shares(index, len(described.models)) or UNSET,
            further=self._checks.further(index, cell),
            metrics=self._checks.metrics(index, cell),
            corrected=self._checks.corrected(index, cell),
            shrunken=self._few.shrunken(cell),
            controlled=self._few.controlled(cell, described),
        )

    def _accuracy(self, cell: CellResults, chosen: BoolArray) -> Quantity | None:
        """Return the mean score of the items that are chosen."""
        clusters = cell.items.clusters(chosen)
        scores = cell.scores if chosen.all() else cell.scores[chosen]
        return _estimate(stats.mean_score(scores, clusters=clusters, level=self.level))

    def _mean(self, cell: CellResults, values: FloatArray) -> Quantity | None:
        """Return the mean of an amount over the items that have a value."""
        known = ~np.isnan(values)
        clusters = cell.items.clusters(known)
        return _estimate(
            stats.mean_cost(_chosen(values, known), clusters=clusters, level=self.level)
        )

    def _evaluation(self, index: int, cell: CellResults) -> EvaluationSummary | UnsetType:
        """Return what judging a cell's outputs took, if a judge was asked."""
        judges = cell.asked.judges
        if judges is UNSET or (found := self.store.evaluations(index)) is None:
            return UNSET
        unpriced = bool((np.isnan(found.cost) & (found.made > 0)).any())
        used, made = int(found.calls.sum()), int(found.made.sum())
        return EvaluationSummary(
            models=judges,
            calls=used,
            calls_made=made,
            calls_shared=used - made,
            cost_per_item=self._judged_mean(cell, found.item, found.cost),
            latency_seconds=self._judged_mean(cell, found.item, found.latency),
            input_tokens=int(found.sent.sum()),
            output_tokens=int(found.received.sum()),
            spend_usd=None if unpriced else float(found.spend.sum()),
            verdicts=found.verdicts,
        )

    def _judged_mean(
        self, cell: CellResults, item: npt.NDArray[np.int64], values: FloatArray
    ) -> Quantity | None:
        """Return the mean over items of an amount of their evaluations; None if one is unknown.

        A trial that was scored without a judge took nothing.
        """
        if np.isnan(values).any():
            return None
        data = cell.data
        counts = np.bincount(data.item[~data.broken], minlength=data.n_items)
        sums = np.bincount(item, weights=values, minlength=data.n_items)
        means = np.full(data.n_items, np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return self._mean(cell, means)

    def _quantile(self, cell: CellResults, timed: BoolArray, q: float) -> Quantity | None:
        """Return a quantile of the latency of trials; trials of an item take similar time."""
        items, latencies = _chosen(cell.data.item, timed), _chosen(cell.data.latency, timed)
        clusters: _Labels | None = cell.items.clusters(items)
        if clusters is None and self.asked.epochs > 1:
            clusters = items
        return _estimate(stats.quantile(latencies, q, clusters=clusters, level=self.level))

    def _pass_at_k(self, cell: CellResults) -> dict[int, Quantity]:
        """Quantity it over the items of which all epochs are done."""
        epochs, data = self.asked.epochs, cell.data
        if epochs == 1 or not cell.measured or not np.isin(data.score, (0.0, 1.0)).all():
            return {}
        correct = np.bincount(data.item, weights=data.score, minlength=data.n_items)
        whole = self._whole_items(cell)
        clusters = cell.items.clusters(whole)
        found = {}
        for k in sorted({k for k in _SHOWN_PASSES if k < epochs} | {epochs}):
            estimate = stats.mean_pass_at_k(
                data.epochs[whole], correct[whole], k, clusters=clusters, level=self.level
            )
            if estimate is not None:
                found[k] = Quantity.of(estimate)
        return found

    def _whole_items(self, cell: CellResults) -> BoolArray:
        """Return which items have all their epochs.

        If failed trials are excluded, these are the items that no measured cell of the dataset
        failed on: cells would be compared on different items else.
        """
        judged = np.bincount(cell.data.item[~cell.data.unjudged], minlength=cell.data.n_items)
        whole: BoolArray = judged == self.asked.epochs
        if self.asked.failures == "wrong":
            return whole
        dataset = cell.asked.name
        if dataset not in self._whole:
            common = np.ones(len(cell.items), dtype=np.bool_)
            for place, described in enumerate(self.asked.cells):
                if described.dataset == dataset:
                    data = self.read.cell(place)[0].data
                    finished = np.bincount(data.item[~data.failed], minlength=data.n_items)
                    if finished.any():
                        common &= finished == self.asked.epochs
            self._whole[dataset] = common
        return self._whole[dataset]

    def _cost_per_correct(self, cell: CellResults) -> Quantity | None:
        # The cost of failed trials is part of the price of the right answers.
        data = cell.data
        if np.isnan(data.cost).any() or data.unjudged.any():
            return None
        costs, scores = data.means(data.cost), data.means(data.score)
        known = ~np.isnan(costs)
        return _estimate(
            stats.cost_per_correct(
                _chosen(costs, known),
                _chosen(scores, known),
                clusters=cell.items.clusters(known),
                level=self.level,
            )
        )

    def _categories(self, cell: CellResults) -> dict[str, Quantity]:
        names, numbers = cell.items.categories
        scored = ~np.isnan(cell.scores)
        found = (
            (name, self._accuracy(cell, (numbers == number) & scored))
            for number, name in enumerate(names)
        )
        return {name: accuracy for name, accuracy in found if accuracy is not None}

    def _comparison(self, cell: CellResults) -> BaselineDifference | None:
        """Return the difference to the baseline, the correction pending."""
        baseline = self.asked.baselines.get(cell.asked.name)
        if baseline is None or baseline == cell.name:
            return None
        pair = Pair(cell, self._baselines[baseline], self._family_size)
        if (found := pair.found) is None:
            return None
        self._family.add(pair)
        self._compared.append(cell.name)
        if self.read.keep:
            self.pairs[cell.name] = pair
        return BaselineDifference(
            baseline=baseline,
            items=found.n,
            difference=pair.difference,
            wins=found.wins,
            losses=found.losses,
            p_value=pair.p_value,
            p_adjusted=None,
            test=pair.test,
            shared_draws=pair.shared_draws,
            sign=pair.sign,
            same_calls=pair.same_calls,
        )

    @cached_property
    def _family_size(self) -> int:
        """Number of comparisons that are corrected together, at most."""
        baselines = self.asked.baselines
        compared = (
            cell
            for cell in self.asked.cells
            if not cell.oracle and baselines.get(cell.dataset, cell.name) != cell.name
        )
        return max(1, sum(1 for _ in compared))


def _corrected(cell: CellSummary, adjusted: Mapping[str, Adjusted]) -> CellSummary:
    """Return a cell with its comparison corrected over all of them."""
    if cell.comparison is None:
        return cell
    found = adjusted[cell.name]
    comparison = msgspec.structs.replace(
        cell.comparison,
        difference=found.difference,
        p_adjusted=found.p_value,
        sign=found.sign,
    )
    return msgspec.structs.replace(cell, comparison=comparison)


def _spend(totals: CellTotals, *, replayed: bool) -> float | None:
    """Return the US dollars paid; None if the price of a request is unknown."""
    return None if totals.unpriced and not replayed else totals.spend_usd


def _chosen(values: npt.NDArray[_Number], mask: BoolArray) -> npt.NDArray[_Number]:
    """Return the chosen values; the same array if all are, which spares a copy."""
    return values if mask.all() else values[mask]


def _known(values: FloatArray, asked: BoolArray) -> BoolArray:
    """Return `asked`, or no trial if a value of them is unknown: a mean of the rest misleads."""
    known: BoolArray = asked & ~np.isnan(values[asked]).any()
    return known


def _estimate(estimate: stats.Estimate | None) -> Quantity | None:
    return None if estimate is None else Quantity.of(estimate)


def _mean(values: FloatArray) -> float | None:
    found = _chosen(values, ~np.isnan(values))
    return float(found.mean()) if found.size else None
