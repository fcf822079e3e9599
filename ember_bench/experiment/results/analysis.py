"""The computation of an experiment's summary from its stored trials."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from ember_bench import stats
from ember_bench.experiment.results.cells import (
    BoolArray,
    CellData,
    CellResults,
    CellTotals,
    FloatArray,
    StoredCells,
)
from ember_bench.experiment.results.comparison import Pair, adjusted_p_values
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.summary import (
    OUTCOMES,
    BaselineDifference,
    CellSummary,
    Quantity,
    ExperimentSummary,
    RunSummary,
)

# Whether two cells share calls is a matter of structure: a few items show it.
_ITEMS_LOOKED_AT = 5

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

    def summary(self, run: RunSummary) -> ExperimentSummary:
        """Return the summary of the experiment; `run` describes the last run."""
        return self.asked.summary(self.cells(), self.store.all_totals().spend_usd, run)

    def cells(self) -> list[CellSummary]:
        """Return the summary of each cell, compared with its baseline."""
        cells, baselines = self.asked.cells, self.asked.baselines.values()
        # Baselines first: the trials of the other cells need not be held then.
        order = sorted(range(len(cells)), key=lambda index: cells[index].name not in baselines)
        found = {index: self._cell(index) for index in order}
        self._baselines.clear()
        return _with_holm([found[index] for index in range(len(cells))])

    def _cell(self, index: int) -> CellSummary:
        cell, totals = self.read.cell(index)
        if cell.name in self.asked.baselines.values():
            self._baselines[cell.name] = cell
        return self._summary(index, cell, totals)

    def _summary(self, index: int, cell: CellResults, totals: CellTotals) -> CellSummary:
        """Return the summary of a cell, the correction of its p-value pending."""
        described, data = self.asked.cells[index], cell.data
        scheduled = self.asked.scheduled(described)
        outcomes = np.bincount(data.outcome, minlength=len(OUTCOMES))
        outcomes[OUTCOMES.index("skipped")] = scheduled - len(data.outcome)
        failed = data.failed
        # A failed trial's calls, and their critical path, end somewhere in the middle.
        costs = _present(data.means(data.cost, _known(data.cost, ~failed)))
        latencies = _present(data.means(data.latency, _known(data.latency, ~failed)))
        return described.summary(
            scheduled,
            items=data.items_done,
            outcomes=dict(zip(OUTCOMES, outcomes.tolist(), strict=True)),
            accuracy=self._accuracy(cell, ~np.isnan(cell.scores)),
            # `stats.failure_bounds` takes as much memory again as all the rest.
            accuracy_worst=_mean(data.means(data.score)) if failed.any() else None,
            accuracy_best=(
                _mean(data.means(np.where(failed, 1.0, data.score))) if failed.any() else None
            ),
            cost_per_item=_estimate(stats.mean_cost(costs, level=self.level)),
            cost_per_correct=self._cost_per_correct(data),
            latency_seconds=_estimate(stats.mean_cost(latencies, level=self.level)),
            latency_p50=_value(stats.quantile(latencies, 0.5)),
            latency_p95=_value(stats.quantile(latencies, 0.95)),
            calls=totals.calls_used,
            calls_made=totals.calls_made,
            calls_shared=totals.calls_used - totals.calls_made,
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            spend_usd=_spend(totals, replayed=described.replayed),
            comparison=self._comparison(index, cell),
            categories=self._categories(cell),
            pass_at_k=self._pass_at_k(data),
            unpriced=int(np.count_nonzero(np.isnan(data.cost))),
        )

    def _accuracy(self, cell: CellResults, chosen: BoolArray) -> Quantity | None:
        """Return the mean score of the items that are chosen."""
        clusters = cell.items.clusters(chosen)
        scores = cell.scores if chosen.all() else cell.scores[chosen]
        return _estimate(stats.mean_score(scores, clusters=clusters, level=self.level))

    def _pass_at_k(self, data: CellData) -> dict[int, Quantity]:
        """Quantity it over the items of which all epochs are done."""
        epochs = self.asked.epochs
        if epochs == 1 or not np.isin(data.score, (0.0, 1.0)).all():
            return {}
        samples = data.epochs
        correct = np.bincount(data.item, weights=data.score, minlength=data.n_items)
        whole = samples == epochs
        found = {}
        for k in sorted({k for k in _SHOWN_PASSES if k < epochs} | {epochs}):
            estimate = stats.mean_pass_at_k(samples[whole], correct[whole], k, level=self.level)
            if estimate is not None:
                found[k] = Quantity.of(estimate)
        return found

    def _cost_per_correct(self, data: CellData) -> Quantity | None:
        # The cost of failed trials is part of the price of the right answers.
        if np.isnan(data.cost).any():
            return None
        costs, scores = (_present(data.means(values)) for values in (data.cost, data.score))
        return _estimate(stats.cost_per_correct(costs, scores, level=self.level))

    def _categories(self, cell: CellResults) -> dict[str, Quantity]:
        names, numbers = cell.items.categories
        scored = ~np.isnan(cell.scores)
        found = (
            (name, self._accuracy(cell, (numbers == number) & scored))
            for number, name in enumerate(names)
        )
        return {name: accuracy for name, accuracy in found if accuracy is not None}

    def _comparison(self, index: int, cell: CellResults) -> BaselineDifference | None:
        """Return the difference to the baseline, Holm's correction pending."""
        baseline = self.asked.baselines.get(cell.asked.name)
        if baseline is None or baseline == cell.name:
            return None
        pair = Pair(cell, self._baselines[baseline])
        if (found := pair.found) is None:
            return None
        if self.read.keep:
            self.pairs[cell.name] = pair
        return BaselineDifference(
            baseline=baseline,
            items=found.n,
            difference=pair.difference,
            wins=found.wins,
            losses=found.losses,
            p_value=found.p_value,
            p_holm=None,
            test=found.test,
            shared_draws=self._share_calls(
                index, self.asked.places[baseline], pair.items[:_ITEMS_LOOKED_AT].tolist()
            ),
        )

    def _share_calls(self, a: int, b: int, items: Iterable[int]) -> bool:
        for item in items:
            first, second = self.store.calls(a, item, 0), self.store.calls(b, item, 0)
            if first and second and {c.key for c in first} & {c.key for c in second}:
                return True
        return False


