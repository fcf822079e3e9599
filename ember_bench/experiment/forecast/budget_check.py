"""The budget of a grid, checked before the first call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ember_bench.documents import Document
from ember_bench.errors import Problem, did_you_mean
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.spec import BudgetSpec
from ember_bench.models.budget import Budget
from ember_bench.models.worst_case import unbounded


def budget_problems(
    spec: BudgetSpec | None, document: Document, cells: Sequence[Cell]
) -> list[Problem]:
    """Return the reasons why a grid's budget cannot be kept, each with its place."""
    if spec is None:
        return []
    models = {model.model_id for cell in cells for model in cell.models}
    problems = [
        document.problem(
            f"budget_usd: no model of this grid is {name!r}{did_you_mean(name, models)}",
            "budget_usd", "models", name,
        )
        for name in spec.models
        if name not in models
    ]  # fmt: skip
    if isinstance(spec.cells, dict):
        names = {cell.name for cell in cells}
        problems += [
            document.problem(
                f"budget_usd: no cell of this grid is {name!r}{did_you_mean(name, names)}",
                "budget_usd", "cells", name,
            )
            for name in spec.cells
            if name not in names
        ]  # fmt: skip
    reasons = dict.fromkeys(_unbounded(spec, cells))
    return problems + [document.problem(f"budget_usd: {r}", "budget_usd") for r in reasons]


def budget_of(spec: BudgetSpec | None, cells: Iterable[Cell]) -> Budget | None:
    """Return the accounts of a run, with nothing spent yet; None if the grid has no budget."""
    if spec is None:
        return None
    each = spec.cells
    if isinstance(each, float):
        each = {cell.name: each for cell in cells}
    return Budget(spec.run, spec.models, each or {})


def _unbounded(spec: BudgetSpec, cells: Iterable[Cell]) -> Iterator[str]:
    """Yield the reasons why the highest cost of a capped call is unknown in advance."""
    for cell in cells:
        capped = spec.run is not None or isinstance(spec.cells, float)
        capped = capped or (isinstance(spec.cells, dict) and cell.name in spec.cells)
        for lm in cell.graph.lm_modules():
            if capped or lm.model.model_id in spec.models:
                reason = unbounded(lm.model, lm.parameters.max_tokens)
                if reason is not None:
                    yield reason
