"""The evaluators that stand beside a dataset's own, and checks of all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ember_bench.datasets import Dataset
from ember_bench.documents import Document
from ember_bench.errors import ConfigError, Location, Problem, did_you_mean
from ember_bench.evaluators.base import Evaluator, judges_of
from ember_bench.evaluators.by_record import confined
from ember_bench.evaluators.kinds import evaluator_identity
from ember_bench.evaluators.several import further_of, headline_of
from ember_bench.evaluators.texts import Confidence
from ember_bench.experiment.catalogue import Catalogue
from ember_bench.experiment.judging import Judges
from ember_bench.experiment.questions import Questions
from ember_bench.experiment.spec import OF_CONFIDENCES, DatasetSpec, ExperimentSpec
from ember_bench.experiment.target_check import target_problems

_TARGETS_NAMED: Final = 5


def further_evaluators(
    entry: DatasetSpec,
    dataset: Dataset,
    catalogue: Catalogue,
    judges: Judges,
    at: Callable[..., Location],
    *,
    unsafe_code: bool,
) -> dict[str, Evaluator]:
    """Return the further evaluators of a dataset by name.

    Raises:
        ConfigError: with every mistake at its place.
    """
    found: dict[str, Evaluator] = {}
    problems: list[Problem] = []
    for name in entry.further:
        place = at("also", entry.also.index(name)) if name in entry.also else at("labels")
        if unknown := catalogue.unknown("evaluators", name, place):
            problems += unknown
            continue
        try:
            evaluator = confined(judges.found(catalogue.evaluator(name)), unsafe=unsafe_code)
            if name == entry.labels and judges_of(evaluator):
                raise ConfigError(
                    f"labels: evaluator {name!r} asks models, and labels are people's"
                )
            check_targets(dataset, evaluator, place)
            found[name] = evaluator
        except ConfigError as error:
            problems += (Problem(p.message, p.location or place) for p in error.problems)
    if problems:
        raise ConfigError(*problems)
    return found


def check_targets(dataset: Dataset, evaluator: Evaluator, location: Location) -> None:
    """Check that each item's own target scores 1; else no answer to it could be right.

    Raises:
        ConfigError: with a problem for each of the first items that fail.
    """
    found = [*itertools.islice(target_problems(dataset, evaluator), _TARGETS_NAMED)]
    if found:
        raise ConfigError(*(Problem(message, location) for message in found))


def check_problems(
    spec: ExperimentSpec,
    questions: Mapping[str, Questions],
    document: Document,
    places: Sequence[int] | None,
) -> list[Problem]:
    """Return why evaluators cannot be checked, or figures not computed, as the grid says.

    Args:
        spec: The grid.
        questions: Those of its datasets that could be read.
        document: The places of its parts.
        places: Index of each dataset's entry in the document; None for that in the spec.
    """
    problems: list[Problem] = []
    for number, entry in enumerate(spec.datasets):
        if (asked := questions.get(entry.name)) is None:
            continue
        index = number if places is None else places[number]

        def wrong(key: str, message: str, index: int = index) -> None:
            problems.append(document.problem(f"{key}: {message}", "datasets", index, key))

        further = further_of(asked.evaluator).values()
        of_confidences = [name for name in entry.metrics if name in OF_CONFIDENCES]
        if of_confidences and not any(isinstance(other, Confidence) for other in further):
            wrong("metrics", f"{of_confidences[0]} needs `also: [confidence]`")
        if entry.calibration is None:
            continue
        other = questions.get(entry.calibration)
        named = [data.name for data in spec.datasets]
        if entry.calibration not in named:
            near = did_you_mean(entry.calibration, named)
            wrong("calibration", f"no dataset of the grid is {entry.calibration!r}{near}")
        elif other is not None and other.labels is None:
            wrong("calibration", f"dataset {entry.calibration!r} has no `labels`")
        elif other is not None and _identity(other) != _identity(asked):
            wrong("calibration", f"dataset {entry.calibration!r} has another evaluator or judge")
    return problems


def _identity(questions: Questions) -> str:
    return evaluator_identity(headline_of(questions.evaluator))
