"""What an experiment found, as data: the one source of the table, the files and the MLflow runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from ember_bench import stats

Outcome = Literal["correct", "wrong", "partial", "unparsed", "error", "skipped"]
OUTCOMES: tuple[Outcome, ...] = ("correct", "wrong", "partial", "unparsed", "error", "skipped")


class Estimate(msgspec.Struct, frozen=True):
    """A value with its interval; the bounds are None where none is defined."""

    value: float
    low: float | None
    high: float | None
    method: str

    @classmethod
    def of(cls, found: stats.Estimate) -> Estimate:
        """Return an estimate of `ember_bench.stats` as summaries have it."""
        interval = found.interval
        low, high = (interval.low, interval.high) if interval is not None else (None, None)
        return cls(found.value, low, high, found.method)


class Comparison(msgspec.Struct, frozen=True):
    """The paired difference of a cell to the baseline, on the items that both have.

    Attributes:
        baseline: Name of the cell it is compared with.
        items: How many items both have.
        difference: Accuracy of the cell minus that of the baseline, in [-1, 1].
        wins: Items that the cell scores higher on.
        losses: Items that the baseline scores higher on.
        p_value: Two-sided; exact McNemar where scores are 0 or 1, else sign-flip permutation.
        p_holm: The same after Holm's correction over all comparisons of the experiment but those of
            oracles, for which it is None.
        test: Which test gave `p_value`.
        shared_draws: Whether the two cells share calls, which makes the pairing tighter.
    """

    baseline: str
    items: int
    difference: Estimate
    wins: int
    losses: int
    p_value: float | None
    p_holm: float | None
    test: str
    shared_draws: bool


class CellSummary(msgspec.Struct, frozen=True):
    """What one cell came to.

    Attributes:
        name: Unique in the experiment: dataset, architecture and the parameters given.
        label: For people: as the grid says, else the name without the dataset.
        dataset: Name of the dataset.
        architecture: Name of the architecture.
        parameters: All of its parameters, defaults included.
        models: Ids of the models it asks.
        simulated: Whether any of its answers was made up by a simulated model.
        oracle: Whether it looks at the target, so that it is a bound and not a system.
        scheduled: Trials the grid asks for (items x epochs).
        items: Items with at least one trial done.
        outcomes: How many trials had each outcome; they add up to `scheduled`.
        accuracy: Mean score over the items, failures counted as the spec says.
        accuracy_worst: Mean score if every failed trial were wrong; None without failures.
        accuracy_best: Mean score if every failed trial were right; None without failures.
        cost_per_item: US dollars of a trial when all its calls are made, shared or not, over the
            trials that did not fail; None if a price is unknown.
        cost_per_correct: US dollars for each right answer, failed trials' included; None without
            a right answer.
        latency_seconds: Mean critical path over the calls of a trial that did not fail.
        latency_p50: Median of the same.
        latency_p95: 95th percentile of the same.
        calls: Calls used by its trials.
        calls_made: Those of them for which a request was made by this cell.
        calls_shared: Those that another cell or an earlier run had made.
        input_tokens: Tokens sent in `calls`.
        output_tokens: Tokens received in `calls`.
        spend_usd: What `calls_made` cost; None if the price of one of them is unknown.
        comparison: Against the baseline; None for the baseline itself.
        categories: Accuracy by item category, where items have one.
        replayed: Whether all of its answers are recordings, which cost nothing now.
        pass_at_k: By k, the share of items that at least one of k epochs gets right (unbiased,
            Chen et al. 2021); where there are several epochs and each is right or wrong.
        unpriced: Trials whose cost is unknown, as a price or the tokens of an answer are.
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
    items: int
    outcomes: dict[str, int]
    accuracy: Estimate | None
    accuracy_worst: float | None
    accuracy_best: float | None
    cost_per_item: Estimate | None
    cost_per_correct: Estimate | None
    latency_seconds: Estimate | None
    latency_p50: float | None
    latency_p95: float | None
    calls: int
    calls_made: int
    calls_shared: int
    input_tokens: int
    output_tokens: int
    spend_usd: float | None
    comparison: Comparison | None
    categories: dict[str, Estimate]
    replayed: bool = False
    pass_at_k: dict[int, Estimate] = {}
    unpriced: int = 0


class DatasetSummary(msgspec.Struct, frozen=True):
    """A dataset as it was used; `digest` changes with any item."""

    name: str
    source: str
    revision: str | None
    digest: str
    items: int
    evaluator: str
    evaluator_identity: str


class RunSummary(msgspec.Struct, frozen=True):
    """What the last run of the command did; the rest of the summary does not depend on it.

    Attributes:
        status: `complete` if every scheduled trial was done, else `partial`.
        started: ISO 8601, UTC.
        wall_seconds: The run's own time.
        trials_run: Trials done in this run.
        trials_kept: Trials kept from earlier runs.
        calls_made: Requests made.
        calls_shared: Calls answered by the response store or by a request already under way.
        spend_usd: New money paid; None if the cost of a request is unknown.
        changes: What was different from the last run, and so was run anew.
        known_usd: New money paid, as far as it is known.
        unpriced: Requests that were answered, and whose cost is unknown.
        unanswered: Requests without an answer, which may have been charged.
        unanswered_usd: The most that these can have cost; None if nothing limits it.
    """

    status: Literal["complete", "partial"]
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


class ExperimentSummary(msgspec.Struct, frozen=True):
    """What an experiment found.

    Attributes:
        digest: Over everything that determines the results; a resumed run has the same one.
        failures: How failed trials are scored: `wrong`, or `excluded`.
        level: Confidence level of all intervals.
        spend_usd: Money paid in all runs of it together; None if the cost of a request is unknown.
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

    @property
    def failed(self) -> int:
        """How many trials ended in an error."""
        return sum(cell.outcomes.get("error", 0) for cell in self.cells)
