"""One run of a grid into a results folder: trials, summary, files, MLflow. It prints nothing.

<results>/responses.db               the response store, of all experiments there
<results>/mlflow.db                  MLflow's database, unless another is named
<results>/<experiment>/trials.db     the trial store
<results>/<experiment>/summary.json  what the experiment found
<results>/<experiment>/summary.md    the same, to read
<results>/<experiment>/study.yaml    the grid of a study, if it is logged
<results>/<experiment>/run.log       what the limits did, if they did anything
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import yaml

from ember_bench.engines import LocalEngine, run_loop
from ember_bench.errors import ConfigError, EmberBenchError, OutputError, StoreError
from ember_bench.experiment.edits import NO_EDITS, Edits
from ember_bench.experiment.lock import locked
from ember_bench.experiment.prepare import Experiment, prepare
from ember_bench.experiment.results.schema import BUDGET_USD
from ember_bench.experiment.results.summary import ExperimentSummary
from ember_bench.experiment.runner import Engine, Progress, Run, trial_store
from ember_bench.experiment.trial import TrialResult
from ember_bench.experiment.trial_store import TrialStore
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.models.store.salvage import open_response_store
from ember_bench.registry import Cards, default_roots
from ember_bench.running.artifacts import (
    sampled,
    trial_batches,
    write_file,
    write_report,
    write_summary,
)
from ember_bench.running.deciding import Deciding
from ember_bench.running.interpreter import tuned
from ember_bench.running.listening import Listener
from ember_bench.running.live import shown_live
from ember_bench.running.places import RESPONSES, STUDY, SUMMARY, SUMMARY_TEXT
from ember_bench.running.run_log import run_log
from ember_bench.running.scores import Scores
from ember_bench.running.stopping import Stop, stoppable
from ember_bench.running.waits import told_of_waits
from ember_bench.tracking import Curves, Logged, Tracker, TrackingError, is_logged, unfinished
from ember_bench.tracking.networks import networks
from ember_bench.tracking.uris import default_uri, sqlite_path, unusable

_LOGGED: Final = "mlflow"


@dataclass(frozen=True, slots=True)
class Options:
    """How a grid is run.

    Attributes:
        results: The folder that everything is written to.
        tracking_uri: MLflow's store; by default `mlflow.db` in `results`.
        mlflow: Whether to log to MLflow at all.
        traces: Number of trials to log as traces.
        whole: Whether to run the whole grid, also when its decision is sure before.
        dedicated: Whether the process does nothing else, so that its garbage collector and its
            threads are set for trials while they run (`running.interpreter`).
    """

    results: Path = Path("results")
    tracking_uri: str | None = None
    mlflow: bool = True
    traces: int = 0
    whole: bool = False
    dedicated: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        summary: The summary of the experiment so far.
        folder: The folder of its files.
        stopped: Whether it was told to stop before all trials were done.
        logged: Its runs in MLflow; None if it is not logged.
        log_error: The error of logging; None without one.
        budget_reached: The caps of the budget that rejected calls, as text.
        calls_in_batches: Number of calls in providers' batches that wait for the next run.
        surprises: Number of failed trials that were not known to fail before the run.
        servers: Sentences about servers of local models that the run started.
    """

    summary: ExperimentSummary
    folder: Path
    stopped: bool
    logged: Logged | None
    log_error: str | None
    budget_reached: tuple[str, ...] = ()
    calls_in_batches: int = 0
    surprises: int = 0
    servers: tuple[str, ...] = ()

    @property
    def remarks(self) -> list[str]:
        """What else is to be said of its end, as sentences."""
        found = [f"budget reached: {cap}" for cap in self.budget_reached] + [*self.servers]
        if waiting := self.calls_in_batches:
            found.append(
                f"{waiting:,} calls are in providers' batches; whoever asks for them next waits on"
            )
        return found


class RunStoppedError(EmberBenchError):
    """The run was told twice to stop, or its files failed: there is no new summary."""


