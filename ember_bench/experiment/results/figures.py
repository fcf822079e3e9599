"""Figures with their intervals, and those of evaluators, as summaries have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from ember_bench import stats


class Quantity(msgspec.Struct, frozen=True):
    """A value with its interval, as files and tables have it; bounds are None if undefined."""

    value: float
    low: float | None
    high: float | None
    method: str

    @classmethod
    def of(cls, found: stats.Estimate) -> Quantity:
        """Return the value and the interval of an estimate."""
        return cls.with_interval(found.value, found.interval, found.method)

    @classmethod
    def with_interval(cls, value: float, interval: stats.Interval | None, method: str) -> Quantity:
        """Return a quantity from a value and an interval of `ember_bench.stats`."""
        low, high = (interval.low, interval.high) if interval is not None else (None, None)
        return cls(float(value), low, high, method)


class FurtherSummary(msgspec.Struct, frozen=True):
    """The scores that a further evaluator gave to a cell's outputs.

    Attributes:
        items: Items with a score of it.
        mean: Mean score over them; None if there are none.
        outcomes: Number of outputs with each outcome.
    """

    items: int
    mean: Quantity | None
    outcomes: dict[str, int]


class CorrectedAccuracy(msgspec.Struct, frozen=True):
    """A cell's accuracy, corrected for the errors of its evaluator.

    Attributes:
        labels: Number of its own outputs with a label.
        prediction_powered: By its own labels, which must be of a random part of its items; None if
            there are fewer than ten, or if items come in clusters.
        rogan_gladen: By the evaluator's error rates on all labels; None if scores are not 0 or 1.
    """

    labels: int
    prediction_powered: Quantity | None
    rogan_gladen: Quantity | None

    @property
    def best(self) -> Quantity | None:
        """The one that assumes least."""
        return self.prediction_powered or self.rogan_gladen


class PositionBias(msgspec.Struct, frozen=True):
    """What the order in which two outputs are shown does to a judge.

    Attributes:
        items: Pairs that were shown in both orders.
        consistent: Share of them on which both verdicts prefer the same output, or neither.
        first: Share of verdicts for the output shown first less that for the second, in [-1, 1].
    """

    items: int
    consistent: Quantity
    first: Quantity


class EvaluatorCheck(msgspec.Struct, frozen=True):
    """What the evaluator of a dataset says of outputs, against what people say of them.

    Attributes:
        dataset: The dataset whose evaluator it is.
        evaluator: Its name.
        models: Ids of the models that it asks.
        calibration: The dataset that has the labels; None without labels.
        outputs: Number of labelled outputs, those of all cells there.
        scores: The scores that were given, in order; empty if there are more than ten.
        confusion: Number of outputs by label (rows) and by the evaluator's score (columns).
        agreement: Share of outputs that both score the same.
        kappa: Cohen's kappa.
        sensitivity: Share of the outputs labelled 1 that the evaluator scores 1, if all are 0 or 1.
        specificity: Share of the outputs labelled 0 that it scores 0, likewise.
        mean_error: Mean of score less label, in [-1, 1].
        self_preference: Mean error on outputs of cells that call a model of the judge less that on
            the others; None unless there are both.
        verbosity: Mean error on the outputs that are longer than the median less that on the rest.
        position: Of a judge that compares two outputs, whether or not there are labels.
    """

    dataset: str
    evaluator: str
    models: list[str]
    calibration: str | None = None
    outputs: int = 0
    scores: list[float] = []
    confusion: list[list[int]] = []
    agreement: Quantity | None = None
    kappa: Quantity | None = None
    sensitivity: Quantity | None = None
    specificity: Quantity | None = None
    mean_error: Quantity | None = None
    self_preference: Quantity | None = None
    verbosity: Quantity | None = None
    position: PositionBias | None = None
