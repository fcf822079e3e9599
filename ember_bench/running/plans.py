"""Plans of studies: calls and cost before anything is asked."""

from __future__ import annotations

import shutil
from contextlib import closing, nullcontext
from dataclasses import dataclass
from html import escape
from pathlib import Path

import msgspec

from ember_bench.experiment.forecast.calls import forecast_of
from ember_bench.experiment.forecast.numbers import Forecast
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.store.stored_answers import StoredAnswers
from ember_bench.report.forecast_table import plan_table
from ember_bench.running.apart import run_apart
from ember_bench.running.can_show import can_show
from ember_bench.running.open_study import open_study
from ember_bench.running.places import RESPONSES
from ember_bench.running.study_spec import RunOptions, StudySpec


@dataclass(frozen=True, repr=False)
class Plan:
    """The forecast of a study, which shows itself as a table.

    Attributes:
        forecast: Calls, and their cost in US dollars, for each cell and in all.
    """

    forecast: Forecast

    def __repr__(self) -> str:
        return plan_table(self.forecast, shutil.get_terminal_size((100, 24)).columns).plain

    def _repr_html_(self) -> str:
        return f"<pre>{escape(plan_table(self.forecast, None).plain)}</pre>"


def plan_study(study: StudySpec, results: Path) -> Plan:
    """Return the plan of a study; raises as `Study.plan`."""

    def plan() -> Plan:
        registry = ModelRegistry.from_cards()
        stored = results / RESPONSES
        known = closing(StoredAnswers(stored)) if stored.is_file() else nullcontext()
        with known as answers:
            options: RunOptions = {"offline": True}
            forecast = forecast_of(lambda s: open_study(study, options, s), registry, answers)
        return Plan(msgspec.structs.replace(forecast, shows=can_show(forecast, results)))

    # Graphs run on an event loop, and there may be one in this thread.
    return run_apart(plan)
