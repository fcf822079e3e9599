"""Architectures and cells, ready to answer questions one by one."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

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
from ember_bench.models.transport.listening import TEXT, TextListener
from ember_bench.models.types import CutOff, Message
from ember_bench.operators.base import Inputs, Operator
from ember_bench.operators.lm import LMModule, LMModuleConfig
from ember_bench.registry import Cards
from ember_bench.running.find_grids import find_grid, grids
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
        data: The text of its last node's answer; empty if it could not read any.
        calls: The calls it took.
        wasted_usd: Cost of requests without a usable answer; None if it is unknown.
        cut_off: Whether the limit of tokens ended the text.
    """

    data: str
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
        """Wrap the last node, whose text can be read while it arrives."""
        graph, last = self.graph, self.graph.nodes[self.graph.output]
        if self._writes:
            graph = cast("NoNGraphData", graph.replace(f"nodes.{graph.output}", _Aloud(last)))
        object.__setattr__(self, "_graph", graph)
        object.__setattr__(self, "_prepared", OrderedDict())

    @property
    def lm(self) -> LMModule | None:
        """The LM module that makes all its calls; None if it has several, or none."""
        modules = self.graph.lm_modules()
        return modules[0] if len(modules) == 1 else None

    def writes(self, question: Question) -> bool:
        """Whether the answer is the text of the last node's one call, as its model writes it.

        Not if an answer is to be read out of that text.
        """
        if not self._writes:
            return False
        last = self.graph.nodes[self.graph.output]
        asked_for = self.cell is not None or question.answer_format is not None
        return not asked_for or "final_answer" not in (last.gives or ("final_answer",))

    @property
    def _writes(self) -> bool:
        last = self.graph.nodes[self.graph.output]
        signature = last.signature
        structured = signature is not None and signature.structured_output is not None
        return last.writes and len(list(last.named_lm_modules())) == 1 and not structured

    async def answer(
        self,
        question: Question,
        epoch: int = 0,
        service: ModelService | None = None,
        sampling: Mapping[str, Any] | None = None,
        *,
        aloud: bool = True,
    ) -> Answer:
        """Answer a question.

        In a `TextStream` the answer's text is passed on while it arrives, if the network `writes`.

        Args:
            question: The question.
            epoch: Index of the repetition: each has draws of its own.
            service: Makes the calls in place of the network's own.
            sampling: Sampling parameters in place of those of its LM module, of which it has one.
            aloud: Whether its text may be passed on.

        Raises:
            EmberBenchError: if a model does not answer, or the network fails.
        """
        prepared = self._ready(service or self.service, sampling or {})
        return await bridge.run(self._run, prepared, question, epoch, aloud)

    def _ready(self, service: ModelService, sampling: Mapping[str, Any]) -> PreparedGraph:
        """Return the graph, ready to run; the last ones are kept."""
        kept: OrderedDict[str, PreparedGraph] = getattr(self, "_prepared")  # noqa: B009 - frozen
        place = f"{id(service)} {sorted(sampling.items())!r}"
        if (known := kept.get(place)) is not None:
            kept.move_to_end(place)
            return known
        graph: NoNGraphData = getattr(self, "_graph")  # noqa: B009 - the same
        if sampling and (lm := self.lm) is not None:
            config = LMModuleConfig(**{**lm.config.model_dump(), **sampling})
            graph = cast("NoNGraphData", graph.replace(lm, LMModule(config, service=lm.service)))
        made = kept[place] = PreparedGraph(graph, service)
        if len(kept) > _MOST_READY:
            kept.popitem(last=False)
        return made

    def _run(self, prepared: PreparedGraph, question: Question, epoch: int, aloud: bool) -> Answer:
        item, evaluator = self._item(question), self.evaluator
        known = evaluator is not None and item.id != _ASKED
        subject = ItemSubject(item, evaluator) if known and evaluator is not None else None
        context = TrialContext(subject, epoch)
        writes = self.writes(question)
        listener = TEXT.get() if writes and aloud else None
        tokens = strands.current.set(Strand(context)), _reader.set(listener), TEXT.set(None)
        try:
            inputs = graph_inputs(item, evaluator if known else None, self.cell)
            if self.cell is None and question.turns:  # a cell has them from its item
                inputs["turns"] = question.turns
            output = prepared.run(inputs)[self.graph.output]
        finally:
            strands.current.reset(tokens[0])
            _reader.reset(tokens[1])
            TEXT.reset(tokens[2])
        text = _text(output, ("responses",) if writes else ())
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


