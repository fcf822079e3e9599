"""What stands beside accuracies: further scores, figures over all items, and checks by labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from msgspec import UNSET, UnsetType

from ember_bench import stats
from ember_bench.experiment.results.cells import BoolArray, CellResults, FloatArray, IntArray
from ember_bench.experiment.results.description import CellDescription
from ember_bench.experiment.results.figures import (
    CorrectedAccuracy,
    EvaluatorCheck,
    FurtherSummary,
    PositionBias,
    Quantity,
)
from ember_bench.experiment.results.further import Further
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.summary import FAILED, OUTCOMES, DatasetSummary

_MOST_SCORES: Final = 10
"""Different scores that a table is made of."""
_OF_LABELS: Final = {
    "macro_f1": stats.macro_f1,
    "balanced_accuracy": stats.balanced_accuracy,
    "matthews_correlation": stats.matthews_correlation,
    "cohens_kappa": stats.cohens_kappa,
}
_OF_CONFIDENCES: Final[dict[str, Callable[..., stats.Estimate | None]]] = {
    "brier_score": stats.brier_score,
    "calibration_error": stats.expected_calibration_error,
    "auroc": stats.auroc,
}
_SIGN: Final = {"first": 1.0, "second": -1.0, "tie": 0.0}


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Outputs with a score of the evaluator and a label, those of all cells of a dataset.

    Attributes:
        score: shape (n_outputs,) as all that follow.
        label: In [0, 1].
        cluster: The item, or the cluster of items, that the output is of.
        cell: Index of the cell.
        characters: Length of the output.
    """

    score: FloatArray
    label: FloatArray
    cluster: Sequence[str]
    cell: IntArray
    characters: FloatArray

    @property
    def binary(self) -> bool:
        """Whether all scores and labels are 0 or 1."""
        return bool(np.isin(self.score, (0, 1)).all() and np.isin(self.label, (0, 1)).all())


