"""Scores of lm-evaluation-harness, by its own filters and metrics."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from ember_bench.datasets.lm_eval_tasks import LmEvalTask, opened_task
from ember_bench.errors import ConfigError, EmberBenchError, did_you_mean
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.kinds import evaluator, parameter_identity, shorten
from ember_bench.evaluators.libraries import library_identity
from ember_bench.evaluators.outputs import without_thoughts

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item


@evaluator("lm_eval", version=1)
@dataclass(frozen=True)
class LmEval:
    """Scores items of `source: {lm_eval: ...}` as lm-evaluation-harness does.

    The output ends at the first of the task's `until` texts, as it does where a server is sent
    them; then one of the task's filters reads it, and one of its metrics scores what was read.

    Attributes:
        name: The card's name.
        metric: One of the task's metrics; by default the first whose mean over items is reported.
        filter: One of the task's filters; by default the first.
        maximum: The value of a perfect output, by which values are divided.
    """

    name: str
    metric: str | None = None
    filter: str | None = None
    maximum: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0

    @cached_property
    def identity(self) -> str:
        """Kind, version, parameters, and the version of lm-eval."""
        return f"{parameter_identity(self)} {library_identity('lm-eval', extra='lm-eval')}"

    def check_item(self, item: Item) -> None:
        """See that the item's task has the filter and the metric.

        Raises:
            ConfigError: if it has not, or the metric is no mean over items.
        """
        self._metric_of(opened_task(item.metadata)[0].task)

    def evaluate(self, item: Item, output: str) -> Score:
        """Score `output` by the task's own filter and metric.

        Raises:
            ConfigError: if the item's task has no such filter or metric.
            EmberBenchError: if the value is no number from 0 to `maximum`.
        """
        task, number = opened_task(item.metadata)
        metric = self._metric_of(task.task)
        name, filtered = self._read(task, number, output)
        metrics = task.metrics(number, filtered)
        if metric not in metrics:
            raise ConfigError(
                f"{self.name}: the task gives no {metric!r}{did_you_mean(metric, metrics)}"
            )
        value = self._share(metrics[metric], metric)
        read = filtered if isinstance(filtered, str) else str(filtered)
        shown = f"{metric} ({name}) of {shorten(read)}: {value:g}"
        return Score(value, None if _is_fallback(task, name, filtered) else read, shown)

    def normal(self, item: Item, answer: str) -> str:
        """Return what the filter reads: answers that it reads alike count as the same."""
        task, number = opened_task(item.metadata)
        return str(self._read(task, number, answer)[1])

    def _read(self, task: LmEvalTask, number: int, output: str) -> tuple[str, Any]:
        """Return the filter's name, and what it makes of an output."""
        text = without_thoughts(output)
        for stop in task.until(number):
            text = text.partition(stop)[0] if stop else text
        found = task.filtered(number, text)
        name = self.filter or next(iter(found))
        return name, found[name]

    def _metric_of(self, task: Any) -> str:
        """Return the name of the metric."""
        filters = [ensemble.name for ensemble in task._filters]
        if self.filter is not None and self.filter not in filters:
            near = did_you_mean(self.filter, filters)
            raise ConfigError(f"{self.name}: the task has no filter {self.filter!r}{near}")
        means = _means(task)
        if self.metric is None:
            if not means:
                raise ConfigError(
                    f"{self.name}: no metric of the task is a mean over items where more is better"
                )
            return means[0]
        if self.metric in task.aggregation() and self.metric not in means:
            raise ConfigError(
                f"{self.name}: {self.metric!r} is no mean over items where more is better, so an"
                " item has no score by it"
            )
        return self.metric

    def _share(self, value: Any, metric: str) -> float:
        if not isinstance(value, numbers.Real | bool) and not hasattr(value, "item"):
            raise EmberBenchError(f"{self.name}: {metric} is no number, but {shorten(str(value))}")
        share = float(value) / self.maximum
        if not 0 <= share <= 1:
            raise EmberBenchError(
                f"{self.name}: {metric} is {float(value):g}, not from 0 to {self.maximum:g}"
                " (the evaluator's `maximum`)"
            )
        return share


def _means(task: Any) -> list[str]:
    """Return the metrics that are means over items, and better the higher they are."""
    from lm_eval.api.metrics import mean  # noqa: PLC0415 - an extra

    better = task.higher_is_better()
    aggregation = task.aggregation()
    return [name for name in aggregation if aggregation[name] is mean and better.get(name, True)]


def _is_fallback(task: LmEvalTask, name: str, filtered: Any) -> bool:
    """Return whether a filter found nothing, and gave what stands for that."""
    ensemble = next(one for one in task.task._filters if one.name == name)
    fallbacks = [getattr(make(), "fallback", None) for make in ensemble.filters]
    return any(fallback is not None and filtered == fallback for fallback in fallbacks)
