"""Cells compared on the items that both have, within one experiment or across several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import msgspec
import numpy as np

from ember_bench import stats
from ember_bench.errors import ConfigError
from ember_bench.experiment.results.cell_data import BoolArray, FloatArray, IntArray
from ember_bench.experiment.results.cell_results import CellResults
from ember_bench.experiment.results.summary import Estimate

Correction = Literal["holm", "bh"]
CORRECTIONS: tuple[Correction, ...] = ("holm", "bh")


class Side(msgspec.Struct, frozen=True):
    """One of the two cells of a comparison.

    Attributes:
        source: The experiment or run that it is of.
        accuracy: Mean score over the items that both have, in [0, 1].
        items: Items with at least one trial that counts.
        scheduled: Items that its grid asks; None where that is not known.
        failed: Trials that ended in an error.
    """

    source: str
    cell: str
    label: str
    dataset: str
    simulated: bool
    oracle: bool
    accuracy: float
    items: int
    scheduled: int | None
    failed: int


class Flip(msgspec.Struct, frozen=True):
    """An item that one cell scores higher on than the other.

    Attributes:
        score: Of the cell, mean over its epochs.
        baseline_score: Of the baseline.
        answers: Of the cell, by epoch; None where none could be read.
        baseline_answers: Of the baseline.
    """

    item: str
    question: str | None
    target: str | None
    score: float
    baseline_score: float
    answers: list[str | None]
    baseline_answers: list[str | None]


class PairedComparison(msgspec.Struct, frozen=True):
    """A cell against a baseline.

    Attributes:
        items: Items that both have; everything else here is over these.
        clusters: How many clusters they come in; None if each stands for itself.
        difference: Accuracy of the cell minus that of the baseline, in [-1, 1].
        effect_items: The same in items: how many more the cell gets.
        wins: Items that the cell scores higher on.
        losses: Items that the baseline scores higher on.
        mcnemar_p: Exact, two-sided; None where a score is not 0 or 1, or items have clusters.
        sign_flip_p: Of the sign-flip permutation test, two-sided; whole clusters flip.
        p_value: The one of the two that `test` names.
        p_adjusted: The same, corrected over all comparisons made together; None for an oracle,
            which is a bound and not a system, and is not counted.
        cost_ratio: How many times the baseline the cell costs; None if a price is unknown.
        best_probability: Of the cell to be the most accurate of those that are compared with one
            baseline, this among them; on the items that all of them have; None if there is none,
            and for an oracle.
        differing: What makes the two not comparable, if they were compared all the same.
        flips: Items that they score differently on: those won, then those lost; empty where only
            their numbers were asked for.
    """

    cell: Side
    baseline: Side
    items: int
    clusters: int | None
    difference: Estimate
    effect_items: float
    wins: int
    losses: int
    mcnemar_p: float | None
    sign_flip_p: float
    p_value: float
    p_adjusted: float | None
    test: str
    cost_ratio: Estimate | None
    best_probability: float | None
    differing: list[str]
    flips: list[Flip]


class ComparisonTable(msgspec.Struct, frozen=True):
    """Comparisons made together.

    Attributes:
        correction: `holm`, or `bh` for Benjamini-Hochberg.
        level: Confidence level of the intervals.
        baseline_best: Of each baseline to be the best among what is compared with it, in the
            order in which baselines first come.
        left_out: Pairs of cells without an item that both have.
    """

    correction: Correction
    level: float
    pairs: list[PairedComparison]
    baseline_best: list[float | None]
    left_out: list[str]


@dataclass(frozen=True)
class Pair:
    """What is to be compared."""

    cell: CellResults
    baseline: CellResults

    @cached_property
    def items(self) -> IntArray:
        """The places, among the cell's items, of those that both have a score of."""
        return np.flatnonzero(~np.isnan(self.cell.scores) & ~np.isnan(self.baseline_scores))

    @cached_property
    def baseline_scores(self) -> FloatArray:
        """Those of the baseline for the cell's items; NaN where it has none."""
        return self.of_baseline(self.baseline.scores)

    def of_baseline(self, values: FloatArray) -> FloatArray:
        """Return what the baseline's items have, shape (n_items,), for the cell's."""
        return _taken(values, self.cell.items.match(self.baseline.items).places)


def _taken(values: FloatArray, places: IntArray) -> FloatArray:
    """Return the values at places; NaN for -1."""
    return np.append(values, np.nan)[places]


