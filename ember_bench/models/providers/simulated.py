"""Simulated models: right with a known probability, at a known price and latency, seeded.

They answer the item behind a call rather than its prompt, so that a study can be rehearsed for
free and an estimator checked against a closed form. Every random choice is a function of the call
key: the same call has the same answer in every process, in any order.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from hashlib import blake2b
from statistics import NormalDist
from struct import unpack
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from ember_bench.models.call import Call, Request
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers._distractors import distractors
from ember_bench.models.providers.base import Provider, provider
from ember_bench.models.strand import TrialContext
from ember_bench.models.types import Completion, Subject, Usage

if TYPE_CHECKING:
    pass

_CHARACTERS_PER_TOKEN: Final = 4
_NORMAL: Final = NormalDist()
# No deviate that is drawn is larger: Phi(8.3) > 1 - 2**-53.
_LARGEST_DEVIATE: Final = 8.3


class Skill(BaseModel):
    """Probability of a right answer, from the easiest items to the hardest (linear between)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    easy: float = Field(ge=0, le=1)
    hard: float = Field(ge=0, le=1)

    def at(self, difficulty: float | None) -> float:
        """Return the probability at `difficulty` in [0, 1]; an unknown one counts as one half."""
        share = 0.5 if difficulty is None else min(max(difficulty, 0.0), 1.0)
        return self.easy + (self.hard - self.easy) * share


