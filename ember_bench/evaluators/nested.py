"""Evaluators that rest on other evaluators, which their cards name."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from ember_bench.answers.confidence import stated_confidence
from ember_bench.evaluators.base import (
    Evaluator,
    Judge,
    Normalises,
    Score,
    judges_of,
    without_models,
)
from ember_bench.evaluators.by_record import confined
from ember_bench.evaluators.kinds import evaluator, evaluator_identity, parameter_identity

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class NestedEvaluator(ABC):
    """Base of evaluators that name others.

    Attributes:
        name: The card's name.
    """

    name: str

    @abstractmethod
    def named(self) -> Sequence[str]:
        """Return the names of the evaluators that it rests on."""

    @cached_property
    def evaluators(self) -> Mapping[str, Evaluator]:
        """Those evaluators, by name.

        Raises:
            TypeError: if they have not been given.
        """
        raise TypeError(f"{self.name!r} has no evaluators yet: load its card, or with_evaluators()")

    def with_evaluators(self, evaluators: Mapping[str, Evaluator]) -> Self:
        """Return the same with the evaluators that it rests on, by the names it has for them."""
        twin = replace(self)
        twin.__dict__["evaluators"] = dict(evaluators)  # where cached_property keeps it
        return twin

    @cached_property
    def identity(self) -> str:
        """Kind, version, parameters, and the identities of all evaluators that it rests on."""
        parts = [f"{n}={evaluator_identity(self.evaluators[n])}" for n in sorted(self.named())]
        return "; ".join([parameter_identity(self), *parts])

    @property
    def blocking(self) -> bool:
        """Whether some evaluator takes its time."""
        return any(getattr(e, "blocking", False) for e in self.evaluators.values())

    @property
    def judges(self) -> Sequence[Judge]:
        """The judges of all evaluators."""
        return [judge for part in self.evaluators.values() for judge in judges_of(part)]

    @property
    def without_models(self) -> Evaluator:
        """The same with what stands in for evaluators that ask models."""
        return self.with_evaluators({n: without_models(e) for n, e in self.evaluators.items()})

    def confined(self, *, unsafe: bool) -> Self:
        """Return the same with the sandboxes of evaluators that run code found."""
        found = {n: confined(e, unsafe=unsafe) for n, e in self.evaluators.items()}
        return self.with_evaluators(found)

    def check_item(self, item: Item) -> None:
        """See that each evaluator can score the item.

        Raises:
            ConfigError: naming the item.
        """
        for part in self.evaluators.values():
            if (check := getattr(part, "check_item", None)) is not None:
                check(item)
            else:
                part.evaluate(item, item.target)

    def normal(self, item: Item, answer: str) -> str:
        """Return the same text for all answers that the first evaluator takes for the same."""
        first = self.evaluators[self.named()[0]]
        return first.normal(item, answer) if isinstance(first, Normalises) else answer

    @abstractmethod
    def evaluate(self, item: Item, output: str) -> Score:
        """Score `output` by the scores of the others."""


@evaluator("combined", version=1)
@dataclass(frozen=True)
class Combined(NestedEvaluator):
    """Combines the scores of several evaluators.

    An evaluator that can read no answer counts as 0; if none can, the output is unparsed.

    Attributes:
        parts: Names of evaluators with their weights, which only `mean` heeds.
        rule: `mean`: the weighted mean; `all`: the lowest; `any`: the highest.
    """

    parts: Annotated[Mapping[str, Weight], Field(min_length=1)]
    rule: Literal["mean", "all", "any"] = "mean"

    def named(self) -> Sequence[str]:
        """Return the names of the parts."""
        return [*self.parts]

    def evaluate(self, item: Item, output: str) -> Score:
        """Combine the parts' scores."""
        scores = {name: self.evaluators[name].evaluate(item, output) for name in self.parts}
        values = [score.value for score in scores.values()]
        if self.rule == "mean":
            weights = [*self.parts.values()]
            products = (w * v for w, v in zip(weights, values, strict=True))
            value = min(1.0, math.fsum(products) / math.fsum(weights))
        else:
            value = min(values) if self.rule == "all" else max(values)
        answer = next((s.answer for s in scores.values() if s.answer is not None), None)
        said = "; ".join(f"{n} {s.value:.3g}: {s.explanation}" for n, s in scores.items())
        return Score(value, answer, said)


@evaluator("stated_confidence", version=1)
@dataclass(frozen=True)
class StatedConfidence(NestedEvaluator):
    """Scores the confidence that a response states: 1 - (confidence - score of its answer)^2.

    A proper scoring rule (Brier 1950): its mean is 1 less the Brier score, and a model does best by
    stating what it believes. A response without a confidence is unparsed.

    Attributes:
        evaluator: The evaluator of the answer.
    """

    evaluator: str

    def named(self) -> Sequence[str]:
        """Return the name of the answer's evaluator."""
        return [self.evaluator]

    def evaluate(self, item: Item, output: str) -> Score:
        """Compare the confidence with the answer's score."""
        score = self.evaluators[self.evaluator].evaluate(item, output)
        confidence = stated_confidence(output)
        if confidence is None:
            return Score(0.0, None, f"No confidence is stated; {score.explanation}")
        value = 1 - (confidence - score.value) ** 2
        said = f"Confidence {confidence:g}, score {score.value:g}: {score.explanation}"
        return Score(value, score.answer, said)
