"""What a grid would give on stored answers alone: scores, and the price of what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np

from ember_bench import bridge, stats
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.forecast.rehearsal import Asked, Cast, KnownAnswers, Rehearsal
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.questions import Questions
from ember_bench.experiment.results.figures import Quantity
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.providers.base import provider_class
from ember_bench.models.service import ModelService


class StoredCell(msgspec.Struct, frozen=True):
    """A cell on stored answers.

    Attributes:
        trials: Trials in the grid.
        complete: Those whose calls are all stored, or recorded.
        begun: Those of which some calls are stored, and others are not.
        accuracy: Mean score of the items whose trials are complete. None without one, and if some
            are begun: which of them are complete may depend on the answers, as in a cascade.
        low: Mean score of the complete and the begun if all of the begun were wrong.
        high: The same if all of them were right.
        cost_per_item: US dollars of a complete trial; None if a price is unknown.
        missing_calls: Calls that are not stored, each counted for the first cell that makes it;
            where it depends on answers which calls are made, as if all answers were right.
        missing_usd: Their expected cost; None if a price is unknown.
    """

    name: str
    label: str
    dataset: str
    simulated: bool
    oracle: bool
    trials: int
    complete: int
    begun: int
    accuracy: Quantity | None
    low: float | None
    high: float | None
    cost_per_item: Quantity | None
    missing_calls: int
    missing_usd: float | None


class StoredGrid(msgspec.Struct, frozen=True):
    """A grid on stored answers; its cells in their order."""

    name: str
    level: float
    cells: list[StoredCell]


@dataclass(slots=True)
class _Noted:
    """The trials of a cell."""

    item: list[int] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    begun: int = 0
    missing: int = 0
    usd: float | None = 0.0


def on_stored_answers(
    opening: Callable[[ModelService], Experiment], registry: ModelRegistry, known: KnownAnswers
) -> StoredGrid:
    """Return what an experiment would give on answers that are there; makes no call.

    Simulated models answer only what is stored, too.

    Args:
        opening: Returns the experiment, whose calls the given service makes.
        registry: The models.
        known: The answers.

    Raises:
        ConfigError: as `opening`.
    """
    rehearsal = Rehearsal(registry, known, judges=True, scores=True)
    experiment = opening(rehearsal)
    cells = asyncio.run(_noted(experiment, rehearsal))
    found = [
        _cell(experiment, cell, noted) for cell, noted in zip(experiment.cells, cells, strict=True)
    ]
    return StoredGrid(experiment.name, experiment.spec.level, found)


async def _noted(experiment: Experiment, rehearsal: Rehearsal) -> list[_Noted]:
    counted: set[bytes] = set()
    found = []
    for cell in experiment.cells:
        noted, questions = _Noted(), experiment.questions[cell.dataset]
        left_out = experiment.left_out.get(cell.name, frozenset())
        for item in range(len(questions.items)):
            for epoch in range(experiment.spec.epochs if item not in left_out else 0):
                await _note(noted, rehearsal, cell, questions, item, epoch, counted)
        found.append(noted)
    return found


async def _note(
    noted: _Noted,
    rehearsal: Rehearsal,
    cell: Cell,
    questions: Questions,
    item: int,
    epoch: int,
    counted: set[bytes],
) -> None:
    """Note one trial: a score, or the calls that it lacks."""
    before = rehearsal.improvised
    score = await bridge.run(rehearsal.trial, cell, questions, item, epoch, Cast.RIGHT)
    asked = rehearsal.take()
    if rehearsal.improvised == before:
        noted.item.append(item)
        # A graph that fails on stored answers fails in a run as well.
        noted.score.append(0.0 if score is None else score.value)
        costs = [call.expected_usd for call in asked if not call.evaluation]
        noted.cost.append(np.nan if None in costs else sum(c for c in costs if c is not None))
        return
    missing = [call for call in asked if not _is_there(call)]
    noted.begun += len(missing) < len(asked)
    for call in missing:
        if call.key not in counted:
            counted.add(call.key)
            noted.missing += 1
            price = call.expected_usd
            noted.usd = None if noted.usd is None or price is None else noted.usd + price


def _is_there(call: Asked) -> bool:
    return call.known or provider_class(call.call.request.model.provider_name).replays


def _cell(experiment: Experiment, cell: Cell, noted: _Noted) -> StoredCell:
    items, place = np.unique(np.asarray(noted.item, dtype=np.int64), return_inverse=True)
    accuracy = cost = None
    if items.size:
        counts = np.bincount(place)
        asked = experiment.questions[cell.dataset].items
        labels = [asked[number].cluster or f"\0{number}" for number in items.tolist()]
        clusters = labels if any(asked[n].cluster for n in items.tolist()) else None
        means = np.bincount(place, weights=noted.score) / counts
        level = experiment.spec.level
        found = stats.mean_score(np.clip(means, 0, 1), clusters=clusters, level=level)
        accuracy = None if found is None or noted.begun else Quantity.of(found)
        costs = np.bincount(place, weights=noted.cost) / counts
        if not np.isnan(costs).any():
            spent = stats.mean_cost(costs, clusters=clusters, level=level)
            cost = None if spent is None else Quantity.of(spent)
    total = len(noted.score) + noted.begun
    right = float(sum(noted.score))
    return StoredCell(
        name=cell.name,
        label=cell.label,
        dataset=cell.dataset,
        simulated=experiment.is_simulated(cell),
        oracle=cell.architecture.card.oracle,
        trials=experiment.scheduled(cell),
        complete=len(noted.score),
        begun=noted.begun,
        accuracy=accuracy,
        low=right / total if total else None,
        high=(right + noted.begun) / total if total else None,
        cost_per_item=cost,
        missing_calls=noted.missing,
        missing_usd=noted.usd,
    )
