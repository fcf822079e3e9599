"""The budget of a grid, checked before the first call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ember_bench.documents import Document
from ember_bench.errors import Problem, did_you_mean
from ember_bench.evaluators.base import Evaluator, judges_of
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.spec import BudgetSpec
from ember_bench.models.budget import Budget
from ember_bench.models.paying import utc_today
from ember_bench.models.worst_case import unaffordable, unbounded
from ember_bench.operators.lm import LMModule


def budget_problems(
    spec: BudgetSpec | None,
    document: Document,
    cells: Sequence[Cell],
    evaluators: Mapping[str, Evaluator],
    asking: Collection[Cell],
    others: Collection[str] = (),
    *,
    complete: bool = True,
) -> list[Problem]:
    """Return the reasons why a grid's budget cannot be kept, each with its place.

    Args:
        spec: The budget.
        document: The places of its parts.
        cells: The cells of the grid.
        evaluators: By dataset; their judges are paid, too.
        asking: The cells that are asked themselves, and not their judges alone.
        others: Further models that may be in the grid, by id.
        complete: Whether there are no further cells.
    """
    if spec is None:
        return []
    judges = {cell.name: _judges(cell, evaluators) for cell in cells}
    models = {model.model_id for cell in cells for model in cell.models}
    models |= {lm.model.model_id for lms in judges.values() for lm in lms}
    problems = [
        document.problem(
            f"budget_usd: no model of this grid is {name!r}{did_you_mean(name, models or others)}",
            "budget_usd", "models", name,
        )
        for name in spec.models
        if name not in models and name not in others
    ]  # fmt: skip
    if complete and isinstance(spec.cells, dict):
        names = {cell.name for cell in cells}
        problems += [
            document.problem(
                f"budget_usd: no cell of this grid is {name!r}{did_you_mean(name, names)}",
                "budget_usd", "cells", name,
            )
            for name in spec.cells
            if name not in names
        ]  # fmt: skip
    asked = {cell.name: [*cell.graph.lm_modules(), *judges[cell.name]] for cell in asking}
    reasons = dict.fromkeys(_unkept(spec, {**judges, **asked}))
    # The cap of a run may be that of its choice.
    own = next((key for key in ("decide", "search") if key in document.data), "budget_usd")
    place = ("budget_usd",) if "budget_usd" in document.data else (own, "budget_usd")
    return problems + [document.problem(f"{'.'.join(place)}: {r}", *place) for r in reasons]


def budget_of(spec: BudgetSpec | None, cells: Iterable[Cell]) -> Budget | None:
    """Return the accounts of a run, with nothing spent yet; None if the grid has no budget."""
    if spec is None:
        return None
    each = spec.cells
    if isinstance(each, float):
        each = {cell.name: each for cell in cells}
    return Budget(spec.run, spec.models, each or {})


def _judges(cell: Cell, evaluators: Mapping[str, Evaluator]) -> list[LMModule]:
    """Return the LM modules of the judges of a cell's outputs."""
    evaluator = evaluators.get(cell.dataset)
    return [] if evaluator is None else [lm for judge in judges_of(evaluator) for lm in judge.lms]


def _unkept(spec: BudgetSpec, asked: Mapping[str, Sequence[LMModule]]) -> Iterator[str]:
    """Yield the reasons why no call of a model can be made under the caps on it."""
    today = utc_today()
    for cell, lms in asked.items():
        for lm in lms:
            caps = list(_caps(spec, cell, lm.model.model_id))
            if not caps:
                continue
            call = (lm.model, lm.parameters, today)
            if reason := unbounded(*call) or unaffordable(*call, min(caps)):
                yield reason


def _caps(spec: BudgetSpec, cell: str, model_id: str) -> Iterator[float]:
    """Yield the caps that hold for the calls of a cell to a model, in US dollars."""
    cells = spec.cells.get(cell) if isinstance(spec.cells, dict) else spec.cells
    for cap in (spec.run, cells, spec.models.get(model_id)):
        if cap is not None:
            yield cap
