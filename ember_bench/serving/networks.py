"""Architectures and cells, ready to answer questions one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ember_bench import bridge
from ember_bench.datasets import Item
from ember_bench.errors import ConfigError, EmberBenchError, UnknownNameError, did_you_mean
from ember_bench.evaluators.base import Evaluator
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.item_subject import ItemSubject
from ember_bench.experiment.trial import graph_inputs
from ember_bench.graph.architecture import load_architecture
from ember_bench.graph.data import NoNGraphData, PreparedGraph
from ember_bench.models import strand as strands
from ember_bench.models.service import ModelService
from ember_bench.models.strand import CallRecord, Strand, TrialContext
from ember_bench.models.types import CutOff, Message
from ember_bench.registry import Cards, default_roots
from ember_bench.running.find_grids import find_grid
from ember_bench.running.session import open_experiment


@dataclass(frozen=True, slots=True)
class Question:
    """What a network is asked.

    Attributes:
        text: The question.
        turns: The conversation before it.
        answer_format: How answers are read out of texts, for votes; None for the network's own.
        choices: The options of a multiple-choice question.
    """

    text: str
    turns: tuple[Message, ...] = ()
    answer_format: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a network answered.

    Attributes:
        text: Its last node's answer; empty if it could not read any.
        calls: The calls it took.
        wasted_usd: Cost of requests without a usable answer; None if it is unknown.
        cut_off: Whether the limit of tokens ended the text.
    """

    text: str
    calls: tuple[CallRecord, ...]
    wasted_usd: float | None
    cut_off: bool

    @property
    def cost_usd(self) -> float | None:
        """Cost of all calls when they are made, in US dollars; None if a price is unknown."""
        costs = [call.cost_usd for call in self.calls] + [self.wasted_usd]
        known = [usd for usd in costs if usd is not None]
        return math.fsum(known) if len(known) == len(costs) else None

    @property
    def input_tokens(self) -> int | None:
        """Tokens sent in all calls; None if one is unknown."""
        return _sum([call.usage.input_tokens for call in self.calls])

    @property
    def output_tokens(self) -> int | None:
        """Tokens received in all calls; None if one is unknown."""
        return _sum([call.usage.output_tokens for call in self.calls])


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


@dataclass(frozen=True)
class Network:
    """A graph that answers questions.

    Attributes:
        name: The name of the model that it is.
        purpose: What it does, in one line.
        graph: The graph.
        service: Makes its calls.
        cell: The cell of a study that it is; None for an architecture.
        items: The items of the cell's dataset, by question: one that is asked in a request is asked
            as its trial asks it.
        evaluator: The evaluator of that dataset.
    """

    name: str
    purpose: str
    graph: NoNGraphData
    service: ModelService
    cell: Cell | None = None
    items: Mapping[str, Item] = field(default_factory=dict)
    evaluator: Evaluator | None = None

    def __post_init__(self) -> None:
        """Prepare the graph."""
        object.__setattr__(self, "_prepared", PreparedGraph(self.graph, self.service))

    async def answer(
        self, question: Question, epoch: int = 0, service: ModelService | None = None
    ) -> Answer:
        """Answer a question.

        Args:
            question: The question.
            epoch: Index of the repetition: each has draws of its own.
            service: Makes the calls in place of the network's own.

        Raises:
            EmberBenchError: if a model does not answer, or the network fails.
        """
        return await bridge.run(self._run, question, epoch, service)

    def _run(self, question: Question, epoch: int, service: ModelService | None) -> Answer:
        own: PreparedGraph = getattr(self, "_prepared")  # noqa: B009 - set on a frozen class
        prepared = own if service is None else PreparedGraph(self.graph, service)
        item, evaluator = self._item(question), self.evaluator
        known = evaluator is not None and item.id != _ASKED
        subject = ItemSubject(item, evaluator) if known and evaluator is not None else None
        context = TrialContext(subject, epoch)
        token = strands.current.set(Strand(context))
        try:
            inputs = graph_inputs(item, evaluator if known else None, self.cell)
            if self.cell is None and question.turns:  # a cell has them from its item
                inputs["turns"] = question.turns
            output = prepared.run(inputs)[self.graph.output]
        finally:
            strands.current.reset(token)
        text = _text(output)
        wasted = None if context.wasted_unpriced else context.wasted_usd
        return Answer(str(text), tuple(context.calls), wasted, isinstance(text, CutOff))

    def _item(self, question: Question) -> Item:
        turns = tuple((message.role, message.content) for message in question.turns)
        known = self.items.get(question.text)
        if known is not None and known.turns == turns:
            return known
        like = next(iter(self.items.values()), None)
        format_ = question.answer_format or (like.answer_format if like else "text")
        choices = question.choices
        if format_ == "choice" and not choices:
            format_ = "text"  # without options there is no letter to read
        return Item(_ASKED, question.text, "", choices=choices, answer_format=format_, turns=turns)


