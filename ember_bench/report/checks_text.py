"""What stands beside accuracies, and how evaluators were checked, as texts of tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import UNSET

from ember_bench.drawing.number_format import (
    UNDEFINED,
    count,
    in_percent,
    in_short,
    interval,
    percent,
    points,
)
from ember_bench.drawing.text import one_line
from ember_bench.experiment.results.figures import EvaluatorCheck, Quantity
from ember_bench.experiment.results.summary import CellSummary, DatasetSummary, ExperimentSummary
from ember_bench.report.columns import Place
from ember_bench.report.sections import Row, Section

METRICS: Final = {
    "macro_f1": "macro F1",
    "balanced_accuracy": "balanced accuracy",
    "matthews_correlation": "Matthews corr.",
    "cohens_kappa": "kappa",
    "brier_score": "Brier score",
    "calibration_error": "calibration error",
    "auroc": "AUROC",
}
_SHARES: Final = ("macro_f1", "balanced_accuracy")
CORRECTED: Final = (
    "Corrected by labels: the accuracy with the evaluator's errors taken out; the interval includes"
    " them. Prediction-powered (Angelopoulos et al. 2023): by labels of a random part of the"
    " system's own outputs. Rogan-Gladen (1978; interval of Lang and Reiczigel 2014): by the"
    " evaluator's error rates on all labels, which must hold for the system, too."
)
CHECKED: Final = (
    "Labels: what people say of outputs; the outputs for one item are one unit. Mean error: score"
    " less label, in points."
)
SHRUNKEN: Final = (
    "Drawn towards the mean: each accuracy by category or dataset, the more so the fewer items it"
    " has and the less they differ beyond chance (Beta-Binomial; Bowyer et al. 2025). Intervals"
    " hold on average over categories or datasets, not for each: one that is unlike all others is"
    " drawn towards them, too, and its own accuracy tells more."
)
CONTROLLED: Final = (
    "By the control: the accuracy on all items, estimated from the system's items and the control's"
    " scores on all of them (control variate), as if the number of items had been fixed in advance."
)
_NOT_SHRUNKEN: Final = (
    "Not drawn towards the mean: that takes at least five categories, scores of 0 and 1, and items"
    " without clusters."
)
_NOT_CONTROLLED: Final = (
    "No accuracy by the control: that takes 20 items, and items without clusters that are missing"
    " by chance alone."
)
_NONE: Final = (UNDEFINED, "")


def sections(cells: Sequence[CellSummary], level: float) -> Iterator[Section]:
    """Yield the tables of all that stands beside the accuracies of systems on one dataset."""
    yield from corrected(cells, level)
    yield from controlled(cells, level)
    yield from beside(cells, level)
    yield from shrunken(cells, level)


def captions(summary: ExperimentSummary, cells: Sequence[CellSummary]) -> Iterator[str]:
    """Yield the sentences that one needs to read these tables."""
    if any(cell.corrected for cell in cells):
        yield CHECKED
        yield CORRECTED
    if any(cell.controlled for cell in cells):
        yield CONTROLLED
    if any(cell.controlled is None for cell in cells):
        yield _NOT_CONTROLLED
    if any(cell.shrunken for cell in cells) or any(row.shrunken for row in summary.suites):
        yield SHRUNKEN
    elif any(cell.shrunken is not UNSET for cell in cells):
        yield _NOT_SHRUNKEN


def beside(cells: Sequence[CellSummary], level: float) -> Iterator[Section]:
    """Yield the table of further scores and of figures over all items; nothing without any."""
    further = list(dict.fromkeys(name for cell in cells if cell.further for name in cell.further))
    metrics = [
        name for name in METRICS if any(cell.metrics and name in cell.metrics for cell in cells)
    ]
    if not further and not metrics:
        return
    rows = []
    for cell in cells:
        texts: list[str] = []
        for name in further:
            found = cell.further[name] if cell.further else None
            texts += _NONE if found is None else _share(found.mean)
        for name in metrics:
            texts += _metric(name, cell.metrics.get(name) if cell.metrics else None)
        rows.append(Row(cell.label, (_partial(cell),), tuple(texts)))
    headings = [*further, *(METRICS[name] for name in metrics)]
    yield _section(f"{cells[0].dataset}: beside the accuracy", headings, level, rows)


def _partial(cell: CellSummary) -> str:
    """Return which further evaluators scored some of the outputs only, or failed."""
    found = cell.further or {}
    parts = [
        f"{name}: {given.items:,} of {count(cell.items, 'item')}"
        for name, given in found.items()
        if given.items < cell.items
    ]
    for name, given in found.items():
        if failed := given.outcomes.get("error", 0) + given.outcomes.get("unjudged", 0):
            parts.append(f"{name} failed on {failed:,}")
    return ", ".join(parts)


def corrected(cells: Sequence[CellSummary], level: float) -> Iterator[Section]:
    """Yield the table of corrected accuracies; nothing without labels."""
    known = [(cell, cell.corrected) for cell in cells if cell.corrected is not UNSET]
    if not known:
        return
    rows = [
        Row(
            cell.label,
            (count(found.labels, "label"),),
            (
                *_share(cell.accuracy),
                *_share(found.prediction_powered),
                *_share(found.rogan_gladen),
            ),
        )
        for cell, found in known
    ]
    headings = ["as scored", "prediction-powered", "Rogan-Gladen"]
    title = f"{cells[0].dataset}: accuracy corrected by labels"
    yield _section(title, headings, level, rows)


def shrunken(cells: Sequence[CellSummary], level: float) -> Iterator[Section]:
    """Yield the table of accuracies by category drawn towards their mean, if they are wanted."""
    wanted = [(cell, cell.shrunken) for cell in cells if cell.shrunken]
    names = sorted({name for _, found in wanted for name in found})
    if not wanted:
        return
    rows = [
        Row(cell.label, (), tuple(text for name in names for text in _share(found.get(name))))
        for cell, found in wanted
    ]
    title = f"{cells[0].dataset}: accuracy by category, drawn towards the mean"
    yield _section(title, list(map(one_line, names)), level, rows)


def controlled(cells: Sequence[CellSummary], level: float) -> Iterator[Section]:
    """Yield the table of accuracies by the control, if some cell was asked fewer items than it."""
    known = [(cell, cell.controlled) for cell in cells if cell.controlled is not UNSET]
    if not known:
        return
    rows = [
        Row(cell.label, (count(cell.items, "item"),), (*_share(cell.accuracy), *_share(found)))
        for cell, found in known
    ]
    title = f"{cells[0].dataset}: accuracy on all items, by the control"
    yield _section(title, ["as scored", "by the control"], level, rows)


def checked(dataset: DatasetSummary, checks: Sequence[EvaluatorCheck]) -> Iterator[Section]:
    """Yield the confusion matrix of a dataset's evaluator, and what its labels tell of it."""
    check = of_dataset(dataset.name, checks)
    if check is None:
        return
    footers = tuple(sentences(check))
    if not check.confusion and not footers:
        return
    shown = [f"{score:g}" for score in check.scores]
    rows = tuple(
        Row(f"label {score}", (), tuple(f"{number:,}" for number in line))
        for score, line in zip(shown, check.confusion, strict=True)
    )
    headings = tuple(f"score {score}" for score in shown)
    title = f"{dataset.name}: {check.evaluator}"
    if check.outputs:
        title += f", checked on {count(check.outputs, 'label')}"
        if check.calibration != dataset.name:
            title += f" of {check.calibration}"
    at = tuple(Place(heading, None) for heading in headings)
    yield Section(title, headings, at, rows, footers, "labels")