def _with_holm(cells: Sequence[CellSummary]) -> list[CellSummary]:
    """Return the cells with the p-values of their comparisons corrected over all of them."""
    p_values = [c.comparison.p_value if c.comparison and not c.oracle else None for c in cells]
    return [
        cell
        if cell.comparison is None
        else msgspec.structs.replace(
            cell, comparison=msgspec.structs.replace(cell.comparison, p_holm=p_holm)
        )
        for cell, p_holm in zip(cells, adjusted_p_values(p_values), strict=True)
    ]


def _spend(totals: CellTotals, *, replayed: bool) -> float | None:
    """Return the US dollars paid; None if the price of a request is unknown."""
    return None if totals.unpriced and not replayed else totals.spend_usd


def _present(values: FloatArray) -> FloatArray:
    """Return the values of the items that have one; the same array if all have."""
    absent = np.isnan(values)
    return values[~absent] if absent.any() else values


def _known(values: FloatArray, asked: BoolArray) -> BoolArray:
    """Return `asked`, or no trial if a value of them is unknown: a mean of the rest misleads."""
    known: BoolArray = asked & ~np.isnan(values[asked]).any()
    return known


def _estimate(estimate: stats.Estimate | None) -> Quantity | None:
    return None if estimate is None else Quantity.of(estimate)


def _value(estimate: stats.Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _mean(values: FloatArray) -> float | None:
    found = _present(values)
    return float(found.mean()) if found.size else None
