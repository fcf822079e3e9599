"""The forecast of an experiment: the number of its calls and their cost, before the first call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from ember_bench import bridge
from ember_bench.errors import ConfigError
from ember_bench.evaluators.base import judge_models, judges_of
from ember_bench.evaluators.several import further_of, headline_of
from ember_bench.experiment.edits import NO_EDITS, Edits
from ember_bench.experiment.forecast.doomed import Doomed
from ember_bench.experiment.forecast.numbers import (
    CellForecast,
    Forecast,
    Tally,
    numbers_of,
    range_sum,
)
from ember_bench.experiment.forecast.rehearsal import (
    ASSUMED_OUTPUT_TOKENS,
    CHARACTERS_PER_TOKEN,
    Cast,
    KnownAnswers,
    Rehearsal,
)
from ember_bench.experiment.forecast.search_plan import search_plan
from ember_bench.experiment.prepare import Experiment, prepare
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.providers.base import provider_class
from ember_bench.models.service import ModelService
from ember_bench.registry import Cards

# The structure of calls shows on a few items. The answers that are stored already do not.
_ITEMS: Final = 12
_MOST_CALLS: Final = 40_000


def forecast(
    path: Path,
    cards: Cards,
    registry: ModelRegistry,
    *,
    known: KnownAnswers | None = None,
    data_dir: Path | None = None,
    unsafe_code: bool = False,
    edits: Edits = NO_EDITS,
) -> Forecast:
    """Return the plan of a grid, see `forecast_of`.

    Args:
        path: The grid file.
        cards: The registries in force.
        registry: The models.
        known: Answers that are there already.
        data_dir: The folder of recorded data.
        unsafe_code: Run the targets' code without a sandbox where there is none.
        edits: Changes of what the grid says.

    Raises:
        ConfigError: with every mistake in the grid at its place.
    """

    def opening(service: ModelService) -> Experiment:
        return prepare(
            path,
            cards,
            service,
            data_dir=data_dir,
            asks=False,
            unsafe_code=unsafe_code,
            edits=edits,
        )

    return forecast_of(opening, registry, known)


def forecast_of(
    opening: Callable[[ModelService], Experiment],
    registry: ModelRegistry,
    known: KnownAnswers | None = None,
) -> Forecast:
    """Return the plan of an experiment; makes no call and writes nothing.

    The cells' graphs run on some items with a stand-in for the models, once for each `Cast`.

    Args:
        opening: Returns the experiment, whose calls the given service makes.
        registry: The models.
        known: Answers that are there already.

    Raises:
        ConfigError: as `opening`; and if a cell cannot succeed, whatever its models answer.
    """
    rehearsal = Rehearsal(registry, known, judges=True)
    experiment = opening(rehearsal)
    counted = asyncio.run(_Rehearsed(experiment, rehearsal, exact=known is not None).run())
    if problems := [*counted.doomed.problems()]:
        raise ConfigError(*(experiment.document.problem(p, "architectures") for p in problems))
    cells = [_cell(experiment, index, counted) for index in range(len(experiment.cells))]
    evaluations = [_evaluation(experiment, name, counted) for name in counted.judged]
    lines = [*cells, *evaluations]
    expected = [line.expected_usd for line in lines]
    worst = [line.worst_usd for line in lines]
    return Forecast(
        name=experiment.name,
        grid="" if experiment.path is None else str(experiment.path),
        simulated=any(line.simulated for line in lines),
        cells=cells,
        evaluations=evaluations,
        trials=len(experiment),
        calls=range_sum(line.calls for line in lines),
        shared=range_sum(line.shared for line in lines),
        stored=range_sum(line.stored for line in lines),
        made=range_sum(line.made for line in lines),
        expected_usd=None if None in expected else range_sum(e for e in expected if e is not None),
        worst_usd=None if None in worst else sum(w for w in worst if w is not None),
        assumptions=[*experiment.notes, *_assumptions(experiment, counted)],
        items={name: len(asked.items) for name, asked in experiment.questions.items()},
        epochs=experiment.spec.epochs,
        level=experiment.spec.level,
        search=search_plan(experiment, cells),
    )


class _Rehearsed:
    """The rehearsed trials of an experiment.

    Args:
        exact: Rehearse every trial, as far as that is quick, and not only a few items of each.
    """

    def __init__(self, experiment: Experiment, rehearsal: Rehearsal, *, exact: bool) -> None:
        self.experiment = experiment
        self.rehearsal = rehearsal
        self.exact = exact
        self.casts = list(Cast)
        self.units: dict[str, list[tuple[int, int]]] = {}
        self.tallies: dict[tuple[int, Cast], Tally] = {}
        self.judged: dict[str, dict[Cast, Tally]] = {}
        self.doomed = Doomed()

    async def run(self) -> _Rehearsed:
        """Rehearse; the first trial of each cell decides how many more are affordable."""
        self._choose(1)
        await self._rehearse()
        cost = sum(tally.calls for tally in self.all_tallies)
        most = _MOST_CALLS // max(1, cost)
        self._choose(max(1, most if self.exact else min(_ITEMS, most)))
        await self._rehearse()
        return self

    @property
    def all_tallies(self) -> list[Tally]:
        """The tallies of cells, and those of evaluations."""
        judged = (tally for tallies in self.judged.values() for tally in tallies.values())
        return [*self.tallies.values(), *judged]

    def scale(self, dataset: str) -> float:
        """Return the number of trials that one rehearsed trial stands for."""
        return self._trials(dataset) / len(self.units[dataset])

    @property
    def sampled(self) -> bool:
        """Whether some trials were not rehearsed."""
        return any(len(units) < self._trials(name) for name, units in self.units.items())

    def _trials(self, dataset: str) -> int:
        return len(self.experiment.questions[dataset].items) * self.experiment.spec.epochs

    def _choose(self, number: int) -> None:
        """Choose `number` trials of each dataset, evenly spaced over items and epochs."""
        for name, questions in self.experiment.questions.items():
            trials, items = self._trials(name), len(questions.items)
            chosen = sorted({k * trials // number for k in range(min(number, trials))})
            if number >= trials:
                chosen = list(range(trials))
            self.units[name] = [(place % items, place // items) for place in chosen]

    async def _rehearse(self) -> None:
        self.tallies, self.casts = {}, []
        self.judged = {
            name: {}
            for name, questions in self.experiment.questions.items()
            if judges_of(questions.evaluator)
        }
        self.rehearsal.unfinished = self.rehearsal.improvised = 0
        for cast in Cast:
            self.casts.append(cast)
            seen: set[bytes] = set()
            for tallies in self.judged.values():
                tallies[cast] = Tally()
            for index, cell in enumerate(self.experiment.cells):
                tally = self.tallies[index, cast] = Tally()
                questions = self.experiment.questions[cell.dataset]
                for item, epoch in self.units[cell.dataset]:
                    await bridge.run(self.rehearsal.trial, cell, questions, item, epoch, cast)
                    asked = self.rehearsal.take()
                    self.doomed.note(cell, asked, self.rehearsal.error)
                    for call in asked:
                        used = self.judged[cell.dataset][cast] if call.evaluation else tally
                        used.add(call, shared=call.key in seen)
                        seen.add(call.key)
            if not self.rehearsal.improvised:
                return


def _cell(experiment: Experiment, index: int, rehearsed: _Rehearsed) -> CellForecast:
    cell = experiment.cells[index]
    tallies = [rehearsed.tallies[index, cast] for cast in rehearsed.casts]
    return CellForecast(
        name=cell.name,
        label=cell.label,
        dataset=cell.dataset,
        simulated=experiment.is_simulated(cell),
        trials=experiment.scheduled(cell),
        **numbers_of(tallies, rehearsed.scale(cell.dataset)),
    )


def _evaluation(experiment: Experiment, dataset: str, rehearsed: _Rehearsed) -> CellForecast:
    """Return the line of a dataset's judges."""
    evaluator = experiment.questions[dataset].evaluator
    tallies = [rehearsed.judged[dataset][cast] for cast in rehearsed.casts]
    cells = [cell for cell in experiment.cells if cell.dataset == dataset]
    simulated = (provider_class(m.provider_name).simulated for m in judge_models(evaluator))
    evaluators = (headline_of(evaluator), *further_of(evaluator).values())
    label = f"evaluation by {', '.join(e.name for e in evaluators if judges_of(e))}"
    return CellForecast(
        name=f"{dataset}/{label}",
        label=label,
        dataset=dataset,
        simulated=any(simulated),
        trials=sum(map(experiment.scheduled, cells)),
        **numbers_of(tallies, rehearsed.scale(dataset)),
    )


