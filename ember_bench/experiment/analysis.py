"""From trial rows to what an experiment found; every number is computed from the stored rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
import numpy.typing as npt

from ember_bench import stats
from ember_bench.experiment.asked import AskedItem
from ember_bench.experiment.description import CellDescription
from ember_bench.experiment.rows import TrialRows
from ember_bench.experiment.summary import (
    OUTCOMES,
    CellSummary,
    Comparison,
    Estimate,
    ExperimentSummary,
    RunSummary,
)

FloatArray = npt.NDArray[np.float64]

# Whether two cells share calls is a matter of structure: a few items show it.
_ITEMS_LOOKED_AT = 5

# Beside the number of epochs itself.
_SHOWN_PASSES = (2, 5, 10, 100)


@dataclass(frozen=True)
class CellData:
    """A cell's stored trials, one entry each, in the order of items and epochs.

    Attributes:
        item: Index of the item, shape (n_trials,).
        outcome: Of each trial.
        score: In [0, 1], 0 where the trial failed.
        cost: US dollars; NaN where a price is unknown.
        latency: Seconds; NaN where it is unknown.
        counts: Columns calls_used, calls_made, input_tokens, output_tokens.
        spend: US dollars.
    """

    item: npt.NDArray[np.int64]
    outcome: list[str]
    score: FloatArray
    cost: FloatArray
    latency: FloatArray
    counts: FloatArray
    spend: FloatArray

    @classmethod
    def read(cls, store: TrialRows, cell: int) -> CellData:
        """Read a cell's trials."""
        names = (
            "outcome", "score", "cost_usd", "latency_seconds",
            "calls_used", "calls_made", "input_tokens", "output_tokens", "spend_usd",
        )  # fmt: skip
        found = store.numbers(cell, names)
        item, _, outcome, score, cost, latency = found[:6]
        return cls(
            item=item.astype(np.int64),
            outcome=[OUTCOMES[code] for code in outcome.astype(np.int8).tolist()],
            score=score,
            cost=cost,
            latency=latency,
            counts=found[6:10],
            spend=found[10],
        )

    @cached_property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Which trials ended in an error."""
        return np.asarray([outcome == "error" for outcome in self.outcome], dtype=np.bool_)

    def item_means(
        self, values: FloatArray, keep: npt.NDArray[np.bool_] | None = None
    ) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """Return the items and the means of `values` over each one's epochs."""
        items = self.item if keep is None else self.item[keep]
        kept = values if keep is None else values[keep]
        if len(items) == len(np.unique(items)):
            return items, kept  # one epoch
        unique, where = np.unique(items, return_inverse=True)
        return unique, np.bincount(where, weights=kept) / np.bincount(where)


