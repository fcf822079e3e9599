"""GEPA (Agrawal et al. 2025): reflective evolution of prompts, by the package `gepa`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gepa

from ember_bench.datasets import Item
from ember_bench.operators.lm import LMModule
from ember_bench.optimising.bench import Bench, Scored, Step
from ember_bench.optimising.prompts import Candidate, Wording


def search(bench: Bench, reflect: LMModule, evaluations: int, seed: int) -> None:
    """Search; each candidate that is scored on all validation items is noted by the bench.

    Args:
        bench: Scores candidates.
        reflect: Proposes instructions.
        evaluations: Number of trials after which it ends.
        seed: Of its random choices.

    Raises:
        SearchEndedError: if the bench ends it.
    """

    def proposed(prompt: str | list[Mapping[str, Any]]) -> str:
        text = prompt if isinstance(prompt, str) else str(prompt[-1]["content"])
        bench.check()
        return reflect(text, role="reflect")

    gepa.optimize(
        seed_candidate={name: wording.instructions for name, wording in bench.seed.items()},
        trainset=list(bench.parts.train),
        valset=list(bench.parts.validation),
        adapter=_Adapter(bench),
        reflection_lm=proposed,
        max_metric_calls=evaluations,
        logger=_Silent(),
        seed=seed,
    )


class _Adapter:
    """What GEPA asks of a system that it optimises."""

    # GEPA's own proposer is used.
    propose_new_texts: Callable[..., Any] | None = None

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def evaluate(
        self, batch: list[Item], candidate: Mapping[str, str], capture_traces: bool = False
    ) -> gepa.EvaluationBatch:
        """Return the scores of a candidate, and its trials as trajectories."""
        scored = self.bench.score(_candidate(candidate), batch)
        return gepa.EvaluationBatch(
            outputs=[one.result.answer for one in scored],
            scores=[one.result.score for one in scored],
            trajectories=scored if capture_traces else None,
        )

    def make_reflective_dataset(
        self,
        candidate: Mapping[str, str],  # noqa: ARG002 - GEPA's signature
        eval_batch: gepa.EvaluationBatch,
        components_to_update: list[str],
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return, for each prompt, its calls in the trials and what the evaluator found."""
        trials: list[tuple[Scored, list[Step]]] = [
            (one, self.bench.steps(one)) for one in eval_batch.trajectories or ()
        ]
        return {
            name: [
                {
                    "Inputs": step.prompt,
                    "Generated Outputs": step.answer,
                    "Feedback": self.bench.feedback(one),
                }
                for one, steps in trials
                for step in steps
                if step.node == self.bench.prompts[name].node
            ]
            for name in components_to_update
        }


def _candidate(texts: Mapping[str, str]) -> Candidate:
    return {name: Wording(text) for name, text in texts.items()}


class _Silent:
    """A logger that says nothing: the bench tells of candidates."""

    def log(self, message: str) -> None:
        """Say nothing."""
