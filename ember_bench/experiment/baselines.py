"""The baseline of each dataset, and its control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ember_bench.documents import Document
from ember_bench.errors import ConfigError, Problem, did_you_mean
from ember_bench.evaluators.kinds import evaluator_identity
from ember_bench.evaluators.preferred import bound_to_baseline
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.questions import Questions
from ember_bench.experiment.spec import BaselineSpec, ExperimentSpec


def find_baselines(cells: list[Cell], spec: ExperimentSpec, document: Document) -> dict[str, Cell]:
    """Return the baseline of each dataset: the cell that the grid names, else the first.

    Raises:
        ConfigError: if the grid's `baseline` fits no cell, or several.
    """
    if spec.baseline is None:
        first: dict[str, Cell] = {}
        for cell in cells:
            first.setdefault(cell.dataset, cell)
        return first
    return _named("baseline", spec.baseline, cells, document)


def find_controls(cells: list[Cell], spec: ExperimentSpec, document: Document) -> dict[str, Cell]:
    """Return the control of each dataset; none without one in the grid.

    Raises:
        ConfigError: if the grid's `control` fits no cell, or several.
    """
    return {} if spec.control is None else _named("control", spec.control, cells, document)


def _named(
    key: str, wanted: BaselineSpec, cells: list[Cell], document: Document
) -> dict[str, Cell]:
    """Return the cell of each dataset that an entry of the grid names."""
    labelled = any(cell.label == wanted.name for cell in cells)
    found: dict[str, Cell] = {}
    for cell in cells:
        if not _fits(cell, wanted, by_label=labelled and not wanted.parameters):
            continue
        if cell.dataset in found:
            message = (
                f"{key}: fits both {found[cell.dataset].name} and {cell.name}; name more parameters"
            )
            raise ConfigError(document.problem(message, key))
        found[cell.dataset] = cell
    if not found:
        raise ConfigError(_no_cell(key, cells, wanted, document))
    return found


def unnamed_cells(spec: ExperimentSpec, document: Document) -> list[Problem]:
    """Return a problem if the `baseline`, or the `control`, names nothing in the grid.

    For a grid with other mistakes, of which some cells are not known.
    """
    entries = document.data.get("architectures")
    if not isinstance(entries, list):
        return []
    names, labels = set(), set()
    for entry in entries:
        names.add(str(entry.get("name") if isinstance(entry, dict) else entry))
        labels.add(str(entry.get("label", "") if isinstance(entry, dict) else ""))
    problems = []
    for key, wanted in (("baseline", spec.baseline), ("control", spec.control)):
        if wanted is None:
            continue
        name = wanted.name
        # Labels that are not written out may be right.
        by_label = any("{" in label for label in labels) or name.startswith(
            tuple(f"{known}{sign}" for known in names for sign in " (")
        )
        if not by_label and name not in names | labels:
            hint = did_you_mean(name, sorted(names | labels - {""}))
            message = f"{key}: no cell of the grid has the architecture {name!r}{hint}"
            problems.append(document.problem(message, key, "name"))
    return problems


def _no_cell(key: str, cells: list[Cell], wanted: BaselineSpec, document: Document) -> Problem:
    names = {cell.architecture.name for cell in cells}
    if wanted.name not in names:
        hint = did_you_mean(wanted.name, names | {cell.label for cell in cells})
        message = f"{key}: no cell of the grid has the architecture {wanted.name!r}{hint}"
        return document.problem(message, key, "name")
    known = {
        name
        for cell in cells
        if cell.architecture.name == wanted.name
        for name in (*cell.architecture.card.parameters, *cell.parameters)
    }
    for name in wanted.parameters:
        if name not in known:
            hint = did_you_mean(name, known)
            message = f"{key}: unknown parameter {name!r} of {wanted.name}{hint}"
            return document.problem(message, key, "parameters", name)
    message = f"{key}: no cell of the grid is {wanted.name!r} with these parameters"
    return document.problem(message, key)


def _fits(cell: Cell, wanted: BaselineSpec, *, by_label: bool) -> bool:
    if by_label:
        return cell.label == wanted.name
    return cell.architecture.name == wanted.name and all(
        (name in cell.parameters or name in cell.architecture.card.parameters)
        and value in (cell.parameters.get(name), cell.written.get(name, cell.parameters.get(name)))
        for name, value in wanted.parameters.items()
    )


def with_baselines(
    questions: Mapping[str, Questions], baselines: Mapping[str, Cell], document: Document
) -> dict[str, Questions]:
    """Return the questions with the cells whose outputs their evaluators compare others with.

    Raises:
        ConfigError: if an evaluator compares in a way that cannot be computed.
    """
    found: dict[str, Questions] = {}
    for name, asked in questions.items():
        found[name] = asked
        if (cell := baselines.get(name)) is None:
            continue
        try:
            evaluator = bound_to_baseline(asked.evaluator, cell.digest)
        except ConfigError as error:
            raise ConfigError(document.problem(error.problems[0].message, "datasets")) from None
        if evaluator_identity(evaluator) != evaluator_identity(asked.evaluator):
            found[name] = replace(asked, evaluator=evaluator, baseline=cell)
    return found
