"""What a vote, a cascade or another choice among cells that were run would have given.

No call is made and no graph is run: a combination's answer is one of its members' answers, whose
score is stored. Tuned thresholds, weights and choices are cross-fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np

from ember_bench import stats
from ember_bench.decisions.pool import Pool
from ember_bench.errors import ConfigError
from ember_bench.experiment.results.cells import BoolArray, CellResults, FloatArray, IntArray
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.pairs import Pair

Kind = Literal["vote", "weighted", "oracle", "best", "router", "cascade"]
KINDS: Final[tuple[Kind, ...]] = ("vote", "weighted", "oracle", "best", "router", "cascade")

# Halves: with more folds a member that is unlucky in one is chosen by all others, which spreads the
# estimate far beyond its interval.
_FOLDS: Final = 2
_LEAST_ITEMS: Final = 20


@dataclass(frozen=True, slots=True)
class Combination:
    """A choice among cells.

    Attributes:
        kind: `vote`, `weighted` (a vote by log odds), `oracle`, `best` (the most accurate member),
            `router` (the most accurate of each category), or `cascade`.
        members: The cells; of a cascade those of its first stage.
        then: The second stage of a cascade, asked if too few of the first agree.
        agreement: Share of the first stage that must agree; None to tune it.
        within: How much accuracy a tuned threshold may give up for a lower cost; 0.01 is a point.
    """

    kind: Kind
    members: tuple[CellResults, ...]
    then: tuple[CellResults, ...] = ()
    agreement: float | None = None
    within: float = 0.0

    @property
    def everyone(self) -> tuple[CellResults, ...]:
        """All cells."""
        return (*self.members, *self.then)


class Missing(msgspec.Struct, frozen=True):
    """Trials that a combination takes and that were not run.

    Attributes:
        trials: Their number.
        usd: Their cost at the mean cost of the member's other trials; None if it is unknown.
    """

    trials: int
    usd: float | None


class WhatIf(msgspec.Struct, frozen=True):
    """What a combination would have given.

    Attributes:
        label: For people.
        kind: See `Combination`.
        members: Names of the cells, the second stage last.
        dataset: Their dataset.
        items: Items with a trial of every member that is needed.
        accuracy: Over these; cross-fitted if something is tuned. None without such items.
        cost_per_item: US dollars, all members' calls counted that are made; None if unknown.
        difference: Accuracy minus that of the most accurate member, chosen with cross-fitting.
        optimistic: Accuracy if it is tuned on the items that it is scored on; None if nothing is
            tuned.
        tuned: What one would use: a threshold, weights, or members; "" if nothing is tuned.
        predicted: Accuracy over all items, missing answers drawn from the model of joint errors;
            None if nothing is missing, or if the model does not apply.
        missing: What would have to be run.
        simulated: Whether any answer is from a simulated model.
        oracle: Whether it looks at the target.
        shared_draws: Whether members share calls, so that they are no independent members.
    """

    label: str
    kind: Kind
    members: list[str]
    dataset: str
    items: int
    accuracy: Quantity | None
    cost_per_item: Quantity | None
    difference: Quantity | None
    optimistic: float | None
    tuned: str
    predicted: Quantity | None
    missing: Missing
    simulated: bool
    oracle: bool
    shared_draws: bool


class WhatIfTable(msgspec.Struct, frozen=True):
    """Combinations side by side.

    Attributes:
        level: Confidence level of the intervals.
        rows: The combinations.
        left_out: Sentences on usual combinations that too few items are there for.
    """

    name: str
    level: float
    rows: list[WhatIf]
    left_out: list[str] = []


def evaluate(pool: Pool, combination: Combination, label: str) -> WhatIf:
    """Return what a combination would have given over the items that its members were asked.

    Raises:
        ConfigError: if a router has no categories to go by.
    """
    if combination.kind == "router" and not pool.items.categories[0]:
        raise ConfigError("a router takes items with categories, and these have none")
    columns = pool.columns(combination.everyone)
    scores: FloatArray = pool.scores[:, columns]
    costs: FloatArray = pool.costs[:, columns]
    answers: IntArray = pool.answers[:, columns]
    needed = _needed(combination, scores, answers)
    rows = np.flatnonzero(~(needed & np.isnan(scores)).any(axis=1))
    found = _Found.empty()
    if rows.size:
        table = _Table(scores[rows], costs[rows], answers[rows], rows, pool)
        found = _METHODS[combination.kind](combination, table)
    items = np.unique(pool.item[rows])
    return WhatIf(
        label=label,
        kind=combination.kind,
        members=[cell.name for cell in combination.everyone],
        dataset=pool.cells[0].asked.name,
        items=int(items.size),
        accuracy=_accuracy(pool, rows, found),
        cost_per_item=_cost(pool, rows, found.costs),
        difference=_difference(pool, rows, found),
        optimistic=found.optimistic,
        tuned=found.tuned,
        predicted=_predicted(pool, combination, scores, answers),
        missing=_missing(needed, scores, costs),
        simulated=any(cell.simulated for cell in combination.everyone),
        oracle=combination.kind == "oracle" or any(c.oracle for c in combination.everyone),
        shared_draws=share_draws(combination.everyone),
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """Rows with all that a combination takes; shape ``(n_rows, n_members)``, NaN for the rest."""

    scores: FloatArray
    costs: FloatArray
    answers: IntArray
    rows: IntArray
    pool: Pool

    @property
    def folds(self) -> IntArray:
        """Folds; all epochs of an item, and all items of a cluster, are in one."""
        items = self.pool.item[self.rows]
        labels = self.pool.clusters(items)
        units = labels if labels is not None else items
        return stats.folds_of(len(items), clusters=units, n_folds=_FOLDS, seed=self.pool.seed)

    @property
    def tunable(self) -> bool:
        """Whether there are items enough to tune anything."""
        return bool(np.unique(self.pool.item[self.rows]).size >= _LEAST_ITEMS)


@dataclass(frozen=True, slots=True)
class _Found:
    """Scores and costs row by row; of the member to compare with, `best`."""

    scores: FloatArray
    costs: FloatArray
    best: FloatArray
    optimistic: float | None = None
    tuned: str = ""

    @classmethod
    def empty(cls) -> _Found:
        nothing = np.empty(0)
        return cls(nothing, nothing, nothing)


def _needed(combination: Combination, scores: FloatArray, answers: IntArray) -> BoolArray:
    """Say which trials a combination takes: of a cascade's second stage only where it is asked."""
    needed = np.ones(scores.shape, dtype=np.bool_)
    first = len(combination.members)
    if combination.kind == "cascade" and combination.agreement is not None:
        votes = stats.combine_votes(answers[:, :first], np.nan_to_num(scores[:, :first]))
        known = ~np.isnan(scores[:, :first]).any(axis=1)
        accepted = known & (votes.agreement >= combination.agreement - 1e-9)
        needed[accepted, first:] = False
    return needed


