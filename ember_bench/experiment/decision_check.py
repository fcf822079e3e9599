"""What a grid needs for the choice that it asks for, checked before the first call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ember_bench.documents import Document
from ember_bench.errors import Problem
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.choice_spec import SearchSpec
from ember_bench.experiment.questions import Questions
from ember_bench.experiment.spec import ExperimentSpec
from ember_bench.models.providers.base import provider_class


def decision_problems(
    spec: ExperimentSpec,
    document: Document,
    cells: Sequence[Cell],
    questions: Mapping[str, Questions],
    left_out: Mapping[str, frozenset[int]],
) -> list[Problem]:
    """Return the reasons why a grid cannot decide, or search, each with its place.

    Args:
        spec: The grid.
        document: The places of its parts.
        cells: Its cells.
        questions: By name of the dataset.
        left_out: By cell, the places of items that it is not asked.
    """
    if (choice := spec.decide or spec.search) is None:
        return []
    kind = "decide" if spec.decide is not None else "search"
    racing = [cell for cell in cells if not cell.architecture.card.oracle]
    found = list(_unfound(racing))
    if spec.search is not None and racing:
        found += _unsearchable(spec, spec.search, racing, questions)
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


def _unsearchable(
    spec: ExperimentSpec,
    search: SearchSpec,
    racing: Sequence[Cell],
    questions: Mapping[str, Questions],
) -> Iterator[str]:
    systems: dict[str, dict[str, Cell]] = {}
    for cell in racing:
        systems.setdefault(cell.dataset, {})[cell.name.removeprefix(cell.dataset)] = cell
    first = next(iter(systems))
    for dataset, own in systems.items():
        for one, other in ((own, systems[first]), (systems[first], own)):
            if alone := next((cell for name, cell in one.items() if name not in other), None):
                yield (
                    f"all systems must be on all datasets, and {alone.label} is on"
                    f" {alone.dataset}, not on {dataset if alone.dataset == first else first}"
                )
                return
    if len(systems[first]) == 1:
        yield f"the grid has one system alone, {racing[0].label}: there is nothing to search among"
    if search.trials is None or not (sizes := [len(q.items) for q in questions.values()]):
        return
    from ember_bench.stats.halving import FIRST  # noqa: PLC0415 - imports numpy

    items = min(FIRST, sum(sizes))
    least = spec.epochs * (2 * items + (items if search.held_out else 0))
    if search.trials < least:
        measured = ", and their better on as many that are held out" if search.held_out else ""
        epochs = f" in {spec.epochs} epochs" if spec.epochs > 1 else ""
        yield (
            f"{search.trials:,} trials do not pay for two systems on {items} items{epochs}"
            f"{measured}: {least:,} do"
        )