def compare(
    pairs: Sequence[Pair],
    *,
    correction: Correction = "holm",
    anyway: bool = False,
    flips: bool = True,
) -> ComparisonTable:
    """Compare each pair on the items that both have: same id and, where it is known, content.

    Args:
        pairs: At least one; p-values are corrected over all of them.
        correction: How.
        anyway: Compare also what is not comparable, and say what differs.
        flips: List the items that cells score differently on, which takes reading the answers.

    Raises:
        ConfigError: if a pair is not comparable, or no pair has an item in common.
    """
    empty = [pair for pair in pairs if not pair.items.size]
    pairs = [pair for pair in pairs if pair.items.size]
    if not pairs:
        raise ConfigError(*_explained(empty, "have no item in common"))
    if not anyway and (bad := [pair for pair in pairs if any(differences(pair))]):
        raise ConfigError(
            *_explained(bad, "are not comparable", "--anyway compares what coincides")
        )
    found = [_compared(pair, flips=flips) for pair in pairs]
    systems = [number for number, pair in enumerate(pairs) if not pair.cell.oracle]
    adjust = stats.holm if correction == "holm" else stats.benjamini_hochberg
    adjusted = adjust([found[number].p_value for number in systems])
    for number, p_adjusted in zip(systems, adjusted, strict=True):
        found[number] = msgspec.structs.replace(found[number], p_adjusted=float(p_adjusted))
    best, baseline_best = _best(pairs)
    return ComparisonTable(
        correction=correction,
        level=pairs[0].baseline.level,
        pairs=[
            msgspec.structs.replace(pair, best_probability=share)
            for pair, share in zip(found, best, strict=True)
        ],
        baseline_best=baseline_best,
        left_out=[f"{_name(pair.cell)} and {_name(pair.baseline)}" for pair in empty],
    )


def differences(pair: Pair) -> Iterator[str]:
    """Say in sentences what makes two cells not comparable."""
    a, b = pair.cell, pair.baseline
    if a.asked.evaluator_identity != b.asked.evaluator_identity:
        if a.asked.evaluator == b.asked.evaluator:
            yield f"the evaluator {a.asked.evaluator} is of another version"
        else:
            yield f"they were scored by {a.asked.evaluator} and by {b.asked.evaluator}"
    if a.asked.revision != b.asked.revision:
        revisions = " and ".join(str(r and r[:12]) for r in (a.asked.revision, b.asked.revision))
        yield f"the dataset's revisions differ: {revisions}"
    yield from _item_differences(a, b)
    if a.failures != b.failures:
        yield f"failed trials count as {a.failures} in one and as {b.failures} in the other"


def _item_differences(a: CellResults, b: CellResults) -> Iterator[str]:
    shorter = min(len(a.asked.digest), len(b.asked.digest))  # MLflow keeps the first digits
    if a.asked.digest[:shorter] == b.asked.digest[:shorter]:
        return
    match = a.items.match(b.items)
    if match.edited:
        yield f"{match.edited:,} items have the same id and another content"
    if a.scheduled is None or b.scheduled is None:
        yield "the datasets' items differ"
        return
    for one, missing in ((a, match.missing), (b, b.items.match(a.items).missing)):
        if missing:
            yield f"{missing:,} items are asked only in {one.source} ({one.asked.name})"


def _explained(pairs: Sequence[Pair], verdict: str, *advice: str) -> list[str]:
    """Say of pairs what is wrong with them, once where it is the same for several."""
    alike: dict[tuple[str, ...], list[Pair]] = {}
    for pair in pairs:
        datasets = (f"{side.source}/{side.asked.name}" for side in (pair.cell, pair.baseline))
        alike.setdefault((*datasets, *differences(pair)), []).append(pair)
    found = []
    for some in alike.values():
        reasons = "; ".join([*differences(some[0]), *advice])
        names = f"{_name(some[0].cell)} and {_name(some[0].baseline)}"
        more = f" (and {len(some) - 1} more pairs)" if len(some) > 1 else ""
        found.append(f"{names}{more} {verdict}" + (f": {reasons}" if reasons else ""))
    return found


def _name(cell: CellResults) -> str:
    return f"{cell.source}/{cell.name}"