class Analysis:
    """Computes the summary of an experiment from its trial store."""

    def __init__(self, store: TrialRows) -> None:
        self.store = store
        self.asked = store.description
        self.level = self.asked.level
        self._scores: dict[str, tuple[npt.NDArray[np.int64], FloatArray]] = {}

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
        cells = [self._cell(i, cell) for i, cell in enumerate(self.asked.cells)]
        return self._with_holm([self._compared(i, cell) for i, cell in enumerate(cells)])

    def _cell(self, index: int, cell: CellDescription) -> CellSummary:
        data = CellData.read(self.store, index)
        scheduled = self.asked.scheduled(cell)
        outcomes = Counter(data.outcome)
        outcomes["skipped"] = scheduled - len(data.outcome)
        failed = data.failed
        counted = None if self.asked.failures == "wrong" else ~failed
        items, scores = self._scores[cell.name] = data.item_means(data.score, counted)
        # A failed trial's calls, and their critical path, end somewhere in the middle.
        _, costs = data.item_means(data.cost, _known(data.cost, ~failed))
        _, latencies = data.item_means(data.latency, _known(data.latency, ~failed))
        used, made, tokens_in, tokens_out = (int(n) for n in data.counts.sum(axis=1))
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
            items=len(np.unique(data.item)),
            outcomes={name: outcomes[name] for name in OUTCOMES},
            accuracy=_estimate(
                stats.mean_score(scores, clusters=self._clusters(cell, items), level=self.level)
            ),
            accuracy_worst=_mean(data.item_means(data.score)[1]) if failed.any() else None,
            accuracy_best=(
                _mean(data.item_means(np.where(failed, 1.0, data.score))[1])
                if failed.any()
                else None
            ),
            cost_per_item=_estimate(stats.mean_cost(costs, level=self.level)),
            cost_per_correct=self._cost_per_correct(data),
            latency_seconds=_estimate(stats.mean_cost(latencies, level=self.level)),
            latency_p50=_value(stats.quantile(latencies, 0.5)),
            latency_p95=_value(stats.quantile(latencies, 0.95)),
            calls=used,
            calls_made=made,
            calls_shared=used - made,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            spend_usd=_spend(data, replayed=cell.replayed),
            comparison=None,
            categories=self._categories(cell, items, scores),
            replayed=cell.replayed,
            pass_at_k=self._pass_at_k(data),
        )

    def _pass_at_k(self, data: CellData) -> dict[int, Estimate]:
        """Estimate it over the items of which all epochs are done."""
        epochs = self.asked.epochs
        if epochs == 1 or not np.isin(data.score, (0.0, 1.0)).all():
            return {}
        _, where = np.unique(data.item, return_inverse=True)
        samples, correct = np.bincount(where), np.bincount(where, weights=data.score)
        whole = samples == epochs
        found = {}
        for k in sorted({k for k in _SHOWN_PASSES if k < epochs} | {epochs}):
            estimate = stats.mean_pass_at_k(samples[whole], correct[whole], k, level=self.level)
            if estimate is not None:
                found[k] = Estimate.of(estimate)
        return found

    def _cost_per_correct(self, data: CellData) -> Estimate | None:
        # What failed trials cost was spent on the way to the right answers.
        _, costs = data.item_means(data.cost)
        _, scores = data.item_means(data.score)
        if np.isnan(costs).any():
            return None
        return _estimate(stats.cost_per_correct(costs, scores, level=self.level))

    def _categories(
        self, cell: CellDescription, items: npt.NDArray[np.int64], scores: FloatArray
    ) -> dict[str, Estimate]:
        asked = self.asked.items[cell.dataset]
        labels = [asked.categories[i] for i in items.tolist()]
        found = {}
        for category in sorted({label for label in labels if label is not None}):
            chosen = np.asarray([label == category for label in labels])
            clusters = self._clusters(cell, items[chosen])
            estimate = stats.mean_score(scores[chosen], clusters=clusters, level=self.level)
            if estimate is not None:
                found[category] = Estimate.of(estimate)
        return found

    def _clusters(self, cell: CellDescription, items: npt.NDArray[np.int64]) -> list[str] | None:
        asked = self.asked.items[cell.dataset]
        return clusters_of([asked[i] for i in items.tolist()]) if asked.clustered else None

    def _compared(self, index: int, summary: CellSummary) -> CellSummary:
        """Return the summary with its comparison to the baseline, Holm's correction pending."""
        cell = self.asked.cells[index]
        baseline = self.asked.baselines.get(cell.dataset)
        if baseline is None or baseline == cell.name:
            return summary
        items, scores = self._scores[cell.name]
        base_items, base_scores = self._scores[baseline]
        both, ours, theirs = np.intersect1d(items, base_items, return_indices=True)
        found = stats.paired_difference(
            scores[ours],
            base_scores[theirs],
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
            shared_draws=self._share_calls(index, self.asked.places[baseline], both),
        )
        return msgspec.structs.replace(summary, comparison=comparison)

    def _share_calls(self, a: int, b: int, items: npt.NDArray[np.int64]) -> bool:
        for item in items[:_ITEMS_LOOKED_AT]:
            first, second = self.store.calls(a, int(item), 0), self.store.calls(b, int(item), 0)
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


def clusters_of(items: Sequence[AskedItem]) -> list[str] | None:
    """Return each item's cluster, an item without one being its own; None if none has one."""
    if all(item.cluster is None for item in items):
        return None
    return [item.cluster if item.cluster is not None else f"\0{item.id}" for item in items]


def _spend(data: CellData, *, replayed: bool) -> float | None:
    """Return the US dollars paid; None if some request was made whose price is unknown."""
    made = data.counts[1] > 0
    if not replayed and np.isnan(data.cost[made]).any():
        return None
    return float(data.spend.sum())


def _known(values: FloatArray, asked: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return `asked`, or nothing if any value asked for is unknown: a mean of the rest misleads."""
    return asked & ~np.isnan(values[asked]).any()


def _estimate(estimate: stats.Estimate | None) -> Estimate | None:
    return None if estimate is None else Estimate.of(estimate)


def _value(estimate: stats.Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if len(values) else None
