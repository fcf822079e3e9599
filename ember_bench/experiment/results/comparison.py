"""Cells compared on the items that both have, within one experiment or across several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from ember_bench import stats
from ember_bench.errors import ConfigError
from ember_bench.experiment.results.cells import CellResults, FloatArray, IntArray
from ember_bench.experiment.results.compared import (
    Comparison,
    ComparisonTable,
    Flip,
    Side,
    WithinMargin,
)
from ember_bench.experiment.results.family import Family
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.pairs import Pair
from ember_bench.experiment.results.standings import standings_of
from ember_bench.experiment.results.summary import Correction


@dataclass(frozen=True)
class Group:
    """Cells that were named together.

    Attributes:
        name: As they were named.
        cells: In the order of their grid.
        baselines: The baselines of their own experiment, by dataset.
    """

    name: str
    cells: Sequence[CellResults]
    baselines: Mapping[str, CellResults]


def pair_up(groups: Sequence[Group]) -> list[Pair]:
    """Return the pairs to compare.

    The cells of a single group are compared with the baseline of their experiment. If there are
    several groups, each cell of the later ones is compared with one of the first: the cell of the
    same name, else the only one on the same dataset. Two cells that were named alone are compared
    also if their datasets differ.

    Raises:
        ConfigError: if there is no pair.
    """
    pairs = _with_own_baselines(groups[0]) if len(groups) == 1 else _with_first(groups)
    return [replace(pair, family=family_size(pairs)) for pair in pairs]


def family_size(pairs: Sequence[Pair]) -> int:
    """Return the number of comparisons that are corrected together, at least 1."""
    return max(1, sum(not pair.cell.oracle for pair in pairs))


def _with_first(groups: Sequence[Group]) -> list[Pair]:
    first, *others = groups
    pairs = [
        Pair(cell, reference)
        for group in others
        for cell in group.cells
        if (reference := _reference(cell, first, alone=len(group.cells) == 1)) is not None
        and reference is not cell
    ]
    if not pairs:
        names = ", ".join(group.name for group in others)
        raise ConfigError(
            f"nothing to compare: no cell of {names} has the name, or is alone on the dataset, of"
            f" one of {first.name}; name the cells: EXPERIMENT/CELL"
        )
    return pairs


def _with_own_baselines(group: Group) -> list[Pair]:
    pairs = [
        Pair(cell, baseline)
        for cell in group.cells
        if (baseline := group.baselines.get(cell.asked.name)) is not None
        and baseline.name != cell.name
    ]
    if not pairs:
        raise ConfigError(
            f"nothing to compare: {group.name} is, or has only, the cell that others are compared"
            " with; name another one"
        )
    return pairs


def _reference(cell: CellResults, group: Group, *, alone: bool) -> CellResults | None:
    """Return the baseline of `cell`; on another dataset only if the cell was named alone."""
    if len(group.cells) == 1:
        reference = group.cells[0]
        return reference if alone or reference.asked.name == cell.asked.name else None
    named = [other for other in group.cells if other.name == cell.name]
    beside = [other for other in group.cells if other.asked.name == cell.asked.name]
    for found in (named, beside):
        if len(found) == 1:
            return found[0]
    return None


def compare(
    pairs: Sequence[Pair],
    *,
    correction: Correction = "maxt",
    anyway: bool = False,
    flips: bool = True,
    margin: float | None = None,
) -> ComparisonTable:
    """Compare each pair on its common items, which have the same id and, if known, content.

    Args:
        pairs: At least one; p-values are corrected over all of them.
        correction: How.
        anyway: Compare also what is not comparable, and say what differs.
        flips: List the items that cells score differently on, which takes reading the answers.
        margin: Test also whether differences are within it; 0.01 is one point.

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
    level = pairs[0].baseline.level
    family = Family(correction, level, pairs[0].baseline.seed)
    for pair in pairs:
        family.add(pair)
    standings, baseline_best, winners = standings_of(pairs)
    return ComparisonTable(
        correction=correction,
        level=level,
        pairs=[
            msgspec.structs.replace(
                pair,
                p_adjusted=adjusted.p_value,
                difference=adjusted.difference,
                sign=adjusted.sign,
                best_probability=standing.share,
                rank=standing.rank,
                may_be_best=standing.may_be_best,
                within=None if margin is None else _within(of, margin),
            )
            for of, pair, adjusted, standing in zip(
                pairs, found, family.adjusted(), standings, strict=True
            )
        ],
        baseline_best=baseline_best,
        left_out=[_left_out(pair) for pair in empty],
        winners=winners,
    )