def _assumptions(experiment: Experiment, rehearsed: _Rehearsed) -> Iterable[str]:
    tallies = rehearsed.all_tallies
    if len(rehearsed.casts) > 1:
        yield (
            "Ranges go from models that are always right, or always wrong, to models that never"
            " agree or cannot be understood."
        )
    if rehearsed.sampled:
        trials = max(map(len, rehearsed.units.values()))
        yield f"Calls were counted on {trials:,} trials of each cell, evenly spaced."
    asked = [m for m in experiment.models if not _is_recorded(m.provider_name)]
    if any(not provider_class(m.provider_name).simulated for m in asked):
        yield (
            f"Expected cost: an answer has {ASSUMED_OUTPUT_TOKENS} tokens (or max_tokens, if that"
            f" is less), and a prompt a token for every {CHARACTERS_PER_TOKEN} characters."
        )
        yield (
            "Worst-case cost: each answer is as long as max_tokens or the model's context allows,"
            " and a prompt has a token for every byte."
        )
    if any(provider_class(m.provider_name).simulated for m in asked):
        yield "Simulated models: lengths and prices are those on their cards; nothing is paid."
    if rehearsed.judged:
        yield (
            "Evaluation: calls of judges, beside those of the cells. Outputs that are not known yet"
            " are taken to differ; those that turn out equal share one verdict."
        )
    if unpriced := sorted(set().union(*(tally.unpriced for tally in tallies))):
        yield f"Unknown price: {', '.join(unpriced)}."
    if unlimited := sorted(set().union(*(tally.unlimited for tally in tallies))):
        yield (
            f"Worst case unknown: neither max_tokens nor a context size limits the answers of"
            f" {', '.join(unlimited)}."
        )
    if rehearsed.rehearsal.unfinished:
        yield (
            f"{rehearsed.rehearsal.unfinished:,} rehearsed trials ended early, as an operator"
            " could not go on with a stand-in's answer: there may be more calls."
        )


def _is_recorded(provider_name: str) -> bool:
    provider = provider_class(provider_name)
    return provider.instant and not provider.simulated
