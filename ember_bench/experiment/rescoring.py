"""Rescoring of stored trials: their graphs run on stored answers, without a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import structs

from ember_bench.errors import ConfigError
from ember_bench.evaluators.kinds import StandIn
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.trial import Trial, TrialResult, fingerprint

if TYPE_CHECKING:
    from ember_bench.experiment.runner import Engine


class Rescoring:
    """An engine that runs those trials again that are stored, and none that are not.

    Args:
        engine: The engine that runs them; the experiment's service must be offline.
        stored: The results that are scored anew.
        experiment: The experiment, with the new evaluators.

    Attributes:
        kept: Number of stored trials that belong to the experiment as it is now.
        changed: Number of the others, whose graph, model or item has changed: they cannot
            be run again on stored answers.

    Raises:
        ConfigError: if none of the stored trials is of the experiment as it is now.
    """

    def __init__(self, engine: Engine, stored: StoredTrials, experiment: Experiment) -> None:
        self._engine = engine
        self._stored = stored
        self._before, self._fitting = fitting_trials(experiment, stored)
        total = sum(len(_prints(stored, cell.name)) for cell in experiment.cells)
        self.kept = len(self._fitting)
        self.changed = total - self.kept
        if not self.kept:
            raise ConfigError(
                f"{stored.path}: none of its {total:,} trials is of {experiment.origin} as it is"
                " now: run the grid first"
                if total
                else f"{stored.path}: has no trial of {experiment.origin}"
            )

    async def run(
        self, experiment: Experiment, trials: Iterable[Trial], stop: asyncio.Event
    ) -> AsyncGenerator[list[TrialResult], None]:
        """Run those of `trials` that are stored, as an engine does."""
        chosen = (trial for trial in trials if trial in self._fitting)
        # Judges are paid by this run.
        before = replace(self._before, account=experiment.account)
        async with aclosing(self._engine.run(before, chosen, stop)) as batches:
            async for batch in batches:
                yield [self._result(experiment, result) for result in batch]

    def _result(self, experiment: Experiment, result: TrialResult) -> TrialResult:
        """Return a result under the experiment's own fingerprint.

        One that failed before and fails again keeps what it failed with.
        """
        trial = result.trial
        cell = experiment.cells[trial.cell]
        questions = experiment.questions[cell.dataset]
        item = questions.items[trial.item]
        identity = fingerprint(cell, item, questions.evaluator, trial.epoch)
        if any(call.made for call in result.calls):
            error = "StoreError: an answer of its is not in the response store"
            result = structs.replace(result, outcome="error", score=0.0, answer=None, error=error)
        if result.outcome == "error":
            place = self._stored.description.places[cell.name]
            number = self._stored.description.item_places[cell.dataset][item.id]
            earlier = self._stored.failure(place, number, trial.epoch)
            result = result if earlier is None else structs.replace(result, **earlier)
        return structs.replace(result, fingerprint=identity)


def fitting_trials(experiment: Experiment, stored: StoredTrials) -> tuple[Experiment, set[Trial]]:
    """Return which stored trials are of the experiment as it is now, whatever the evaluator.

    Returns:
        The experiment with the identities that its stored trials were asked under, and the trials
        whose stored fingerprint is theirs in it.
    """
    before = _as_before(experiment, stored)
    fitting: set[Trial] = set()
    for number, cell in enumerate(before.cells):
        prints = _prints(stored, cell.name)
        if not prints:
            continue
        places = stored.description.item_places[cell.dataset]
        questions = before.questions[cell.dataset]
        for index, item in enumerate(questions.items):
            for epoch in range(before.spec.epochs):
                kept = prints.get((places.get(item.id, -1), epoch))
                if kept == fingerprint(cell, item, questions.evaluator, epoch):
                    fitting.add(Trial(number, index, epoch))
    return before, fitting


def _prints(stored: StoredTrials, cell: str) -> dict[tuple[int, int], bytes]:
    place = stored.description.places.get(cell)
    return {} if place is None else stored.fingerprints(place)


def _as_before(experiment: Experiment, stored: StoredTrials) -> Experiment:
    """Return the experiment with the identities that its stored trials were asked under.

    Simulated models heed an item's evaluator, so it is part of their calls' identity.
    """
    questions = {
        name: replace(asked, evaluator=StandIn(asked.evaluator, stored.evaluators[name]))
        if name in stored.evaluators
        else asked
        for name, asked in experiment.questions.items()
    }
    return replace(experiment, questions=questions)