def open_experiment(
    grid: Path,
    *,
    offline: bool = False,
    asks_judges: bool | None = None,
    in_flight: int | None = None,
    unsafe_code: bool = False,
    evaluators: Mapping[str, str] | None = None,
    judge: str | None = None,
    budget_usd: float | None = None,
    edits: Edits = NO_EDITS,
) -> Experiment:
    """Read a grid and check all that it needs; without writing or requests.

    Args:
        grid: The grid file.
        offline: Make no request: a call whose answer is not stored is an error.
        asks_judges: Make the requests of evaluations; None for as `offline` says.
        in_flight: Number of trials at once, in place of the grid's value.
        unsafe_code: Run model-written code without a sandbox where there is none.
        evaluators: Evaluators in place of the grid's, by dataset.
        judge: The model that judges, in place of the grid's.
        budget_usd: The most that a run may spend, in place of the grid's value.
        edits: Changes of what the grid says.

    Raises:
        ConfigError: with every mistake at its place.
    """
    cards = Cards(default_roots(grid))
    registry = ModelRegistry.from_cards(cards)
    service = ModelService(registry, offline=offline, asks_judges=bool(asks_judges))
    experiment = prepare(
        grid,
        cards,
        service,
        asks=not offline,
        asks_judges=asks_judges,
        unsafe_code=unsafe_code,
        evaluators=evaluators,
        judge=judge,
        budget_usd=budget_usd,
        edits=edits,
    )
    if in_flight is not None:
        spec = experiment.spec.model_copy(update={"in_flight": in_flight})
        experiment = replace(experiment, spec=spec)
    return experiment


def run_experiment(
    experiment: Experiment,
    options: Options,
    listener: Listener | None = None,
    engine: Engine | None = None,
    stop: Stop | None = None,
) -> Outcome:
    """Run the missing trials of an experiment, summarise all of them, and log the summary.

    SIGINT and SIGTERM stop it early, in order; a second SIGINT at once. No answer is lost. Outside
    the main thread, which alone gets signals, `stop` does the same.

    A shard is not logged to MLflow: the merged results are.

    Raises:
        ConfigError: if MLflow cannot use the tracking URI, or the folder has another shard.
        ResultsLockedError: if another process is writing to its folder.
        StoreError: if a store cannot be opened.
        RunStoppedError: if it was told twice to stop, or a store failed in the middle.
        KeyboardInterrupt: if it was told to stop while nothing could be lost.
    """
    uri = options.tracking_uri if options.mlflow else None
    if uri is not None and (problem := unusable(uri)) is not None:
        raise ConfigError(f"--tracking-uri: {problem}")
    if experiment.shard is not None:
        options = replace(options, mlflow=False)
    session = _Session(
        experiment, options, listener or Listener(), engine or LocalEngine(), stop or Stop()
    )
    with locked(session.folder):
        return session.run()