def _best(table: _Table) -> FloatArray:
    """Return the scores of the most accurate member, chosen for each fold by the others.

    Of a cascade, a member that was not asked all of the items is none of these.
    """
    whole = ~np.isnan(table.scores).any(axis=0)
    scores, costs = table.scores[:, whole], table.costs[:, whole]
    if scores.shape[1] == 1 or not table.tunable:
        return scores[:, int(np.argmax(scores.mean(axis=0)))]
    return stats.choose_crossfitted(scores, costs, table.folds).scores


def _vote(_: Combination, table: _Table) -> _Found:
    credit = stats.combine_votes(table.answers, table.scores).credit
    return _Found(credit, table.costs.sum(axis=1), _best(table))


def _oracle(_: Combination, table: _Table) -> _Found:
    return _Found(table.scores.max(axis=1), table.costs.sum(axis=1), _best(table))


def _weighted(combination: Combination, table: _Table) -> _Found:
    _check_tunable(table)
    weights = stats.crossfitted_weights(table.scores, table.folds)
    credit = stats.combine_votes(table.answers, table.scores, weights).credit
    own = stats.member_weights(table.scores)
    optimistic = stats.combine_votes(table.answers, table.scores, own).credit.mean()
    labels = [cell.label for cell in combination.members]
    tuned = ", ".join(f"{label} {w:.2g}" for label, w in zip(labels, own, strict=True))
    return _Found(credit, table.costs.sum(axis=1), _best(table), float(optimistic), tuned)


def _chosen(combination: Combination, table: _Table, groups: list[str] | None) -> _Found:
    _check_tunable(table)
    found = stats.choose_crossfitted(
        table.scores, table.costs, table.folds, within=combination.within, groups=groups
    )
    labels = [cell.label for cell in combination.members]
    tuned = labels[found.final]
    if groups is not None:
        tuned = f"else {tuned}"
    return _Found(found.scores, found.costs, _best(table), found.optimistic, tuned)


def _best_member(combination: Combination, table: _Table) -> _Found:
    return _chosen(combination, table, None)


def _router(combination: Combination, table: _Table) -> _Found:
    return _chosen(combination, table, table.pool.categories(table.rows))


def _cascade(combination: Combination, table: _Table) -> _Found:
    first = len(combination.members)
    early = stats.combine_votes(table.answers[:, :first], table.scores[:, :first])
    second = np.nan_to_num(table.scores[:, first:])  # where it is not asked, it is not used
    late = stats.combine_votes(table.answers[:, first:], second).credit
    cheap, dear = table.costs[:, :first].sum(axis=1), table.costs[:, first:].sum(axis=1)

    def policy(agreement: float) -> tuple[FloatArray, FloatArray]:
        accepted = early.agreement >= agreement - 1e-9
        return np.where(accepted, early.credit, late), np.where(accepted, cheap, cheap + dear)

    if combination.agreement is not None:
        return _Found(*policy(combination.agreement), _best(table))
    _check_tunable(table)
    # One more than all never accepts: the second stage alone decides.
    thresholds = [*(k / first for k in range(1, first + 1)), 1 + 1 / first]
    tables = [policy(threshold) for threshold in thresholds]
    found = stats.choose_crossfitted(
        np.column_stack([scores for scores, _ in tables]),
        np.column_stack([costs for _, costs in tables]),
        table.folds,
        within=combination.within,
    )
    chosen = thresholds[found.final]
    tuned = f"agreement {chosen:.2g}" if chosen <= 1 else "always goes on"
    return _Found(found.scores, found.costs, _best(table), found.optimistic, tuned)