class Checks:
    """Computes them from a trial store.

    Args:
        rows: The trial store.
    """

    def __init__(self, rows: TrialRows) -> None:
        self.rows = rows
        self.asked = rows.description
        self.level = self.asked.level
        self._pairs: dict[str, _Pairs | None] = {}

    def further(self, index: int, cell: CellResults) -> dict[str, FurtherSummary] | UnsetType:
        """Return the scores of further evaluators by name, if there are some."""
        if cell.asked.also is UNSET:
            return UNSET
        found = {}
        for name in cell.asked.also:
            given = self.rows.further(index, name)
            scores = self._further_means(cell, name, given)
            known = ~np.isnan(scores)
            clusters = cell.items.clusters(known)
            mean = stats.mean_score(scores[known], clusters=clusters, level=self.level)
            counts = np.bincount([] if given is None else given.outcome, minlength=len(OUTCOMES))
            outcomes = dict(zip(OUTCOMES, counts.astype(int).tolist(), strict=True))
            found[name] = FurtherSummary(
                int(known.sum()), _quantity(mean), {o: n for o, n in outcomes.items() if n}
            )
        return found

    def _further_means(self, cell: CellResults, name: str, given: Further | None) -> FloatArray:
        """Return the mean of each item's scores; NaN without one. Shape (n_items,).

        A trial without an output counts as the grid says; labels are of outputs alone.
        """
        n = len(cell.items)
        sums, counts = np.zeros(n), np.zeros(n)
        if given is not None:
            kept = ~np.isin(given.outcome, [OUTCOMES.index(outcome) for outcome in FAILED])
            sums += np.bincount(given.item[kept], weights=given.score[kept], minlength=n)
            counts += np.bincount(given.item[kept], minlength=n)
        if cell.failures == "wrong" and name != cell.asked.labels:
            counts += np.bincount(cell.data.item[cell.data.broken], minlength=n)
        means = np.full(n, np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means

    def metrics(self, index: int, cell: CellResults) -> dict[str, Quantity] | UnsetType:
        """Return the wanted figures over all items by name, if some are wanted."""
        if cell.asked.metrics is UNSET:
            return UNSET
        found: dict[str, stats.Estimate | None] = {}
        for name in cell.asked.metrics:
            if name in _OF_LABELS:
                items, targets, answers = self._answers(index, cell)
                clusters = self._clusters(cell, items)
                found[name] = _OF_LABELS[name](
                    targets, answers, clusters=clusters, level=self.level
                )
            else:
                found[name] = self._of_confidences(name, index, cell)
        return {name: Quantity.of(value) for name, value in found.items() if value is not None}

    def _answers(
        self, index: int, cell: CellResults
    ) -> tuple[IntArray, list[str], list[str | None]]:
        """Return item, target and answer of each trial that counts; a right answer is its target.

        None is an answer that could not be read, or that a failed trial did not give.
        """
        items: list[int] = []
        targets: list[str] = []
        answers: list[str | None] = []
        skipped = ("unjudged",) if cell.failures == "wrong" else FAILED
        for item, _, outcome, answer in self.rows.columns(index, ["outcome", "answer"]):
            if outcome not in skipped:
                target = cell.items[item].target
                items.append(item)
                targets.append(target)
                answers.append(target if outcome == "correct" else answer)
        return np.array(items, dtype=np.int64), targets, answers

    def _clusters(self, cell: CellResults, items: IntArray) -> list[str] | IntArray | None:
        """Return the clusters of trials by the places of their items; None if all are their own."""
        clusters = cell.items.clusters(items)
        if clusters is None and self.asked.epochs > 1:
            return items
        return clusters

    def _of_confidences(self, name: str, index: int, cell: CellResults) -> stats.Estimate | None:
        """Return a figure over the outputs that state a confidence, and are right or wrong."""
        if (given := self._stated(index, cell)) is None:
            return None
        stated, right, clusters = given
        figure = _OF_CONFIDENCES[name]
        if name == "brier_score":
            figure = partial(figure, clusters=clusters)
        found = figure(stated, right, level=self.level)
        if found is None or clusters is None or name == "brier_score":
            return found
        return stats.Estimate(found.value, None, None, found.n, "no interval of clusters")

    def _stated(
        self, index: int, cell: CellResults
    ) -> tuple[FloatArray, FloatArray, list[str] | IntArray | None] | None:
        """Return confidence, correctness and cluster of the outputs that state a confidence."""
        confidence = cell.asked.confidence
        if confidence is UNSET or (given := self.rows.further(index, confidence)) is None:
            return None
        kept = (given.outcome != OUTCOMES.index("unparsed")) & ~np.isnan(given.headline)
        right = given.headline[kept]
        if not kept.any() or not np.isin(right, (0, 1)).all():
            return None
        return given.score[kept], right, self._clusters(cell, given.item[kept])

    def calibration(self, index: int, cell: CellResults) -> list[stats.CalibrationBin]:
        """Return how often answers are right by the confidence that they state."""
        if (given := self._stated(index, cell)) is None:
            return []
        stated, right, clusters = given
        return stats.calibration_curve(stated, right, clusters=clusters, level=self.level)

    def judge_calibration(self, dataset: DatasetSummary) -> list[stats.CalibrationBin]:
        """Return the mean label of outputs by the score that a dataset's evaluator gave them."""
        source = dataset.labelled
        if source is None or (pairs := self.pairs(source)) is None:
            return []
        return stats.calibration_curve(
            pairs.score, pairs.label, clusters=pairs.cluster, level=self.level
        )

    def corrected(self, index: int, cell: CellResults) -> CorrectedAccuracy | UnsetType:
        """Return the accuracy corrected for errors of the evaluator, if there are labels."""
        source = cell.asked.labelled
        if source is None:
            return UNSET
        labels = cell.asked.labels
        own = None if labels is UNSET else self.rows.further(index, labels)
        pairs = self.pairs(source)
        return CorrectedAccuracy(
            labels=0 if own is None else int(np.count_nonzero(~np.isnan(own.headline))),
            prediction_powered=None if own is None else self._prediction_powered(cell, own),
            rogan_gladen=None if pairs is None else self._rogan_gladen(cell, pairs, source),
        )

    def _prediction_powered(self, cell: CellResults, own: Further) -> Quantity | None:
        """Return the correction by the cell's own labels, of independent items."""
        if cell.items.clusters(own.item) is not None or self._counts_errors(cell):
            return None
        kept = ~np.isnan(own.headline)
        n = len(cell.items)
        counts = np.bincount(own.item[kept], minlength=n)
        labelled = counts > 0
        said, true = (
            np.bincount(own.item[kept], weights=values[kept], minlength=n)[labelled]
            / counts[labelled]
            for values in (own.headline, own.score)
        )
        rest = cell.scores[~labelled & ~np.isnan(cell.scores)]
        return _quantity(stats.prediction_powered_mean(said, true, rest, level=self.level))

    def _rogan_gladen(self, cell: CellResults, pairs: _Pairs, source: str) -> Quantity | None:
        """Return the correction by the error rates of the evaluator on all labels."""
        data = cell.data
        judged: BoolArray = ~data.failed
        scores = data.score[judged]
        if self._counts_errors(cell) or not pairs.binary or not np.isin(scores, (0, 1)).all():
            return None
        clusters = list(_names(source, cell, data.item[judged].astype(np.int64)))
        found = stats.rogan_gladen(
            scores,
            pairs.score,
            pairs.label,
            clusters=clusters,
            labelled_clusters=pairs.cluster,
            level=self.level,
        )
        return _quantity(found)

    @staticmethod
    def _counts_errors(cell: CellResults) -> bool:
        """Whether some scores are no verdicts: those of failed trials, which count as wrong."""
        return cell.failures == "wrong" and bool(cell.data.broken.any())

    def pairs(self, dataset: str) -> _Pairs | None:
        """Return the labelled outputs of a dataset; None if there are none."""
        if dataset not in self._pairs:
            self._pairs[dataset] = self._read_pairs(dataset)
        return self._pairs[dataset]

    def _read_pairs(self, dataset: str) -> _Pairs | None:
        labels = self.asked.dataset(dataset).labels
        parts: list[tuple[FloatArray, ...]] = []
        clusters: list[str] = []
        for index, cell in self._cells(dataset):
            if labels is UNSET or (given := self.rows.further(index, labels)) is None:
                continue
            kept = ~np.isnan(given.headline)
            items = given.item[kept]
            own = self.asked.items[cell.dataset].clusters(items)
            clusters += own if own is not None else map(str, items.tolist())
            of = np.full(items.size, index)
            columns = (given.headline, given.score, given.characters)
            parts.append((*(column[kept] for column in columns), of))
        if not clusters:
            return None
        score, label, characters, cell_of = map(np.concatenate, zip(*parts, strict=True))
        return _Pairs(score, label, clusters, cell_of.astype(np.int64), characters)

    def _cells(self, dataset: str) -> Iterator[tuple[int, CellDescription]]:
        for index, cell in enumerate(self.asked.cells):
            if cell.dataset == dataset:
                yield index, cell

    def all(self) -> list[EvaluatorCheck]:
        """Return the check of each evaluator that asks models, or that there are labels for."""
        return [
            self._check(dataset)
            for dataset in self.asked.datasets
            if dataset.judges is not UNSET or dataset.labelled is not None
        ]

    def _check(self, dataset: DatasetSummary) -> EvaluatorCheck:
        models = dataset.headline_judges
        position = self._position(dataset)
        source = dataset.labelled
        pairs = None if source is None else self.pairs(source)
        if pairs is None:
            return EvaluatorCheck(dataset.name, dataset.evaluator, models, position=position)
        clusters, level = pairs.cluster, self.level
        error, same = pairs.score - pairs.label, pairs.score == pairs.label
        longer = pairs.characters > np.median(pairs.characters)
        calls = [bool(set(cell.models) & set(models)) for cell in self.asked.cells]
        own = np.array(calls)[pairs.cell]
        scores, confusion = _confusion(pairs)
        rates = None
        if pairs.binary:
            rates = stats.confusion(pairs.score, pairs.label, clusters=clusters, level=level)
        kappa = stats.cohens_kappa(
            pairs.label.tolist(), pairs.score.tolist(), clusters=clusters, level=level
        )
        self_preference, verbosity = (
            stats.difference_of_groups(error, group, clusters=clusters, level=level)
            for group in (own, longer)
        )
        return EvaluatorCheck(
            dataset.name,
            dataset.evaluator,
            models,
            calibration=source,
            outputs=error.size,
            scores=scores,
            confusion=confusion,
            agreement=_quantity(stats.mean_score(same, clusters=clusters, level=level)),
            kappa=_quantity(kappa),
            sensitivity=None if rates is None else _quantity(rates.sensitivity),
            specificity=None if rates is None else _quantity(rates.specificity),
            mean_error=self._signed_mean(error, clusters),
            self_preference=_quantity(self_preference),
            verbosity=_quantity(verbosity),
            position=position,
        )

    def _position(self, dataset: DatasetSummary) -> PositionBias | None:
        """Return the effect of the order of a pair; None if the judge compares no pairs."""
        if dataset.pairwise is UNSET:
            return None
        same: list[bool] = []
        first: list[float] = []
        items: list[str] = []
        for index, cell in self._cells(dataset.name):
            for item, said in self.rows.verdicts(index):
                verdicts = [dataset.pairwise.get(answer) for answer in said[:2]]
                if len(verdicts) < 2 or None in verdicts:
                    continue
                ahead, behind = (_SIGN[verdict] for verdict in verdicts if verdict is not None)
                same.append(ahead == -behind)
                first.append((ahead + behind) / 2)
                items += self.asked.items[cell.dataset].clusters(np.array([item])) or [str(item)]
        consistent = stats.mean_score(same, clusters=items, level=self.level) if same else None
        if consistent is None:
            return None
        bias = self._signed_mean(np.array(first), items)
        return PositionBias(len(same), Quantity.of(consistent), bias)

    def _signed_mean(self, values: FloatArray, clusters: Sequence[str]) -> Quantity:
        """Return the mean of values in [-1, 1]; no interval if all are equal."""
        found = stats.mean_score((values + 1) / 2, clusters=clusters, level=self.level)
        mean = float(values.mean())
        if found is None or found.interval is None or (values == values[0]).all():
            return Quantity(mean, None, None, "no spread")
        low, high = 2 * found.interval.low - 1, 2 * found.interval.high - 1
        return Quantity(mean, low, high, found.method)


def _names(source: str, cell: CellResults, items: IntArray) -> Iterator[str]:
    """Yield the clusters of items as those of labelled outputs of `source` have them."""
    own = cell.items.clusters(items)
    names = own if own is not None else map(str, items.tolist())
    # Items of another dataset are others, whatever their places.
    return iter(names) if cell.asked.name == source else (f"\1{name}" for name in names)


def _confusion(pairs: _Pairs) -> tuple[list[float], list[list[int]]]:
    """Return the scores that were given, and the number of outputs by label and score."""
    scores = np.unique(np.concatenate([pairs.score, pairs.label]))
    if scores.size > _MOST_SCORES:
        return [], []
    rows, columns = (np.searchsorted(scores, values) for values in (pairs.label, pairs.score))
    counts = np.bincount(rows * scores.size + columns, minlength=scores.size**2)
    return scores.tolist(), counts.reshape(scores.size, -1).tolist()


def _quantity(found: stats.Estimate | None) -> Quantity | None:
    return None if found is None else Quantity.of(found)
