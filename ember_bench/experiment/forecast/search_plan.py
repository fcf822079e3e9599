"""What a search can do with its budget, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor

from ember_bench.experiment.forecast.numbers import CellForecast
from ember_bench.experiment.prepare import Experiment


def search_plan(experiment: Experiment, cells: Sequence[CellForecast]) -> list[str]:
    """Return the size of a grid's search, and what its budget affords; nothing without a search."""
    spec = experiment.spec.search
    if spec is None or not cells:
        return []
    from ember_bench.stats.halving import (  # noqa: PLC0415 - imports numpy
        USUALLY_RESERVED,
        rungs,
    )

    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    total = sum(len(experiment.questions[name].items) for name in datasets)
    systems = len(cells) // len(datasets)
    items = searched_items(total, spec.held_out)
    drawn = "" if systems == experiment.space else f" of {experiment.space:,}"
    several = f" of {len(datasets)} datasets" if len(datasets) > 1 else ""
    what = "each system of the front" if spec.want == "front" else "the one that is found"
    said = (
        f"Search: among {systems:,}{drawn} systems, by {items:,} items{several};"
        f" {total - items:,} more are held out to measure {what}."
    )
    share = 1 - (USUALLY_RESERVED if total > items else 0.0)
    found, sizes = [said], rungs(items)
    for name, budget, price in _limits(experiment, cells):
        if price <= 0:
            found.append(f"All of it is stored, or free: {name} limit nothing.")
            continue
        steps = [size - before for before, size in zip([0, *sizes], sizes, strict=False)]
        numbers = [floor(budget * share / len(sizes) / (price * step)) for step in steps]
        told = [
            f"{min(systems, number):,} on {size:,}"
            for number, size in zip(numbers, sizes, strict=True)
            if number
        ]
        if not told:
            found.append(f"{name} do not pay for one system on {sizes[0]} items.")
            continue
        found.append(
            f"{name} afford about {told[0]} items{''.join(f', {one}' for one in told[1:])}:"
            " fewer if expensive ones are the best, more if they share calls."
        )
    return found


def _limits(
    experiment: Experiment, cells: Sequence[CellForecast]
) -> Iterator[tuple[str, float, float]]:
    """Yield each limit in words, its amount, and what an item of a system takes of it."""
    spec, epochs = experiment.spec.search, experiment.spec.epochs
    if spec is not None and spec.trials is not None:
        yield f"{spec.trials:,} trials", spec.trials, epochs
    expected = [cell.expected_usd for cell in cells if cell.expected_usd is not None]
    if spec is not None and spec.budget_usd is not None and len(expected) == len(cells):
        usd = sum((each.low + each.high) / 2 for each in expected)
        trials = sum(cell.trials for cell in cells)
        yield f"${spec.budget_usd:g}", spec.budget_usd, usd / max(1, trials) * epochs


def searched_items(total: int, held_out: float) -> int:
    """Return the number of items that a search may see, at least one."""
    return max(1, total - floor(total * held_out))
