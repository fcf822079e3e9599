"""Checks of a grid's cells, before any is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ember_bench.documents import Document
from ember_bench.errors import ConfigError, Problem
from ember_bench.evaluators.base import judge_models
from ember_bench.experiment.baselines import (
    find_baselines,
    find_controls,
    unnamed_cells,
    with_baselines,
)
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.decision_check import decision_problems
from ember_bench.experiment.expansion import Expansion
from ember_bench.experiment.forecast.budget_check import budget_problems
from ember_bench.experiment.questions import Questions
from ember_bench.experiment.reading import Terms
from ember_bench.experiment.spec import ExperimentSpec
from ember_bench.experiment.templates import misfits
from ember_bench.models.info import ModelInfo
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.providers.base import provider_class


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of the checks.

    Attributes:
        baselines: By name of the dataset; empty for a grid with mistakes.
        controls: The same.
        problems: Every mistake, the expansion's among them.
        questions: Those with the baselines that their evaluators compare with.
    """

    baselines: dict[str, Cell]
    controls: dict[str, Cell]
    problems: Sequence[Problem]
    questions: dict[str, Questions]


def check_cells(
    spec: ExperimentSpec,
    document: Document,
    found: Expansion,
    questions: Mapping[str, Questions],
    registry: ModelRegistry,
    terms: Terms,
    *,
    complete: bool,
) -> Checked:
    """Check the baselines, budget, prompts and models of a grid.

    Args:
        spec: The grid.
        document: The places of its parts.
        found: Its cells.
        questions: By name of the dataset, those that can be read.
        registry: The models.
        terms: The terms on which it is prepared.
        complete: Whether nothing is missing from the spec because it is wrong.
    """
    complete = complete and not found.problems
    baselines: dict[str, Cell] = {}
    controls: dict[str, Cell] = {}
    problems: list[Problem] = []
    if complete:
        try:
            baselines = find_baselines(found.cells, spec, document)
            controls = find_controls(found.cells, spec, document)
            questions = with_baselines(questions, baselines, document)
        except ConfigError as error:
            problems += error.problems
    else:
        problems += unnamed_cells(spec, document)
    evaluators = {name: asked.evaluator for name, asked in questions.items()}
    # Parts of a grid that are wrong may name any model.
    others = () if complete else {model.model_id for model in registry}
    asking = found.cells if terms.asks or not terms.asks_judges else ()
    problems += budget_problems(
        spec.budget_usd, document, found.cells, evaluators, asking, others, complete=complete
    )
    problems += _prompt_problems(found.cells, questions, document)
    problems += [*found.problems, *unready(found.models, asks=terms.asks)]
    judges = [model for asked in questions.values() for model in judge_models(asked.evaluator)]
    asks_judges = terms.asks if terms.asks_judges is None else terms.asks_judges
    problems += unready(judges, asks=asks_judges)
    problems += decision_problems(spec, document, found.cells, questions, {})
    return Checked(baselines, controls, problems, dict(questions))


def unready(models: Sequence[ModelInfo], *, asks: bool) -> Iterator[Problem]:
    """Yield a problem for each model that cannot be asked: its key is missing, for example."""
    for provider in dict.fromkeys(provider_class(model.provider_name) for model in models):
        if asks or provider.instant:
            try:
                provider.check(models)
            except ConfigError as error:
                yield from error.problems


def _prompt_problems(
    cells: Sequence[Cell], questions: Mapping[str, Questions], document: Document
) -> list[Problem]:
    """Return why prompts of the grid do not fit the datasets that they are for."""
    pairs = {
        (cell.prompt, cell.dataset): None
        for cell in cells
        if cell.prompt is not None and cell.dataset in questions
    }
    return [
        document.problem(f"prompt: dataset {dataset!r}: {reason}", "architectures")
        for prompt, dataset in pairs
        for reason in misfits(prompt, questions[dataset].items)
    ]
