"""The evaluator protocol: (item, output) -> score in [0, 1] with an explanation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item

ScoreOutcome = Literal["correct", "wrong", "partial", "unparsed"]


@dataclass(frozen=True, slots=True)
class Score:
    """How good one output is.

    Attributes:
        value: In [0, 1].
        answer: The answer as it was read out of the output; None if none could be read.
        explanation: Why the value is what it is, for a person.
    """

    value: float
    answer: str | None
    explanation: str

    @property
    def outcome(self) -> ScoreOutcome:
        """`unparsed` if no answer could be read, else by the value."""
        if self.answer is None:
            return "unparsed"
        if self.value >= 1.0:
            return "correct"
        return "wrong" if self.value <= 0.0 else "partial"


class Evaluator(Protocol):
    """Scores one answer text against one item; a pure function with a name and a version.

    One that takes its time (CPU work, other processes) has a class attribute `blocking = True`,
    and is called in worker threads.
    """

    @property
    def name(self) -> str:
        """The name of its card."""

    @property
    def identity(self) -> str:
        """Changes whenever a score may change: kind, version and every parameter."""

    def evaluate(self, item: Item, output: str) -> Score:
        """Score `output`, a model's text or an answer that an operator has already read out."""


@runtime_checkable
class Normalises(Protocol):
    """An evaluator that knows which answers are the same, so that a vote counts them together."""

    def normal(self, item: Item, answer: str) -> str:
        """Return the same text for all answers to `item` that count as the same.

        Args:
            item: What was asked.
            answer: As it was read out of a response.
        """


@runtime_checkable
class RunsCode(Protocol):
    """An evaluator that runs what models have written."""

    def confined(self, *, unsafe: bool) -> Evaluator:
        """Return the same with its sandbox found.

        Args:
            unsafe: Do without a sandbox where there is none.

        Raises:
            ConfigError: if there is none.
        """
