"""A stand-in for the models: graphs run on it without requests or costs.

It answers with the item's target, with answers that differ from each other, or with what no answer
can be read out of (a `Cast`); answers that are known already are given as they are. What it notes
of each call is what a plan needs: its call key, and what it would cost.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import Enum
from hashlib import blake2b
from typing import Final, Protocol

from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError, ProviderError
from ember_bench.evaluators.base import Score, baseline_output, judges_of
from ember_bench.evaluators.several import further_of
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.evaluation import Evaluation
from ember_bench.experiment.item_subject import ItemSubject
from ember_bench.experiment.questions import Questions
from ember_bench.experiment.trial import graph_inputs, output_of, score_output
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.call import Call, Request
from ember_bench.models.info import ModelInfo
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.paying import utc_today
from ember_bench.models.providers.base import Provider, provider_class
from ember_bench.models.providers.simulated import SimulatedOptions
from ember_bench.models.service import ModelService
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.thoughts import as_answer
from ember_bench.models.types import Completion, Response, Subject, Usage

ASSUMED_OUTPUT_TOKENS: Final = 300
"""Length of an answer of which nothing is known."""
CHARACTERS_PER_TOKEN: Final = 4

# Text around a message on its way to the model.
_TOKENS_PER_MESSAGE: Final = 16
# A private character in each answer tells, in a later prompt, that the whole answer stands there.
_FIRST_MARK: Final = 0xF0000
_MARKS: Final = 0xFFFD
_MARK: Final = re.compile(f"[{chr(_FIRST_MARK)}-{chr(_FIRST_MARK + _MARKS)}]")


def without_marks(text: str) -> str:
    """Return a prompt without the marks that stand for whole answers."""
    return re.sub(f"{_MARK.pattern}\n?", "", text)


class Cast(Enum):
    """The kinds of answers of the stand-in."""

    RIGHT = "right"
    DIFFERENT = "different"
    UNREADABLE = "unreadable"


class KnownAnswers(Protocol):
    """Answers that need no request: a response store, read only."""

    def get(self, key: bytes) -> Completion | None:
        """Return the stored answer of a call, or None."""


@dataclass(frozen=True, slots=True)
class Length:
    """Tokens of an answer.

    Attributes:
        expected: On average.
        most: At most; None if nothing limits it.
    """

    expected: float
    most: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of a rehearsed trial.

    Attributes:
        call: The call.
        known: Whether the answer is there already.
        expected_usd: Its average cost; None if unknown.
        worst_usd: Its highest cost; None if unknown.
        key: The call key; of a judge's question about an output that is made up, a key of its own
            for the calls that the output would be made of, as real ones differ.
    """

    call: Call
    known: bool
    expected_usd: float | None
    worst_usd: float | None
    key: bytes

    @property
    def evaluation(self) -> bool:
        """Whether a judge asks it."""
        return self.call.trial.evaluation

    @property
    def model_id(self) -> str:
        """Who would be asked."""
        return self.call.request.model.model_id


