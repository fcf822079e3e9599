"""The judges of evaluators: networks of LM calls that an experiment builds and asks.

A judge's calls have keys of their content alone, the question to the judge: neither the cell nor
the epoch whose output is judged is part of them. So equal outputs share one verdict, in one run and
over all runs of a results folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ember_bench import bridge
from ember_bench.answers.formats import parse_answer
from ember_bench.datasets import Item
from ember_bench.errors import ConfigError, EmberBenchError, UnjudgedError
from ember_bench.evaluators.base import Evaluator
from ember_bench.evaluators.exact import ExactMatch
from ember_bench.evaluators.judged import JudgeCard, JudgedBy, needs_judge
from ember_bench.evaluators.kinds import shorten
from ember_bench.evaluators.nested import NestedEvaluator
from ember_bench.experiment import evaluation
from ember_bench.experiment.catalogue import Catalogue
from ember_bench.experiment.cells import content_of_model, json_digest
from ember_bench.experiment.evaluation import Evaluation
from ember_bench.experiment.item_subject import ItemSubject
from ember_bench.experiment.trial import graph_inputs
from ember_bench.graph.architecture import Architecture
from ember_bench.graph.data import NoNGraphData, PreparedGraph
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.service import ModelService
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.operators.lm import LMModule
from ember_bench.operators.signature import signature_from_card


@dataclass(frozen=True)
class GraphJudge:
    """A network that answers questions about outputs.

    Attributes:
        name: Name of its architecture.
        graph: The network, built.
        service: Makes its calls.
    """

    name: str
    graph: NoNGraphData
    service: ModelService

    @cached_property
    def lms(self) -> list[LMModule]:
        """The LM modules that it asks."""
        return self.graph.lm_modules()

    @cached_property
    def identity(self) -> str:
        """The architecture's name, and a digest of all that can change its answers."""
        models = {lm.model.model_id: content_of_model(lm.model) for lm in self.lms}
        digest = json_digest([self.graph.edges, self.graph.describe(), models])
        return f"{self.name}#{digest}"

    @cached_property
    def _prepared(self) -> PreparedGraph:
        return PreparedGraph(self.graph, self.service)

    def verdicts(self, asked: Sequence[Item]) -> list[str]:
        """Return the answers to questions about one output, asked at the same time.

        Raises:
            UnjudgedError: if an answer cannot be read.
            ProviderError: if a model does not answer.
        """
        evaluated = evaluation.current.get() or Evaluation()
        placed = [_place(item, evaluated) for item in asked]
        token = interception.banned.set(None)
        try:
            calls = [
                bridge.run(self._answer, item, strand)
                for item, strand in zip(asked, placed, strict=True)
            ]
            found = bridge.wait(bridge.gather(calls, settle=True))
        except Exception:
            evaluated.failed = True
            raise
        finally:
            interception.banned.reset(token)
            evaluated.add(placed)
        evaluated.verdicts += found
        return found

    def _answer(self, asked: Item, strand: Strand) -> str:
        token = strands.current.set(strand)
        try:
            outputs = self._prepared.run(graph_inputs(asked))
        finally:
            strands.current.reset(token)
        text = _text_of(outputs[self.graph.output])
        answer = parse_answer(text, asked.answer_format, asked.choices)
        if answer is None:
            said = shorten(text.strip()[-200:], 200)
            raise UnjudgedError(f"no verdict can be read in the judge's answer, which ends: {said}")
        return answer


def _place(asked: Item, evaluated: Evaluation) -> Strand:
    """Return the strand of one question, the same for whoever asks it."""
    compared = ExactMatch("verdict", answer_format=asked.answer_format)
    subject = ItemSubject(asked, compared)
    context = TrialContext(subject, purse=evaluated.purse, evaluation=True)
    return Strand(context, clock=evaluated.clock)


def _text_of(output: Any) -> str:
    """Return what the last node of a judge says.

    Raises:
        UnjudgedError: if it says nothing, or several things.
    """
    if not isinstance(output, Mapping):
        return str(output)
    if "final_answer" in output:
        if output["final_answer"] is None:
            raise UnjudgedError("the judge's network came to no answer")
        return str(output["final_answer"])
    responses = output.get("responses", ())
    if len(responses) != 1:
        raise UnjudgedError("the judge's last node gives no `final_answer` and not one response")
    return str(responses[0])


@dataclass(frozen=True)
class Judges:
    """Finds the judges of evaluators.

    Attributes:
        catalogue: Has what cards name.
        service: Makes their calls.
        model: The model to ask where a card is about a single call; None for the card's.
    """

    catalogue: Catalogue
    service: ModelService
    model: str | None = None

    def found(self, evaluator: Evaluator) -> Evaluator:
        """Return an evaluator that can score; the same one if it needs no judge.

        Raises:
            ConfigError: if its judge cannot be had.
        """
        if isinstance(evaluator, JudgeCard):
            return self._judged(evaluator)
        if not isinstance(evaluator, NestedEvaluator) or not needs_judge(evaluator):
            return evaluator
        parts = {name: self.found(part) for name, part in evaluator.evaluators.items()}
        return evaluator.with_evaluators(parts)

    def _judged(self, card: JudgeCard) -> JudgedBy:
        if self.model is not None and card.architecture is None:
            card = replace(card, model=self.model)
        prompt = signature_from_card(card.signature, self.catalogue.cards)
        name, given = card.judge_parameters
        try:
            architecture: Architecture = self.catalogue.architecture(name)
            graph = architecture.build(architecture.check(given), self.service)
        except (EmberBenchError, ValueError) as error:
            raise ConfigError(f"evaluator {card.name!r}: judge {name!r}: {error}") from error
        return JudgedBy(card, prompt, GraphJudge(name, graph, self.service))
