"""The results of an experiment in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ember_bench.drawing.number_format import (
    Unit,
    count,
    interval,
    p_value,
    percent,
    points,
    times,
)
from ember_bench.experiment.results.cells import CellResults
from ember_bench.experiment.results.compared import Comparison
from ember_bench.experiment.results.summary import CellSummary, DatasetSummary
from ember_bench.report.html_fronts import front

_NAMED: Final = 6


def answer(
    dataset: DatasetSummary,
    cells: Sequence[CellSummary],
    compared: Mapping[str, Comparison],
    level: float,
    results: Mapping[str, CellResults] | None = None,
) -> list[str]:
    """Return the results on a dataset in sentences, the most important first.

    Args:
        dataset: The dataset.
        cells: Its cells, with their comparisons to its baseline.
        compared: The same comparisons by the cell's name, with the ratios of costs.
        level: Level of the intervals; a difference is taken for real if its corrected p is below
            1 - level, whatever failed trials would have scored.
        results: The trials of the cells by name, for the front; see `front`.
    """
    systems = [cell for cell in cells if not cell.oracle and cell.accuracy is not None]
    if not systems:
        done = any(not cell.measured for cell in cells)
        return [f"{dataset.name}: {'all trials failed' if done else 'no trial is done yet'}."]
    return [
        *_verdict(systems, compared, level),
        *_fronts(systems, results),
        *_oracles([cell for cell in cells if cell.oracle and cell.accuracy is not None]),
    ]


def _verdict(
    systems: Sequence[CellSummary], compared: Mapping[str, Comparison], level: float
) -> Iterator[str]:
    best = most_accurate(systems)
    assert best is not None  # noqa: S101 - there are systems
    name = next((c.comparison.baseline for c in systems if c.comparison is not None), None)
    baseline = next((cell for cell in systems if cell.name == name), None)
    if baseline is None:
        yield f"{best.label} is right on {_accuracy(best)}{_cost(best)}."
        return
    against = [(cell, cell.comparison) for cell in systems if cell.comparison is not None]
    other = [pair for pair in against if not pair[1].same_calls]
    better = [cell for cell, found in other if found.sign > 0 and found.is_clear(level)]
    worse = [cell for cell, found in other if found.sign < 0 and found.is_clear(level)]
    if not other:
        yield f"{baseline.label} is right on {_accuracy(baseline)}{_cost(baseline)}."
    elif not better:
        ahead = max(other, key=lambda pair: pair[1].difference.value)[0]
        yield (
            f"No system is shown to beat {baseline.label} ({_accuracy(baseline)}"
            f"{_cost(baseline)}): {ahead.label} differs {_against(ahead, compared, signed=True)}."
        )
    else:
        first = min(better, key=_rank)
        yield f"{first.label} beats {baseline.label} {_against(first, compared)}."
        cheapest = min(better, key=lambda cell: (_price(cell), _rank(cell)))
        if cheapest is not first and cheapest.cost_per_item is not None:
            yield f"The cheapest that beats it is {cheapest.label}, {_against(cheapest, compared)}."
    if worse:
        yield f"Worse than {baseline.label}: {_some([cell.label for cell in worse])}."
    if same := [cell.label for cell, found in against if found.same_calls]:
        yield f"The same calls as {baseline.label}: {_some(same)}."


def _against(cell: CellSummary, compared: Mapping[str, Comparison], *, signed: bool = False) -> str:
    """Say how a system differs: `by 4.1 points [2.6, 5.7], adjusted p < 0.001, at 4.2x ...`."""
    found = cell.comparison
    assert found is not None  # noqa: S101 - only called for cells that are compared
    p = p_value(found.p_adjusted)
    sign = "" if p.startswith("<") else "= "
    size = f"{points(found.difference.value)} points {interval(found.difference, 'points')}"
    said = (
        f"by {size if signed else size.replace('+', '')}, adjusted p {sign}{p.replace('<', '< ')}"
    )
    said += ", on shared draws" if found.shared_draws else ""
    ratio = compared[cell.name].cost_ratio if cell.name in compared else None
    return said if ratio is None else f"{said}, at {times(ratio)} the cost"


def _fronts(
    systems: Sequence[CellSummary], results: Mapping[str, CellResults] | None
) -> Iterator[str]:
    labels = {cell.name: cell.label for cell in systems}
    found = front(systems, "cost_per_item", results)
    if len(systems) < 2 or not found.on:
        return
    yield (
        "Not dominated in accuracy and cost, cheapest first:"
        f" {_some([labels[name] for name in found.on])}."
    )
    if found.by:
        yield f"Dominated: {_some(_dominated(found.by, labels))}."
    if unpriced := [cell.label for cell in systems if cell.cost_per_item is None]:
        yield f"Of unknown cost, and so in neither list: {_some(unpriced)}."


def _dominated(by: Mapping[str, str], labels: Mapping[str, str]) -> list[str]:
    """Return each cell with the one that dominates it; of many, the number that each dominates."""
    if len(by) <= _NAMED + 1:
        return [f"{labels[name]} by {labels[other]}" for name, other in by.items()]
    numbers = Counter(by.values())
    return [f"{count(n, 'system')} by {labels[name]}" for name, n in numbers.most_common()]


def _oracles(oracles: Sequence[CellSummary]) -> Iterator[str]:
    for cell in oracles[:1]:
        yield f"A perfect choice would reach {_accuracy(cell)} ({cell.label}, an oracle)."


def most_accurate(cells: Sequence[CellSummary]) -> CellSummary | None:
    """Return the most accurate system, of equals the cheapest; None without any."""
    systems = [cell for cell in cells if not cell.oracle and cell.accuracy is not None]
    return min(systems, key=_rank, default=None)


def _rank(cell: CellSummary) -> tuple[float, float]:
    """The most accurate first, of equals the cheapest."""
    return -(cell.accuracy.value if cell.accuracy else 0.0), _price(cell)


def _price(cell: CellSummary) -> float:
    return cell.cost_per_item.value if cell.cost_per_item is not None else float("inf")


def _accuracy(cell: CellSummary) -> str:
    value = cell.accuracy
    return f"{percent(value.value if value else None)} % {interval(value, 'percent')}"


def _cost(cell: CellSummary) -> str:
    if cell.cost_per_item is None:
        return ""
    cost = cell.cost_per_item.value
    unit = Unit.of([cost])
    return f" at ${unit.dollars(cost)} {unit.per}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED if len(names) > _NAMED + 1 else 0
    # Labels may have commas of their own.
    return "; ".join(names[: _NAMED if more else None]) + (
        f"; and {count(more, 'other')}" if more > 0 else ""
    )
