"""An optimisation from a study to a card: search, choice, and a test on items not seen before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ember_bench.engines import run_loop
from ember_bench.errors import ConfigError, did_you_mean
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.lock import locked
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.spec import wrong_name
from ember_bench.models.providers.base import provider_class
from ember_bench.models.store.salvage import open_response_store
from ember_bench.optimising.bench import Bench, Point
from ember_bench.optimising.outcome import CurvePoint, Optimised, Tested
from ember_bench.optimising.prompts import architecture_card, prompts_of, reworded
from ember_bench.optimising.splitting import split
from ember_bench.optimising.task import Options, Task
from ember_bench.optimising.tracked import log_to_mlflow, search_of
from ember_bench.optimising.writing import card_file, write, write_grid
from ember_bench.registry import Cards, builtin_root
from ember_bench.running.find_grids import find_grid
from ember_bench.running.places import RESPONSES
from ember_bench.running.session import open_experiment
from ember_bench.tracking.messages import LoggedSearch, TrackingError
from ember_bench.tracking.uris import unusable

METHODS: Final = ("gepa", "bootstrap_few_shot", "mipro")
_NEEDS: Final = {"gepa": ["gepa"], "bootstrap_few_shot": ["dspy"], "mipro": ["dspy", "optuna"]}


@dataclass(frozen=True, slots=True)
class Written:
    """Where the result is.

    Attributes:
        folder: The folder of its files.
        card: The new card.
        grid: A grid of the system before and after; None if it could not be opened there.
        logged: The run in MLflow; None if it was not logged.
        log_error: Why not, if it was to be.
    """

    folder: Path
    card: Path
    grid: Path | None
    logged: LoggedSearch | None = None
    log_error: str | None = None


def optimise(
    study: str,
    options: Options,
    *,
    budget_usd: float | None = None,
    in_flight: int | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> tuple[Optimised, Written]:
    """Optimise the prompts of a cell, and write the result; returns it, and where it is.

    Run again, it goes on: answers that are stored are not asked for again.

    Args:
        study: The name or path of a grid.
        options: How.
        budget_usd: The most that it may spend, in US dollars.
        in_flight: Number of trials at once.
        told: Is told of progress, in sentences.

    Raises:
        ConfigError: if there is nothing to optimise, or a package is not installed.
        StoreError: if a store fails.
    """
    _require(options.method)
    if options.mlflow and options.tracking_uri and (problem := unusable(options.tracking_uri)):
        raise ConfigError(f"--tracking-uri: {problem}")
    experiment = open_experiment(find_grid(study), in_flight=in_flight, budget_usd=budget_usd)
    return optimise_experiment(experiment, options, told)


def optimise_experiment(
    experiment: Experiment, options: Options, told: Callable[[str], None] = lambda _: None
) -> tuple[Optimised, Written]:
    """Optimise the prompts of a cell of an experiment; see `optimise`.

    Raises:
        ConfigError: if there is nothing to optimise.
        StoreError: if a store fails.
    """
    cell = _cell(experiment, options.cell)
    asked = experiment.questions[cell.dataset]
    parts = split(asked.items, options.train, options.validation)
    prompts = prompts_of(cell.graph)
    name = options.name or f"{cell.architecture.name}_{options.method}"
    _check_name(name, cell)
    architecture_card(cell.graph, name, "")  # says before any call what cannot be written
    reflect = experiment.service.registry.get(options.reflect or cell.models[0].model_id)
    provider_class(reflect.provider_name).check([reflect])
    folder = options.results / f"{experiment.name}-{name}"
    with locked(folder):
        store, mended = open_response_store(options.results / RESPONSES)
        if mended:
            told(mended)
        with closing(store):
            experiment.service.attach(store)
            task = Task(experiment, cell, options, reflect, store, f"optimise {name}", told)
            best, tested, bench = run_loop(task.run(prompts, parts))
        outcome = _outcome(bench, best, tested, options, name)
        graph = reworded(cell.graph, prompts, best.candidate)
        purpose = f"{cell.architecture.name} with prompts of {options.method}."
        card = architecture_card(graph, name, purpose)
        write(folder, outcome, card)
        grid = write_grid(folder, experiment, cell, name)
        written = Written(folder, card_file(folder, name), grid)
        if options.mlflow:
            told("logging to MLflow")
            files = [written.card, *sorted(folder.glob("optimised.*")), *([grid] if grid else [])]
            try:
                search = search_of(outcome, cell, graph, card, files)
                logged = log_to_mlflow(
                    search, experiment.name, options.results, options.tracking_uri
                )
                written = replace(written, logged=logged)
            except TrackingError as error:
                written = replace(written, log_error=str(error))
    return outcome, written


def _require(method: str) -> None:
    from importlib.util import find_spec  # noqa: PLC0415 - needed here alone

    if method not in METHODS:
        raise ConfigError(
            f"--with {method}: expected {', '.join(METHODS)}{did_you_mean(method, METHODS)}"
        )
    if missing := [name for name in _NEEDS[method] if find_spec(name) is None]:
        raise ConfigError(
            f"--with {method}: {missing[0]} is not installed: pip install 'ember-bench[optimise]'"
        )


def _check_name(name: str, cell: Cell) -> None:
    """Check that a new card can have a name.

    Raises:
        ConfigError: if not.
    """
    if (reason := wrong_name(name)) is not None:
        raise ConfigError(f"--name {name}: {reason}")
    if name in {cell.architecture.name, *Cards([builtin_root()]).all("architectures")}:
        raise ConfigError(f"--name {name}: there is such an architecture; choose another name")


def _cell(experiment: Experiment, wanted: str | None) -> Cell:
    cells = experiment.cells
    if wanted is None and len(cells) > 1:
        labels = ", ".join(repr(cell.label) for cell in cells[:8])
        raise ConfigError(
            f"{experiment.name} has {len(cells)} systems; choose one: --cell {labels}"
        )
    found = cells if wanted is None else [c for c in cells if wanted in (c.label, c.name)]
    if not found:
        hint = did_you_mean(str(wanted), [cell.label for cell in cells])
        raise ConfigError(f"--cell {wanted!r}: {experiment.name} has no such system{hint}")
    if len(found) > 1:
        names = ", ".join(repr(cell.name) for cell in found)
        raise ConfigError(f"--cell {wanted!r}: there are several: {names}")
    if found[0].replayed:
        raise ConfigError(f"{found[0].name}: its models are recordings, which read no prompt")
    return found[0]


def _outcome(
    bench: Bench, best: Point, tested: Tested | None, options: Options, name: str
) -> Optimised:
    first = bench.points[0]
    return Optimised(
        study=bench.experiment.name,
        cell=bench.cell.name,
        method=options.method,
        card=name,
        simulated=bench.experiment.is_simulated(bench.cell),
        train=len(bench.parts.train),
        validation=len(bench.parts.validation),
        curve=[CurvePoint(p.spent_usd, p.score, p.cost_usd) for p in bench.points],
        chosen=bench.points.index(best),
        optimistic=best.score - first.score,
        tested=tested,
        ended=bench.ended,
        prompts={name: w.text for name, w in best.candidate.items()},
        prompts_before={name: w.text for name, w in bench.seed.items()},
        spent_usd=bench.cost_usd,
    )
