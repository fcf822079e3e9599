"""Expansion of a grid into cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ember_bench.datasets.prompts import Prompt
from ember_bench.documents import Document
from ember_bench.errors import ConfigError, Problem, UnknownNameError, did_you_mean
from ember_bench.experiment.catalogue import Catalogue
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.labels import Told, labels, shown, with_parameter
from ember_bench.experiment.questions import FewShot, Shots
from ember_bench.experiment.space import drawn_points, number_of_points, points_at
from ember_bench.experiment.spec import ArchitectureSpec, ExperimentSpec
from ember_bench.experiment.templates import Template, read_template, shortened
from ember_bench.experiment.trial import missing_field
from ember_bench.experiment.unsupported import unsupported
from ember_bench.graph.architecture import Architecture, ArchitectureHead
from ember_bench.graph.data import NoNGraphData
from ember_bench.models.info import ModelInfo
from ember_bench.models.service import ModelService
from ember_bench.operators.choosing import Choices, Choose
from ember_bench.operators.parameters import CHOSEN, PROMPT, ImpliedParameter, sweep

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

FEW_SHOT: Final = "few_shot"
"""The parameter of a cell with its examples, if it may have any."""
NO_SHOTS: Final = Shots()
_SHOTS: Final = f"{{{FEW_SHOT}}}"


@dataclass(frozen=True)
class Expansion:
    """A grid expanded, as far as it is valid.

    Attributes:
        cells: Its cells, dataset by dataset, in the order in which it names them.
        models: Every known model that it names, once, also in parts that are invalid.
        problems: Every unknown name, wrong parameter and duplicate cell, each at its place in the
            grid.
        merged: Number of cells that are the same as earlier ones and left out.
        space: Number of cells of the grid, of which a search may have drawn some.
    """

    cells: list[Cell]
    models: list[ModelInfo]
    problems: list[Problem]
    merged: int = 0
    space: int = 0


def expand(
    spec: ExperimentSpec,
    document: Document,
    catalogue: Catalogue,
    service: ModelService,
    few_shot: Shots = NO_SHOTS,
    *,
    merge: bool = False,
) -> Expansion:
    """Expand the valid parts of a grid.

    Args:
        spec: The grid.
        document: Its file, for the places of mistakes.
        catalogue: Has what it names.
        service: The service of the LM modules.
        few_shot: The examples of its cells.
        merge: Leave out cells that are the same as earlier ones; else these are mistakes.
    """
    problems: list[Problem] = []
    drafts: list[_Draft] = []
    models: dict[str, ModelInfo] = {}
    axes: list[tuple[_Expander, Mapping[str, Sequence[Any]]]] = []
    for index, entry in enumerate(spec.architectures):
        try:
            expander = _Expander(entry, index, document, catalogue, service, models)
            axes.append((expander, expander.axes()))
        except ConfigError as error:
            problems += error.problems
    sizes = [number_of_points(found) for _, found in axes]
    most = None if spec.search is None else spec.search.candidates
    for (expander, found), places in zip(axes, drawn_points(sizes, most, spec.seed), strict=True):
        try:
            drafts += expander.drafts(points_at(found, places))
        except ConfigError as error:
            problems += error.problems
    labelled = list(zip(drafts, labels([draft.told for draft in drafts]), strict=True))
    placed = [
        (draft, draft.on(dataset, spec.epochs, label, shot, swept=len(shots) > 1))
        for dataset in dict.fromkeys(dataset.name for dataset in spec.datasets)
        for draft, label in labelled
        if draft.datasets is None or dataset in draft.datasets
        for shots in [few_shot.of(draft.entry, dataset)]
        for shot in shots
    ]
    number, on = len(placed), len({cell.dataset for _, cell in placed})
    if merge:
        placed = [*{cell.name: (draft, cell) for draft, cell in reversed(placed)}.values()][::-1]
    problems += [*_unknown_datasets(spec, document), *_twins(placed, document)]
    problems += dict.fromkeys(
        document.problem(message, *draft.at)
        for draft in drafts
        for message in unsupported(draft.graph, draft.architecture, draft.parameters)
    )
    cells = [cell for _, cell in placed]
    models |= {model.model_id: model for cell in cells for model in cell.models}
    space = sum(sizes) * number // max(1, len(drafts) * on)  # examples may be swept, too
    return Expansion(cells, [*models.values()], problems, number - len(placed), space)


@dataclass(frozen=True)
class _Draft:
    """A cell before it is put on a dataset; `entry` is the index of its entry in the grid."""

    entry: int
    told: Told
    datasets: list[str] | None
    architecture: Architecture
    parameters: dict[str, Any]
    graph: NoNGraphData
    service: ModelService
    prompt: Prompt | None
    written: Mapping[str, Any]

    @property
    def at(self) -> tuple[str | int, ...]:
        """Its place in the grid."""
        return ("architectures", self.entry)

    def on(self, dataset: str, epochs: int, label: str, shot: FewShot, *, swept: bool) -> Cell:
        """Return the cell on a dataset; `swept` says that others have other examples."""
        parameters, name = self.parameters, self.told.name
        examples = shot.examples
        if examples is not None:
            parameters = {**parameters, FEW_SHOT: shot.value}
            name = with_parameter(name, FEW_SHOT, shot.value)
            if _SHOTS in label:
                label = label.replace(_SHOTS, str(shot.value))
            elif swept or (shot.own and self.told.label is None):
                settings = f" ({shot.settings})" if shot.settings and examples.k else ""
                label += f", {examples.k} examples{settings}"
        return Cell(
            name=f"{dataset}/{name}",
            label=label,
            dataset=dataset,
            architecture=self.architecture,
            parameters=parameters,
            graph=self.graph,
            service=self.service,
            epochs=epochs,
            prompt=self.prompt,
            examples=examples if examples is not None and examples.k else None,
            written=self.written,
        )


class _Expander:
    """Expands one entry of the grid's `architectures`."""

    def __init__(
        self,
        entry: ArchitectureSpec,
        index: int,
        document: Document,
        catalogue: Catalogue,
        service: ModelService,
        models: dict[str, ModelInfo],
    ) -> None:
        self.entry = entry
        self.models = models
        self.index = index
        self.at: tuple[str | int, ...] = ("architectures", index)
        self.document = document
        self.cards = catalogue.cards
        self.service = service
        try:
            self.architecture = catalogue.architecture(entry.name)
        except UnknownNameError as error:
            raise ConfigError(document.problem(str(error), *self.at, "name")) from None
        self.parameters = _with_lists(entry.parameters, self.architecture.card)

    def axes(self) -> dict[str, Sequence[Any]]:
        """Return the values of each parameter."""
        self._check_values()
        return {
            name: sweep(self.architecture.card.parameters[name], value)
            for name, value in self.parameters.items()
        }

    def drafts(self, points: Iterable[dict[str, Any]]) -> list[_Draft]:
        return [self._draft(point) for point in points]

    def _check_values(self) -> None:
        """Check each value by itself, where its place is known.

        Raises:
            ConfigError: with all that is wrong.
        """
        card, problems = self.architecture.card, []
        for name, value in self.parameters.items():
            at = (*self.at, "parameters", name)
            if name not in card.parameters:
                beside = name in ArchitectureSpec.model_fields
                hint = did_you_mean(name, card.parameters)
                hint = "; it stands beside `parameters`" if beside else hint
                message = f"unknown parameter {name!r} of {card.name}{hint}"
                problems.append(self.document.problem(message, *at))
                continue
            try:
                if isinstance(value, dict) and card.parameters[name].type in CHOSEN:
                    self.document.sub(*at).parse(Choose)
                values = sweep(card.parameters[name], value)
            except ConfigError as error:
                problems += error.problems
                continue
            if isinstance(values, Choices):
                problems += self._check_choices(name, values, at)
                continue
            if not values:
                problems.append(self.document.problem(f"{name}: the list is empty", *at))
            for index, entry in enumerate(values):
                # A list that is swept is returned as it is.
                place = (*at, index) if values is value else at
                problems += self._check_value(name, entry, place)
        problems += self._check_label()
        for name, parameter in card.parameters.items():
            if parameter.required and name not in self.parameters:
                message = f"missing parameter {name!r} of {card.name} ({parameter.type})"
                problems.append(self.document.problem(message, *self.at, "parameters"))
        if problems:
            raise ConfigError(*problems)

    def _check_choices(
        self, name: str, values: Choices, at: tuple[str | int, ...]
    ) -> list[Problem]:
        """Check what lists are chosen from, entry by entry, and one list of each length."""
        if problems := self._check_models(values.given.of, (*at, "of")):
            return problems
        return [p for one in values.firsts for p in self._check_value(name, one, (*at, "choose"))]

    def _check_value(self, name: str, value: Any, at: tuple[str | int, ...]) -> list[Problem]:
        parameter = self.architecture.card.parameters[name]
        try:
            checked = parameter.check(value)
        except ValueError as error:
            return [self.document.problem(f"{name}: {error} (found {value!r})", *at)]
        if parameter.type == "signature" and checked is not None:
            return self._check_template(name, checked, at)
        if parameter.type not in ("model", "models") or checked is None:
            return []
        if parameter.type == "models":
            return self._check_models(checked, at)
        return self._check_models([checked], at, single=True)

    def _check_models(
        self, models: Sequence[str], at: tuple[str | int, ...], *, single: bool = False
    ) -> list[Problem]:
        problems: list[Problem] = []
        for index, model in enumerate(models):
            place = at if single else (*at, index)
            try:
                found = self.service.registry.get(model)
                self.models[found.model_id] = found
            except ConfigError as error:
                # A mistake in the model's card stands there, not in the grid.
                problems += [
                    p if p.location else self.document.problem(p.message, *place)
                    for p in error.problems
                ]
        return problems

    def _check_template(
        self, name: str, value: str | dict[str, Any], at: tuple[str | int, ...]
    ) -> list[Problem]:
        try:
            template = self._template(value)
            if self._is_prompt(name):
                Prompt.for_items(template.text)
        except ValueError as error:
            return [self.document.problem(f"{name}: {error} (found {value!r})", *at)]
        except ConfigError as error:
            return list(error.problems)
        return []

    def _template(self, value: str | dict[str, Any]) -> Template:
        return read_template(value, self.document.path.parent, self.cards)

    def _is_prompt(self, name: str) -> bool:
        """Return whether a parameter is the question's template, and not one of the card's own."""
        parameter = self.architecture.card.parameters[name]
        return name == PROMPT and isinstance(parameter, ImpliedParameter)

    def _check_label(self) -> list[Problem]:
        known = (*self.architecture.card.parameters, FEW_SHOT)
        return [
            self.document.problem(
                f"label: unknown parameter {{{name}}}{did_you_mean(name, known)}", *self.at, "label"
            )
            for name in _PLACEHOLDER.findall(self.entry.label or "")
            if name not in known
        ]

    def _draft(self, given: dict[str, Any]) -> _Draft:
        card = self.architecture.card
        templates = {
            name: self._template(value)
            for name, value in given.items()
            if card.parameters[name].type == "signature" and value is not None
        }
        contents = {name: template.content for name, template in templates.items()}
        parameters = self.architecture.check({**given, **contents})
        try:
            graph = self.architecture.build(parameters, self.service)
        except UnknownNameError as error:
            raise ConfigError(self.document.problem(str(error), *self.at)) from None
        if missing := missing_field(graph):
            message = f"architecture {self.architecture.name!r} cannot work: {missing}"
            raise ConfigError(self.document.problem(message, *self.at))
        # As they were checked, so that 1 and 1.0 are one value of a number.
        texts = {name: shown(parameters.get(name)) for name in card.parameters}
        texts |= {
            name: shortened(str(value))
            for name, value in parameters.items()
            if isinstance(card.parameters[name], ImpliedParameter) and isinstance(value, str)
        }
        texts |= {name: template.short for name, template in templates.items()}
        return _Draft(
            entry=self.index,
            told=Told(
                self.entry.name,
                texts,
                list(given),
                {
                    name: value
                    for name, value in parameters.items()
                    if value is not None and card.parameters[name].type in ("model", "models")
                },
                None if self.entry.label is None else self._label(texts),
            ),
            datasets=self.entry.datasets,
            architecture=self.architecture,
            parameters=parameters,
            graph=graph,
            service=self.service,
            prompt=next(
                (Prompt.for_items(t.text) for n, t in templates.items() if self._is_prompt(n)), None
            ),
            written={name: given[name] for name in templates},
        )

    def _label(self, shown: Mapping[str, str]) -> str:
        return _PLACEHOLDER.sub(lambda name: shown.get(name[1], name[0]), self.entry.label or "")


