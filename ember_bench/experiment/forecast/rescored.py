"""The plan of a rescoring: what judges would be asked about outputs that are there already."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from ember_bench import bridge
from ember_bench.evaluators.base import judge_models
from ember_bench.experiment.forecast.numbers import CellForecast, Tally, numbers_of
from ember_bench.experiment.forecast.rehearsal import Cast, Rehearsal
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import Trial
from ember_bench.models.providers.base import provider_class

# How judges answer may steer a network of them; stored outputs do not change.
_CASTS: Final = (Cast.RIGHT, Cast.DIFFERENT, Cast.UNREADABLE)


def evaluation_forecast(
    experiment: Experiment, rehearsal: Rehearsal, trials: Iterable[Trial]
) -> CellForecast:
    """Return the calls that judges get in a rescoring, and their cost; makes none.

    Args:
        experiment: The experiment, under the identities that its trials were asked under; its
            service is `rehearsal`.
        rehearsal: Knows the stored answers, and answers in place of the judges.
        trials: The trials that are scored again.
    """
    return asyncio.run(_forecast(experiment, rehearsal, sorted(trials, key=_in_order)))


def _in_order(trial: Trial) -> tuple[int, int, int]:
    return trial.cell, trial.item, trial.epoch


async def _forecast(
    experiment: Experiment, rehearsal: Rehearsal, trials: list[Trial]
) -> CellForecast:
    tallies = [Tally() for _ in _CASTS]
    for cast, tally in zip(_CASTS, tallies, strict=True):
        seen: set[bytes] = set()
        for trial in trials:
            cell = experiment.cells[trial.cell]
            questions = experiment.questions[cell.dataset]
            await bridge.run(rehearsal.trial, cell, questions, trial.item, trial.epoch, cast)
            for call in rehearsal.take():
                if call.evaluation:
                    tally.add(call, shared=call.key in seen)
                    seen.add(call.key)
    evaluators = [questions.evaluator for questions in experiment.questions.values()]
    models = [model for evaluator in evaluators for model in judge_models(evaluator)]
    return CellForecast(
        name="evaluation",
        label=", ".join(dict.fromkeys(evaluator.name for evaluator in evaluators)),
        dataset=", ".join(experiment.questions),
        simulated=any(provider_class(model.provider_name).simulated for model in models),
        trials=len(trials),
        **numbers_of(tallies, 1),
    )