_ASKED = ""  # the id of a question that is no item


def _text(output: Any) -> str:
    """Return the answer of the last node, as it is scored in an experiment.

    Raises:
        EmberBenchError: if it gives none.
    """
    if not isinstance(output, Mapping):
        return output if isinstance(output, str) else str(output)
    for name in ("answers", "final_answer", "responses"):
        if name not in output or (name == "answers" and not output[name]):
            continue
        found = output[name] if name == "final_answer" else next(iter(output[name]), None)
        if found is None:
            return ""
        return found if isinstance(found, str) else str(found)
    raise EmberBenchError("the last node gives no answer; it gives " + ", ".join(map(repr, output)))


def find_networks(
    names: Sequence[str], values: Mapping[str, Any], service: ModelService
) -> list[Network]:
    """Return the networks of these names: architecture cards, or `STUDY/CELL`.

    Args:
        names: Their names.
        values: Parameters of the architectures; each is given to those that have it.
        service: Makes the calls of architectures; that of cells is the study's own registry's.

    Raises:
        ConfigError: if there is no such network or parameter, or it cannot be built.
    """
    cards = Cards(default_roots())
    known = cards.all("architectures")
    found, used = [], set[str]()
    for name in dict.fromkeys(names):
        if "/" in name and name not in known:
            found.append(_cell(name, service))
            continue
        architecture = load_architecture(name, cards)
        own = {key: value for key, value in values.items() if key in architecture.card.parameters}
        used |= own.keys()
        try:
            parameters = architecture.check(own)
        except ValueError as error:
            raise ConfigError(f"{name}: {error}; give it with --set") from None
        graph = architecture.build(parameters, service)
        found.append(Network(name, architecture.card.purpose, graph, service))
    if unknown := [key for key in values if key not in used]:
        parameters_known = {
            key
            for name in names
            if name in known
            for key in load_architecture(name, cards).card.parameters
        }
        hint = did_you_mean(unknown[0], parameters_known)
        raise ConfigError(f"--set {unknown[0]}: unknown parameter{hint}")
    return found


def _cell(name: str, service: ModelService) -> Network:
    """Return the network of a cell of a study."""
    study, cells = "", list[Cell]()
    for end in (index for index, letter in enumerate(name) if letter == "/"):
        study, wanted = name[:end], name[end + 1 :]
        try:
            grid = find_grid(study)
        except ConfigError:
            continue
        experiment = open_experiment(Path(grid))
        cells = experiment.cells
        for cell in cells:
            short = cell.name.removeprefix(f"{cell.dataset}/")
            if wanted in (cell.name, short, cell.label, f"{cell.dataset}/{cell.label}"):
                asked = experiment.questions[cell.dataset]
                items = {item.question: item for item in asked.items}
                purpose = cell.architecture.card.purpose
                return Network(name, purpose, cell.graph, service, cell, items, asked.evaluator)
        known = dict.fromkeys(name for cell in cells for name in (cell.label, cell.name))
        raise UnknownNameError("cell", wanted, known)
    if "/" in name:
        find_grid(name.partition("/")[0])  # says which studies there are
    raise UnknownNameError("architecture", name, Cards(default_roots()).all("architectures"))
