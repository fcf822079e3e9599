"""The questions of a grid, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ember_bench.datasets import Dataset, Item
from ember_bench.datasets.examples import Examples, load_pool
from ember_bench.datasets.packed import hashed_order, pick, values_of
from ember_bench.documents import Document
from ember_bench.errors import ConfigError, Location, Problem
from ember_bench.evaluators.base import Evaluator, RunsCode, judges_of
from ember_bench.evaluators.by_record import ByRecord
from ember_bench.evaluators.several import Several
from ember_bench.experiment.catalogue import Catalogue
from ember_bench.experiment.evaluating import check_targets, further_evaluators
from ember_bench.experiment.judging import Judges
from ember_bench.experiment.questions import FewShot, Questions, Shots
from ember_bench.experiment.spec import DatasetSpec, ExperimentSpec, FewShotSpec
from ember_bench.models.service import ModelService


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which an experiment is prepared.

    Attributes:
        data_dir: The folder of recorded data.
        asks: Whether models are going to be asked, so that their keys must be there.
        asks_judges: The same of the models that judge; None for as the others.
        unsafe_code: Run model-written code without a sandbox where there is none.
    """

    data_dir: Path | None = None
    asks: bool = True
    asks_judges: bool | None = None
    unsafe_code: bool = False


def read_each(
    spec: ExperimentSpec,
    document: Document,
    catalogue: Catalogue,
    service: ModelService,
    terms: Terms,
    places: Sequence[int],
) -> tuple[dict[str, Questions], list[Problem]]:
    """Return the questions of each dataset that can be read, and what is wrong with the others.

    Args:
        spec: The grid.
        document: The places of its parts.
        catalogue: Has what it names.
        service: The service of judges.
        terms: The terms on which the experiment is prepared.
        places: Index of each dataset's entry in the document.
    """
    questions: dict[str, Questions] = {}
    problems: list[Problem] = []
    named = [entry.name for entry in spec.datasets]
    for number, (index, entry) in enumerate(zip(places, spec.datasets, strict=True)):
        if entry.name in named[:number]:
            message = f"duplicate dataset {entry.name!r}"
            problems.append(document.problem(message, "datasets", index, "name"))
            continue
        try:
            questions[entry.name] = read_questions(
                entry,
                index,
                spec,
                document,
                catalogue,
                terms.data_dir,
                Judges(catalogue, service, entry.judge),
                unsafe_code=terms.unsafe_code,
            )
        except ConfigError as error:
            problems += error.problems
    return questions, problems


def read_questions(
    entry: DatasetSpec,
    index: int,
    spec: ExperimentSpec,
    document: Document,
    catalogue: Catalogue,
    data_dir: Path | None,
    judges: Judges,
    *,
    unsafe_code: bool,
) -> Questions:
    """Return the questions of an entry of the grid's `datasets`, with their evaluator and examples.

    Raises:
        ConfigError: with every mistake at its place.
    """

    def at(*keys: Any) -> Location:
        return document.at("datasets", index, *keys)

    problems = catalogue.unknown("datasets", entry.name, at("name"))
    if entry.evaluator is not None:
        problems += catalogue.unknown("evaluators", entry.evaluator, at("evaluator"))
    try:
        dataset = catalogue.dataset(entry, data_dir, at)
    except ConfigError as error:
        raise ConfigError(*dict.fromkeys((*problems, *error.problems))) from None
    if problems:
        raise ConfigError(*problems)
    if entry.evaluator is None:
        place = catalogue.place_of_evaluator(entry.name, at())
        if problems := catalogue.unknown("evaluators", dataset.evaluator, place):
            raise ConfigError(*problems)
    try:
        evaluator = judges.found(catalogue.evaluator(entry.evaluator or dataset.evaluator))
        if entry.evaluator is None:
            evaluator = _by_record(dataset, evaluator, catalogue, judges, at())
    except ConfigError as error:
        place = at("evaluator") if entry.evaluator is not None else at()
        raise ConfigError(
            *(Problem(p.message, p.location or place) for p in error.problems)
        ) from error
    if isinstance(evaluator, RunsCode):
        try:
            evaluator = evaluator.confined(unsafe=unsafe_code)
        except ConfigError as error:
            message = f"dataset {dataset.name!r}: {error.problems[0].message}"
            raise ConfigError(Problem(message, at())) from None
    check_targets(dataset, evaluator, at())
    if entry.further:
        further = further_evaluators(entry, dataset, catalogue, judges, at, unsafe_code=unsafe_code)
        evaluator = Several(evaluator, further)
    if entry.judge is not None and not entry.further and not judges_of(evaluator):
        message = f"judge: evaluator {evaluator.name!r} asks no model"
        raise ConfigError(Problem(message, at("judge")))
    order = f"{dataset.digest} shuffled@1 {spec.seed}"
    items = _shuffled(dataset.items, spec.seed)
    checks = (entry.labels, entry.calibration, tuple(entry.metrics))
    return Questions(dataset, items, evaluator, order, *checks)


