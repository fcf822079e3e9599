"""The best of the cells that are compared with one baseline: its interval, and ranks of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ember_bench import stats
from ember_bench.experiment.results.cells import BoolArray, CellResults, FloatArray
from ember_bench.experiment.results.compared import Winner
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.pairs import Pair


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
