"""Runs the missing trials of an experiment and summarises all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from ember_bench.errors import ConfigError, StoreError
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.analysis import Analysis
from ember_bench.experiment.results.failures import first_line
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.results.summary import FAILED, ExperimentSummary, RunSummary
from ember_bench.experiment.shards import Shard
from ember_bench.experiment.trial import Trial, TrialResult
from ember_bench.experiment.trial_store import TrialStore, open_trial_store
from ember_bench.experiment.turns import Turns

_BATCH = 500
_FLUSH_SECONDS = 0.5


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Engine(Protocol):
    """Where trials run."""

    def run(
        self, experiment: Experiment, trials: Iterable[Trial], stop: asyncio.Event
    ) -> AsyncGenerator[list[TrialResult], None]:
        """Run trials and yield their results in batches, in any order.

        After `stop` is set no further trial is begun. Closing the generator cancels what is
        under way.
        """


@dataclass(slots=True)
class Progress:
    """How far a run is.

    Attributes:
        scheduled: Trials that the grid asks for.
        kept: Trials that earlier runs did.
        done: Trials that this run did.
        errors: Those of them that ended in an error.
        calls_made: Requests made.
        calls_shared: Calls that needed no request of their own.
        spend_usd: New money paid, as far as it is known.
        changes: Changes since the last run.
        first_error: The error of the first trial that failed in this run; None if none did.
        open_ended: Whether fewer trials may be enough, so that nobody knows what is left.
        budget_usd: The most that the run may spend; None without a cap.
    """

    scheduled: int
    kept: int
    changes: list[str]
    done: int = 0
    errors: int = 0
    calls_made: int = 0
    calls_shared: int = 0
    spend_usd: float = 0.0
    first_error: str | None = None
    open_ended: bool = False
    budget_usd: float | None = None

    def add(self, result: TrialResult) -> None:
        """Count one trial."""
        self.done += 1
        if result.outcome in FAILED:
            self.errors += 1
            self.first_error = self.first_error or first_line(result.error or "")
        self.calls_shared += sum(not entry.made for entry in result.all_calls)


@dataclass(slots=True)
class Run:
    """One run of an experiment into a folder that this process holds (`experiment.lock`).

    Args:
        experiment: The experiment to run.
        store: Its trial store.
        engine: Runs the trials.
        on_progress: Called after results were written.
        on_results: Called with each batch of results.
        stages: The trials to do, stage by stage: all of a stage are stored before the next one is
            taken. By default all trials of the experiment are one stage.
    """

    experiment: Experiment
    store: TrialStore
    engine: Engine
    on_progress: Callable[[Progress], None] = lambda _: None
    on_results: Callable[[list[TrialResult]], None] = lambda _: None
    stages: Iterable[Iterable[Trial]] | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    _started: float = field(default_factory=time.perf_counter)
    started_at: str = field(default_factory=utc_now)

    async def trials(self) -> Progress:
        """Run the trials that are not done; returns when all are, or `stop` has been set."""
        store = self.store
        experiment = replace(self.experiment, account=store.account)
        progress = Progress(
            scheduled=len(experiment),
            kept=sum(sum(flags) for flags in store.done),
            changes=store.changes,
            open_ended=self.stages is not None,
            budget_usd=None if experiment.budget is None else experiment.budget.run_usd,
        )
        self.on_progress(progress)
        turns = Turns(experiment, store.is_done)
        for stage in [experiment.trials()] if self.stages is None else self.stages:
            async with aclosing(turns.of(stage)) as parts:
                async for trials in parts:
                    await self._stage(experiment, trials, progress)
        # Requests of failed trials may be in flight; they are paid, and stored.
        await self.experiment.service.drain()
        self._settle(progress)
        self.on_progress(progress)
        return progress

    async def _stage(
        self, experiment: Experiment, trials: Iterable[Trial], progress: Progress
    ) -> None:
        """Run those of some trials that are not done, and store their results."""
        unwritten: list[TrialResult] = []
        written = time.monotonic()
        missing = self._missing(trials)
        try:
            # Without `aclosing`, trials would go on after an error in here.
            async with aclosing(self.engine.run(experiment, missing, self.stop)) as batches:
                async for batch in batches:
                    for result in batch:
                        progress.add(result)
                    self.on_results(batch)
                    unwritten += batch
                    if len(unwritten) >= _BATCH or time.monotonic() - written > _FLUSH_SECONDS:
                        self._write(unwritten)
                        unwritten, written = [], time.monotonic()
                        self._settle(progress)
                        self.on_progress(progress)
        finally:
            self._write(unwritten)
        self._settle(progress)
        self.on_progress(progress)

    def _write(self, results: list[TrialResult]) -> None:
        """Store results, of which all answers are in the response store."""
        self.experiment.service.flush()
        self.store.write(results)

    def _missing(self, trials: Iterable[Trial]) -> Iterator[Trial]:
        """Yield those of some trials that are not done, as long as there is money for them."""
        budget, cells = self.experiment.budget, self.experiment.cells
        models = [
            [model.model_id for model in (*cell.models, *self.experiment.judges_of(cell))]
            for cell in cells
        ]
        for trial in trials:
            if self.store.is_done(trial):
                continue
            if budget is not None and budget.exhausted:
                if not budget.keeps:  # else a later stage has money of its own
                    self.stop.set()
                return
            if budget is None or budget.may_begin(cells[trial.cell].name, models[trial.cell]):
                yield trial

    def _settle(self, progress: Progress) -> None:
        totals = self.store.settle(self.experiment.service.paid)
        progress.calls_made, progress.spend_usd = totals.calls_made, totals.known_usd

    def summary(self, progress: Progress, *, decided: bool = False) -> ExperimentSummary:
        """Return the summary of all runs of the experiment so far.

        Args:
            progress: How far this run came.
            decided: Whether the rest is left out, as the grid's decision is sure.
        """
        complete = progress.kept + progress.done >= progress.scheduled
        unfinished: Literal["decided", "partial"] = "decided" if decided else "partial"
        totals = self.store.run_totals()
        return Analysis(self.store).summary(
            RunSummary(
                status="complete" if complete else unfinished,
                started=self.started_at,
                wall_seconds=time.perf_counter() - self._started,
                trials_run=progress.done,
                trials_kept=progress.kept,
                calls_made=totals.calls_made,
                calls_shared=totals.calls_shared,
                spend_usd=totals.spend_usd,
                changes=self.store.changes,
                known_usd=totals.known_usd,
                unpriced=totals.unpriced,
                unanswered=totals.unanswered,
                unanswered_usd=totals.unanswered_usd,
            )
        )


def trial_store(folder: Path, experiment: Experiment) -> TrialStore:
    """Open the trial store of an experiment in its results folder; see `open_trial_store`.

    Raises:
        ConfigError: if the experiment is a shard, and the folder has another or none.
    """
    check_folder(folder / "trials.db", experiment.shard)
    return open_trial_store(folder / "trials.db", experiment, started=utc_now())


def check_folder(trials: Path, shard: Shard | None) -> None:
    """See that a folder's trials are those of this shard: a part holds one shard.

    Args:
        trials: The trial store, which need not be there.
        shard: The shard that is to be run; None for the whole experiment, which may go anywhere.

    Raises:
        ConfigError: if they are of another shard, or of no shard.
    """
    if shard is None or not trials.is_file():
        return
    try:
        with closing(StoredTrials(trials)) as stored:
            there = stored.description.shard
    except StoreError:  # opening it to write mends it, or says why it cannot
        return
    if there != str(shard):
        has = f"shard {there}" if there else "results that are no shard's"
        raise ConfigError(
            f"--shard {shard}: {trials.parent} has {has}; give each shard a folder of its own"
            " (--results)"
        )
