"""An optimisation from a study to a card: search, choice, and a test on items not seen before."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ember_bench import bridge
from ember_bench.engines import run_loop
from ember_bench.errors import BudgetExhaustedError, CallGivenUpError, ConfigError, did_you_mean
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.lock import locked
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.summary import FAILED
from ember_bench.models import strand as strands
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.base import provider_class
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.models.store.salvage import open_response_store
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.operators.lm import LMModule, LMModuleConfig, service_in_force
from ember_bench.optimising.bench import Bench, Point, Scored, SearchEndedError
from ember_bench.optimising.outcome import CurvePoint, Difference, Optimised, Tested, write
from ember_bench.optimising.prompts import Prompt, architecture_card, digest, prompts_of, reworded
from ember_bench.optimising.splitting import Split, split
from ember_bench.running.find_grids import find_grid
from ember_bench.running.places import RESPONSES
from ember_bench.running.session import open_experiment
from ember_bench.stats import paired_difference

METHODS: Final = ("gepa", "bootstrap_few_shot", "mipro")
_NEEDS: Final = {"gepa": ["gepa"], "bootstrap_few_shot": ["dspy"], "mipro": ["dspy", "optuna"]}
# More than the trials so far took, as prompts grow.
_RESERVE: Final = 1.5


@dataclass(frozen=True, slots=True)
class Options:
    """How prompts are optimised.

    Attributes:
        method: The optimiser.
        cell: The cell, by label or name; None for the study's only one.
        train: Number of items to train on; None for a quarter, at most 100.
        validation: Number of items to choose by; the same.
        evaluations: Number of trials after which GEPA ends; None for ten times the items to train
            on and to choose by.
        candidates: Number of candidates of MIPRO for each prompt.
        demonstrations: The most solved examples in a prompt.
        reflect: Model that proposes instructions; None for the cell's first.
        name: Name of the new card.
        results: The results folder.
        seed: Of the optimiser's random choices; None for the study's.
    """

    method: str
    cell: str | None = None
    train: int | None = None
    validation: int | None = None
    evaluations: int | None = None
    candidates: int = 6
    demonstrations: int = 4
    reflect: str | None = None
    name: str | None = None
    results: Path = Path("results")
    seed: int | None = None


def optimise(
    study: str,
    options: Options,
    *,
    budget_usd: float | None = None,
    in_flight: int | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> tuple[Optimised, Path]:
    """Optimise the prompts of a cell, and write the result; returns it, and its folder.

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
    experiment = open_experiment(find_grid(study), in_flight=in_flight, budget_usd=budget_usd)
    return optimise_experiment(experiment, options, told)


def optimise_experiment(
    experiment: Experiment, options: Options, told: Callable[[str], None] = lambda _: None
) -> tuple[Optimised, Path]:
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
            task = _Task(experiment, cell, options, reflect, store, f"optimise {name}", told)
            best, tested, bench = run_loop(task.run(prompts, parts))
        outcome = _outcome(bench, best, tested, options, name)
        card = architecture_card(
            reworded(cell.graph, prompts, best.candidate),
            name,
            f"{cell.architecture.name} with prompts of {options.method}.",
        )
        write(folder, outcome, card)
    return outcome, folder


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


