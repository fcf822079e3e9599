"""Candidates on items: trials of our engine, from the threads of an optimiser."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import orjson

from ember_bench import bridge
from ember_bench.datasets import Item
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.trial import Trial, TrialResult, run_trial
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.models.strand import CallRecord, Purse
from ember_bench.optimising.prompts import Candidate, Prompt, digest, reworded
from ember_bench.optimising.splitting import Split

_SHOWN: Final = 4_000


class SearchEndedError(BaseException):
    """The search is over before the optimiser would end it; no optimiser may swallow it.

    Attributes:
        reason: Why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a trial.

    Attributes:
        node: Path of its node.
        prompt: The text of the last message.
        answer: The answer.
    """

    node: str
    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Scored:
    """The trial of a candidate on an item."""

    item: Item
    result: TrialResult


@dataclass(frozen=True, slots=True)
class Point:
    """A candidate that was scored on all validation items.

    Attributes:
        candidate: The candidate.
        score: Mean score there.
        cost_usd: Cost of a trial of it; None if it is unknown.
        spent_usd: Cost of all calls of the search so far, each counted once; None if unknown.
    """

    candidate: Candidate
    score: float
    cost_usd: float | None
    spent_usd: float | None


@dataclass(repr=False)
class Bench:
    """Scores candidates; safe to use from any thread.

    Attributes:
        experiment: The experiment.
        cell: The cell whose prompts are worded otherwise.
        prompts: Its prompts, by name.
        parts: Its items.
        store: Has its calls.
        account: Account of the store on which they are paid.
        told: Is told of each candidate that was scored on all validation items.
        limit: Returns why the search is to end; empty while it may go on.
        points: These candidates so far.
        ended: Why the search is to end; empty while it goes on.
    """

    experiment: Experiment
    cell: Cell
    prompts: Mapping[str, Prompt]
    parts: Split
    store: ResponseStore
    account: str
    told: Callable[[Point], None] = lambda _: None
    limit: Callable[[], str] = str
    points: list[Point] = field(default_factory=list)
    ended: str = ""

    def __post_init__(self) -> None:
        """Begin without a call; call it in a coroutine."""
        self.loop = asyncio.get_running_loop()
        self.purse = Purse(self.cell.name, self.account, self.experiment.budget)
        self._slots = asyncio.Semaphore(self.experiment.spec.in_flight)
        self._cells: dict[str, Cell] = {}
        self._done: dict[tuple[str, str], asyncio.Task[TrialResult | None]] = {}
        self._counted: dict[bytes, float | None] = {}
        self._scores: dict[str, dict[str, TrialResult]] = {}
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, object]) -> Bench:
        return self

    @property
    def seed(self) -> Candidate:
        """The prompts as they are."""
        return {name: prompt.wording for name, prompt in self.prompts.items()}

    def score(self, candidate: Candidate, items: Sequence[Item]) -> list[Scored]:
        """Return the trials of a candidate, from a thread of an optimiser.

        Raises:
            SearchEndedError: if the search is to end.
        """
        trials = self.trials(candidate, items)
        try:
            return asyncio.run_coroutine_threadsafe(trials, self.loop).result()
        except RuntimeError:
            if not self.loop.is_closed():
                raise
            trials.close()  # the optimisation was interrupted, and its thread goes on
            raise SearchEndedError("it was interrupted") from None

    async def trials(self, candidate: Candidate, items: Sequence[Item]) -> list[Scored]:
        """Return the trials of a candidate; one that was run in this process is not run again.

        Raises:
            SearchEndedError: if the search is to end.
        """
        self.check()
        name = digest(candidate)
        if name not in self._cells:
            graph = reworded(self.cell.graph, self.prompts, candidate)
            self._cells[name] = replace(self.cell, graph=graph)
        tasks = []
        for item in items:
            if (known := self._done.get((name, item.id))) is None or known.cancelled():
                known = asyncio.ensure_future(self._trial(self._cells[name], item))
                self._done[name, item.id] = known
            tasks.append(known)
        results = await asyncio.gather(*tasks)
        if None in results:
            self.ended = self.ended or "the budget is spent"
        self.check()
        scored = [
            Scored(item, result)
            for item, result in zip(items, results, strict=True)
            if result is not None
        ]
        self._note(name, candidate, scored)
        return scored

    def check(self) -> None:
        """See whether the search goes on.

        Raises:
            SearchEndedError: if it does not.
        """
        if self.purse.exhausted:
            self.ended = self.ended or "the budget is spent"
        self.ended = self.ended or self.limit()
        if self.ended:
            raise SearchEndedError(self.ended)

    def count(self, calls: Sequence[CallRecord]) -> None:
        """Count calls beside those of trials, such as those of the proposer."""
        for call in calls:
            self._counted[call.key] = call.cost_usd

    @property
    def cost_usd(self) -> float | None:
        """Cost of all calls so far, each counted once; None if one is unknown."""
        costs = list(self._counted.values())
        return None if None in costs else math.fsum(usd for usd in costs if usd is not None)

    def steps(self, scored: Scored) -> list[Step]:
        """Return the calls of a trial, in order, as the store has them."""
        entries = scored.result.calls
        stored = self.store.calls({entry.key for entry in entries})
        found = []
        for entry in entries:
            if (call := stored.get(entry.key)) is None:
                continue
            messages = orjson.loads(call.messages)
            last = messages[-1] if messages else {}
            prompt = str(last.get("content", "") if isinstance(last, dict) else last)
            found.append(Step(entry.node, prompt, call.completion.text))
        return found

    def feedback(self, scored: Scored) -> str:
        """Return what the evaluator found, in words."""
        result, item = scored.result, scored.item
        said = [f"Score: {result.score:g} of 1."]
        if result.error is not None:
            said.append(f"It failed: {result.error.splitlines()[0]}")
        if item.target:
            said.append(f"The right answer is: {item.target}")
        if result.answer is not None:
            said.append(f"The answer that was read out of the output: {result.answer}")
        if result.explanation:
            said.append(f"The evaluator: {result.explanation}")
        return "\n".join(said)[:_SHOWN]

    async def _trial(self, cell: Cell, item: Item) -> TrialResult | None:
        asked = self.experiment.questions[cell.dataset]
        async with self._slots:
            if self.ended or self.purse.exhausted:
                return None
            result = await bridge.run(
                run_trial, Trial(0, 0, 0), cell, item, asked.evaluator, b"", self.purse,
                asked.baseline,
            )  # fmt: skip
        if result is not None:
            for entry in result.all_calls:
                self._counted[entry.key] = entry.cost_usd
        return result

    def _note(self, name: str, candidate: Candidate, scored: Sequence[Scored]) -> None:
        """Add a point once a candidate has all validation items."""
        with self._lock:
            scores = self._scores.setdefault(name, {})
            wanted = [item.id for item in self.parts.validation]
            before = all(item in scores for item in wanted)
            scores.update({one.item.id: one.result for one in scored})
            if before or not all(item in scores for item in wanted):
                return
            results = [scores[item] for item in wanted]
            costs = [result.cost_usd for result in results]
            known = [usd for usd in costs if usd is not None]
            point = Point(
                candidate,
                math.fsum(result.score for result in results) / len(results),
                math.fsum(known) / len(costs) if len(known) == len(costs) else None,
                self.cost_usd,
            )
            self.points.append(point)
        self.told(point)