def _within(pair: Pair, margin: float) -> WithinMargin | None:
    """Test a difference against a margin, in the least favourable case of failed trials."""
    if pair.same_calls:
        return None
    items = pair.baseline.items
    found = []
    for case in pair.cases:
        there = ~np.isnan(case)
        test = stats.equivalence(case[there], margin, clusters=items.clusters(there))
        if test is None:
            return None
        found.append(test)
    return WithinMargin(
        margin=margin,
        p_worse=max(test.p_worse for test in found),
        p_value=max(test.p_value for test in found),
    )


def differences(pair: Pair) -> Iterator[str]:
    """Yield the reasons why two cells are not comparable, as sentences."""
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


def _unmeasured(pair: Pair) -> Iterator[str]:
    """Yield the reasons why two cells have no score to compare, as sentences."""
    for cell in (pair.cell, pair.baseline):
        if not cell.measured:
            yield f"{_name(cell)} was not measured, as all of its trials failed"


def _explained(pairs: Sequence[Pair], verdict: str, *advice: str) -> list[str]:
    """Return the problems of pairs as sentences; a problem of several pairs is named once."""
    alike: dict[tuple[str, ...], list[Pair]] = {}
    for pair in pairs:
        datasets = (f"{side.source}/{side.asked.name}" for side in (pair.cell, pair.baseline))
        alike.setdefault((*datasets, *_unmeasured(pair), *differences(pair)), []).append(pair)
    found = []
    for some in alike.values():
        reasons = "; ".join([*_unmeasured(some[0]), *differences(some[0]), *advice])
        names = f"{_name(some[0].cell)} and {_name(some[0].baseline)}"
        others = len(some) - 1
        more = f" (and {others:,} other pair{'s' if others > 1 else ''})" if others else ""
        found.append(f"{names}{more} {verdict}" + (f": {reasons}" if reasons else ""))
    return found


def _left_out(pair: Pair) -> str:
    reasons = "; ".join(_unmeasured(pair))
    return f"{_name(pair.cell)} and {_name(pair.baseline)}" + (f" ({reasons})" if reasons else "")


def _name(cell: CellResults) -> str:
    return f"{cell.source}/{cell.name}"


def _compared(pair: Pair, *, flips: bool) -> Comparison:
    a, b, items, found = pair.cell, pair.baseline, pair.items, pair.found
    assert found is not None  # noqa: S101 - there are items, see `compare`
    first, second = pair.scores
    sign_flip = found.p_value
    if found.test == "mcnemar":
        flips_of = stats.sign_flip_test(first - second, n_draws=pair.n_draws, seed=b.seed)
        sign_flip = flips_of.p_value
    return Comparison(
        cell=_side(a, first),
        baseline=_side(b, second),
        items=found.n,
        clusters=None if pair.clusters is None else len(set(pair.clusters)),
        difference=pair.difference,
        effect_items=found.items,
        wins=found.wins,
        losses=found.losses,
        mcnemar_p=found.p_value if found.test == "mcnemar" else None,
        sign_flip_p=sign_flip,
        p_value=pair.p_value,
        p_adjusted=None,
        test=pair.test,
        cost_ratio=_cost_ratio(pair, b.level),
        best_probability=None,
        differing=list(differences(pair)),
        flips=[_flip(pair, item) for item in _flipped(items, first - second)] if flips else [],
        sign=pair.sign,
        shared_draws=pair.shared_draws,
        same_calls=pair.same_calls,
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


def _cost_ratio(pair: Pair, level: float) -> Quantity | None:
    """Return the ratio over the items that finished in both; None if a price is unknown."""
    if not (pair.cell.priced and pair.baseline.priced):
        return None
    costs = pair.cell.costs[pair.items], pair.of_baseline(pair.baseline.costs)[pair.items]
    both = ~np.isnan(costs[0]) & ~np.isnan(costs[1])
    if not both.any():
        return None
    clusters = pair.cell.items.clusters(pair.items[both])
    ratio = stats.cost_ratio(costs[0][both], costs[1][both], clusters=clusters, level=level)
    return None if ratio is None else Quantity.of(ratio)


def _flipped(items: IntArray, difference: FloatArray) -> Iterator[int]:
    """Yield the items won, and then those lost, each in order."""
    yield from items[difference > 0].tolist()
    yield from items[difference < 0].tolist()


def _flip(pair: Pair, place: int) -> Flip:
    a, b = pair.cell, pair.baseline
    item = a.items[place]
    there = int(a.items.match(b.items).places[place])
    return Flip(
        item=item.id,
        question=item.question or b.items[there].question or None,
        target=item.target or b.items[there].target or None,
        score=float(a.scores[place]),
        baseline_score=float(b.scores[there]),
        answers=a.answers_to(place),
        baseline_answers=b.answers_to(there),
    )
