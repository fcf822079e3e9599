"""An experiment, read and checked: everything that is needed to run it, and nothing started."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from ember_bench.datasets import Item
from ember_bench.datasets.packed import values_of
from ember_bench.datasets.suites import Suite
from ember_bench.documents import Document
from ember_bench.errors import ConfigError, Problem
from ember_bench.evaluators.base import judge_models
from ember_bench.evaluators.kinds import evaluator_identity
from ember_bench.experiment.catalogue import Catalogue
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.checks import check_cells
from ember_bench.experiment.decision_check import decision_problems
from ember_bench.experiment.edits import NO_EDITS, Edits
from ember_bench.experiment.evaluating import check_problems
from ember_bench.experiment.expansion import expand
from ember_bench.experiment.forecast.budget_check import budget_of
from ember_bench.experiment.forecast.samples_check import Build, check_samples
from ember_bench.experiment.json_pieces import as_json, json_list, json_object
from ember_bench.experiment.questions import Questions
from ember_bench.experiment.reading import Terms, read_each, read_few_shot
from ember_bench.experiment.shards import Shard
from ember_bench.experiment.spec import CHECKS, ExperimentSpec, read_most
from ember_bench.experiment.suites import without_suites
from ember_bench.experiment.trial import Trial
from ember_bench.models.budget import Budget
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.base import provider_class
from ember_bench.models.service import ModelService
from ember_bench.models.strand import Purse
from ember_bench.registry import Cards

# Parts of a grid that change no result; examples are part of the cells.
_NO_RESULT: Final[Any] = {
    "in_flight": True,
    "purpose": True,
    "budget_usd": True,
    "decide": True,
    "search": True,
    "shrinkage": True,
    "control": True,
    # The evaluator's identity has its judge.
    "datasets": {"__all__": {"few_shot", "suite", "judge", *CHECKS}},
    "architectures": {"__all__": {"few_shot"}},
}


@dataclass(frozen=True)
class Experiment:
    """An experiment, ready to run.

    Attributes:
        path: The grid file; None for a study.
        cells: In grid order.
        questions: Datasets with their items, by the dataset's name.
        baselines: The cell that the others are compared with, by name of the dataset.
        service: Makes the calls.
        budget: Caps on what a run spends; None for none.
        account: Account of the response store that requests are paid on.
        notes: Sentences to be told before it runs.
        edits: Changes of what its file says.
        suites: Datasets of it that are reported as one.
        left_out: By cell, the places of items that it is not asked.
        failing: By cell, the places of items whose trials are known to fail.
        shard: The part of it that is run; None for all of it.
        controls: The cell by whose scores those of others are sharpened, by name of the dataset.
        space: Number of cells of the grid, of which a search may have drawn some.
    """

    path: Path | None
    spec: ExperimentSpec
    document: Document
    cells: list[Cell]
    questions: dict[str, Questions]
    baselines: dict[str, Cell]
    service: ModelService
    budget: Budget | None = None
    account: str = ""
    notes: tuple[str, ...] = ()
    edits: Edits = NO_EDITS
    suites: tuple[Suite, ...] = ()
    left_out: Mapping[str, frozenset[int]] = field(default_factory=dict)
    failing: Mapping[str, frozenset[int]] = field(default_factory=dict)
    shard: Shard | None = None
    controls: dict[str, Cell] = field(default_factory=dict)
    space: int = 0

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.spec.name

    @property
    def origin(self) -> str:
        """The grid file, or the study, as messages name it."""
        return f"the study {self.name}" if self.path is None else str(self.path)

    @cached_property
    def models(self) -> list[ModelInfo]:
        """Every model that is called, once; those of judges last."""
        found = {model.model_id: model for cell in self.cells for model in cell.models}
        for questions in self.questions.values():
            found |= {model.model_id: model for model in judge_models(questions.evaluator)}
        return list(found.values())

    def judges_of(self, cell: Cell) -> list[ModelInfo]:
        """Return the models that judge the outputs of `cell`."""
        return judge_models(self.questions[cell.dataset].evaluator)

    def is_simulated(self, cell: Cell) -> bool:
        """Whether an answer of `cell` or a verdict on it is from a simulated model."""
        judges = self.judges_of(cell)
        return cell.simulated or any(provider_class(m.provider_name).simulated for m in judges)

    @cached_property
    def digest(self) -> str:
        """Changes with anything that can change a result or its analysis."""
        spec = self.spec.model_dump(mode="json", exclude=_NO_RESULT)
        if spec["too_few_samples"] == "refused":  # so were all grids without the field
            del spec["too_few_samples"]
        if "correction" not in self.spec.model_fields_set:  # grids from before had none
            del spec["correction"]
        content = sha256()
        datasets = {
            name: itertools.chain(
                [b"[", as_json(q.dataset.digest), b","],
                json_list(values_of(q.items, "id")),
                [b",", as_json(evaluator_identity(q.evaluator)), b"]"],
            )
            for name, q in self.questions.items()
        }
        members: dict[str, Iterable[bytes]] = {
            "cells": [as_json({cell.name: cell.digest for cell in self.cells})],
            "datasets": json_object(datasets),
            "spec": [as_json(spec)],
        }
        if checks := self.spec.checks:
            members["checks"] = [as_json(checks)]
        if self.suites:
            members["suites"] = [as_json([asdict(suite) for suite in self.suites])]
        for piece in json_object(members):
            content.update(piece)
        return content.hexdigest()[:32]

    def item(self, trial: Trial) -> Item:
        """Return the item that `trial` is about."""
        return self.questions[self.cells[trial.cell].dataset].items[trial.item]

    def purse(self, cell: Cell) -> Purse:
        """Return the money for a trial of `cell`."""
        return Purse(cell.name, self.account, self.budget)

    @cached_property
    def elsewhere(self) -> Mapping[str, frozenset[int]]:
        """The places of the items of each dataset that are in other shards."""
        if (shard := self.shard) is None:
            return dict.fromkeys(self.questions, frozenset())
        return {
            name: frozenset(place for place, item in enumerate(q.items) if not shard.has(item))
            for name, q in self.questions.items()
        }

    def not_asked(self, cell: Cell) -> frozenset[int]:
        """Return the places of the items that `cell` is not asked here."""
        own, others = self.left_out.get(cell.name, frozenset()), self.elsewhere[cell.dataset]
        return own | others if own and others else own or others

    def scheduled(self, cell: Cell) -> int:
        """Return the number of trials of `cell` in the grid, or in the shard."""
        asked = len(self.questions[cell.dataset].items) - len(self.not_asked(cell))
        return asked * self.spec.epochs

    @property
    def bound_to_fail(self) -> int:
        """The number of trials that are known to fail, and are no surprise."""
        failing = (
            len(self.failing.get(cell.name, frozenset()) - self.elsewhere[cell.dataset])
            for cell in self.cells
        )
        return sum(failing) * self.spec.epochs

    def sharded(self, shard: Shard) -> Experiment:
        """Return the experiment with the trials of one shard, and its share of the budget.

        All cells and epochs of an item are in one shard. Digest, fingerprints and call keys are
        those of the whole.
        """
        part = replace(self, shard=shard)
        if self.budget is None:
            return part
        return replace(part, budget=self.budget.part(len(part) / max(1, len(self))))

    def __len__(self) -> int:
        """Return the number of trials in the grid, or in the shard."""
        return sum(self.scheduled(cell) for cell in self.cells)

    def only(self, names: Collection[str]) -> Experiment:
        """Return an experiment of the cells of these names.

        They are compared with a baseline if it is among them.
        """
        cells = [cell for cell in self.cells if cell.name in names]
        datasets = {cell.dataset for cell in cells}
        baselines = {data: cell for data, cell in self.baselines.items() if cell.name in names}
        return replace(
            self,
            spec=self.spec if baselines else self.spec.model_copy(update={"baseline": None}),
            cells=cells,
            questions={name: q for name, q in self.questions.items() if name in datasets},
            baselines=baselines,
            controls={data: cell for data, cell in self.controls.items() if cell.name in names},
            suites=tuple(suite for suite in self.suites if datasets.issuperset(suite.datasets)),
        )

    def trials(self) -> Iterator[Trial]:
        """Yield all trials, item by item over all cells.

        However early a run stops, its cells have been asked the same items, and the datasets
        have advanced at the same rate.
        """
        by_dataset = {
            name: [i for i, cell in enumerate(self.cells) if cell.dataset == name]
            for name in self.questions
        }
        longest = max(len(q.items) for q in self.questions.values())
        not_asked = [self.not_asked(cell) for cell in self.cells]
        # `itertools.product` would hold all numbers of items.
        for epoch, step in ((e, s) for e in range(self.spec.epochs) for s in range(longest)):
            for name, questions in self.questions.items():
                if step < len(questions.items):
                    for cell in by_dataset[name]:
                        if step not in not_asked[cell]:
                            yield Trial(cell, step, epoch)


def prepare(
    path: Path,
    cards: Cards,
    service: ModelService,
    *,
    data_dir: Path | None = None,
    asks: bool = True,
    asks_judges: bool | None = None,
    unsafe_code: bool = False,
    evaluators: Mapping[str, str] | None = None,
    judge: str | None = None,
    budget_usd: float | None = None,
    edits: Edits = NO_EDITS,
) -> Experiment:
    """Read a grid and everything that it names; makes no call.

    Args:
        path: The grid file.
        cards: The registries in force.
        service: The service of the experiment's LM modules; its registry has the models.
        data_dir: The folder of recorded data.
        asks: Whether models are going to be asked, so that their keys must be there.
        asks_judges: The same of the models that judge; None for as the others.
        unsafe_code: Run model-written code without a sandbox where there is none.
        evaluators: Evaluators in place of the grid's, by dataset.
        judge: The model that judges, in place of the grid's.
        budget_usd: The most that a run may spend, in place of the grid's value.
        edits: Changes of what the grid says.

    Raises:
        ConfigError: with every mistake at its place.
    """
    spec, document, problems = read_most(path, edits)
    if spec is None:
        raise ConfigError(*problems)
    listed = without_suites(spec, document, cards)
    spec = listed.spec.scored_by(evaluators or {}, judge)
    if budget_usd is not None:
        spec = spec.capped_at(budget_usd)
    return assemble(
        spec,
        document,
        Catalogue(cards),
        service,
        Terms(data_dir, asks, asks_judges, unsafe_code),
        path=path,
        problems=[*problems, *listed.problems],
        suites=listed.suites,
        places=listed.places,
        edits=edits,
    )


def assemble(
    spec: ExperimentSpec,
    document: Document,
    catalogue: Catalogue,
    service: ModelService,
    terms: Terms,
    *,
    path: Path | None = None,
    problems: Sequence[Problem] = (),
    edits: Edits = NO_EDITS,
    suites: tuple[Suite, ...] = (),
    places: Sequence[int] | None = None,
) -> Experiment:
    """Find everything that a grid names, and check it; makes no call.

    Args:
        spec: The grid.
        document: The places of its parts.
        catalogue: Has what it names.
        service: The service of the experiment's LM modules; its registry has the models.
        terms: The terms on which it is prepared.
        path: The grid file; None for a study.
        problems: Mistakes in the parts of the grid that the spec is without.
        edits: Changes of what the file says, which the grid has already.
        suites: Datasets of it that are reported as one.
        places: Index of each dataset's entry in the document; by default that in the spec.

    Raises:
        ConfigError: with every mistake at its place.
    """
    places = places or range(len(spec.datasets))
    questions, unread = read_each(spec, document, catalogue, service, terms, places)
    unread += check_problems(spec, questions, document, places)
    few_shot, unlike = read_few_shot(spec, document, catalogue, questions, terms, places)
    merge = bool(edits.models)  # two models may have become one
    grow = partial(expand, spec, document, catalogue, few_shot=few_shot, merge=merge)
    found = grow(service)
    checked = check_cells(
        spec, document, found, questions, service.registry, terms, complete=not problems
    )
    if mistakes := [*problems, *unread, *unlike, *checked.problems]:
        raise ConfigError(*mistakes)
    questions = checked.questions
    merged = f"--model: cells that are the same as others now are left out: {found.merged:,}"
    experiment = Experiment(
        path,
        spec,
        document,
        found.cells,
        questions,
        checked.baselines,
        service,
        budget_of(spec.budget_usd, found.cells),
        notes=(merged,) if found.merged else (),
        edits=edits,
        suites=suites,
        controls=checked.controls,
        space=found.space,
    )
    return _with_samples(experiment, lambda other: grow(other).cells)


def _with_samples(experiment: Experiment, build: Build) -> Experiment:
    """Return the experiment with the items of which recorded models have too few samples.

    Raises:
        ConfigError: if cells cannot be run for want of samples.
    """
    if not any(provider_class(model.provider_name).replays for model in experiment.models):
        return experiment
    spec, document = experiment.spec, experiment.document
    found = check_samples(
        experiment.service.registry,
        build,
        experiment.questions,
        excluded=spec.failures == "excluded",
        left_out=spec.too_few_samples == "left_out",
    )
    problems = [document.problem(text, "architectures") for text in found.problems]
    problems += decision_problems(
        spec, document, experiment.cells, experiment.questions, found.left_out
    )
    if problems:
        raise ConfigError(*problems)
    return replace(
        experiment,
        notes=(*experiment.notes, *found.notes),
        left_out=found.left_out,
        failing=found.failing,
    )
