"""The contents of a study: datasets, architectures, parameters; and the options of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ember_bench.datasets import Dataset

if TYPE_CHECKING:
    from ember_bench.evaluators.base import Evaluator


class RunOptions(TypedDict, total=False):
    """The options of a run, which are those of `ember-bench run`.

    Attributes:
        results: The folder to write to; by default `results`.
        budget_usd: The most that this run may spend, in US dollars.
        offline: Send no request: use stored answers only. Simulated models still answer.
        in_flight: Number of trials under way at once.
        unsafe_code: Run model-written code even without a sandbox.
        data_dir: The folder of recorded data.
        tracking_uri: MLflow's store; by default `mlflow.db` in `results`.
        mlflow: Whether to log to MLflow; by default True.
        traces: Number of trials to log as MLflow traces, or "all".
        shard: One part of the items, as `3/8`, into a folder of its own; `merge` joins them.
        whole: Run the whole study, also when its decision is sure before.
        engine: Where trials run: `local`, by default, or `ray[:ADDRESS]` on a Ray cluster.
        quiet: Show no progress; without a terminal or a notebook none is shown anyway.
        limit: A pilot: at most so many items of each dataset. The results have `-pilot` behind
            their name, as with `models` and `values`.
        models: A pilot with other models, by the id of those that they replace.
        values: A pilot with other values, by their path in the grid: `{"epochs": 2}`.
    """

    results: Path | str
    budget_usd: float | None
    offline: bool
    in_flight: int | None
    unsafe_code: bool
    data_dir: Path | str | None
    tracking_uri: str | None
    mlflow: bool
    traces: int | Literal["all"]
    shard: str | None
    whole: bool
    engine: str
    quiet: bool
    limit: int | None
    models: Mapping[str, str]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """An architecture of a study with its parameters; see `architecture`."""

    what: Any
    parameters: Mapping[str, Any] = field(default_factory=dict)
    datasets: Sequence[str] | None = None
    few_shot: Mapping[str, Any] | None = None


def architecture(
    what: Any,
    *,
    datasets: Sequence[str] | None = None,
    few_shot: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> Entry:
    """Return an architecture with parameters, for a study; a list of values is swept.

    Args:
        what: The name of a card; a function that returns a graph, an operator or compact notation
            for the parameters; or a function `f(query, **fields)` that takes them as well.
        datasets: Only on the datasets of these names; by default on all.
        few_shot: Solved examples before each question, as in a grid: `{"k": [0, 4]}`.
        parameters: Its parameters.
    """
    return Entry(what, parameters, datasets, few_shot)


def single(model: str | list[str], **parameters: Any) -> Entry:
    """Return one call to a model: the card `single` and its parameters."""
    return Entry("single", {"model": model, **parameters})


@dataclass(kw_only=True, repr=False)
class StudySpec:
    """The fields of a `Study`, which says what they are."""

    name: str
    datasets: Sequence[Dataset | str | Mapping[str, Any]]
    architectures: Mapping[str, Any]
    baseline: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    evaluators: Mapping[str, str | Evaluator] = field(default_factory=dict)
    purpose: str = ""
    seed: int = 0
    epochs: int = 1
    failures: str = "wrong"
    level: float = 0.95
    correction: str = "maxt"
    shrinkage: bool = False
    control: str | None = None
    in_flight: int = 1000
    budget_usd: float | Mapping[str, Any] | None = None
    decide: Mapping[str, Any] | None = None
    search: Mapping[str, Any] | None = None
