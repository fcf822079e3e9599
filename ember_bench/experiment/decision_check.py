"""What a grid needs for the choice that it asks for, checked before the first call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ember_bench.documents import Document
from ember_bench.errors import Problem
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.spec import ExperimentSpec
from ember_bench.models.providers.base import provider_class


def decision_problems(
    spec: ExperimentSpec,
    document: Document,
    cells: Sequence[Cell],
    left_out: Mapping[str, frozenset[int]],
) -> list[Problem]:
    """Return the reasons why a grid cannot decide, or search, each with its place.

    Args:
        spec: The grid.
        document: The places of its parts.
        cells: Its cells.
        left_out: By cell, the places of items that it is not asked.
    """
    if (choice := spec.decide or spec.search) is None:
        return []
    kind = "decide" if spec.decide is not None else "search"
    racing = [cell for cell in cells if not cell.architecture.card.oracle]
    found = [*_unfound(racing), *(_unsearchable(racing) if spec.search is not None else ())]
    # Recordings cost nothing, and the prices of what was paid for are on their items.
    by_cost = choice.want != "most_accurate"
    if by_cost or (spec.search is not None and spec.search.budget_usd is not None):
        unpriced = sorted(
            {
                model.model_id
                for cell in racing
                for model in cell.models
                if model.cost is None and not provider_class(model.provider_name).replays
            }
        )
        if unpriced:
            why, way = f"want: {choice.want} compares costs", "want: most_accurate"
            if not by_cost:
                why, way = "budget_usd counts costs", "trials in place of budget_usd"
            found.append(
                f"{why}, and the price of {', '.join(unpriced)} is unknown: give its card a cost,"
                f" or {way}"
            )
    short = [cell.name for cell in racing if left_out.get(cell.name)]
    if short:
        more = f", and {len(short) - 1:,} more" if len(short) > 1 else ""
        found.append(
            "all systems must be asked the same items, and there are too few samples for"
            f" {short[0]}{more}: without {kind}, or too_few_samples, or with fewer draws"
        )
    return [document.problem(f"{kind}: {text}", kind) for text in found]


def _unfound(racing: Sequence[Cell]) -> Iterator[str]:
    if not racing:
        yield "there is no system to choose, only oracles"


def _unsearchable(racing: Sequence[Cell]) -> Iterator[str]:
    datasets = dict.fromkeys(cell.dataset for cell in racing)
    if len(datasets) > 1:
        yield (
            f"a search is on one dataset, and the grid has {len(datasets)}"
            f" ({', '.join(datasets)}): write a grid for each"
        )
