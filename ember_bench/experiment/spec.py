"""The grid: what a user writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from ember_bench.datasets.examples import Choice, Form
from ember_bench.documents import Document, read_document
from ember_bench.errors import Problem
from ember_bench.experiment.choice_spec import DecideSpec, GridPart, SearchSpec, Usd
from ember_bench.experiment.edits import NO_EDITS, Edits

MOST: Final = 2**53
"""Larger whole numbers are not the same in every reader of JSON."""

CHECKS: Final = ("also", "labels", "calibration", "metrics")
"""Options of a dataset for what stands beside its accuracy; grids from before have none."""

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""An experiment's name, which names a folder too."""


_TAKEN: Final = ("responses.db", "mlflow.db", "mlartifacts")


def wrong_name(name: str) -> str | None:
    """Return why no experiment can have this name; None if one can.

    Results folders hold files of their own, and what SQLite keeps beside those.
    """
    if re.fullmatch(NAME, name) is None:
        return "expected up to 100 letters (A to Z), digits, `.`, `_` and `-`, not `._-` first"
    lowered = name.lower()  # some file systems ignore case
    for taken in _TAKEN:
        if lowered == taken or lowered.startswith((f"{taken}-", f"{taken}.")):
            return f"{name!r} is the name of a file in the results folder"
    return None


Shots = Annotated[int, Field(ge=0, le=1000, strict=True)]


class FewShotSpec(GridPart):
    """Solved examples before each question."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    k: list[Shots] | Shots
    """The number of examples; a list is swept. Fewer examples are the first of more."""
    origin: str | None = Field(default=None, alias="from")
    """A file of records like the dataset's, relative to the grid, or a split of a dataset on the
    hub; by default the dataset itself. An item is never an example for itself."""
    choose: Choice = "fixed"
    """`fixed`: the same ones for all items; `random`: drawn for each item; `by_category`: drawn
    for each item among those of its category. All cells have the same ones."""
    form: Form = Field(default="text", alias="as")
    """`text`: in the question; `chat`: as turns of a conversation before it."""
    seed: int | None = Field(default=None, ge=0, le=MOST, strict=True)
    """Seed of the draws; without one, fixed examples are the first of their source."""

    @property
    def unusual(self) -> str:
        """The settings that are not the defaults, as text."""
        given = {"choose": self.choose, "from": self.origin, "as": self.form, "seed": self.seed}
        usual = {"choose": "fixed", "from": None, "as": "text", "seed": None}
        return ", ".join(f"{name}: {given[name]}" for name in given if given[name] != usual[name])

    @property
    def numbers(self) -> list[int]:
        """The numbers of examples, each once."""
        return list(dict.fromkeys(self.k if isinstance(self.k, list) else [self.k]))


OF_CONFIDENCES: Final = ("brier_score", "calibration_error", "auroc")
"""Figures that need confidences."""
Metric = Literal[
    "macro_f1",
    "balanced_accuracy",
    "matthews_correlation",
    "cohens_kappa",
    "brier_score",
    "calibration_error",
    "auroc",
]


class DatasetSpec(GridPart):
    """One dataset of the grid, or the datasets of a suite."""

    name: str = ""
    """Name of a card in `registry/datasets/`."""
    suite: str | None = Field(default=None, min_length=1)
    """Name of a card in `registry/suites/`, in place of `name`: its datasets, and its averages."""
    limit: int | None = Field(default=None, gt=0, le=MOST, strict=True)
    """At most so many items: a sample fixed by the items' ids, whatever the seed."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters of a generated dataset."""
    evaluator: str | None = None
    """Name of a card in `registry/evaluators/`; by default the dataset's own."""
    judge: str | None = None
    """Model that judges the outputs, where the evaluator asks one in a single call."""
    also: list[str] = Field(default_factory=list)
    """Names of further cards in `registry/evaluators/`: they score the same outputs, and their
    scores stand beside the accuracy."""
    labels: str | None = None
    """Name of the card whose scores are what people say of the outputs, of the kind `labelled` or
    `as_recorded`: the evaluator is checked against them, and the accuracy corrected."""
    calibration: str | None = None
    """Another dataset of the grid, with `labels` and the same evaluator, that the evaluator is
    checked on."""
    metrics: list[Metric] = Field(default_factory=list)
    """Figures over all items, beside the accuracy: of labels (`macro_f1`, `balanced_accuracy`,
    `matthews_correlation`, `cohens_kappa`), or of the confidences that `also: [confidence]` reads
    (`brier_score`, `calibration_error`, `auroc`)."""
    few_shot: FewShotSpec | None = None
    """Solved examples before each question."""

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if bool(self.name) == (self.suite is not None):
            raise ValueError("expected exactly one of name, suite")
        return self

    @property
    def further(self) -> list[str]:
        """Names of the further evaluators, each once."""
        labels = [] if self.labels is None else [self.labels]
        return list(dict.fromkeys([*self.also, *labels]))