class SimulatedOptions(BaseModel):
    """The options of a simulated model.

    Attributes:
        accuracy: P(right) when it generates: one number, or one for the easiest and one for the
            hardest items.
        distractors: How many different wrong answers it chooses from; 1 makes every wrong answer
            the same, as the closed forms for votes have it.
        correlation: P(a draw is decided by the item's common luck instead of its own). Models with
            the same `seed` share that luck, so this is how much their errors go together.
        true_positive: P(accept | the candidate is right) when it verifies.
        false_positive: P(accept | the candidate is wrong) when it verifies.
        pick_rate: P(choose a right candidate | there are right and wrong ones) when it judges;
            which one among equals is chance.
        fuse_rate: The same, when it fuses candidates into one.
        rank_accuracy: P(all right candidates stand before all wrong ones, else all behind) when it
            ranks or compares; the order among equals is chance. When it scores, P(a right
            candidate's score is above a wrong one's): scores are those of two normal distributions.
        position_bias: P(it keeps the order in which candidates are shown, whatever they are) when
            it ranks or compares.
        refine_fix: P(right after | wrong before) when it rewrites an answer; else it repeats it.
        refine_break: P(wrong after | right before) when it rewrites an answer.
        conformity: P(it goes over to the side, right or wrong, of most answers shown, its own
            included) in a debate; else, and in a tie, it repeats its own. When it criticises, it
            finds nothing wrong with what it would accept when it verifies; when it routes, each
            route is equally likely.
        output_tokens: Median length of an answer, in tokens.
        latency_seconds: Median time of a call.
        spread: Sigma of the lognormal distributions of length and time.
        sleep: Really take that time, instead of only reporting it.
        seed: Another seed is another model of the same kind.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    accuracy: Annotated[float, Field(ge=0, le=1)] | Skill = 0.7
    distractors: int = Field(default=1, ge=1)
    correlation: float = Field(default=0.0, ge=0, le=1)
    true_positive: float = Field(default=0.8, ge=0, le=1)
    false_positive: float = Field(default=0.2, ge=0, le=1)
    pick_rate: float = Field(default=0.8, ge=0, le=1)
    fuse_rate: float = Field(default=0.8, ge=0, le=1)
    rank_accuracy: float = Field(default=0.8, ge=0, le=1)
    position_bias: float = Field(default=0.0, ge=0, le=1)
    refine_fix: float = Field(default=0.3, ge=0, le=1)
    refine_break: float = Field(default=0.1, ge=0, le=1)
    conformity: float = Field(default=0.5, ge=0, le=1)
    output_tokens: int = Field(default=150, ge=1)
    latency_seconds: float = Field(default=1.0, ge=0)
    spread: float = Field(default=0.3, ge=0, le=3)
    sleep: bool = False
    seed: int = 0

    def skill(self, difficulty: float | None) -> float:
        """Return P(right) on an item of this difficulty."""
        if isinstance(self.accuracy, Skill):
            return self.accuracy.at(difficulty)
        return self.accuracy


@provider("simulated")
class Simulated(Provider):
    """One simulated model."""

    simulated = True
    card_options = SimulatedOptions

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        self.options = SimulatedOptions.model_validate(model.options)
        # Shadows the class attribute: waiting for nothing depends on the card.
        self.instant = not self.options.sleep  # type: ignore[misc]

    def context(self, trial: TrialContext) -> str:
        """Answers depend on the item, which the prompt need not name."""
        return trial.subject.digest if trial.subject is not None else ""

    @classmethod
    def longest_answer(cls, request: Request) -> int:
        """Return the longest answer that it can draw; it does not heed `max_tokens`."""
        options = SimulatedOptions.model_validate(request.model.options)
        return math.ceil(options.output_tokens * math.exp(options.spread * _LARGEST_DEVIATE))

    async def complete(self, call: Call) -> Completion:
        """Answer from the item behind the call."""
        luck = _Luck(call.key)
        text = self._answer(call, luck)
        length = self._lognormal(self.options.output_tokens, luck)
        latency = self._lognormal(self.options.latency_seconds, luck)
        if self.options.sleep:
            await asyncio.sleep(latency)
        words = sum(len(message.content) for message in call.request.messages)
        usage = Usage(1 + words // _CHARACTERS_PER_TOKEN, max(1, round(length)))
        return Completion(text, usage, latency_seconds=latency)

    def _answer(self, call: Call, luck: _Luck) -> str:
        subject = call.trial.subject
        if subject is None:
            return f"simulated answer {call.key.hex()[:8]}"
        role = _ROLES.get(call.request.role, Simulated._generate)
        return role(self, call, subject, luck)

    def _generate(self, call: Call, subject: Subject, luck: _Luck) -> str:
        decisive = luck
        if self.options.correlation and luck.uniform() < self.options.correlation:
            decisive = _Luck(self._common(subject, call.trial.epoch))
        if decisive.uniform() < self.options.skill(subject.difficulty):
            return _write(subject, subject.target)
        return self._wrong(subject, decisive)

    def _wrong(self, subject: Subject, luck: _Luck) -> str:
        wrong = distractors(
            subject.target, subject.answer_format, subject.choices, self.options.distractors
        )
        if not wrong:
            return "I do not know."  # a choice with one option has no wrong answer
        return _write(subject, luck.pick(wrong))

    def _verify(self, call: Call, subject: Subject, luck: _Luck) -> str:
        options = self.options
        right = all(subject.accepts(candidate) for candidate in call.request.about)
        accepts = luck.uniform() < (options.true_positive if right else options.false_positive)
        return "Verdict: yes" if accepts else "Verdict: no"

    def _judge(self, call: Call, subject: Subject, luck: _Luck) -> str:
        return self._choose(call, subject, luck, self.options.pick_rate)

    def _fuse(self, call: Call, subject: Subject, luck: _Luck) -> str:
        return self._choose(call, subject, luck, self.options.fuse_rate)

    def _choose(self, call: Call, subject: Subject, luck: _Luck, rate: float) -> str:
        candidates = call.request.about
        if not candidates:
            return self._generate(call, subject, luck)
        right, wrong = _sides(subject, candidates)
        pool = right or wrong
        if right and wrong:
            pool = right if luck.uniform() < rate else wrong
        return _write(subject, luck.pick(pool))

    def _rank(self, call: Call, subject: Subject, luck: _Luck) -> str:
        candidates = call.request.about
        places = list(range(len(candidates)))
        if luck.uniform() >= self.options.position_bias:
            right_first = luck.uniform() < self.options.rank_accuracy
            chance = [luck.uniform() for _ in candidates]
            accepted = [subject.accepts(candidate) for candidate in candidates]
            places.sort(key=lambda place: (accepted[place] != right_first, chance[place]))
        return "Ranking: " + " > ".join(str(place + 1) for place in places)

    def _score(self, call: Call, subject: Subject, luck: _Luck) -> str:
        # P(X > Y) for X ~ N(d, 1) and Y ~ N(0, 1) is cdf(d / sqrt 2).
        accuracy = min(max(self.options.rank_accuracy, 1e-9), 1 - 1e-9)
        apart = math.sqrt(2) * _NORMAL.inv_cdf(accuracy)
        right = all(subject.accepts(candidate) for candidate in call.request.about)
        deviate = luck.deviate() + (apart if right else 0.0)
        return f"Score: {100 * _NORMAL.cdf((deviate - apart / 2) / 3):.6f}"

    def _refine(self, call: Call, subject: Subject, luck: _Luck) -> str:
        candidates = call.request.about
        if not candidates:
            return self._generate(call, subject, luck)
        chance = luck.uniform()
        if subject.accepts(candidates[0]):
            if chance < self.options.refine_break:
                return self._wrong(subject, luck)
        elif chance < self.options.refine_fix:
            return _write(subject, subject.target)
        return _write(subject, candidates[0])

    def _debate(self, call: Call, subject: Subject, luck: _Luck) -> str:
        candidates = call.request.about
        if not candidates:
            return self._generate(call, subject, luck)
        right, wrong = _sides(subject, candidates)
        if len(right) == len(wrong) or luck.uniform() >= self.options.conformity:
            return _write(subject, candidates[0])
        most = max(right, wrong, key=len)
        # Who is on that side already has no reason to change.
        return _write(subject, candidates[0] if candidates[0] in most else luck.pick(most))

    def _route(self, call: Call, subject: Subject, luck: _Luck) -> str:
        routes = call.request.about
        return f"Route: {luck.pick(routes)}" if routes else self._generate(call, subject, luck)

    def _common(self, subject: Subject, epoch: int) -> bytes:
        return f"{self.options.seed}/{subject.digest}/{epoch}".encode()

    def _lognormal(self, median: float, luck: _Luck) -> float:
        return median * math.exp(self.options.spread * luck.deviate())


_ROLES: Final[dict[str, Callable[[Simulated, Call, Subject, _Luck], str]]] = {
    "critique": Simulated._verify,
    "debate": Simulated._debate,
    "fuse": Simulated._fuse,
    "judge": Simulated._judge,
    "rank": Simulated._rank,
    "refine": Simulated._refine,
    "route": Simulated._route,
    "score": Simulated._score,
    "verify": Simulated._verify,
}


class _Luck:
    """Random numbers that are a function of a key."""

    __slots__ = ("_block", "_key", "_numbers")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._block = 0
        self._numbers = list(unpack("<8Q", blake2b(key, person=b"simulated").digest()))

    def uniform(self) -> float:
        """Return a number in [0, 1)."""
        if not self._numbers:
            self._block += 1
            salt = self._block.to_bytes(16)
            digest = blake2b(self._key, person=b"simulated", salt=salt).digest()
            self._numbers = list(unpack("<8Q", digest))
        number: int = self._numbers.pop()
        return (number >> 11) * 2.0**-53

    def deviate(self) -> float:
        """Return a standard normal number."""
        # inv_cdf is not defined at 0.
        return _NORMAL.inv_cdf(max(self.uniform(), 2.0**-53))

    def pick(self, pool: Sequence[str]) -> str:
        """Return one of `pool`, each as likely as another."""
        return pool[int(self.uniform() * len(pool))]


def _sides(subject: Subject, candidates: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the right candidates and the wrong ones."""
    accepted = [subject.accepts(candidate) for candidate in candidates]
    right = [c for c, accept in zip(candidates, accepted, strict=True) if accept]
    return right, [c for c, accept in zip(candidates, accepted, strict=True) if not accept]


def _write(subject: Subject, answer: str) -> str:
    """Return an answer as a model would write it."""
    return answer if subject.answer_format == "exact" else f"Answer: {answer}"