class _Session:
    """A run that holds the experiment's folder."""

    def __init__(
        self,
        experiment: Experiment,
        options: Options,
        listener: Listener,
        engine: Engine,
        stop: Stop,
    ) -> None:
        self.experiment = experiment
        self.engine = engine
        self.options = options
        self.listener = listener
        self.stop = stop
        self.folder = options.results / experiment.name

    def run(self) -> Outcome:
        with ExitStack() as stack:
            stack.enter_context(run_log(self.folder))
            service = self.experiment.service
            responses, mended = open_response_store(self.options.results / RESPONSES)
            stack.callback(responses.close)
            service.attach(responses)
            store = trial_store(self.folder, self.experiment)
            stack.callback(store.close)
            store.changes += [mended] if mended else []
            store.note(BUDGET_USD, self._budget())
            run = Run(self.experiment, store, self.engine, self.listener.progressed)
            deciding = Deciding(run, whole=self.options.whole)
            self.experiment = run.experiment
            progress = Progress(len(self.experiment), sum(map(sum, store.done)), store.changes)
            tracker = curves = None
            # A search describes its systems when it has found them.
            if self.experiment.spec.search is None and progress.kept < progress.scheduled:
                scores = Scores(store)
                run.on_results = scores.add
                self.listener.scoring(scores)
                if self.options.mlflow:
                    tracker = stack.enter_context(self._tracker())
                    curves = self._follow(run, tracker, progress.kept)
            self.listener.started(progress)
            try:
                progress = run_loop(self._trials(run))
            except asyncio.CancelledError:
                raise RunStoppedError("stopped at once; every answer is stored") from None
            except StoreError as error:
                raise RunStoppedError(f"{error}; what is stored is kept") from error
            finally:
                self.listener.finished()
            if tracker is not None and curves is not None:
                tracker.follow(curves.points(last=True))
            decided = deciding.end()
            self.experiment = run.experiment
            summary = run.summary(progress, decided=decided)
            text = self._write_summary(summary)
            logged, log_error = self._log(summary, text, store, tracker, stack)
            budget = self.experiment.budget
            reached = tuple(budget.reached) if budget is not None else ()
            stopped = bool(run.stop.is_set() or reached) and summary.run.status == "partial"
            waiting = service.calls_in_batches if stopped else 0
            surprises = max(0, summary.failed - self.experiment.bound_to_fail)
            return Outcome(
                summary, self.folder, stopped, logged, log_error, reached, waiting, surprises,
                tuple(service.servers.reports),
            )  # fmt: skip

    def _budget(self) -> str:
        budget = self.experiment.budget
        return "" if budget is None or budget.run_usd is None else repr(budget.run_usd)

    def _write_summary(self, summary: ExperimentSummary) -> str:
        with _writing():
            return write_summary(summary, self.folder)

    async def _trials(self, run: Run) -> Progress:
        abandon = True
        try:
            waits = told_of_waits(self.experiment.service, self.listener.waiting)
            under_way = self.engine.under_way if isinstance(self.engine, LocalEngine) else None
            live = shown_live(self.folder, self.experiment.service, under_way)
            with stoppable(run, self.listener.stopping, self.stop), self._interpreter():
                async with waits, live:
                    progress = await run.trials()
                abandon = False
                return progress
        finally:
            await self.experiment.service.close(abandon=abandon)

    def _interpreter(self) -> AbstractContextManager[None]:
        return tuned() if self.options.dedicated else nullcontext()

    def _tracker(self) -> AbstractContextManager[Tracker]:
        results, uri = self.options.results, self.options.tracking_uri
        return Tracker(self.experiment.name, results=results, tracking_uri=uri)

    def _follow(self, run: Run, tracker: Tracker, kept: int) -> Curves:
        """Have the tracker draw the curves of a run while it goes on."""
        curves = Curves(run.store)
        asked = run.store.description
        begun = unfinished(asked, started=run.started_at, kept=kept)
        tracker.begin(begun, price_date=self._price_date())

        def progressed(progress: Progress) -> None:
            self.listener.progressed(progress)
            tracker.follow(curves.points())

        scored = run.on_results

        def added(results: list[TrialResult]) -> None:
            scored(results)
            curves.add(results)

        run.on_results, run.on_progress = added, progressed
        return curves

    def _log(
        self,
        summary: ExperimentSummary,
        text: str,
        store: TrialStore,
        tracker: Tracker | None,
        stack: ExitStack,
    ) -> tuple[Logged | None, str | None]:
        """Log the summary, unless that was done before; return where, or why not."""
        if not self.options.mlflow:
            return None, None
        results, uri = self.options.results, self.options.tracking_uri
        last = _decoded(store.fact(_LOGGED))
        wanted = min(self.options.traces, len(self.experiment))
        known = is_logged(summary, last, results=results, tracking_uri=uri, traces=wanted)
        if known and sqlite_path(uri or default_uri(results)) is not None:
            return last, None
        self.listener.logging()
        try:
            tracker = tracker or stack.enter_context(self._tracker())
            if known and last is not None and tracker.has(last):
                return last, None
            responses = results / RESPONSES
            folder = Path(stack.enter_context(TemporaryDirectory()))
            report = write_report(store, responses, folder)
            logged = tracker.log(
                summary,
                markdown=text,
                grid=self._grid_file(),
                trials=lambda cell: trial_batches(store, cell),
                files=[self.folder / SUMMARY, self.folder / SUMMARY_TEXT, *report],
                price_date=self._price_date(),
                networks=networks(self.experiment),
                traces=stack.enter_context(
                    closing(sampled(self.experiment, store, responses, wanted))
                ),
            )
        except TrackingError as error:
            return None, str(error)
        except KeyboardInterrupt:
            return None, "the results are not in MLflow: stopped before they were"
        store.note(_LOGGED, msgspec.json.encode(logged).decode())
        return logged, None

    def _grid_file(self) -> Path:
        """Return the grid file; that of a study is written to its folder."""
        if self.experiment.path is not None:
            return self.experiment.path
        path = self.folder / STUDY
        spec = self.experiment.spec.model_dump(mode="json", exclude_defaults=True)
        text = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=100)
        with _writing():
            write_file(path, f"# A study that was run in Python.\n{text}".encode())
        return path

    def _price_date(self) -> str | None:
        """Return the day of the oldest price."""
        dates = [model.price_date for model in self.experiment.models if model.price_date]
        return min(dates).isoformat() if dates else None


def _decoded(fact: str | None) -> Logged | None:
    """Return where the experiment was logged last; None if that cannot be read."""
    if fact is None:
        return None
    try:
        return msgspec.json.decode(fact, type=Logged)
    except msgspec.MsgspecError:
        return None


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OutputError as error:
        raise RunStoppedError(f"{error}; every answer is stored") from error