class Rehearsal(ModelService):
    """Answers in place of the models and counts the calls.

    Args:
        registry: The models.
        known: Answers that are there already.
        plays: Whether recorded models answer with their recordings.
        judges: Whether evaluators that ask models ask them; the experiment's service must be this
            one.
        scores: Whether outputs that are made of known answers alone are scored.
        today: Today's date in UTC, by which prices change; injected in tests.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        known: KnownAnswers | None = None,
        *,
        plays: bool = True,
        judges: bool = False,
        scores: bool = False,
        today: Callable[[], date] = utc_today,
    ) -> None:
        super().__init__(registry)
        self._day = today()
        self._known = known
        self._plays = plays
        self._judges = judges
        self._scores = scores
        self._providers: dict[str, Provider | None] = {}
        self._asked: list[Asked] = []
        self._lengths: list[Length] = []
        self._script = _Script(Cast.RIGHT, None, [])
        self._made_of: bytes | None = None
        self.improvised = 0
        """Answers that were made up; without any, every cast gives the same."""
        self.unfinished = 0
        """Number of trials that ended in an exception: an operator rejected its inputs."""
        self.error: Exception | None = None
        """The exception that the last trial ended in."""
        self.refused = 0
        """Number of calls that a recording has no answer to."""

    def trial(
        self, cell: Cell, questions: Questions, item: int, epoch: int, cast: Cast
    ) -> Score | None:
        """Run one trial in a greenlet of the bridge; `take` returns its calls.

        Returns:
            Its score, if this scores and no answer was made up.
        """
        subject = questions.items[item]
        self._script = _Script(cast, subject, _other_targets(questions, subject))
        self._lengths = []
        about = ItemSubject(subject, questions.evaluator)
        strand = Strand(TrialContext(about, epoch, epochs=cell.epochs))
        token = strands.current.set(strand)
        first, improvised = len(self._asked), self.improvised
        self.error = None
        try:
            outputs = cell.prepared.run(graph_inputs(subject, questions.evaluator, cell))
        except Exception as error:  # counted, and said in the plan
            self.unfinished += 1
            self.error = error
            return None
        finally:
            strands.current.reset(token)
        made_up = self.improvised > improvised
        score = None
        judged = self._judges and bool(judges_of(questions.evaluator))
        if judged:
            keys = [asked.key for asked in self._asked[first:]]
            self._made_of = b"".join([b"made of", *keys]) if made_up else None
        rival = baseline_output.set(lambda: self._rival(questions, subject, epoch))
        if judged or (self._scores and not made_up):
            with suppress(Exception):  # a stand-in's verdict may not be one
                score = score_output(questions.evaluator, subject, outputs[cell.graph.output])
        for evaluator in further_of(questions.evaluator).values() if judged else ():
            with suppress(Exception):
                score_output(evaluator, subject, outputs[cell.graph.output])
        baseline_output.reset(rival)
        return None if self.improvised > improvised or not self._scores else score

    def _rival(self, questions: Questions, item: Item, epoch: int) -> str:
        """Return the baseline's output; its calls are noted in its own trials."""
        noted = len(self._asked)
        if questions.baseline is None:
            raise ValueError("no evaluator of these questions needs the baseline")
        try:
            return output_of(questions.baseline, item, questions.evaluator, epoch, Evaluation())
        finally:
            del self._asked[noted:]

    def take(self) -> list[Asked]:
        """Return the calls noted since the last time."""
        asked, self._asked = self._asked, []
        return asked

    async def ask(self, request: Request, module: object = None) -> Response:
        """Answer one request."""
        return (await self.ask_all([(request, module)]))[0]

    async def ask_all(self, requests: Sequence[tuple[Request, object]]) -> list[Response]:
        """Answer (request, LM module) pairs."""
        calls = [self._placed(request, module) for request, module in requests]
        return [await self._stand_in(call, provider) for call, provider in calls]

    def _placed(self, request: Request, module: object) -> tuple[Call, Provider | None]:
        interception.check_allowed()
        strand = strands.current.get() or Strand(TrialContext())
        provider = self.provider(request.model)
        context = provider.context(strand.trial) if provider is not None else ""
        by_turn = provider is not None and provider.by_turn(request.role)
        replica = strand.replica(module)
        return Call.place(request, strand, replica, context, by_turn=by_turn), provider

    async def _stand_in(self, call: Call, provider: Provider | None) -> Response:
        model = call.request.model
        known = self._known.get(call.key) if self._known is not None else None
        recorded = False
        if known is None and self._plays and provider is not None and _is_recorded(provider):
            # Reading a file is no request, and gives the price of a call.
            recorded, known = True, await self._played(call, provider)
        if known is not None:
            cost = model.charge(known, self._day, call.request.parameters.service_tier)
            self._note(call, cost, cost, known=not recorded)
            thought, data = as_answer(known.text, known.finish_reason)
            return Response(data, model.model_id, known.usage, cost, 0.0, thoughts=thought)
        self.improvised += 1
        length = _length(call.request)
        self._note(call, *self._prices(call.request, length), known=False)
        script = self._script
        if call.trial.evaluation and (asked := call.trial.subject) is not None:
            script = _Script(script.cast, asked, _other_verdicts(asked))
        text = script.answer(call.request.role, len(self._lengths))
        if not provider_class(model.provider_name).simulated:
            text = f"{chr(_FIRST_MARK + len(self._lengths) % _MARKS)}\n{text}"
        self._lengths.append(length)
        return Response(text, model.model_id, Usage(), None, 0.0)

    async def _played(self, call: Call, provider: Provider) -> Completion:
        try:
            return await provider.complete(call)
        except ProviderError:
            self.refused += 1
            raise

    def _note(
        self, call: Call, expected: float | None, worst: float | None, *, known: bool
    ) -> None:
        key = call.key
        if call.trial.evaluation and self._made_of is not None:
            key = blake2b(key + self._made_of, digest_size=16).digest()
        self._asked.append(Asked(call, known, expected, worst, key))

    def _prices(self, request: Request, length: Length) -> tuple[float | None, float | None]:
        """Return the expected and the worst-case price of a call."""
        cost, context = request.model.price(self._day), request.model.context_tokens
        tier = request.parameters.service_tier
        usual, dearest = (None, None) if cost is None else (cost.at(tier), cost.dearest(tier))
        if usual is None or dearest is None:
            return None, None
        texts = [message.content for message in request.messages]
        inside = [
            self._lengths[number]
            for text in texts
            for mark in _MARK.findall(text)
            if (number := ord(mark) - _FIRST_MARK) < len(self._lengths)
        ]
        sent = 1 + sum(map(len, texts)) // CHARACTERS_PER_TOKEN
        expected_in = sent + sum(answer.expected for answer in inside)
        expected = usual.of(Usage(round(expected_in), round(length.expected)))
        # No tokeniser makes more tokens than there are bytes.
        most_in: int | None = sum(
            len(text.encode(errors="replace")) + _TOKENS_PER_MESSAGE for text in texts
        )
        for answer in inside:
            most_in = None if most_in is None or answer.most is None else most_in + answer.most
        if context is not None:
            most_in = context if most_in is None else min(most_in, context)
        if most_in is None or length.most is None:
            return expected, None
        return expected, dearest.most(most_in, length.most)

    def provider(self, model: ModelInfo) -> Provider | None:
        """Return the model's provider; None if its key is missing, which a plan does not need."""
        if model.fingerprint not in self._providers:
            try:
                self._providers[model.fingerprint] = provider_class(model.provider_name)(model)
            except ConfigError:
                self._providers[model.fingerprint] = None
        return self._providers[model.fingerprint]