class ArchitectureSpec(GridPart):
    """One architecture of the grid, or several: a list where one value is due is swept over."""

    name: str
    """Name of a card in `registry/architectures/`."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Its parameters; the product of all lists gives the cells."""
    label: str | None = None
    """Label of its cells in tables; `{parameter}` stands for a value. By default the
    architecture, and what tells its cells apart."""
    datasets: list[str] | None = Field(default=None, min_length=1)
    """Only on these datasets; by default on all."""
    few_shot: FewShotSpec | None = None
    """Solved examples before each question, in place of the dataset's; `k: 0` for none."""


class BaselineSpec(GridPart):
    """One cell of each dataset: the baseline, or the control."""

    name: str
    """Name of the architecture; or, without parameters, the label of one cell."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """As many of its parameters as it takes to tell it from other cells."""


class BudgetSpec(GridPart):
    """How many US dollars one run of the grid may spend; a number alone is `run`."""

    run: Usd | None = None
    """All in all."""
    models: dict[str, Usd] = Field(default_factory=dict)
    """On each model, by id."""
    cells: Usd | dict[str, Usd] | None = None
    """On each cell, or on some by name. A call that several share is paid by the first."""


def _named(value: Any) -> Any:
    """Let `- gsm8k` stand for `- name: gsm8k`."""
    return {"name": value} if isinstance(value, str) else value


_DatasetEntry = Annotated[
    DatasetSpec, BeforeValidator(_named, json_schema_input_type=str | DatasetSpec)
]
_ArchitectureEntry = Annotated[
    ArchitectureSpec, BeforeValidator(_named, json_schema_input_type=str | ArchitectureSpec)
]
_Baseline = Annotated[
    BaselineSpec, BeforeValidator(_named, json_schema_input_type=str | BaselineSpec)
]


class ExperimentSpec(GridPart):
    """A grid: datasets x architectures x their parameters."""

    name: str = Field(json_schema_extra={"pattern": NAME})
    """Names the results folder and the MLflow experiment: letters, digits and `._-`."""
    purpose: str = ""
    """What the experiment is for."""
    seed: int = Field(default=0, ge=0, le=MOST, strict=True)
    """Decides the order of items and everything random in the analysis."""
    epochs: int = Field(default=1, ge=1, le=10_000, strict=True)
    """How often each item is asked, with draws of their own."""
    failures: Literal["wrong", "excluded"] = "wrong"
    """How trials that ended in an error are scored."""
    too_few_samples: Literal["refused", "left_out"] = "refused"
    """What becomes of items of which a recorded model has fewer samples than a cell asks for: the
    grid is refused, or those cells are without them."""
    level: float = Field(default=0.95, gt=0.5, lt=1, strict=True)
    """Confidence level of the intervals."""
    correction: Literal["maxt", "holm", "bh"] = "maxt"
    """How p-values are corrected for the number of comparisons."""
    shrinkage: bool = False
    """Whether accuracies by category, and by dataset of a suite, are also shown drawn towards their
    mean: with few items each, they are then closer to the truth on average."""
    in_flight: int = Field(default=1000, ge=1, le=100_000, strict=True)
    """How many trials are under way at once."""
    budget_usd: BudgetSpec | None = None
    """How much one run may spend; reached, it stops as if it had been told to."""
    datasets: list[_DatasetEntry] = Field(min_length=1)
    """What is asked."""
    architectures: list[_ArchitectureEntry] = Field(min_length=1)
    """What is compared."""
    baseline: _Baseline | None = None
    """What the others are compared with; by default the first architecture's first cell."""
    control: _Baseline | None = None
    """A cell that is asked all items: by its scores, the accuracies of cells that were asked a part
    of them are estimated more exactly."""
    decide: DecideSpec | None = None
    """The choice that the run is to make; it then stops as soon as that is sure."""
    search: SearchSpec | None = None
    """The system that the run is to find among more than can be run, within a budget."""

    @model_validator(mode="after")
    def _capped_for_choice(self) -> Self:
        if self.decide is not None and self.search is not None:
            raise ValueError("expected at most one of decide, search")
        choice = self.decide or self.search
        if choice is None or choice.budget_usd is None:
            return self
        budget = self.budget_usd or BudgetSpec()
        run = min(choice.budget_usd, budget.run or choice.budget_usd)
        return self.model_copy(update={"budget_usd": budget.model_copy(update={"run": run})})

    @field_validator("name")
    @classmethod
    def _free(cls, value: str) -> str:
        if (reason := wrong_name(value)) is not None:
            raise ValueError(reason)
        return value

    @field_validator("budget_usd", mode="before", json_schema_input_type=Usd | BudgetSpec | None)
    @classmethod
    def _run_alone(cls, value: Any) -> Any:
        """Let `budget_usd: 5` stand for `budget_usd: {run: 5}`."""
        return value if value is None or isinstance(value, dict | BudgetSpec) else {"run": value}

    @property
    def checks(self) -> list[dict[str, Any]]:
        """The entries of `datasets` that have some of `CHECKS`, with these alone."""
        return [
            entry.model_dump(mode="json", include={"name", *CHECKS}, exclude_defaults=True)
            for entry in self.datasets
            if any(getattr(entry, name) for name in CHECKS)
        ]

    def capped_at(self, usd: float) -> ExperimentSpec:
        """Return the grid with `usd` in place of what a run may spend all in all."""
        budget = (self.budget_usd or BudgetSpec()).model_copy(update={"run": usd})
        return self.model_copy(update={"budget_usd": budget})

    def scored_by(self, evaluators: Mapping[str, str], judge: str | None = None) -> ExperimentSpec:
        """Return the grid with the evaluators of some datasets, by name, replaced.

        Args:
            evaluators: By dataset.
            judge: The model that judges; None for the grid's, where its evaluator stays.
        """
        datasets = []
        for entry in self.datasets:
            replaced = entry.name in evaluators
            # Further evaluators may ask it as well.
            own = None if replaced and not entry.further else entry.judge
            update = {
                "evaluator": evaluators.get(entry.name, entry.evaluator),
                "judge": judge or own,
            }
            datasets.append(entry.model_copy(update=update))
        return self.model_copy(update={"datasets": datasets})


def read_most(
    path: Path, edits: Edits = NO_EDITS
) -> tuple[ExperimentSpec | None, Document, list[Problem]]:
    """Read the valid parts of a grid, so that all mistakes can be reported at once.

    Args:
        path: The grid file.
        edits: Changes of what it says.

    Returns:
        The grid without its invalid parts, or None if too little is left; its document; the
        problems of the parts that are left out.

    Raises:
        ConfigError: if the file cannot be read.
    """
    spec, document, problems = edits.applied(read_document(path)).parse_most(ExperimentSpec)
    if spec is None and "name" not in document.data:
        named = Document(path, {**document.data, "name": "unnamed"}, document.marks)
        spec, document, _ = named.parse_most(ExperimentSpec)
    return spec, document, problems


def read_spec(path: Path, edits: Edits = NO_EDITS) -> tuple[ExperimentSpec, Document]:
    """Read a grid; the document tells where each part of it stood.

    Args:
        path: The grid file.
        edits: Changes of what it says.

    Raises:
        ConfigError: with each mistake at its line and column.
    """
    document = edits.applied(read_document(path))
    return document.parse(ExperimentSpec), document