def read_few_shot(
    spec: ExperimentSpec,
    document: Document,
    catalogue: Catalogue,
    questions: Mapping[str, Questions],
    terms: Terms,
    places: Sequence[int],
) -> tuple[Shots, list[Problem]]:
    """Return the examples of a grid's cells, and what is wrong with those that cannot be had.

    The arguments are those of `read_each`; `questions` are the ones that it returned.
    """
    problems: list[Problem] = []

    def read(few_shot: FewShotSpec, dataset: DatasetSpec, *at: str | int) -> Sequence[FewShot]:
        asked, place = questions[dataset.name].dataset, document.at(*at, "few_shot")
        own = at[0] == "architectures"
        settings = few_shot.unusual if own else ""
        try:
            found = _examples(few_shot, dataset, asked, document, place, catalogue, terms.data_dir)
        except ConfigError as error:
            problems.extend(error.problems)
            return (FewShot(),)
        return [FewShot(examples, settings, own) for examples in found]

    readable = {entry.name: entry for entry in spec.datasets if entry.name in questions}
    by_dataset = {
        entry.name: read(entry.few_shot, entry, "datasets", index)
        for index, entry in zip(places, spec.datasets, strict=True)
        if entry.few_shot is not None and entry.name in readable
    }
    by_architecture = {
        (index, name): read(entry.few_shot, dataset, "architectures", index)
        for index, entry in enumerate(spec.architectures)
        if entry.few_shot is not None
        for name, dataset in readable.items()
        if entry.datasets is None or name in entry.datasets
    }
    return Shots(by_dataset, by_architecture), list(dict.fromkeys(problems))


def _by_record(
    dataset: Dataset,
    evaluator: Evaluator,
    catalogue: Catalogue,
    judges: Judges,
    entry: Location,
) -> Evaluator:
    """Return the evaluator of a dataset whose records may name evaluators of their own."""
    names = sorted({item.evaluator for item in dataset.items if item.evaluator is not None})
    if not names:
        return evaluator
    place = catalogue.place_of_evaluator(dataset.name, entry)
    problems = [p for name in names for p in catalogue.unknown("evaluators", name, place)]
    if problems:
        raise ConfigError(*problems)
    return ByRecord(evaluator, {name: judges.found(catalogue.evaluator(name)) for name in names})


def _examples(
    spec: FewShotSpec,
    entry: DatasetSpec,
    dataset: Dataset,
    document: Document,
    place: Location,
    catalogue: Catalogue,
    data_dir: Path | None,
) -> tuple[Examples, ...]:
    """Return the examples for a dataset, one entry for each number of them."""
    try:
        pool = _pool(entry, spec, catalogue, document, data_dir)
    except ConfigError as error:
        problems = (Problem(f"few_shot: {p.message}", p.location or place) for p in error.problems)
        raise ConfigError(*problems) from None
    found = tuple(Examples(pool, k, spec.choose, spec.form, spec.seed) for k in spec.numbers)
    most = max(found, key=lambda examples: examples.k, default=None)
    if most is None:
        raise ConfigError(Problem("few_shot: the list of numbers is empty", place))
    if spec.form == "text" and any(example.images for example in pool):
        raise ConfigError(Problem("few_shot: examples with images need `as: chat`", place))
    if most.k and (reason := most.missing(dataset.items)) is not None:
        raise ConfigError(Problem(reason, place))
    return found


def _pool(
    entry: DatasetSpec,
    spec: FewShotSpec,
    catalogue: Catalogue,
    document: Document,
    data_dir: Path | None,
) -> Sequence[Item]:
    """Return the solved items that examples are taken from."""
    own = catalogue.datasets.get(entry.name)
    if own is None:
        return load_pool(
            entry.name,
            spec.origin,
            catalogue.cards,
            folder=document.path.parent,
            data_dir=data_dir,
            parameters=entry.parameters,
        )
    if spec.origin is not None:
        raise ConfigError("`from` needs a dataset with a card")
    return own.items


def _shuffled(items: Sequence[Item], seed: int) -> Sequence[Item]:
    """Return the items in an order that depends on the seed and each item's id alone.

    So two experiments of one seed ask the items that they share in the same order.
    """
    return pick(items, hashed_order(f"{seed}/{id_}" for id_ in values_of(items, "id")))