_METHODS: Final[dict[Kind, Callable[[Combination, _Table], _Found]]] = {
    "vote": _vote, "weighted": _weighted, "oracle": _oracle, "best": _best_member,
    "router": _router, "cascade": _cascade,
}  # fmt: skip


def _check_tunable(table: _Table) -> None:
    if not table.tunable:
        raise ConfigError(
            f"{table.pool.cells[0].asked.name}: tuning takes at least {_LEAST_ITEMS} items that all"
            " members were asked"
        )


def _means(pool: Pool, rows: IntArray, values: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the mean over epochs of each item, and the items."""
    items, place = np.unique(pool.item[rows], return_inverse=True)
    return np.bincount(place, weights=values) / np.bincount(place), items


def _accuracy(pool: Pool, rows: IntArray, found: _Found) -> Quantity | None:
    if not rows.size:
        return None
    means, items = _means(pool, rows, found.scores)
    mean = stats.mean_score(np.clip(means, 0, 1), clusters=pool.clusters(items), level=pool.level)
    if mean is None or mean.interval is None or found.optimistic is None:
        return None if mean is None else Quantity.of(mean)
    wide = stats.widened(mean.interval, mean.value, least=0.0)
    return Quantity.with_interval(mean.value, wide, f"{mean.method}, cross-fitted")


def _cost(pool: Pool, rows: IntArray, costs: FloatArray) -> Quantity | None:
    if not rows.size or np.isnan(costs).any():
        return None
    means, items = _means(pool, rows, costs)
    found = stats.mean_cost(means, clusters=pool.clusters(items), level=pool.level)
    return None if found is None else Quantity.of(found)


def _difference(pool: Pool, rows: IntArray, found: _Found) -> Quantity | None:
    if not rows.size:
        return None
    ours, items = _means(pool, rows, found.scores)
    theirs, _ = _means(pool, rows, found.best)
    difference = stats.paired_difference(
        np.clip(ours, 0, 1),
        np.clip(theirs, 0, 1),
        clusters=pool.clusters(items),
        level=pool.level,
        seed=pool.seed,
    )
    if difference is None:
        return None
    value, interval = difference.difference, difference.interval
    if interval is not None:  # the member that it is compared with is cross-fitted always
        interval = stats.widened(interval, value, least=-1.0)
    return Quantity.with_interval(value, interval, "paired, cross-fitted")


def _missing(needed: BoolArray, scores: FloatArray, costs: FloatArray) -> Missing:
    """Count the trials that were not run, and price them at what the member's others cost."""
    lacking = needed & np.isnan(scores)
    counts = lacking.sum(axis=0)
    usd = 0.0
    for column in np.flatnonzero(counts):
        known = costs[~np.isnan(scores[:, column]), column]
        if not known.size or np.isnan(known).any():
            return Missing(int(counts.sum()), None)
        usd += float(known.mean()) * int(counts[column])
    return Missing(int(counts.sum()), usd)


def _predicted(
    pool: Pool, combination: Combination, scores: FloatArray, answers: IntArray
) -> Quantity | None:
    """Predict a combination over all items that any member was asked; None if none is missing."""
    if combination.kind not in ("vote", "cascade") or not np.isnan(scores).any():
        return None
    if combination.kind == "cascade" and combination.agreement is None:
        return None
    first = len(combination.members)

    def policy(given: IntArray, points: FloatArray) -> FloatArray:
        early = stats.combine_votes(given[:, :first], points[:, :first])
        if combination.agreement is None:
            return early.credit
        late = stats.combine_votes(given[:, first:], points[:, first:]).credit
        return np.where(early.agreement >= combination.agreement - 1e-9, early.credit, late)

    rows = np.flatnonzero(~np.isnan(scores).all(axis=1))
    items = pool.item[rows]
    clusters = pool.clusters(items) or (items if pool.epochs > 1 else None)
    found = stats.predict_policy(
        answers[rows], scores[rows], policy, clusters=clusters, level=pool.level, seed=pool.seed
    )
    return None if found is None else Quantity.of(found)


def share_draws(cells: Sequence[CellResults]) -> bool:
    """Return whether two of the cells share calls."""
    return any(
        Pair(one, other).shared_draws
        for number, one in enumerate(cells)
        for other in cells[:number]
        if one.items is other.items
    )