@dataclass(frozen=True, slots=True)
class _Script:
    """The answers to one item."""

    cast: Cast
    item: Item | Subject | None
    others: Sequence[str]

    def answer(self, role: str, number: int) -> str:
        """Return the answer to the trial's call of this number."""
        unreadable = "?" * (1 + number % 50)
        if self.cast is Cast.UNREADABLE or self.item is None:
            return unreadable
        right = self.cast is Cast.RIGHT
        if role == "verify":
            return "Verdict: yes" if right else "Verdict: no"
        wrong = self.others[number % len(self.others)] if self.others else unreadable
        answer = self.item.target if right else wrong
        return answer if self.item.answer_format == "exact" else f"Answer: {answer}"


def _other_targets(questions: Questions, item: Item) -> list[str]:
    """Return a readable and wrong answer to `item`."""
    few = questions.items[:50]
    return list(dict.fromkeys(i.target for i in few if i.target != item.target))


def _other_verdicts(asked: Subject) -> list[str]:
    """Return the verdicts, as letters, that a judge does not give if it is right."""
    letters = string.ascii_uppercase[: len(asked.choices)]
    return [letter for letter in letters if letter != asked.target]


def _is_recorded(provider: Provider) -> bool:
    return provider.instant and not provider.simulated


def _length(request: Request) -> Length:
    """Return how long the answer to `request` may be."""
    provider = provider_class(request.model.provider_name)
    most = provider.longest_answer(request)
    if provider.simulated:
        options = SimulatedOptions.model_validate(request.model.options)
        return Length(options.output_tokens * math.exp(options.spread**2 / 2), most)
    return Length(min(ASSUMED_OUTPUT_TOKENS, most or ASSUMED_OUTPUT_TOKENS), most)