@dataclass
class _Task:
    """One optimisation, on one event loop."""

    experiment: Experiment
    cell: Cell
    options: Options
    reflect: ModelInfo
    store: ResponseStore
    account: str
    told: Callable[[str], None]

    async def run(
        self, prompts: Mapping[str, Prompt], parts: Split
    ) -> tuple[Point, Tested | None, Bench]:
        """Search, choose and test; the service is closed in the end."""
        self.before = self.experiment.service.paid(self.account).spend_usd
        bench = Bench(
            self.experiment, self.cell, prompts, parts, self.store, self.account, self._point
        )
        bench.limit = self._limit
        self.bench = bench
        abandon = True
        try:
            await self._search()
            if not bench.points:
                raise ConfigError(
                    f"{bench.ended or 'the search ended'} before the prompts as they are were"
                    " scored; what was asked is stored: run it again with more"
                )
            best = max(bench.points, key=lambda point: point.score)  # of equal ones the first
            tested = await self._test(best)
            await self.experiment.service.drain()
            abandon = False
            return best, tested, bench
        finally:
            await self.experiment.service.close(abandon=abandon)

    async def _search(self) -> None:
        bench = self.bench
        strand = Strand(TrialContext(purse=bench.purse))
        self.proposals = strand.trial
        tokens = strands.current.set(strand), service_in_force.set(self.experiment.service)
        try:
            await bench.trials(bench.seed, bench.parts.validation)
            await bridge.run_in_thread(self._optimiser())
        except SearchEndedError as ended:
            self.told(f"the search ends: {ended.reason}")
        except Exception as error:
            if not (_is_of_budget(error) or bench.ended):
                raise
            bench.ended = bench.ended or "the budget is spent"
            self.told(f"the search ends: {bench.ended}")
        except asyncio.CancelledError:
            bench.ended = "it was interrupted"
            raise
        finally:
            strands.current.reset(tokens[0])
            service_in_force.reset(tokens[1])
            bench.count(strand.trial.calls)

    def _optimiser(self) -> Callable[[], None]:
        options, bench = self.options, self.bench
        seed = self.experiment.spec.seed if options.seed is None else options.seed
        if options.method == "bootstrap_few_shot":
            from ember_bench.optimising.with_dspy import bootstrap  # noqa: PLC0415 - needs DSPy

            return lambda: bootstrap(bench, options.demonstrations)
        reflect = LMModule(
            LMModuleConfig(model_name=self.reflect.model_id), service=self.experiment.service
        )
        if options.method == "mipro":
            from ember_bench.optimising.with_dspy import mipro  # noqa: PLC0415 - needs DSPy

            return lambda: mipro(bench, reflect, options.demonstrations, options.candidates, seed)
        from ember_bench.optimising.with_gepa import search  # noqa: PLC0415 - needs gepa

        seen = len(bench.parts.train) + len(bench.parts.validation)
        return lambda: search(bench, reflect, options.evaluations or 10 * seen, seed)

    def _point(self, point: Point) -> None:
        """Tell of a candidate."""
        bench = self.bench
        bench.count(self.proposals.calls)
        best = max(known.score for known in bench.points)
        self.told(
            f"candidate {len(bench.points) - 1}: {100 * point.score:.1f} % of"
            f" {len(bench.parts.validation)} validation items (best {100 * best:.1f} %)"
        )

    def _limit(self) -> str:
        """Return why the search is to end while there is money for the test."""
        bench, budget = self.bench, self.experiment.budget
        costs = [known.cost_usd for known in bench.points if known.cost_usd is not None]
        if budget is None or budget.run_usd is None or not costs:
            return ""
        reserve = _RESERVE * len(bench.parts.test) * (costs[0] + max(costs))
        spent = self.experiment.service.paid(self.account).spend_usd - self.before
        return "the rest of the budget is for the test" if spent + reserve > budget.run_usd else ""

    async def _test(self, best: Point) -> Tested | None:
        """Return the paired estimate on the test items; None if there is none."""
        bench = self.bench
        if digest(best.candidate) == digest(bench.seed) or bench.purse.exhausted:
            return None
        ended, bench.ended, bench.limit = bench.ended, "", str
        self.told(f"testing on {len(bench.parts.test)} items")
        try:
            old = await bench.trials(bench.seed, bench.parts.test)
            new = await bench.trials(best.candidate, bench.parts.test)
        except SearchEndedError:
            bench.ended = "the budget was spent before the test was done"
            return None
        bench.ended = ended
        return _tested(old, new, self.experiment)


def _is_of_budget(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BudgetExhaustedError | CallGivenUpError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _tested(old: Sequence[Scored], new: Sequence[Scored], experiment: Experiment) -> Tested:
    level = experiment.spec.level
    return Tested(
        items=len(old),
        before=_mean(old),
        after=_mean(new),
        difference=_difference(old, new, level, experiment.spec.seed),
        cost_before_usd=_cost(old),
        cost_after_usd=_cost(new),
        failed_before=sum(one.result.outcome in FAILED for one in old),
        failed_after=sum(one.result.outcome in FAILED for one in new),
    )


def _difference(
    old: Sequence[Scored], new: Sequence[Scored], level: float, seed: int
) -> Difference:
    clusters = None
    if any(one.item.cluster is not None for one in old):
        clusters = [one.item.cluster or f"item {one.item.id}" for one in old]
    scores = ([one.result.score for one in side] for side in (new, old))
    found = paired_difference(*scores, clusters=clusters, level=level, seed=seed)
    if found is None:
        raise ConfigError("there are no items")
    interval = found.interval
    return Difference(
        found.difference,
        None if interval is None else (interval.low, interval.high),
        found.p_value,
        level,
    )


def _mean(scored: Sequence[Scored]) -> float:
    return math.fsum(one.result.score for one in scored) / len(scored)


def _cost(scored: Sequence[Scored]) -> float | None:
    costs = [one.result.cost_usd for one in scored]
    known = [usd for usd in costs if usd is not None]
    return math.fsum(known) / len(costs) if len(known) == len(costs) else None


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