_ASKED: Final = ""  # the id of a question that is no item
_MOST_READY: Final = 64
_reader: ContextVar[TextListener | None] = ContextVar("ember_bench_reader", default=None)
"""Reads the text of the answer; the texts of other nodes are nothing to it."""


class _Aloud(Operator):
    """The last node of a network, whose text is read while it arrives.

    Args:
        inner: Its operator.
    """

    asks_once = True

    def __init__(self, inner: Operator) -> None:
        super().__init__()
        self.inner = inner

    def check_fields(self, given: Inputs) -> Inputs:
        """Check those of the operator."""
        return self.inner.check_fields(given)

    def forward(self, inputs: Inputs) -> Any:
        """Run the operator."""
        token = TEXT.set(_reader.get())
        try:
            return self.inner(inputs)
        finally:
            TEXT.reset(token)


def _text(output: Any, first: Sequence[str] = ()) -> str:
    """Return the answer of the last node, as it is scored in an experiment.

    Args:
        output: Its outputs.
        first: Fields that come first.

    Raises:
        EmberBenchError: if it gives none.
    """
    if not isinstance(output, Mapping):
        return output if isinstance(output, str) else str(output)
    for name in (*first, "answers", "final_answer", "responses"):
        if name not in output or (name == "answers" and not output[name]):
            continue
        found = output[name] if name == "final_answer" else next(iter(output[name]), None)
        if found is None:
            return ""
        return found if isinstance(found, str) else str(found)
    raise EmberBenchError("the last node gives no answer; it gives " + ", ".join(map(repr, output)))


def find_networks(
    names: Sequence[str], values: Mapping[str, Any], service: ModelService, cards: Cards
) -> list[Network]:
    """Return the networks of these names: architecture cards, or `STUDY/CELL`.

    Args:
        names: Their names.
        values: Parameters of the architectures; each is given to those that have it.
        service: Makes the calls of architectures; that of cells is the study's own registry's.
        cards: Has the architectures.

    Raises:
        ConfigError: if there is no such network or parameter, or it cannot be built.
    """
    known = cards.all("architectures")
    names = list(dict.fromkeys(names))
    loaded = {n: load_architecture(n, cards) for n in names if n in known or not _is_cell(n)}
    parameters = {key for card in loaded.values() for key in card.card.parameters}
    for key in values:
        if key not in parameters:
            hint = did_you_mean(key, parameters)
            raise ConfigError(f"--set {key}: unknown parameter{hint}")
    found = []
    for name in names:
        if (architecture := loaded.get(name)) is None:
            found.append(_cell(name, service, known))
            continue
        own = {key: value for key, value in values.items() if key in architecture.card.parameters}
        try:
            checked = architecture.check(own)
        except ValueError as error:
            raise ConfigError(f"{name}: {error}; give it with --set") from None
        graph = architecture.build(checked, service)
        found.append(Network(name, architecture.card.purpose, graph, service))
    return found


def _is_cell(name: str) -> bool:
    """Whether a name that is no architecture's is that of a cell.

    Raises:
        ConfigError: if it is that of a study alone.
    """
    if "/" in name:
        return True
    if name in grids():
        raise ConfigError(f"{name} is a study: name one of its systems, as in '{name}/SYSTEM'")
    return False


def _cell(name: str, service: ModelService, architectures: Collection[str]) -> Network:
    """Return the network of a cell of a study; without one the name may be an architecture's."""
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
    raise UnknownNameError("architecture", name, architectures)
