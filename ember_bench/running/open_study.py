"""Studies as experiments: their spec, and the objects that their names stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ember_bench.datasets import Dataset
from ember_bench.documents import Document
from ember_bench.errors import ConfigError, Problem, did_you_mean
from ember_bench.evaluators.base import Evaluator
from ember_bench.experiment.catalogue import Catalogue
from ember_bench.experiment.edits import Edits
from ember_bench.experiment.prepare import Experiment, assemble
from ember_bench.experiment.reading import Terms
from ember_bench.experiment.spec import ExperimentSpec
from ember_bench.graph.architecture import Architecture, load_architecture
from ember_bench.graph.made import made_architecture, parameters_of
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.operators.parameters import ParameterCard, sweep
from ember_bench.registry import Cards, default_roots
from ember_bench.running.study_spec import Entry, RunOptions, StudySpec

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
# Compact notation has a sign or begins with a number.
_CARD: Final = re.compile(r"[A-Za-z]\w*")


def open_study(
    study: StudySpec, options: RunOptions, service: ModelService | None = None
) -> Experiment:
    """Return a study as an experiment, checked; makes no call.

    Args:
        study: The study.
        options: Of the run; those of the results do not count.
        service: Makes the calls; by default one for the cards in force.

    Raises:
        ConfigError: with every mistake in the study.
    """
    offline = options.get("offline", False)
    cards = Cards(default_roots())
    if service is None:
        service = ModelService(ModelRegistry.from_cards(cards), offline=offline)
    reading = _Reading(study, cards)
    document = Document(Path(f"study {study.name}"), reading.grid(), {})
    if reading.problems:
        raise ConfigError(*(Problem(p, document.at()) for p in reading.problems))
    edits = edits_of(options)
    document = edits.applied(document)
    spec = document.parse(ExperimentSpec)
    if (in_flight := options.get("in_flight")) is not None:
        spec = spec.model_copy(update={"in_flight": in_flight})
    if (budget := options.get("budget_usd")) is not None:
        spec = spec.capped_at(budget)
    return assemble(
        spec,
        document,
        Catalogue(cards, reading.datasets, reading.evaluators, reading.architectures),
        service,
        Terms(asks=not offline, unsafe_code=options.get("unsafe_code", False)),
        edits=edits,
    )


def edits_of(options: RunOptions) -> Edits:
    """Return the edits that make a pilot of a run."""
    models, values = options.get("models", {}), options.get("values", {})
    return Edits(options.get("limit"), [*models.items()], [*values.items()])


@dataclass
class _Reading:
    """Reads a study: plain data for the spec, and the objects by the names they get in it.

    Attributes:
        datasets: Those that are no cards, by name.
        evaluators: The same.
        architectures: The same.
        problems: Mistakes found so far.
        used: Parameters in common that some architecture has.
        cards_used: Names of cards among the architectures.
    """

    study: StudySpec
    cards: Cards
    datasets: dict[str, Dataset] = field(default_factory=dict)
    evaluators: dict[str, Evaluator] = field(default_factory=dict)
    architectures: dict[str, Architecture] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    cards_used: set[str] = field(default_factory=set)

    def grid(self) -> dict[str, Any]:
        """Return the study as the data of a grid."""
        study = self.study
        grid: dict[str, Any] = {
            "name": study.name,
            "purpose": study.purpose,
            "seed": study.seed,
            "epochs": study.epochs,
            "failures": study.failures,
            "level": study.level,
            "correction": study.correction,
            "shrinkage": study.shrinkage,
            "in_flight": study.in_flight,
            "datasets": [self._dataset(entry) for entry in study.datasets],
            "architectures": [
                self._architecture(label, what) for label, what in study.architectures.items()
            ],
        }
        if study.budget_usd is not None:
            budget = study.budget_usd
            grid["budget_usd"] = dict(budget) if isinstance(budget, Mapping) else budget
        if study.decide is not None:
            grid["decide"] = dict(study.decide)
        if study.search is not None:
            grid["search"] = dict(study.search)
        if study.baseline is not None:
            grid["baseline"] = {"name": study.baseline}
        if study.control is not None:
            grid["control"] = {"name": study.control}
        names = [entry["name"] for entry in grid["datasets"] if "name" in entry]
        for name in study.evaluators:
            if name not in names:
                self.problems.append(f"evaluators: unknown dataset {name!r}"
                                     f"{did_you_mean(name, names)}")  # fmt: skip
        for entry in grid["architectures"]:
            if entry["name"] in self.architectures and entry["name"] in self.cards_used:
                self.problems.append(
                    f"architecture {entry['name']!r}: another one is made from the card of this"
                    " name; give this one another label"
                )
        for name in study.parameters:
            if name not in self.used:
                self.problems.append(f"parameters: no architecture has a parameter {name!r}")
        return grid

    def _dataset(self, given: Dataset | str | Mapping[str, Any]) -> dict[str, Any]:
        if isinstance(given, Dataset):
            entry: dict[str, Any] = {"name": given.name}
            if self.datasets.setdefault(given.name, given) is not given:
                self.problems.append(f"datasets: two are named {given.name!r}; give each a name")
        else:
            entry = {"name": given} if isinstance(given, str) else dict(given)
        evaluator = self.study.evaluators.get(str(entry.get("name")))
        if isinstance(evaluator, str):
            entry["evaluator"] = evaluator
        elif evaluator is not None:
            entry["evaluator"] = evaluator.name
            self.evaluators[evaluator.name] = evaluator
        return entry

    def _architecture(self, label: str, given: Any) -> dict[str, Any]:
        """Return the entry of an architecture, and keep it if it is no card."""
        entry = given if isinstance(given, Entry) else Entry(given)
        try:
            if isinstance(entry.what, str) and _CARD.fullmatch(entry.what):
                found = self._of_card(label, entry.what, entry.parameters)
            else:
                found = self._made(label, entry.what, entry.parameters)
        except ConfigError as error:
            self.problems += [f"architecture {label!r}: {problem}" for problem in error.problems]
            return {"name": label}
        if entry.datasets is not None:
            found["datasets"] = list(entry.datasets)
        if entry.few_shot is not None:
            found["few_shot"] = dict(entry.few_shot)
        return found

    def _of_card(self, label: str, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        known = load_architecture(name, self.cards).card.parameters
        self.cards_used.add(name)
        parameters = self._with_common(known, given)
        swept = [
            parameter
            for parameter, value in parameters.items()
            if parameter in known and _is_swept(known[parameter], value)
        ]
        return {"name": name, "parameters": parameters, "label": _label(label, swept)}

    def _made(self, label: str, what: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        name = _PLACEHOLDER.sub(r"\1", label)
        parameters = self._with_common(parameters_of(what), given)
        values = {key: _values(value) for key, value in parameters.items()}
        self.architectures[name] = made_architecture(name, what, values)
        swept = [key for key, several in values.items() if len(several) > 1]
        return {"name": name, "parameters": parameters, "label": _label(label, swept)}

    def _with_common(self, known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of one architecture with those of all that it has."""
        common = {name: v for name, v in self.study.parameters.items() if name in known}
        self.used |= common.keys()
        return {**common, **given}


def _is_swept(parameter: ParameterCard, value: Any) -> bool:
    try:
        return len(sweep(parameter, value)) > 1
    except ValueError:  # reported with the other mistakes of the grid
        return False


def _label(label: str, swept: Sequence[str]) -> str:
    """Return a label with a placeholder for each swept parameter, unless it has some itself."""
    if not swept or _PLACEHOLDER.search(label):
        return label
    return f"{label} {', '.join(f'{name}={{{name}}}' for name in swept)}"


def _values(value: Any) -> Sequence[Any]:
    """Return the values of a parameter: the entries of a list, or a single value."""
    return value if isinstance(value, list) else [value]
