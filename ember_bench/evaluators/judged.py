"""Evaluators that ask models: a judge reads the output and gives a verdict, which has a score.

A card says what is asked and what each verdict is worth. Who is asked is a network of LM calls
like any other, which an experiment builds (`experiment.judging`): its answers are read in an answer
format, so that a vote, a debate or a cascade of judges decides on a verdict as on an answer.
"""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from ember_bench.answers.formats import get_answer_format, parse_answer
from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError, Location, Problem, UnjudgedError
from ember_bench.evaluators.base import Evaluator, Judge, Score
from ember_bench.evaluators.exact import ExactMatch
from ember_bench.evaluators.kinds import evaluator, parameter_identity, shorten
from ember_bench.evaluators.nested import NestedEvaluator

if TYPE_CHECKING:
    from collections.abc import Callable

    from ember_bench.operators.signature import Signature

SINGLE: Final = "single"
"""The architecture of a judge of which only the model is named."""
CHOICE: Final = "choice"

_Points = Annotated[float, Field(ge=0, le=1)]
_MOST_VERDICTS: Final = len(string.ascii_uppercase)
_MET: Final = {"met": 1.0, "not met": 0.0}


@dataclass(frozen=True)
class JudgeCard(ABC):
    """What a card of an evaluator that asks models says; an experiment finds its judge.

    Attributes:
        name: The card's name.
        signature: Name of the signature with the prompt; it may name `query`, `response`,
            `reference` (the target, and what is as right), `options` (the verdicts, with letters
            where the answer is a choice) and fields of the item's metadata.
        model: The model that is asked, if the judge is one call; a grid's `judge` names another.
        architecture: Name of the architecture that is asked in place of a single call.
        parameters: Parameters of the architecture; `model` aside, if that is given.
        answer_format: How the verdict is read out of what the architecture answers.
    """

    name: str
    signature: str
    model: str | None = None
    architecture: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    answer_format: str = CHOICE

    @property
    @abstractmethod
    def points(self) -> Mapping[str, float | None]:
        """The score of each verdict; None is that the output gives no answer."""

    @abstractmethod
    def questions(
        self, item: Item, output: str, prompt: Signature, accepts: Callable[[str], bool]
    ) -> list[Item]:
        """Return what the judge is asked about an output.

        Args:
            item: What was asked.
            output: What was answered.
            prompt: The signature.
            accepts: Whether an answer is right as far as can be told without a model; simulated
                judges that are right say so.
        """

    @abstractmethod
    def score(self, verdicts: Sequence[str], answer: str) -> Score:
        """Return the score of an output.

        Args:
            verdicts: The verdicts, one for each question.
            answer: What the output answers.
        """

    @property
    def identity(self) -> str:
        """The card alone; the evaluator's identity names its judge, too."""
        return parameter_identity(self, given=True)

    def evaluate(self, item: Item, output: str) -> Score:
        """Refuse: only an experiment has the models.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"evaluator {self.name!r} asks models: it scores item {item.id!r} in experiments only,"
            f" not the output {shorten(output)} by itself"
        )

    @property
    def judge_parameters(self) -> tuple[str, dict[str, Any]]:
        """The architecture that is asked, and its parameters.

        Raises:
            ConfigError: if the card names no judge.
        """
        given = dict(self.parameters)
        if self.model is not None:
            given["model"] = self.model
        if self.architecture is not None:
            return self.architecture, given
        if "model" not in given:
            raise ConfigError(
                f"evaluator {self.name!r} names no model: give the grid's entry of the dataset"
                " `judge: MODEL`, or write a card with `model:` or `architecture:`"
            )
        return SINGLE, {"temperature": 0.0, **given}

    def question(
        self, item: Item, prompt: Signature, right: float, fields: Mapping[str, Any]
    ) -> Item:
        """Return one question to the judge.

        Args:
            item: What was asked.
            prompt: The signature.
            right: The score of the verdict that a simulated judge gives when it is right.
            fields: Fields of the prompt, beside those of every judge.
        """
        labels = tuple(self.points)
        given: dict[str, Any] = {
            "query": item.question if item.bare is None else item.bare,
            "reference": "\n".join((item.target, *item.alternatives)),
            "options": "\n".join(self._options(labels)),
            **fields,
        }
        known = {label: points for label, points in self.points.items() if points is not None}
        target = min(known, key=lambda label: abs(known[label] - right))
        chosen = self.answer_format == CHOICE
        return Item(
            id=item.id,
            question=prompt.render({**given, "metadata": item.metadata}),
            target=string.ascii_uppercase[labels.index(target)] if chosen else target,
            choices=labels if chosen else (),
            answer_format=self.answer_format,
            difficulty=item.difficulty,
            metadata={**item.metadata, **given},
        )

    def _options(self, labels: Sequence[str]) -> list[str]:
        shown = [self.described(label) for label in labels]
        if self.answer_format != CHOICE:
            return shown
        return [f"{x}: {text}" for x, text in zip(string.ascii_uppercase, shown, strict=False)]

    def described(self, verdict: str) -> str:
        """Return a verdict as the prompt shows it."""
        return verdict

    def label(self, answer: str) -> str:
        """Return the verdict that an answer of the judge stands for.

        Raises:
            UnjudgedError: if it stands for none.
        """
        labels = tuple(self.points)
        if self.answer_format == CHOICE:
            return labels[string.ascii_uppercase.index(answer)]
        if answer not in labels:
            raise UnjudgedError(f"the judge's answer, {shorten(answer)}, is none of its verdicts")
        return answer

    def check_points(self, location: Location) -> None:
        """Check that verdicts can be told apart.

        Raises:
            ConfigError: if they cannot.
        """
        if len({points for points in self.points.values() if points is not None}) < 2:
            message = f"evaluator {self.name!r}: needs verdicts with different scores"
            raise ConfigError(Problem(message, location))
        if self.answer_format == CHOICE and len(self.points) > _MOST_VERDICTS:
            message = (
                f"evaluator {self.name!r}: has more than {_MOST_VERDICTS} verdicts, which letters"
                " cannot name: give another `answer_format`"
            )
            raise ConfigError(Problem(message, location))


@evaluator("judged", version=1)
@dataclass(frozen=True)
class Judged(JudgeCard):
    """A judge's verdict on each output, such as: correct, incorrect, not attempted.

    Attributes:
        verdicts: The score of each verdict, in [0, 1]; `null` for that there is no answer, which
            scores 0 and counts as unparsed.
    """

    verdicts: Mapping[str, _Points | None] = field(kw_only=True)

    @property
    def points(self) -> Mapping[str, float | None]:
        """The score of each verdict."""
        return self.verdicts

    def questions(
        self, item: Item, output: str, prompt: Signature, accepts: Callable[[str], bool]
    ) -> list[Item]:
        """Ask once."""
        return [self.question(item, prompt, float(accepts(output)), {"response": output})]

    def score(self, verdicts: Sequence[str], answer: str) -> Score:
        """Look the verdict up."""
        (verdict,) = verdicts
        value = self.points[verdict]
        if value is None:
            return Score(0.0, None, f"The judge says: {verdict}.")
        return Score(value, answer, f"The judge says: {verdict}.")


@evaluator("rubric", version=1)
@dataclass(frozen=True)
class Rubric(JudgeCard):
    """A judge's grade on a scale, or its verdict on each criterion of a list.

    Attributes:
        scale: What each grade stands for, by number; the lowest scores 0, the highest 1. With
            `criteria` each is graded so; without a scale a criterion is met or not.
        criteria: What is asked about, each in a call of its own: a list, or a weight for each. The
            prompt names it as `criterion`.
    """

    scale: Mapping[int, str] = field(default_factory=dict)
    criteria: Mapping[str, Annotated[float, Field(gt=0)]] | Sequence[str] = ()

    @property
    def points(self) -> Mapping[str, float | None]:
        """The scores of the grades; of met and not met without any."""
        if not self.scale:
            return _MET
        low, high = min(self.scale), max(self.scale)
        grades = sorted(self.scale, reverse=True)
        return {str(grade): (grade - low) / max(1, high - low) for grade in grades}

    def described(self, verdict: str) -> str:
        """Return a grade with what it stands for."""
        return f"{verdict} ({self.scale[int(verdict)]})" if self.scale else verdict

    @property
    def weights(self) -> Mapping[str, float]:
        """The weight of each criterion; one without a name if the whole is graded."""
        if isinstance(self.criteria, Mapping):
            return self.criteria
        return dict.fromkeys(self.criteria or ("",), 1.0)

    def questions(
        self, item: Item, output: str, prompt: Signature, accepts: Callable[[str], bool]
    ) -> list[Item]:
        """Ask about each criterion."""
        right = float(accepts(output))
        return [
            self.question(item, prompt, right, {"response": output, "criterion": criterion})
            for criterion in self.weights
        ]

    def score(self, verdicts: Sequence[str], answer: str) -> Score:
        """Return the weighted mean."""
        weights, points = self.weights, self.points
        total = sum(weights.values())
        value = sum(w * (points[v] or 0.0) for w, v in zip(weights.values(), verdicts, strict=True))
        said = "; ".join(
            f"{shorten(criterion, 40)}: {verdict}" if criterion else verdict
            for criterion, verdict in zip(weights, verdicts, strict=True)
        )
        return Score(min(1.0, value / total), answer, f"The judge says: {said}.")


def needs_judge(evaluator: Evaluator) -> bool:
    """Whether an evaluator, or one that it rests on, is a card whose judge is not found yet."""
    if isinstance(evaluator, NestedEvaluator):
        return any(map(needs_judge, evaluator.evaluators.values()))
    return isinstance(evaluator, JudgeCard)


@dataclass(frozen=True)
class JudgedBy:
    """An evaluator that asks a judge.

    Attributes:
        card: What is asked, and what verdicts are worth.
        prompt: The card's signature.
        judge: Who is asked.
    """

    card: JudgeCard
    prompt: Signature
    judge: Judge

    @property
    def name(self) -> str:
        """The card's name."""
        return self.card.name

    @cached_property
    def identity(self) -> str:
        """Card, prompt, judge, and how the verdict is read."""
        form = get_answer_format(self.card.answer_format).full_identity
        template = self.prompt.prompt_template
        return f"{self.card.identity} {form} {self.judge.identity} {template!r}"

    @property
    def judges(self) -> tuple[Judge, ...]:
        """The judge."""
        return (self.judge,)

    @property
    def without_models(self) -> Evaluator:
        """Comparison with the target."""
        return LIKE_TARGET

    def evaluate(self, item: Item, output: str) -> Score:
        """Ask the judge; an empty output is none, and nobody is asked about it."""
        if not output.strip():
            return Score(0.0, None, "The output is empty.")
        asked = self.card.questions(
            item, output, self.prompt, lambda text: LIKE_TARGET.evaluate(item, text).value >= 1.0
        )
        verdicts = [self.card.label(verdict) for verdict in self.judge.verdicts(asked)]
        read = parse_answer(output, item.answer_format, item.choices)
        return self.card.score(verdicts, output.strip() if read is None else read)


class _LikeTarget(ExactMatch):
    """Compares with targets that need not be wholly answers: those of free text."""

    identity = "like_target@1"

    def _required(self, target: str, item: Item) -> str:
        return self.read_target(target, item) or target


LIKE_TARGET: Final = _LikeTarget(
    "like_target",
    ignore_case=True,
    ignore_punctuation=True,
    ignore_articles=True,
    ignore_whitespace=True,
)