def _with_lists(given: Mapping[str, Any], card: ArchitectureHead) -> dict[str, Any]:
    """Return the parameters of a grid, with lists in the place of single entries (`one`)."""
    lists = {p.one: name for name, p in card.parameters.items() if p.one is not None}
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in card.parameters or (of := lists.get(name)) is None or of in given:
            found[name] = value
        else:
            found[of] = [[entry] for entry in value] if isinstance(value, list) else [value]
    return found


def _unknown_datasets(spec: ExperimentSpec, document: Document) -> list[Problem]:
    names = {dataset.name for dataset in spec.datasets}
    return [
        document.problem(
            f"unknown dataset {name!r} in this grid{did_you_mean(name, names)}",
            "architectures", i, "datasets", j,
        )
        for i, entry in enumerate(spec.architectures)
        for j, name in enumerate(entry.datasets or [])
        if name not in names
    ]  # fmt: skip


def _twins(placed: list[tuple[_Draft, Cell]], document: Document) -> Iterator[Problem]:
    """Yield a problem for each entry whose cell is named, or labelled, like an earlier one."""
    seen: set[tuple[str, str]] = set()
    told: set[tuple[str | int, ...]] = set()
    for draft, cell in placed:
        names = (("cell", cell.name), ("label", f"{cell.dataset}/{cell.label}"))
        twin = next((name for name in names if name in seen), None)
        if twin is not None and draft.at not in told:
            told.add(draft.at)
            yield document.problem(f"duplicate {twin[0]} {twin[1]!r}", *draft.at)
        seen.update(names)