def _compared(pair: Pair, *, flips: bool) -> PairedComparison:
    a, b, items = pair.cell, pair.baseline, pair.items
    first, second = a.scores[items], pair.baseline_scores[items]
    clusters = a.items.clusters(items)
    level, seed = b.level, b.seed
    found = stats.paired_difference(first, second, clusters=clusters, level=level, seed=seed)
    assert found is not None  # noqa: S101 - there are items, see `compare`
    sign_flip = found.p_value
    if found.test == "mcnemar":
        sign_flip = stats.sign_flip_test(first - second, seed=seed).p_value
    interval = found.interval
    return PairedComparison(
        cell=_side(a, first),
        baseline=_side(b, second),
        items=found.n,
        clusters=None if clusters is None else len(set(clusters)),
        difference=Estimate(
            found.difference,
            interval.low if interval else None,
            interval.high if interval else None,
            "paired",
        ),
        effect_items=found.items,
        wins=found.wins,
        losses=found.losses,
        mcnemar_p=found.p_value if found.test == "mcnemar" else None,
        sign_flip_p=sign_flip,
        p_value=found.p_value,
        p_adjusted=None,
        test=found.test,
        cost_ratio=_cost_ratio(pair, level),
        best_probability=None,
        differing=list(differences(pair)),
        flips=[_flip(pair, item) for item in _flipped(items, first - second)] if flips else [],
    )


def _side(cell: CellResults, scores: FloatArray) -> Side:
    return Side(
        source=cell.source,
        cell=cell.name,
        label=cell.label,
        dataset=cell.asked.name,
        simulated=cell.simulated,
        oracle=cell.oracle,
        accuracy=float(scores.mean()),
        items=int(np.count_nonzero(~np.isnan(cell.scores))),
        scheduled=cell.scheduled,
        failed=cell.failed,
    )


def _cost_ratio(pair: Pair, level: float) -> Estimate | None:
    """Return the ratio over the items that finished in both; None if a price is unknown."""
    if not (pair.cell.priced and pair.baseline.priced):
        return None
    costs = pair.cell.costs[pair.items], pair.of_baseline(pair.baseline.costs)[pair.items]
    both = ~np.isnan(costs[0]) & ~np.isnan(costs[1])
    if not both.any():
        return None
    ratio = stats.cost_ratio(costs[0][both], costs[1][both], level=level)
    return None if ratio is None else Estimate.of(ratio)


def _flipped(items: IntArray, difference: FloatArray) -> Iterator[int]:
    """Yield the items won, and then those lost, each in order."""
    yield from items[difference > 0].tolist()
    yield from items[difference < 0].tolist()


def _flip(pair: Pair, place: int) -> Flip:
    a, b = pair.cell, pair.baseline
    item = a.items.asked[place]
    there = int(a.items.match(b.items).places[place])
    return Flip(
        item=item.id,
        question=item.question or b.items.asked[there].question or None,
        target=item.target or b.items.asked[there].target or None,
        score=float(a.scores[place]),
        baseline_score=float(b.scores[there]),
        answers=a.answers_to(place),
        baseline_answers=b.answers_to(there),
    )


def _best(pairs: Sequence[Pair]) -> tuple[list[float | None], list[float | None]]:
    """Return each cell's probability to be the best of its family, and each baseline's.

    A family is a baseline and what is compared with it.
    """
    families: dict[int, list[int]] = {}
    for number, pair in enumerate(pairs):
        families.setdefault(id(pair.baseline), []).append(number)
    shares: list[float | None] = [None] * len(pairs)
    baselines: list[float | None] = []
    for everyone in families.values():
        baseline = pairs[everyone[0]].baseline
        members = [number for number in everyone if not pairs[number].cell.oracle]
        scores = np.column_stack(
            [baseline.scores, *(_for_baseline(pairs[number]) for number in members)]
        )
        items = np.flatnonzero(_whole(scores))
        if not items.size:
            baselines.append(None)
            continue
        found = stats.best_probabilities(
            scores[items], clusters=baseline.items.clusters(items), seed=baseline.seed
        )
        if found is None:
            baselines.append(None)
            continue
        baselines.append(float(found[0]))
        for number, share in zip(members, found[1:], strict=True):
            shares[number] = float(share)
    return shares, baselines


def _for_baseline(pair: Pair) -> FloatArray:
    """Return the cell's scores of the baseline's items; NaN where it has none."""
    return _taken(pair.cell.scores, pair.baseline.items.match(pair.cell.items).places)


def _whole(values: FloatArray) -> BoolArray:
    """Say which rows have all their values."""
    return np.asarray(np.isfinite(values).all(axis=1))
