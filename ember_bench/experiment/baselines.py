"""The baseline of each dataset."""

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
    labelled = any(cell.label == spec.baseline.name for cell in cells)
    found: dict[str, Cell] = {}
    for cell in cells:
        if not _fits(cell, spec.baseline, by_label=labelled and not spec.baseline.parameters):
            continue
        if cell.dataset in found:
            message = (
                f"baseline: fits both {found[cell.dataset].name} and {cell.name}; "
                "name more parameters"
            )
            raise ConfigError(document.problem(message, "baseline"))
        found[cell.dataset] = cell
    if not found:
        raise ConfigError(_no_baseline(cells, spec.baseline, document))
    return found


def unnamed_baseline(spec: ExperimentSpec, document: Document) -> list[Problem]:
    """Return a problem if the `baseline` names nothing in the grid.

    For a grid with other mistakes, of which some cells are not known.
    """
    entries = document.data.get("architectures")
    if spec.baseline is None or not isinstance(entries, list):
        return []
    name, names, labels = spec.baseline.name, set(), set()
    for entry in entries:
        names.add(str(entry.get("name") if isinstance(entry, dict) else entry))
        labels.add(str(entry.get("label", "") if isinstance(entry, dict) else ""))
    # Labels that are not written out may be right.
    by_label = any("{" in label for label in labels) or name.startswith(
        tuple(f"{known}{sign}" for known in names for sign in " (")
    )
    if by_label or name in names | labels:
        return []
    hint = did_you_mean(name, sorted(names | labels - {""}))
    message = f"baseline: no cell of the grid has the architecture {name!r}{hint}"
    return [document.problem(message, "baseline", "name")]


def _no_baseline(cells: list[Cell], baseline: BaselineSpec, document: Document) -> Problem:
    names = {cell.architecture.name for cell in cells}
    if baseline.name not in names:
        hint = did_you_mean(baseline.name, names | {cell.label for cell in cells})
        message = f"baseline: no cell of the grid has the architecture {baseline.name!r}{hint}"
        return document.problem(message, "baseline", "name")
    known = {
        name
        for cell in cells
        if cell.architecture.name == baseline.name
        for name in (*cell.architecture.card.parameters, *cell.parameters)
    }
    for name in baseline.parameters:
        if name not in known:
            hint = did_you_mean(name, known)
            message = f"baseline: unknown parameter {name!r} of {baseline.name}{hint}"
            return document.problem(message, "baseline", "parameters", name)
    message = f"baseline: no cell of the grid is {baseline.name!r} with these parameters"
    return document.problem(message, "baseline")


def _fits(cell: Cell, baseline: BaselineSpec, *, by_label: bool) -> bool:
    if by_label:
        return cell.label == baseline.name
    return cell.architecture.name == baseline.name and all(
        (name in cell.parameters or name in cell.architecture.card.parameters)
        and value in (cell.parameters.get(name), cell.written.get(name, cell.parameters.get(name)))
        for name, value in baseline.parameters.items()
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
