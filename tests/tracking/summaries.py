"""Made-up summaries and trials to log.

Of the kind `rich` they have epochs, clusters, failures and partial scores; `conftest` runs each
test that uses them with both kinds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import (
    OUTCOMES,
    BaselineDifference,
    CellSummary,
    DatasetSummary,
    ExperimentSummary,
    FailureReason,
    RunSummary,
)
from ember_bench.tracking.messages import (
    Network,
    NodePrompt,
    TracedCall,
    TracedNode,
    TracedTrial,
)

COLUMNS = (
    "item", "epoch", "outcome", "score", "answer", "explanation", "error",
    "cost_usd", "latency_seconds", "calls", "input_tokens", "output_tokens",
)  # fmt: skip


KINDS = ("plain", "rich")
kind = "plain"

TRACED = "primes/vote(k=3)"


def estimate(value: float, half: float = 0.03) -> Quantity:
    return Quantity(value, value - half, value + half, "wilson")


def cell(index: int = 0, **changes: Any) -> CellSummary:
    k = 2 * index + 1
    accuracy = 0.5 + 0.45 * (1 - 0.8**index)
    comparison = BaselineDifference(
        "primes/single", 100, estimate(accuracy - 0.5), 20, 8, 0.012, 0.034, "mcnemar", True, 1
    )
    made = CellSummary(
        name=f"primes/vote(k={k})" if index else "primes/single",
        label=f"vote(k={k})" if index else "single",
        dataset="primes",
        architecture="vote" if index else "single",
        parameters={"k": k, "temperature": 0.7} if index else {},
        models=["simulated:small"],
        simulated=True,
        oracle=False,
        scheduled=100,
        items=100,
        outcomes=dict.fromkeys(OUTCOMES, 0) | {"correct": 60, "wrong": 40},
        accuracy=estimate(accuracy),
        accuracy_worst=None,
        accuracy_best=None,
        cost_per_item=Quantity(0.001 * k, 0.0009 * k, 0.0011 * k, "t"),
        cost_per_correct=Quantity(0.002 * k, 0.0018 * k, 0.0022 * k, "ratio"),
        latency_seconds=estimate(1.5, 0.1),
        latency_p50=Quantity(1.4, 1.3, 1.6, "order statistics"),
        latency_p95=Quantity(2.5, 2.1, 3.2, "order statistics"),
        calls=100 * k,
        calls_made=100,
        calls_shared=100 * (k - 1),
        input_tokens=5_000,
        output_tokens=9_000,
        spend_usd=0.1,
        comparison=comparison if index else None,
        categories={},
    )
    if kind == "rich":
        made = msgspec.structs.replace(
            made,
            outcomes={"correct": 190, "wrong": 70, "partial": 30, "unparsed": 4, "error": 6,
                      "skipped": 0},
            scheduled=300,
            accuracy_worst=accuracy - 0.01,
            accuracy_best=accuracy + 0.01,
            pass_at_k={2: estimate(0.7), 3: estimate(0.8), 10: Quantity(1.0, None, 1.0, "wilson")},
            categories={"easy": estimate(0.9), "hard": Quantity(0.1, None, None, "wilson")},
        )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def summary(*cells: CellSummary, status: str = "complete", **changes: Any) -> ExperimentSummary:
    run = RunSummary(status, "2026-11-22T10:00:00+00:00", 12.5, 300, 0, 300, 0, 0.3, [])  # type: ignore[arg-type]
    source = "hub someone/primes (test)"
    dataset = DatasetSummary("primes", source, "0" * 40, "d" * 64, 100, "exact", "exact@1")
    made = ExperimentSummary(
        name="demo",
        digest="0123456789abcdef" * 2,
        version="0.1.0",
        seed=7,
        epochs=1,
        failures="wrong",
        level=0.95,
        baseline="primes/single",
        simulated=True,
        datasets=[dataset],
        cells=list(cells) or [cell(0), cell(1), cell(2)],
        spend_usd=0.3,
        run=run,
    )
    if kind == "rich":
        reasons = [FailureReason("ProviderError: HTTP 500", 4), FailureReason("timed out", 2)]
        made = msgspec.structs.replace(made, epochs=3, failures="excluded", failure_reasons=reasons)
    return msgspec.structs.replace(made, **changes)


def trials(rows: int = 100, size: int = 1_000) -> Iterator[dict[str, list[Any]]]:
    if kind == "rich":
        yield from _rich_trials(rows, size)
        return
    for start in range(0, rows, size):
        batch = [
            (f"item-{i}", 0, "correct" if i % 3 else "wrong", float(i % 3 > 0),
             f"the answer is {i}", "equal", None, 0.001, 1.5, 3, 120, 40)
            for i in range(start, min(rows, start + size))
        ]  # fmt: skip
        yield {
            name: list(values)
            for name, values in zip(COLUMNS, zip(*batch, strict=True), strict=True)
        }


def _rich_trials(rows: int, size: int) -> Iterator[dict[str, list[Any]]]:
    names = (*COLUMNS, "target", "item_digest", "cluster")
    ends = [("correct", 1.0, "a", None), ("partial", 0.5, "b", None), ("unparsed", 0.0, None, None),
            ("error", 0.0, None, "ProviderError: HTTP 500")]  # fmt: skip
    for start in range(0, rows, size):
        batch = [
            (f"item-{i // 3}", i % 3, outcome, score, answer, "", error,
             None if error else 0.001, None if error else 1.5, 3, 120, 40,
             f"{i // 3}", f"digest-{i // 3}", f"passage-{i // 6}" if i % 12 else None)
            for i in range(start, min(rows, start + size))
            for outcome, score, answer, error in [ends[i % 4]]
        ]  # fmt: skip
        yield {
            name: list(values) for name, values in zip(names, zip(*batch, strict=True), strict=True)
        }


def call(node: str = "ensemble", started: float = 0.0, **changes: Any) -> TracedCall:
    made = TracedCall(
        node=node,
        role="generate",
        model="simulated:small",
        messages='[{"role":"user","content":"Is 7 prime?"}]',
        parameters='{"temperature":0.7}',
        text="yes",
        started=started,
        latency_seconds=1.5,
        cost_usd=0.001,
        input_tokens=10,
        output_tokens=2,
        made=True,
    )
    return msgspec.structs.replace(made, **changes)


def trial(**changes: Any) -> TracedTrial:
    made = TracedTrial(
        identity="ab" * 16,
        cell=TRACED,
        item="item-7",
        epoch=0,
        question="Is 7 prime?",
        target="yes",
        outcome="correct",
        score=1.0,
        answer="yes",
        explanation="equal",
        error=None,
        cost_usd=0.002,
        nodes=[
            TracedNode("ensemble", "EnsembleOperator", [], '{"responses":["yes","yes"]}'),
            TracedNode("vote", "MostCommonOperator", ["ensemble"], '{"final_answer":"yes"}'),
        ],
        output="vote",
        calls=[call(), call(started=0.25)],
    )
    return msgspec.structs.replace(made, **changes)


def network(label: str = "vote(k=3)", *cells: str, **changes: Any) -> Network:
    made = Network(
        label=label,
        architecture="vote",
        purpose="Majority vote over k answers of one model.",
        parameters={"k": 3, "temperature": 0.7},
        models=["simulated:small"],
        card="name: vote\n",
        tree="2 nodes, 3 LM modules\n  ensemble\n  vote <- ensemble",
        svg="<svg></svg>",
        mermaid="flowchart TD\n",
        prompts=[NodePrompt("vote.ensemble", "Think.\n{{query}}")],
        cells=list(cells) or [TRACED],
    )
    return msgspec.structs.replace(made, **changes)
