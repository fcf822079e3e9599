"""A search for better prompts on one event loop, the choice among them, and its test."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ember_bench import bridge
from ember_bench.errors import BudgetExhaustedError, CallGivenUpError, ConfigError
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.results.summary import FAILED
from ember_bench.models import strand as strands
from ember_bench.models.info import ModelInfo
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.operators.lm import LMModule, LMModuleConfig, service_in_force
from ember_bench.optimising.bench import Bench, Point, Scored, SearchEndedError
from ember_bench.optimising.outcome import Difference, Tested
from ember_bench.optimising.prompts import Prompt, digest
from ember_bench.optimising.splitting import Split
from ember_bench.stats import paired_difference

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
        mlflow: Whether the result is logged to MLflow.
        tracking_uri: MLflow's store; None for `mlflow.db` in `results`.
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
    mlflow: bool = False
    tracking_uri: str | None = None


@dataclass(repr=False)
class Task:
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
