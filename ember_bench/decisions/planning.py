"""What a grid can show: differences that its items find, and items that a difference needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from ember_bench import stats
from ember_bench.experiment.results.cells import CellResults, StoredCells
from ember_bench.experiment.results.rows import TrialRows

_LEAST_ITEMS: Final = 10
_MOST_EPOCHS: Final = 1_000
FloatArray = npt.NDArray[np.float64]


class ComparisonPower(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a comparison with the baseline can show.

    Attributes:
        dataset: Name of the dataset.
        cell: Name of the cell.
        label: For people.
        baseline: Label of the cell it is compared with.
        items: Items in common that the variance was measured on.
        deviation: Standard deviation of the items' differences at the planned number of epochs; 0
            if they are all equal, and then nothing is known.
        disagree: Share of items that exactly one of the two gets right; None unless scores are 0
            or 1 and there is one epoch.
        shows: Smallest difference of accuracy that the planned items find; None if none.
        needs: Items that the wanted difference needs; None if that was not asked, or is unknown.
        epochs: Epochs at which the planned items find the wanted difference; None if no number of
            epochs does, or if the variance within items is unknown.
        between: Variance of the difference between items; None for one epoch.
        within: Variance within an item over its epochs.
    """

    dataset: str
    cell: str
    label: str
    baseline: str
    items: int
    deviation: float
    disagree: float | None = None
    shows: float | None = None
    needs: int | None = None
    epochs: int | None = None
    between: float | None = None
    within: float | None = None


class PowerPlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an experiment can show.

    Attributes:
        source: The experiment whose rows were measured, or the simulated models.
        items: Planned number of items, by dataset.
        epochs: Planned number of epochs.
        power: Probability to find a difference.
        alpha: Error of each comparison: that of all of them, divided by their number.
        comparisons: Those that can be measured.
        unmeasured: Number of those that have too few common items.
        simulated: Whether answers of simulated models were measured.
        difference: The wanted difference of accuracy in [0, 1]; None if none was asked for.
    """

    source: str
    items: dict[str, int]
    epochs: int
    power: float
    alpha: float
    comparisons: list[ComparisonPower]
    unmeasured: int = 0
    simulated: bool = False
    difference: float | None = None


def plan_power(
    rows: TrialRows,
    *,
    items: Mapping[str, int] | None = None,
    epochs: int | None = None,
    power: float = 0.8,
    difference: float | None = None,
    source: str | None = None,
) -> PowerPlan:
    """Return what an experiment can show, by the variance of its stored rows.

    The number of items is by the exact McNemar test if scores are 0 or 1 and there is one epoch,
    else by the paired t-test, at the level of the experiment divided by its number of comparisons.

    Args:
        rows: The trial store of a pilot, or of another experiment.
        items: Planned number of items by dataset; by default those of its own grid.
        epochs: Planned number of epochs; by default those of its grid.
        power: Wanted probability to find a difference.
        difference: The difference of accuracy in [0, 1] whose number of items is wanted.
        source: What the rows are of, in words; by default the name of their experiment.
    """
    described, read = rows.description, StoredCells(rows)
    planned = {dataset.name: dataset.items for dataset in described.datasets} | dict(items or {})
    wanted = epochs or described.epochs
    compared = [
        place
        for place, cell in enumerate(described.cells)
        if not cell.oracle and described.baselines.get(cell.dataset, cell.name) != cell.name
    ]
    alpha = (1 - described.level) / max(1, len(compared))
    found = []
    for place in compared:
        cell = read.cell(place)[0]
        base = read.results(described.baselines[cell.asked.name])
        n = planned[cell.asked.name]
        measured = _measured(cell, base, described.epochs, wanted)
        if measured is not None:
            found.append(_with_numbers(measured, n, power, alpha, difference))
    return PowerPlan(
        source=source or f"the rows of {described.name}",
        items=planned,
        epochs=wanted,
        power=power,
        alpha=alpha,
        comparisons=found,
        unmeasured=len(compared) - len(found),
        simulated=any(described.cells[place].simulated for place in compared),
        difference=difference,
    )


def _measured(
    cell: CellResults, base: CellResults, epochs: int, planned: int
) -> ComparisonPower | None:
    """Return the variance of a comparison; None with too few common items."""
    whole = _answered(cell, epochs) & _answered(base, epochs)
    if np.count_nonzero(whole) < _LEAST_ITEMS:
        return None
    differences = _by_epoch(cell, whole, epochs) - _by_epoch(base, whole, epochs)
    n = len(differences)
    split = None
    if epochs > 1:
        split = stats.split_variance(differences.ravel(), np.repeat(np.arange(n), epochs))
    if split is None:
        deviation = float(differences.mean(axis=1).std(ddof=1))
    else:
        deviation = float(np.sqrt(split.between + split.within / planned))
    binary = epochs == planned == 1 and bool(np.isin(differences, (-1.0, 0.0, 1.0)).all())
    return ComparisonPower(
        dataset=cell.asked.name,
        cell=cell.name,
        label=cell.label,
        baseline=base.label,
        items=n,
        deviation=deviation,
        disagree=float(np.count_nonzero(differences) / n) if binary else None,
        between=None if split is None else split.between,
        within=None if split is None else split.within,
    )


def _answered(cell: CellResults, epochs: int) -> npt.NDArray[np.bool_]:
    """Return which items have all epochs, and no failed trial: a failure tells of no variance."""
    data = cell.data
    failed = np.bincount(data.item[data.failed], minlength=data.n_items)
    found: npt.NDArray[np.bool_] = (data.epochs == epochs) & (failed == 0)
    return found


def _by_epoch(cell: CellResults, whole: npt.NDArray[np.bool_], epochs: int) -> FloatArray:
    """Return the scores of whole items, shape (n_items, n_epochs)."""
    return cell.data.score[whole[cell.data.item]].reshape(-1, epochs)


def _with_numbers(
    found: ComparisonPower,
    items: int,
    power: float,
    alpha: float,
    difference: float | None,
) -> ComparisonPower:
    """Return a comparison with what the planned items show, and the items that are needed."""
    if found.deviation == 0:
        return found
    shows = shown_by(items, found.deviation, found.disagree, power=power, alpha=alpha)
    needs = enough = None
    if difference is not None:
        needs = _needed(found, difference, power, alpha)
        enough = _epochs(found, items, difference, power, alpha)
    return msgspec.structs.replace(found, shows=shows, needs=needs, epochs=enough)


def shown_by(
    items: int, deviation: float, disagree: float | None, *, power: float, alpha: float
) -> float | None:
    """Return the smallest difference that so many items show; None if they show none.

    Args:
        items: Number of items.
        deviation: Standard deviation of their differences.
        disagree: Share of items that exactly one of two systems gets right; None if scores are not
            0 or 1.
        power: Wanted probability to find it.
        alpha: Error of the comparison.
    """
    if disagree is not None:
        return stats.detectable_difference_paired(items, disagree, power=power, alpha=alpha)
    if items < 2:
        return None
    return stats.detectable_difference_mean(items, deviation, power=power, alpha=alpha)


def _needed(found: ComparisonPower, difference: float, power: float, alpha: float) -> int:
    if found.disagree is not None:
        # As many items as differ, at least, would have to differ for such a difference.
        disagree = max(found.disagree, difference)
        return stats.items_needed_paired(difference, disagree, power=power, alpha=alpha)
    return stats.items_needed_mean(difference, found.deviation, power=power, alpha=alpha)


def _epochs(
    found: ComparisonPower, items: int, difference: float, power: float, alpha: float
) -> int | None:
    """Return the number of epochs at which the planned items show a difference."""
    if found.between is None or found.within is None or items < 2:
        return None

    def enough(epochs: int) -> bool:
        deviation = float(np.sqrt((found.between or 0) + (found.within or 0) / epochs))
        if deviation == 0:
            return True
        shows = shown_by(items, deviation, None, power=power, alpha=alpha)
        return shows is not None and shows <= difference

    if not enough(_MOST_EPOCHS):
        return None
    low, high = 0, _MOST_EPOCHS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
