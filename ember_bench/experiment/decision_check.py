"""What a grid needs for the decision that it asks for, checked before the first call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ember_bench.documents import Document
from ember_bench.errors import Problem
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.spec import DecideSpec
from ember_bench.models.providers.base import provider_class


def decision_problems(
    spec: DecideSpec | None,
    document: Document,
    cells: Sequence[Cell],
    left_out: Mapping[str, frozenset[int]],
) -> list[Problem]:
    """Return the reasons why a grid cannot decide, each with its place.

    Args:
        spec: The choice it is to make; None for none.
        document: The places of its parts.
        cells: Its cells.
        left_out: By cell, the places of items that it is not asked.
    """
    if spec is None:
        return []
    found = []
    racing = [cell for cell in cells if not cell.architecture.card.oracle]
    if not racing:
        found.append("decide: there is no system to choose, only oracles")
    if spec.want != "most_accurate":
        unpriced = sorted(
            {
                model.model_id
                for cell in racing
                for model in cell.models
                if model.cost is None and not provider_class(model.provider_name).replays
            }
        )
        if unpriced:
            found.append(
                f"decide: want: {spec.want} compares costs, and the price of {', '.join(unpriced)}"
                " is unknown: give its card a cost, or want: most_accurate"
            )
    short = [cell.name for cell in racing if left_out.get(cell.name)]
    if short:
        more = f", and {len(short) - 1:,} more" if len(short) > 1 else ""
        found.append(
            "decide: all systems must be asked the same items, and there are too few samples for"
            f" {short[0]}{more}: without decide, or too_few_samples, or with fewer draws"
        )
    return [document.problem(text, "decide") for text in found]
