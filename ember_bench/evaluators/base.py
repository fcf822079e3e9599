"""The evaluator protocol: (item, output) -> score in [0, 1] with an explanation."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar, cast, runtime_checkable

from ember_bench.errors import ConfigError
from ember_bench.models.interception import Ban, banned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ember_bench.datasets.item import Item
    from ember_bench.models.info import ModelInfo
    from ember_bench.operators.lm import LMModule

_T = TypeVar("_T")
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


class Judge(Protocol):
    """Models that are asked for verdicts."""

    @property
    def identity(self) -> str:
        """Changes whenever a verdict may change."""

    @property
    def lms(self) -> Sequence[LMModule]:
        """The LM modules that it asks."""

    def verdicts(self, asked: Sequence[Item]) -> list[str]:
        """Return the answers to some questions about one output, asked at the same time.

        Raises:
            UnjudgedError: if an answer cannot be read.
            ProviderError: if a model does not answer.
        """


class AsksModels(Protocol):
    """An evaluator that may ask models, through the service of the run."""

    @property
    def judges(self) -> Sequence[Judge]:
        """Who is asked; nobody if it asks no models after all."""

    @property
    def without_models(self) -> Evaluator:
        """What stands in for it where no model is to be asked, and decides for simulated models."""


baseline_output: Final[ContextVar[Callable[[], str] | None]] = ContextVar(
    "ember_bench_baseline_output", default=None
)
"""Returns the baseline's output for the item and epoch that are scored; None outside a trial."""


def judges_of(evaluator: Evaluator) -> Sequence[Judge]:
    """Return whom an evaluator asks; nobody if it only computes."""
    # Asked for each score, and a runtime protocol takes as long as a short answer's score does.
    if not hasattr(evaluator, "without_models"):
        return ()
    return cast("AsksModels", evaluator).judges


def judge_models(evaluator: Evaluator) -> list[ModelInfo]:
    """Return the models that an evaluator asks, each once."""
    found = {lm.model.model_id: lm.model for judge in judges_of(evaluator) for lm in judge.lms}
    return list(found.values())


def without_models(evaluator: Evaluator) -> Evaluator:
    """Return what scores where no model is to be asked: the evaluator itself, if it asks none."""
    return cast("AsksModels", evaluator).without_models if judges_of(evaluator) else evaluator


def asking_no_model(evaluator: Evaluator, check: Callable[..., _T], *arguments: Any) -> _T:
    """Call a part of an evaluator, and watch that it asks no model by itself.

    Args:
        evaluator: The evaluator.
        check: What is called.
        arguments: Its arguments.

    Raises:
        ConfigError: if it asks a model that is none of its judges: such calls have no price, no
            store, and no place in a plan.
    """
    ban = Ban(evaluator.name)
    token = banned.set(ban)
    try:
        result = check(*arguments)
    except Exception as error:
        if ban.broken:
            raise ConfigError(ban.reason) from error
        raise
    finally:
        banned.reset(token)
    if ban.broken:
        raise ConfigError(ban.reason)
    return result


def scored(evaluator: Evaluator, item: Item, output: str) -> Score:
    """Score an output.

    Raises:
        ConfigError: if the evaluator asks a model that is none of its judges.
    """
    return asking_no_model(evaluator, evaluator.evaluate, item, output)
