"""Scores of Inspect's scorers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ember_bench.datasets.inspect_tasks import opened_inspect_task
from ember_bench.errors import ConfigError, EmberBenchError, did_you_mean
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.kinds import evaluator, parameter_identity, shorten
from ember_bench.evaluators.libraries import library_identity
from ember_bench.evaluators.outputs import without_thoughts

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item


@evaluator("inspect", version=1)
@dataclass(frozen=True)
class InspectScores:
    """Scores items of `source: {inspect: ...}` by a scorer of their task.

    Inspect's `value_to_float` makes a number of the value: C is 1, P is .5, I and N are 0.

    Attributes:
        name: The card's name.
        scorer: The name of one of the task's scorers; by default the first.
        field: The field of a value that has several.
    """

    name: str
    scorer: str | None = None
    field: str | None = None

    @property
    def blocking(self) -> bool:
        """A loop is run for each score."""
        return True

    @cached_property
    def identity(self) -> str:
        """Kind, version, parameters, and the version of Inspect."""
        package = library_identity("inspect-ai", extra="inspect")
        return f"{parameter_identity(self)} {package}"

    def check_item(self, item: Item) -> None:
        """See that the item's task has the scorer.

        Raises:
            ConfigError: if it has not.
        """
        self._scorer_of(opened_inspect_task(item.metadata)[0].task)

    def evaluate(self, item: Item, output: str) -> Score:
        """Score `output` by the task's scorer.

        Raises:
            ConfigError: if the item's task has no such scorer, or its value no such field.
            EmberBenchError: if the value is no number from 0 to 1.
        """
        from inspect_ai.scorer import value_to_float  # noqa: PLC0415 - an extra

        task, sample = opened_inspect_task(item.metadata)
        found = task.score(sample, without_thoughts(output), self._scorer_of(task.task))
        given = self._one(found.value)
        value = value_to_float()(given)
        if not 0 <= value <= 1:
            raise EmberBenchError(f"{self.name}: the scorer gives {given!r}, not from 0 to 1")
        shown = f"The scorer gives {given!r}."
        if found.explanation:
            shown = f"{shown} {shorten(found.explanation)}"
        answer = found.answer if found.answer is not None else output.strip()
        return Score(value, answer or None, shown)

    def _one(self, value: Any) -> Any:
        """Return the value, or its field."""
        if not isinstance(value, Mapping):
            if self.field is not None:
                raise ConfigError(f"{self.name}: the scorer's value has no fields, it is {value!r}")
            if isinstance(value, list):
                raise ConfigError(f"{self.name}: the scorer gives a list, which is no score")
            return value
        if self.field not in value:
            near = did_you_mean(self.field or "", value)
            raise ConfigError(f"{self.name}: the scorer's value has no field {self.field!r}{near}")
        return value[self.field]

    def _scorer_of(self, task: Any) -> int:
        """Return the number of the scorer among the task's."""
        from inspect_ai._util.registry import registry_unqualified_name  # noqa: PLC0415 - an extra

        if self.scorer is None:
            return 0
        names = [registry_unqualified_name(scorer) for scorer in task.scorer]
        if self.scorer not in names:
            near = did_you_mean(self.scorer, names)
            raise ConfigError(f"{self.name}: the task has no scorer {self.scorer!r}{near}")
        return names.index(self.scorer)
