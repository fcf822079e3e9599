"""Which cell is compared with which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ember_bench.errors import ConfigError
from ember_bench.experiment.results.comparison import Pair
from ember_bench.experiment.results.cell_results import CellResults


@dataclass(frozen=True)
class Group:
    """Cells that were named together.

    Attributes:
        name: As they were named.
        cells: In the order of their grid.
        baselines: What their own experiment compares them with, by dataset.
    """

    name: str
    cells: Sequence[CellResults]
    baselines: Mapping[str, CellResults]


def pair_up(groups: Sequence[Group]) -> list[Pair]:
    """Return what is compared with what.

    Of one group, each cell with its experiment's baseline. Of several, each cell of the later ones
    with one of the first: the cell of the same name, else the only one on the same dataset. Two
    cells that were named alone are compared whatever they are on.

    Raises:
        ConfigError: if that leaves nothing to compare.
    """
    if len(groups) == 1:
        return _with_own_baselines(groups[0])
    first, *others = groups
    pairs = [
        Pair(cell, reference)
        for group in others
        for cell in group.cells
        if (reference := _reference(cell, first, alone=len(group.cells) == 1)) is not None
        and reference is not cell
    ]
    if not pairs:
        names = ", ".join(group.name for group in others)
        raise ConfigError(
            f"nothing to compare: no cell of {names} has the name, or is alone on the dataset, of"
            f" one of {first.name}; name the cells: EXPERIMENT/CELL"
        )
    return pairs


def _with_own_baselines(group: Group) -> list[Pair]:
    pairs = [
        Pair(cell, baseline)
        for cell in group.cells
        if (baseline := group.baselines.get(cell.asked.name)) is not None
        and baseline.name != cell.name
    ]
    if not pairs:
        raise ConfigError(
            f"nothing to compare: {group.name} is, or has only, the cell that others are compared"
            " with; name another one"
        )
    return pairs


def _reference(cell: CellResults, group: Group, *, alone: bool) -> CellResults | None:
    """Return what `cell` is compared with; if it was named alone, also one on another dataset."""
    if len(group.cells) == 1:
        reference = group.cells[0]
        return reference if alone or reference.asked.name == cell.asked.name else None
    named = [other for other in group.cells if other.name == cell.name]
    beside = [other for other in group.cells if other.asked.name == cell.asked.name]
    for found in (named, beside):
        if len(found) == 1:
            return found[0]
    return None
