"""The best of the cells that are compared with one baseline: its interval, and ranks of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ember_bench import stats
from ember_bench.experiment.results.cells import BoolArray, CellResults, FloatArray
from ember_bench.experiment.results.compared import Winner
from ember_bench.experiment.results.family import Column, compact, floats
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.items import AskedItems
from ember_bench.experiment.results.pairs import Pair
from ember_bench.experiment.results.summary import Rank

_MOST_CELLS: Final = 200
_MOST_SCORES: Final = 5_000_000
"""Of a dataset: more would take too long, or too much memory, to be ranked."""


class Ranks:
    """Collects the cells of an experiment, a byte or a few an item, and ranks them by dataset.

    Args:
        level: With which the ranks of a dataset's cells hold together.
        seed: Of the normal limit's draws.
    """

    def __init__(self, level: float, seed: int) -> None:
        self.level = level
        self.seed = seed
        self._items: dict[str, AskedItems] = {}
        self._scores: dict[str, dict[str, Column]] = {}

    def add(self, cell: CellResults) -> None:
        """Take in a cell, unless it is an oracle or has no score."""
        if cell.oracle or not cell.measured or not len(cell.items):
            return
        found = self._scores.setdefault(cell.asked.name, {})
        self._items[cell.asked.name] = cell.items
        if len(found) <= _MOST_CELLS and len(found) * len(cell.items) <= _MOST_SCORES:
            found[cell.name] = compact(cell.scores)

    def found(self) -> dict[str, Rank]:
        """Return the ranks by the cell's name; none of a dataset of which nothing can be said."""
        ranks: dict[str, Rank] = {}
        for dataset, columns in self._scores.items():
            items = self._items[dataset]
            many = len(columns) > _MOST_CELLS or len(columns) * len(items) > _MOST_SCORES
            if many or len(columns) < 2:
                continue
            scores = np.column_stack([floats(column) for column in columns.values()])
            whole = np.flatnonzero(_whole(scores))
            if not whole.size:
                continue
            found = stats.rank_cells(
                scores[whole], clusters=items.clusters(whole), level=self.level, seed=self.seed
            )
            if found is not None:
                each = zip(found.best_rank, found.worst_rank, found.may_be_best, strict=True)
                for name, (best, worst, may_be) in zip(columns, each, strict=True):
                    ranks[name] = Rank(int(best), int(worst), bool(may_be))
        return ranks


@dataclass(frozen=True, slots=True)
class Standing:
    """The place of a cell among those compared with one baseline; None if it is unknown."""

    share: float | None = None
    rank: tuple[int, int] | None = None
    may_be_best: bool | None = None


def standings_of(
    pairs: Sequence[Pair],
) -> tuple[list[Standing], list[float | None], list[Winner | None]]:
    """Return each cell's standing in its family, each baseline's share of the best, and winners.

    A family is a baseline and what is compared with it.
    """
    families: dict[int, list[int]] = {}
    for number, pair in enumerate(pairs):
        families.setdefault(id(pair.baseline), []).append(number)
    standings = [Standing()] * len(pairs)
    baselines: list[float | None] = []
    winners: list[Winner | None] = []
    for everyone in families.values():
        members = [number for number in everyone if not pairs[number].cell.oracle]
        found, winner = _ranked([pairs[number] for number in members], pairs[everyone[0]].baseline)
        winners.append(winner)
        baselines.append(found[0].share)
        for number, standing in zip(members, found[1:], strict=True):
            standings[number] = standing
    return standings, baselines, winners


def _ranked(pairs: Sequence[Pair], baseline: CellResults) -> tuple[list[Standing], Winner | None]:
    """Return the standing of a baseline and of its cells, and the winner."""
    scores = np.column_stack([baseline.scores, *(pair.of_cell(pair.cell.scores) for pair in pairs)])
    cells = [baseline, *(pair.cell for pair in pairs)]
    items = np.flatnonzero(_whole(scores))
    if not items.size:
        return [Standing()] * len(cells), None
    clusters, seed = baseline.items.clusters(items), baseline.seed
    shares = stats.best_probabilities(scores[items], clusters=clusters, seed=seed)
    ranking = stats.rank_cells(scores[items], clusters=clusters, level=baseline.level, seed=seed)
    if shares is None or ranking is None:
        return [Standing()] * len(cells), None
    ranks = list(zip(ranking.best_rank.tolist(), ranking.worst_rank.tolist(), strict=True))
    standings = [
        Standing(share, rank, may_be)
        for share, rank, may_be in zip(
            shares.tolist(), ranks, ranking.may_be_best.tolist(), strict=True
        )
    ]
    if not pairs:
        return standings, None
    selected = cells[ranking.selected]
    others = np.flatnonzero(ranking.may_be_best).tolist()
    others.sort(key=lambda place: -float(scores[items, place].mean()))
    several = len({cell.source for cell in cells}) > 1
    winner = Winner(
        cell=selected.name,
        label=selected.label,
        accuracy=Quantity.of(ranking.winner),
        items=int(items.size),
        may_be_best=list(dict.fromkeys([selected.label, *(cells[p].label for p in others)])),
        ranks={
            f"{cell.source}/{cell.name}" if several else cell.name: rank
            for cell, rank in zip(cells, ranks, strict=True)
        },
        baseline_rank=ranks[0],
        baseline_may_be_best=bool(ranking.may_be_best[0]),
    )
    return standings, winner


def _whole(values: FloatArray) -> BoolArray:
    """Say which rows have all their values."""
    return np.asarray(np.isfinite(values).all(axis=1))
