"""From trial rows to what an experiment found; every number is computed from the stored rows."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from ember_bench import stats
from ember_bench.experiment.results.cell_data import (
    BoolArray,
    CellData,
    CellTotals,
    FloatArray,
    IntArray,
    StoredCells,
)
from ember_bench.experiment.results.description import CellDescription
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.summary import (
    OUTCOMES,
    CellSummary,
    Comparison,
    Estimate,
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
        read: Its cells, if somebody else reads them too.
    """

    def __init__(self, store: TrialRows, read: StoredCells | None = None) -> None:
        self.store = store
        self.read = StoredCells(store) if read is None else read
        self.asked = store.description
        self.level = self.asked.level
        # Nobody asks for a cell again but those who read them too.
        self._read_cell = self.read.read_once if read is None else self.read.cell
        self._baseline_scores: dict[str, FloatArray] = {}

    def summary(self, run: RunSummary) -> ExperimentSummary:
        """Return what the experiment found; `run` says what the last run did."""
        asked = self.asked
        cells = self.cells()
        return ExperimentSummary(
            name=asked.name,
            digest=asked.digest,
            version=asked.version,
            seed=asked.seed,
            epochs=asked.epochs,
            failures=asked.failures,
            level=self.level,
            baseline=asked.baseline,
            simulated=any(cell.simulated for cell in cells),
            datasets=asked.datasets,
            cells=cells,
            spend_usd=self.store.all_totals().spend_usd,
            run=run,
        )

    def cells(self) -> list[CellSummary]:
        """Return what each cell came to, compared with its baseline."""
        cells, baselines = self.asked.cells, self.asked.baselines.values()
        # Baselines first: the scores of the others need not be held then, nor their trials.
        order = sorted(range(len(cells)), key=lambda index: cells[index].name not in baselines)
        found = {index: self._cell(index) for index in order}
        return self._with_holm([found[index] for index in range(len(cells))])

    def _cell(self, index: int) -> CellSummary:
        cell, (data, totals) = self.asked.cells[index], self._read_cell(index)
        counted = None if self.asked.failures == "wrong" else ~data.failed
        scores = data.means(data.score, counted)
        if cell.name in self.asked.baselines.values():
            self._baseline_scores[cell.name] = scores
        return self._compared(index, self._summary(cell, data, totals, scores), scores)

    def _summary(
        self, cell: CellDescription, data: CellData, totals: CellTotals, scores: FloatArray
    ) -> CellSummary:
        """Return the summary of a cell, its comparison pending."""
        scheduled = self.asked.scheduled(cell)
        outcomes = np.bincount(data.outcome, minlength=len(OUTCOMES))
        outcomes[OUTCOMES.index("skipped")] = scheduled - len(data.outcome)
        failed = data.failed
        # A failed trial's calls, and their critical path, end somewhere in the middle.
        costs = _present(data.means(data.cost, _known(data.cost, ~failed)))
        latencies = _present(data.means(data.latency, _known(data.latency, ~failed)))
        accuracy = stats.mean_score(
            _present(scores), clusters=self._clusters(cell, ~np.isnan(scores)), level=self.level
        )
        return CellSummary(
            name=cell.name,
            label=cell.label,
            dataset=cell.dataset,
            architecture=cell.architecture,
            parameters=cell.parameters,
            models=cell.models,
            simulated=cell.simulated,
            oracle=cell.oracle,
            scheduled=scheduled,
            items=data.items_done,
            outcomes=dict(zip(OUTCOMES, outcomes.tolist(), strict=True)),
            accuracy=_estimate(accuracy),
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
            spend_usd=_spend(totals, replayed=cell.replayed),
            comparison=None,
            categories=self._categories(cell, scores),
            replayed=cell.replayed,
            pass_at_k=self._pass_at_k(data),
            unpriced=int(np.count_nonzero(np.isnan(data.cost))),
        )

    def _pass_at_k(self, data: CellData) -> dict[int, Estimate]:
        """Estimate it over the items of which all epochs are done."""
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
                found[k] = Estimate.of(estimate)
        return found

    def _cost_per_correct(self, data: CellData) -> Estimate | None:
        # What failed trials cost was spent on the way to the right answers.
        if np.isnan(data.cost).any():
            return None
        costs, scores = (_present(data.means(values)) for values in (data.cost, data.score))
        return _estimate(stats.cost_per_correct(costs, scores, level=self.level))

    def _categories(self, cell: CellDescription, scores: FloatArray) -> dict[str, Estimate]:
        names, numbers = self.read.items(cell.dataset).categories
        found = {}
        for number, name in enumerate(names):
            chosen = (numbers == number) & ~np.isnan(scores)
            clusters = self._clusters(cell, chosen)
            estimate = stats.mean_score(scores[chosen], clusters=clusters, level=self.level)
            if estimate is not None:
                found[name] = Estimate.of(estimate)
        return found

    def _clusters(self, cell: CellDescription, chosen: BoolArray) -> list[str] | None:
        items = self.read.items(cell.dataset)
        return items.clusters(np.flatnonzero(chosen)) if items.asked.clustered else None

    def _compared(self, index: int, summary: CellSummary, scores: FloatArray) -> CellSummary:
        """Return the summary with its comparison to the baseline, Holm's correction pending."""
        cell = self.asked.cells[index]
        baseline = self.asked.baselines.get(cell.dataset)
        if baseline is None or baseline == cell.name:
            return summary
        theirs = self._baseline_scores[baseline]
        both = ~np.isnan(scores) & ~np.isnan(theirs)
        found = stats.paired_difference(
            scores[both],
            theirs[both],
            clusters=self._clusters(cell, both),
            level=self.level,
            seed=self.asked.seed,
        )
        if found is None:
            return summary
        interval = found.interval
        comparison = Comparison(
            baseline=baseline,
            items=found.n,
            difference=Estimate(
                found.difference,
                interval.low if interval else None,
                interval.high if interval else None,
                "paired",
            ),
            wins=found.wins,
            losses=found.losses,
            p_value=found.p_value,
            p_holm=None,
            test=found.test,
            shared_draws=self._share_calls(
                index, self.asked.places[baseline], np.flatnonzero(both)
            ),
        )
        return msgspec.structs.replace(summary, comparison=comparison)

    def _share_calls(self, a: int, b: int, items: IntArray) -> bool:
        for item in items[:_ITEMS_LOOKED_AT].tolist():
            first, second = self.store.calls(a, item, 0), self.store.calls(b, item, 0)
            if first and second and {c.key for c in first} & {c.key for c in second}:
                return True
        return False

    @staticmethod
    def _with_holm(cells: list[CellSummary]) -> list[CellSummary]:
        """Correct the p-values over the family of all comparisons but those of oracles.

        An oracle is a bound that nobody can use, so it is no hypothesis about a system; counting it
        would only weaken what is said about the others.
        """
        family = [
            (i, cell.comparison, cell.comparison.p_value)
            for i, cell in enumerate(cells)
            if cell.comparison is not None
            and cell.comparison.p_value is not None
            and not cell.oracle
        ]
        adjusted: Iterable[float] = stats.holm([p for _, _, p in family]) if family else ()
        corrected = list(cells)
        for (i, comparison, _), p_holm in zip(family, adjusted, strict=True):
            changed = msgspec.structs.replace(comparison, p_holm=float(p_holm))
            corrected[i] = msgspec.structs.replace(cells[i], comparison=changed)
        return corrected


def _spend(totals: CellTotals, *, replayed: bool) -> float | None:
    """Return the US dollars paid; None if some request was made whose price is unknown."""
    return None if totals.unpriced and not replayed else totals.spend_usd


def _present(values: FloatArray) -> FloatArray:
    """Return the values of the items that have one; the same array if all have."""
    absent = np.isnan(values)
    return values[~absent] if absent.any() else values


def _known(values: FloatArray, asked: BoolArray) -> BoolArray:
    """Return `asked`, or nothing if any value asked for is unknown: a mean of the rest misleads."""
    known: BoolArray = asked & ~np.isnan(values[asked]).any()
    return known


def _estimate(estimate: stats.Estimate | None) -> Estimate | None:
    return None if estimate is None else Estimate.of(estimate)


def _value(estimate: stats.Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _mean(values: FloatArray) -> float | None:
    found = _present(values)
    return float(found.mean()) if found.size else None
