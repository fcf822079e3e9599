"""Makes the results that `benchmarks.statistics` reads: many cells, many items, no model asked.

Rows are written through the trial store itself. Items have a difficulty that all cells share, cells
an ability of their own; some trials fail, some answers cannot be read. Prompts and answers are
stored of the first items alone, as many as a report looks at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec
import numpy as np

from ember_bench.experiment.cells import Cell
from ember_bench.experiment.prepare import Experiment, prepare
from ember_bench.experiment.results.summary import Outcome
from ember_bench.experiment.trial import Trial, TrialResult, fingerprint
from ember_bench.experiment.trial_calls import CallEntry
from ember_bench.experiment.trial_store import TrialStore
from ember_bench.models import ModelRegistry, ModelService, ResponseStore
from ember_bench.models.store.rows import StoredCall
from ember_bench.models.types import Completion, Usage
from ember_bench.registry import Cards

NAME = "statistics"
CELLS_PER_TEMPERATURE = 5
ITEMS_WITH_TEXTS = 500
GRID = """
name: {name}
datasets: [{{name: arithmetic, parameters: {{count: {items}}}}}]
architectures:
  - name: single
    parameters: {{model: ["simulated:small", "simulated:large"], temperature: [{temperatures}]}}
  - name: vote
    parameters: {{model: "simulated:small", k: [3, 5], temperature: [{temperatures}]}}
  - name: verifier_judge
    parameters: {{model: "simulated:small", verifier: "simulated:large", k: 2,
      temperature: [{temperatures}]}}
"""
_BATCH = 2_000


def make_results(folder: Path, cells: int, items: int) -> Path:
    """Return the results folder for so many cells and items; made if it is not there whole."""
    results = folder / f"{cells}-cells-{items}-items"
    done = results / "whole"
    if done.exists():
        return results
    for old in results.glob("**/*.db*"):
        old.unlink()
    results.mkdir(parents=True, exist_ok=True)
    experiment = _experiment(results, cells, items)
    store = TrialStore(results / NAME / "trials.db", experiment, started="2026-01-01T00:00:00Z")
    responses = ResponseStore(results / "responses.db")
    try:
        for place, cell in enumerate(experiment.cells):
            for batch in _batches(experiment, place, cell):
                store.write(batch)
                asyncio.run(_keep_texts(responses, experiment, cell, batch))
    finally:
        responses.close()
        store.close()
    done.touch()
    return results


def _experiment(results: Path, cells: int, items: int) -> Experiment:
    each, rest = divmod(cells, CELLS_PER_TEMPERATURE)
    if rest or not each:
        raise SystemExit(f"--cells: a multiple of {CELLS_PER_TEMPERATURE}, not {cells}")
    temperatures = ", ".join(f"{(number + 1) / each:.4f}" for number in range(each))
    grid = results / "grid.yaml"
    grid.write_text(GRID.format(name=NAME, items=items, temperatures=temperatures))
    cards = Cards()
    return prepare(grid, cards, ModelService(ModelRegistry.from_cards(cards)))


def _batches(experiment: Experiment, place: int, cell: Cell) -> Iterator[list[TrialResult]]:
    asked = experiment.questions[cell.dataset]
    n = len(asked.items)
    easy = np.random.default_rng(0).normal(size=n)
    rng = np.random.default_rng(place + 1)
    ability = rng.normal(0.8, 0.4)
    right = rng.random(n) < 1 / (1 + np.exp(-(easy + ability)))
    trouble = rng.random(n)
    modules = [
        (node.name, lm.model.model_id) for node in cell.graph for lm in node.operator.lm_modules()
    ]
    tokens = rng.lognormal(3.5, 0.6, size=(n, len(modules))).astype(int) + 1
    seconds = rng.lognormal(0.0, 0.5, size=(n, len(modules)))
    for start in range(0, n, _BATCH):
        batch = []
        for index in range(start, min(start + _BATCH, n)):
            item = asked.items[index]
            outcome: Outcome = "correct" if right[index] else "wrong"
            if trouble[index] < 0.002:
                outcome = "error" if trouble[index] < 0.001 else "unparsed"
            calls = _calls(cell.name, item.id, modules, tokens[index], seconds[index])
            batch.append(
                TrialResult(
                    trial=Trial(place, index, 0),
                    fingerprint=fingerprint(cell, item, asked.evaluator, 0),
                    outcome=outcome,
                    score=float(outcome == "correct"),
                    answer=None if outcome in ("error", "unparsed") else
                    item.target if outcome == "correct" else f"{index}",
                    explanation="is the target" if outcome == "correct" else "is not the target",
                    error="TimeoutError: no answer" if outcome == "error" else None,
                    cost_usd=sum(call.cost_usd or 0.0 for call in calls),
                    latency_seconds=max(call.latency_seconds or 0.0 for call in calls),
                    spend_usd=sum(call.cost_usd or 0.0 for call in calls),
                    calls=calls,
                )
            )  # fmt: skip
        yield batch


def _calls(
    cell: str, item: str, modules: list[tuple[str, str]], tokens: np.ndarray, seconds: np.ndarray
) -> tuple[CallEntry, ...]:
    return tuple(
        CallEntry(
            key=blake2b(f"{cell}/{item}/{number}".encode(), digest_size=16).digest(),
            model=model,
            node=node,
            role="",
            started=0.0,
            latency_seconds=float(seconds[number]),
            cost_usd=(60 + 4 * int(tokens[number])) * 1e-6,
            input_tokens=60,
            output_tokens=int(tokens[number]),
            made=True,
        )
        for number, (node, model) in enumerate(modules)
    )


async def _keep_texts(
    responses: ResponseStore, experiment: Experiment, cell: Cell, batch: list[TrialResult]
) -> None:
    """Keep prompts and answers of those of a batch that are of the first items."""
    items = experiment.questions[cell.dataset].items
    calls = []
    for result in batch:
        if result.trial.item >= ITEMS_WITH_TEXTS:
            break
        question = items[result.trial.item].question
        messages = msgspec.json.encode([{"role": "user", "content": question}]).decode()
        for number, entry in enumerate(result.calls):
            text = f"Step by step: {question} " * 3 + f"Answer: {result.answer}"
            usage = Usage(entry.input_tokens, entry.output_tokens)
            calls.append(
                StoredCall(
                    key=entry.key, messages=messages, model=entry.model, role="", parameters="{}",
                    epoch=0, replica=str(number), draw="0",
                    completion=Completion(text, usage, "stop", entry.cost_usd,
                                          entry.latency_seconds),
                )
            )  # fmt: skip
    await asyncio.gather(*(responses.put(call) for call in calls))
