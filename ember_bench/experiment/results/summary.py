"""The summary of an experiment as data, from which tables, files and MLflow runs are made."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from ember_bench.experiment.results.certificate import Certificate
from ember_bench.experiment.results.failures import FailureReason
from ember_bench.experiment.results.figures import (
    CorrectedAccuracy,
    EvaluatorCheck,
    FurtherSummary,
    Quantity,
)

Outcome = Literal["correct", "wrong", "partial", "unparsed", "error", "skipped", "unjudged"]
OUTCOMES: tuple[Outcome, ...] = (
    "correct", "wrong", "partial", "unparsed", "error", "skipped", "unjudged",
)  # fmt: skip
FAILED: tuple[Outcome, ...] = ("error", "unjudged")
"""Outcomes of trials without a score: the architecture failed, or a judge of the evaluator."""

Correction = Literal["maxt", "holm", "bh"]
CORRECTIONS: tuple[Correction, ...] = ("maxt", "holm", "bh")


class BaselineDifference(msgspec.Struct, frozen=True):
    """The paired difference of a cell to the baseline, on the items that both have.

    Attributes:
        baseline: Name of the cell it is compared with.
        items: Number of common items.
        difference: Accuracy of the cell minus that of the baseline, in [-1, 1]. If trials of either
            failed, the interval covers the difference whatever they would have scored. After max-T
            it holds together with those of all comparisons. No interval for `same_calls`.
        wins: Items that the cell scores higher on.
        losses: Items that the baseline scores higher on.
        p_value: Two-sided; exact McNemar where scores are 0 or 1, else sign-flip permutation. If
            trials failed, the larger one of the worst and the best case. None for `same_calls`.
        p_adjusted: The same, corrected over all comparisons of the experiment but those of oracles
            and of `same_calls`, for which it is None.
        test: Which test gave `p_value`.
        shared_draws: Whether the two cells share calls, which makes the pairing tighter.
        sign: 1 if the cell scores higher, -1 if lower; 0 if equal, or if failed trials could have
            turned it.
        same_calls: Whether the cell makes the baseline's own calls, and so scores the same.
    """

    baseline: str
    items: int
    difference: Quantity
    wins: int
    losses: int
    p_value: float | None
    p_adjusted: float | None
    test: str
    shared_draws: bool
    sign: int = 0
    same_calls: bool = False

    def is_clear(self, level: float) -> bool:
        """Return whether the difference is significant after correction, failed trials or not."""
        return bool(self.sign) and self.p_adjusted is not None and self.p_adjusted < 1 - level


class Rank(msgspec.Struct, frozen=True):
    """Between which ranks the accuracy of a cell lies among the cells of its dataset.

    Oracles, and cells whose trials all failed, are left out. The ranks of all cells hold together.

    Attributes:
        best: The lowest rank that it may have, 1 for the most accurate.
        worst: The highest one.
        may_be_best: Whether it may be the most accurate.
    """

    best: int
    worst: int
    may_be_best: bool


class EvaluationSummary(msgspec.Struct, frozen=True):
    """What judging a cell's outputs took; no part of its own cost, latency or calls.

    Attributes:
        models: Ids of the models that judge.
        calls: Calls of the judges, those whose answers could not be used included.
        calls_made: Those of them for which a request was made by this cell.
        calls_shared: Those that another cell with the same output, or an earlier run, had made.
        cost_per_item: US dollars of judging a trial when all calls are made; None if a price is
            unknown.
        latency_seconds: Mean critical path over the calls of a trial's judges.
        input_tokens: Tokens sent in `calls`.
        output_tokens: Tokens received in `calls`.
        spend_usd: Cost of `calls_made`; None if the price of one of them is unknown.
        verdicts: Number of the judges' answers by what they were.
    """

    models: list[str]
    calls: int
    calls_made: int
    calls_shared: int
    cost_per_item: Quantity | None
    latency_seconds: Quantity | None
    input_tokens: int
    output_tokens: int
    spend_usd: float | None
    verdicts: dict[str, int] = {}


class CellSummary(msgspec.Struct, frozen=True):
    """The summary of one cell.

    Attributes:
        name: Unique in the experiment: dataset, architecture and the parameters given.
        label: For people: as the grid says, else what tells it from the other cells.
        dataset: Name of the dataset.
        architecture: Name of the architecture.
        parameters: All of its parameters, defaults included.
        models: Ids of the models it calls.
        simulated: Whether any of its answers is from a simulated model.
        oracle: Whether it uses the target; it is then an upper limit and not a system.
        scheduled: Number of trials in the grid (items x epochs).
        items: Items with at least one trial done.
        outcomes: Number of trials with each outcome; they add up to `scheduled`.
        accuracy: Mean score over the items, failures counted as the spec says.
        accuracy_worst: Mean score if every failed trial were wrong; None without failures.
        accuracy_best: Mean score if every failed trial were right; None without failures.
        cost_per_item: US dollars of a trial when all its calls are made, shared or not, over the
            trials that did not fail; None if a price is unknown.
        cost_per_correct: US dollars for each right answer, failed trials' included; None without
            a right answer.
        latency_seconds: Mean critical path over the calls of a trial that did not fail.
        latency_p50: Median of the latency of trials, with its order-statistic interval.
        latency_p95: 95th percentile of the same; no interval if there are too few trials.
        calls: Calls of its trials, those whose answers could not be used included.
        calls_made: Those of them for which a request was made by this cell.
        calls_shared: Those that another cell or an earlier run had made.
        input_tokens: Tokens sent in `calls`.
        output_tokens: Tokens received in `calls`.
        spend_usd: Cost of `calls_made`; None if the price of one of them is unknown.
        comparison: Against the baseline; None for the baseline itself.
        categories: Accuracy by item category, where items have one.
        replayed: Whether all of its answers are recordings, which cost nothing now.
        pass_at_k: By k, the share of items that at least one of k epochs gets right (unbiased,
            Chen et al. 2021); only with several epochs and scores of 0 and 1. If failed trials are
            excluded, over the items that no cell of the dataset failed on.
        never_stated: Whether its answers were read out of responses and none was stated as its
            format wants, so that all were guessed at.
        measured: False if all of its trials failed; then it has no accuracy.
        unpriced: Trials whose cost is unknown, as a price or the tokens of an answer are.
        evaluation: What judging its outputs took, if a judge was asked.
        asked_shares: By model, the share of its trials that called it, in a cascade or a route for
            example; only if some trials leave a model out.
        further: The scores of further evaluators by name, if there are some.
        metrics: Figures over all items by name, if some are wanted; undefined ones are left out.
        corrected: The accuracy corrected for errors of the evaluator, if there are labels.
        rank: Its rank on its dataset, if that has several cells with five items in common.
        shrunken: If the grid asks for it, the accuracy by category drawn towards the mean of all
            categories; without what cannot be shrunken.
        controlled: If the grid has a control that was asked items which this cell was not: the
            accuracy by both; None if it cannot be said.
    """

    name: str
    label: str
    dataset: str
    architecture: str
    parameters: dict[str, Any]
    models: list[str]
    simulated: bool
    oracle: bool
    scheduled: int
    items: int = 0
    outcomes: dict[str, int] = {}
    accuracy: Quantity | None = None
    accuracy_worst: float | None = None
    accuracy_best: float | None = None
    cost_per_item: Quantity | None = None
    cost_per_correct: Quantity | None = None
    latency_seconds: Quantity | None = None
    latency_p50: Quantity | None = None
    latency_p95: Quantity | None = None
    calls: int = 0
    calls_made: int = 0
    calls_shared: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    spend_usd: float | None = None
    comparison: BaselineDifference | None = None
    categories: dict[str, Quantity] = {}
    replayed: bool = False
    pass_at_k: dict[int, Quantity] = {}
    measured: bool = True
    never_stated: bool = False
    unpriced: int = 0
    evaluation: EvaluationSummary | UnsetType = UNSET
    asked_shares: dict[str, float] | UnsetType = UNSET
    further: dict[str, FurtherSummary] | UnsetType = UNSET
    metrics: dict[str, Quantity] | UnsetType = UNSET
    corrected: CorrectedAccuracy | UnsetType = UNSET
    rank: Rank | UnsetType = UNSET
    shrunken: dict[str, Quantity] | UnsetType = UNSET
    controlled: Quantity | UnsetType | None = UNSET


class SuiteSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """The averages of one system over the datasets of a suite.

    Attributes:
        suite: Name of the suite.
        name: Name of the system's cells without the dataset.
        label: For people, as that of its first cell.
        cells: Names of its cells, in the order of the suite's datasets.
        oracle: Whether one of them is an upper limit and not a system.
        simulated: Whether any of its answers is from a simulated model.
        missing: Datasets that it has no score on; with any, there are no averages.
        strata: Number of the strata: datasets, or categories of their items.
        items: Items with a score.
        macro: Mean of the strata's mean scores, each stratum counted once.
        micro: Mean score over all items.
        macro_difference: Macro average minus the baseline's, paired on common items; None for the
            baseline.
        micro_difference: The same of the micro average.
        shrunken: If the grid asks for it, the accuracy by dataset drawn towards the mean of all
            datasets; empty if that cannot be said.
    """

    suite: str
    name: str
    label: str
    cells: list[str]
    oracle: bool = False
    simulated: bool = False
    missing: list[str] = []
    strata: int = 0
    items: int = 0
    macro: Quantity | None = None
    micro: Quantity | None = None
    macro_difference: Quantity | None = None
    micro_difference: Quantity | None = None
    shrunken: dict[str, Quantity] = {}


class DatasetSummary(msgspec.Struct, frozen=True):
    """A dataset as it was used; `digest` changes with any item.

    Attributes:
        judges: Ids of the models that its evaluators ask, if they ask any.
        own_judges: Those of them that the headline evaluator asks, if further ones ask some, too.
        also: Names of the further evaluators, if there are some.
        labels: The one of them that has the labels of people.
        calibration: The dataset on whose labels the evaluator is checked; by default itself.
        metrics: Names of the figures over all items that are wanted.
        confidence: The further evaluator that reads confidences.
        pairwise: The preference that each answer of a judge stands for, if it compares two outputs
            in both orders: `first`, `second` or `tie`.
    """

    name: str
    source: str
    revision: str | None
    digest: str
    items: int
    evaluator: str
    evaluator_identity: str
    judges: list[str] | UnsetType = UNSET
    own_judges: list[str] | UnsetType = UNSET
    also: list[str] | UnsetType = UNSET
    labels: str | UnsetType = UNSET
    calibration: str | UnsetType = UNSET
    metrics: list[str] | UnsetType = UNSET
    confidence: str | UnsetType = UNSET
    pairwise: dict[str, str] | UnsetType = UNSET

    @property
    def headline_judges(self) -> list[str]:
        """Ids of the models that the headline evaluator asks."""
        own = self.judges if self.own_judges is UNSET else self.own_judges
        return [] if own is UNSET else own

    @property
    def labelled(self) -> str | None:
        """The dataset that has the labels which its evaluator is checked against, if any has."""
        if self.calibration is not UNSET:
            return self.calibration
        return None if self.labels is UNSET else self.name


class RunSummary(msgspec.Struct, frozen=True):
    """The last run of the command; the rest of the summary does not depend on it.

    Attributes:
        status: `complete` if every scheduled trial was done; `decided` if the rest was left out, as
            the grid's decision is sure; else `partial`.
        started: ISO 8601, UTC.
        wall_seconds: The run's own time.
        trials_run: Trials done in this run.
        trials_kept: Trials kept from earlier runs.
        calls_made: Requests made.
        calls_shared: Calls answered by the response store or by a request already under way.
        spend_usd: New money paid; None if the cost of a request is unknown.
        changes: Differences from the last run, for which trials were run anew.
        known_usd: New money paid, as far as it is known.
        unpriced: Requests that were answered, and whose cost is unknown.
        unanswered: Requests without an answer, which may have been charged.
        unanswered_usd: The most that these can have cost; None if nothing limits it.
    """

    status: Literal["complete", "decided", "partial"]
    started: str
    wall_seconds: float
    trials_run: int
    trials_kept: int
    calls_made: int
    calls_shared: int
    spend_usd: float | None
    changes: list[str]
    known_usd: float = 0.0
    unpriced: int = 0
    unanswered: int = 0
    unanswered_usd: float | None = 0.0

    @classmethod
    def partial(cls, *, started: str = "", kept: int = 0) -> RunSummary:
        """Return the summary of a run that has done nothing yet."""
        return cls("partial", started, 0.0, 0, kept, 0, 0, 0.0, [])


class ExperimentSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """The summary of an experiment.

    Attributes:
        digest: Over everything that determines the results; a resumed run has the same one.
        failures: How failed trials are scored: `wrong`, or `excluded`.
        level: Confidence level of all intervals.
        correction: How the p-values of its comparisons were corrected.
        spend_usd: Money paid in all runs of it together; None if the cost of a request is unknown.
        price_dates: Days on which the prices behind its costs were read, in order.
        failure_reasons: The commonest faults that trials failed of, at most three.
        suites: Averages over the datasets of suites, for each suite and system.
        shard: The part of the experiment that it is of, as `3/8`; "" for all of it.
        decisions: The choice on each dataset, if the grid asks for one.
        checks: The evaluators that ask models or that there are labels for, by dataset.
    """

    name: str
    digest: str
    version: str
    seed: int
    epochs: int
    failures: str
    level: float
    baseline: str | None
    simulated: bool
    datasets: list[DatasetSummary]
    cells: list[CellSummary]
    spend_usd: float | None
    run: RunSummary
    price_dates: list[str] = []
    failure_reasons: list[FailureReason] = []
    suites: list[SuiteSummary] = []
    checks: list[EvaluatorCheck] = []
    correction: Correction = "maxt"
    shard: str = ""
    decisions: list[Certificate] = []

    @property
    def failed(self) -> int:
        """Number of trials that ended in an error, of their own or of a judge."""
        return sum(cell.outcomes.get(name, 0) for cell in self.cells for name in FAILED)

    @property
    def decided(self) -> bool:
        """Whether trials were left out as the grid's decision is sure."""
        left_out = any(cell.outcomes.get("skipped") for cell in self.cells)
        return left_out and bool(self.decisions) and all(found.over for found in self.decisions)

    def only(self, names: Collection[str]) -> ExperimentSummary:
        """Return the summary of these cells alone, and of the datasets that they are on."""
        cells = [cell for cell in self.cells if cell.name in names]
        used = {cell.dataset for cell in cells}
        return msgspec.structs.replace(
            self,
            cells=cells,
            datasets=[dataset for dataset in self.datasets if dataset.name in used],
            simulated=any(cell.simulated for cell in cells),
            suites=[row for row in self.suites if set(row.cells) <= set(names)],
            decisions=[found for found in self.decisions if set(found.cells) <= set(names)],
            checks=[check for check in self.checks if check.dataset in used],
        )