def of_dataset(name: str, checks: Sequence[EvaluatorCheck]) -> EvaluatorCheck | None:
    """Return the check of a dataset's evaluator."""
    return next((check for check in checks if check.dataset == name), None)


def sentences(check: EvaluatorCheck) -> Iterator[str]:
    """Yield what is known of an evaluator, as sentences."""
    if check.agreement is not None:
        kappa = "" if check.kappa is None else f"; Cohen's kappa {in_short(check.kappa)}"
        yield f"Agreement with the labels: {in_percent(check.agreement)}{kappa}."
    if check.sensitivity is not None or check.specificity is not None:
        yield (
            f"Scored 1 of what is labelled 1: {in_percent(check.sensitivity)}; scored 0 of what is"
            f" labelled 0: {in_percent(check.specificity)}."
        )
    if check.mean_error is not None:
        parts = [f"Mean error: {_points(check.mean_error)}"]
        if check.verbosity is not None:
            parts.append(
                "on outputs longer than the median, beside the others (verbosity bias):"
                f" {_points(check.verbosity)}"
            )
        if check.self_preference is not None:
            parts.append(
                "on outputs of the judge's own model, beside the others (self-preference):"
                f" {_points(check.self_preference)}"
            )
        yield "; ".join(parts) + "."
    if (found := check.position) is not None:
        yield (
            f"Order of {count(found.items, 'pair')}: both verdicts agree on"
            f" {in_percent(found.consistent)}; verdicts for the output shown first less those for"
            f" the second (position bias): {_points(found.first)}."
        )


def _section(title: str, headings: Sequence[str], level: float, rows: Sequence[Row]) -> Section:
    """Return a section with an interval beside each column."""
    with_intervals = [text for name in headings for text in (name, f"[{100 * level:g} %]")]
    at = [Place(text, None if i % 2 == 0 else i - 1) for i, text in enumerate(with_intervals)]
    kept = [Row(row.label, tuple(filter(None, row.notes)), row.values) for row in rows]
    return Section(title, tuple(with_intervals), tuple(at), tuple(kept), (), "beside")


def _share(found: Quantity | None) -> tuple[str, str]:
    return _NONE if found is None else (percent(found.value), interval(found, "percent"))


def _metric(name: str, found: Quantity | None) -> tuple[str, str]:
    if found is None or name in _SHARES:
        return _share(found)
    ends = "" if found.low is None else f"[{found.low:.3f}, {found.high:.3f}]"
    return f"{found.value:.3f}", ends


def _points(found: Quantity) -> str:
    return f"{points(found.value)} {interval(found, 'points')}".rstrip()
