"""The fields of MLflow runs: names, parameters, metrics and tags within MLflow's limits.

MLflow's charts group metrics by the part before the last `/`, so a value's bounds go beside it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET

from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import (
    BaselineDifference,
    CellSummary,
    ExperimentSummary,
)
from ember_bench.tracking.messages import Network

CHOICE_TAG: Final = "choice"
"""Labels of the systems that a decision or a search chose; `true` on the runs of these."""
EXPERIMENT_TAG: Final = "ember_bench.experiment"
CELL_TAG: Final = "ember_bench.cell"
LOGGED_TAG: Final = "ember_bench.logged"
MEASURED_TAG: Final = "measured"
"""`false` for a cell whose trials all failed."""
NOTE_TAG: Final = "mlflow.note.content"
PROMPTS_TAG: Final = "mlflow.linkedPrompts"
"""Names and versions of prompts, on runs, models and traces."""
TABLE_NAME: Final = "trials.json"
_TYPE_TAG: Final = "mlflow.runType"

# MLflow refuses longer ones.
_LONGEST_KEY: Final = 250
_LONGEST_PARAM: Final = 6_000
_LONGEST_TAG: Final = 8_000
_LONGEST_NAME: Final = 250
# Item and epoch must be whole in the part of a trace that is compared.
_LONGEST_ITEM: Final = 200

_NOT_IN_A_KEY = re.compile(r"[^\w\-. :]")
_NOT_IN_A_MODELS_NAME = re.compile(r"[/:%\"'\x00-\x1f]+")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&])")
_LESS = re.compile(r"\\<(?=[ \d])")
_TITLE = re.compile(r"\A# [^\n]*\n+")
_GROUPS: Final = frozenset({
    "accuracy", "by_category", "calls", "cells", "checks", "corrected", "cost_usd", "evaluation",
    "further", "items", "latency_seconds", "metrics", "outcomes", "pass_at_k", "search",
    "spend_usd", "suites", "tokens", "trials", "vs_baseline", "wall_seconds",
})  # fmt: skip


def cut(text: str, longest: int) -> str:
    """Return `text`, its end replaced by an ellipsis if it is too long."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def tag_value(text: str) -> str:
    """Return `text` as a tag can hold it; one cut still differs from any other."""
    return text if len(text) <= _LONGEST_TAG else text[: _LONGEST_TAG - 41] + "…" + _short(text)


def item_name(item: str) -> str:
    """Return the id of an item as traces have it; one cut still differs from any other."""
    return item if len(item) <= _LONGEST_ITEM else f"{item[: _LONGEST_ITEM - 41]}…{_short(item)}"


def keys(names: Iterable[str]) -> dict[str, str]:
    """Return a key that MLflow allows for each of `names`, no two alike."""
    cleaned = {name: _NOT_IN_A_KEY.sub("_", name).strip(". ") or "_" for name in names}
    # MySQL's collation takes keys that differ in case for the same.
    seen = Counter(key.lower() for key in cleaned.values())
    longest = _LONGEST_KEY // 2
    return {
        name: key
        if len(key) <= longest and seen[key.lower()] == 1
        else f"{key[:longest]}-{_short(name)[:8]}"
        for name, key in cleaned.items()
    }


def escaped_markdown(text: str) -> str:
    """Return `text` so that Markdown shows it as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:40]


def is_ours(key: str) -> bool:
    """Return whether a metric is one of ours, and not added by a user."""
    return key.split("/", 1)[0] in _GROUPS


# Metrics


def of_model(key: str) -> bool:
    """Return whether a metric of a cell is also one of its architecture's logged model."""
    return key.split("/", 1)[0] in {"accuracy", "cost_usd", "latency_seconds"}


def _put(found: dict[str, float], key: str, value: float | None) -> None:
    if value is not None and math.isfinite(value):
        found[key] = float(value)


def _put_estimate(
    found: dict[str, float], key: str, estimate: Quantity | None, level: float, *, sep: str = "_"
) -> None:
    if estimate is not None:
        bounds = f"{key}{sep}ci{100 * level:g}"
        _put(found, key, estimate.value)
        _put(found, f"{bounds}_low", estimate.low)
        _put(found, f"{bounds}_high", estimate.high)


def cell_metrics(cell: CellSummary, level: float) -> dict[str, float]:
    """Return the metrics of a cell's run; undefined values are left out."""
    found: dict[str, float] = {}
    _put_estimate(found, "accuracy", cell.accuracy, level, sep="/")
    if cell.accuracy is not None:
        # MLflow's charts begin with this group, and would show nothing but the bounds in it.
        _put(found, "accuracy/all_items", cell.accuracy.value)
    _put(found, "accuracy/worst", cell.accuracy_worst)
    _put(found, "accuracy/best", cell.accuracy_best)
    _put_estimate(found, "cost_usd/per_item", cell.cost_per_item, level)
    _put_estimate(found, "cost_usd/per_correct", cell.cost_per_correct, level)
    _put_estimate(found, "latency_seconds/mean", cell.latency_seconds, level)
    _put_estimate(found, "latency_seconds/p50", cell.latency_p50, level)
    _put_estimate(found, "latency_seconds/p95", cell.latency_p95, level)
    found |= {
        "calls/used": cell.calls,
        "calls/made": cell.calls_made,
        "calls/shared": cell.calls_shared,
        "tokens/input": cell.input_tokens,
        "tokens/output": cell.output_tokens,
        "items": cell.items,
        "trials/scheduled": cell.scheduled,
    }
    _put(found, "spend_usd", cell.spend_usd)
    found |= {f"outcomes/{key}": cell.outcomes[name] for name, key in keys(cell.outcomes).items()}
    if cell.comparison is not None:
        found |= _comparison_metrics(cell.comparison, level)
    if (judged := cell.evaluation) is not UNSET:
        _put_estimate(found, "evaluation/cost_usd_per_item", judged.cost_per_item, level)
        _put_estimate(found, "evaluation/latency_seconds", judged.latency_seconds, level)
        _put(found, "evaluation/spend_usd", judged.spend_usd)
        found["evaluation/calls_used"] = judged.calls
        found["evaluation/calls_made"] = judged.calls_made
    found |= _beside_metrics(cell, level)
    for k, estimate in cell.pass_at_k.items():
        _put_estimate(found, f"pass_at_k/{k}", estimate, level)
    for name, key in keys(cell.categories).items():
        _put_estimate(found, f"by_category/{key}", cell.categories[name], level)
    return found


def _beside_metrics(cell: CellSummary, level: float) -> dict[str, float]:
    """Return the metrics of what stands beside the accuracy."""
    found: dict[str, float] = {}
    further = cell.further or {}
    for name, key in keys(further).items():
        _put_estimate(found, f"further/{key}", further[name].mean, level)
    for name, estimate in (cell.metrics or {}).items():
        _put_estimate(found, f"metrics/{name}", estimate, level)
    if corrected := cell.corrected:
        _put(found, "corrected/labels", corrected.labels)
        _put_estimate(found, "corrected/prediction_powered", corrected.prediction_powered, level)
        _put_estimate(found, "corrected/rogan_gladen", corrected.rogan_gladen, level)
    return found


def _comparison_metrics(comparison: BaselineDifference, level: float) -> dict[str, float]:
    found: dict[str, float] = {}
    _put_estimate(found, "vs_baseline/difference", comparison.difference, level)
    _put(found, "vs_baseline/p_value", comparison.p_value)
    _put(found, "vs_baseline/p_adjusted", comparison.p_adjusted)
    found["vs_baseline/wins"] = comparison.wins
    found["vs_baseline/losses"] = comparison.losses
    found["vs_baseline/items"] = comparison.items
    return found


def experiment_metrics(summary: ExperimentSummary) -> dict[str, float]:
    """Return the metrics of the parent run: totals over the cells."""
    found: dict[str, float] = {
        "cells": len(summary.cells),
        "trials/scheduled": sum(cell.scheduled for cell in summary.cells),
        "trials/failed": summary.failed,
        "calls/used": sum(cell.calls for cell in summary.cells),
        "calls/made": sum(cell.calls_made for cell in summary.cells),
        "tokens/input": sum(cell.input_tokens for cell in summary.cells),
        "tokens/output": sum(cell.output_tokens for cell in summary.cells),
    }
    _put(found, "spend_usd", summary.spend_usd)
    _put(found, "wall_seconds", summary.run.wall_seconds)
    for decision in summary.decisions:
        if (searched := decision.search) is not None:
            for one in searched.measured if len(searched.measured) == 1 else ():
                _put_estimate(found, "search/held_out", one.unseen, summary.level)
                _put_estimate(found, "search/chosen_by", one.seen, summary.level)
            _put(found, "search/spend_usd", searched.spent_usd)
    checks = {check.dataset: check for check in summary.checks if check.outputs}
    for name, key in keys(checks).items():
        found[f"checks/{key}/labels"] = checks[name].outputs
        for figure in ("agreement", "kappa", "sensitivity", "specificity", "mean_error"):
            place = f"checks/{key}/{figure}"
            _put_estimate(found, place, getattr(checks[name], figure), summary.level)
    rows = {f"{row.suite}/{row.name}": row for row in summary.suites}
    for name, key in keys(rows).items():
        for average in ("macro", "micro"):
            place = f"suites/{key}/{average}"
            _put_estimate(found, place, getattr(rows[name], average), summary.level, sep="/")
            difference = getattr(rows[name], f"{average}_difference")
            _put_estimate(found, f"{place}/difference", difference, summary.level)
    return found


# Parameters


def _param(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return cut(text, _LONGEST_PARAM)


def cell_params(cell: CellSummary, summary: ExperimentSummary) -> dict[str, str]:
    """Return the parameters of a cell's run, the architecture's own among them."""
    ours: dict[str, Any] = {
        "dataset": cell.dataset,
        "architecture": cell.architecture,
        "models": ", ".join(cell.models),
        "seed": summary.seed,
        "epochs": summary.epochs,
    }
    for dataset in summary.datasets:
        if dataset.name == cell.dataset:
            ours["evaluator"] = dataset.evaluator
    found = {name: _param(value) for name, value in ours.items()}
    for name, key in keys(cell.parameters).items():
        # An architecture may well have a parameter `models` or `seed` of its own.
        free = f"architecture.{key}" if key.lower() in found else key
        found[free] = _param(cell.parameters[name])
    return found


def experiment_params(summary: ExperimentSummary) -> dict[str, str]:
    """Return the parameters of the parent run."""
    return {
        "dataset": _param(", ".join(dataset.name for dataset in summary.datasets)),
        "evaluator": _param(", ".join(sorted({data.evaluator for data in summary.datasets}))),
        "seed": str(summary.seed),
        "epochs": str(summary.epochs),
        "failures": _param(summary.failures),
    }


def model_params(network: Network) -> dict[str, str]:
    """Return the parameters of an architecture's logged model."""
    found = {"architecture": _param(network.architecture), "models": _param(network.models)}
    for name, key in keys(network.parameters).items():
        free = f"architecture.{key}" if key.lower() in found else key
        found[free] = _param(network.parameters[name])
    return found


# Names and tags


def model_name(label: str) -> str:
    """Return the name of an architecture's logged model.

    MLflow refuses some characters: a decimal point becomes a raised one, others a hyphen.
    """
    return cut(_NOT_IN_A_MODELS_NAME.sub("-", label.replace(".", "·")), _LONGEST_NAME) or "-"


def experiment_run_name(summary: ExperimentSummary) -> str:
    """Return the parent run's name; the digest tells apart two versions of an experiment."""
    marks = ["simulated"] * summary.simulated + ["partial"] * (summary.run.status == "partial")
    ending = f" {summary.digest[:8]}" + "".join(f" [{mark}]" for mark in marks)
    return cut(summary.name, _LONGEST_NAME - len(ending)) + ending


def cell_run_name(cell: CellSummary, summary: ExperimentSummary) -> str:
    """Return the name of a cell's run: MLflow's charts and legends show nothing else of it."""
    ending = (f" · {cell.dataset}" if len(summary.datasets) > 1 else "") + (
        " [simulated]" if cell.simulated else ""
    )
    ending = cut(ending, _LONGEST_NAME // 2)
    return cut(cell.label, _LONGEST_NAME - len(ending)) + ending


def cell_tags(
    cell: CellSummary, summary: ExperimentSummary, price_date: str | None
) -> dict[str, str]:
    """Return the tags of a cell's run, those aside that link it to others.

    Its type makes it one of the evaluations, whose traces MLflow compares item by item.
    """
    partial = cell.outcomes.get("skipped", 0) > 0
    return {
        # MLflow shows them in this order: the most useful come first.
        **({} if cell.measured else {MEASURED_TAG: _flag(False)}),
        "simulated": _flag(cell.simulated),
        "oracle": _flag(cell.oracle),
        **({CHOICE_TAG: _flag(True)} if is_chosen(cell, summary) else {}),
        "partial": _flag(partial),
        "status": "partial" if partial else "complete",
        **({"price_date": tag_value(price_date)} if price_date else {}),
        _TYPE_TAG: "genai_evaluate",
        CELL_TAG: tag_value(cell.name),
        "ember_bench.version": tag_value(summary.version),
        EXPERIMENT_TAG: tag_value(summary.digest),
        NOTE_TAG: tag_value(_cell_note(cell)),
    }


def is_chosen(cell: CellSummary, summary: ExperimentSummary) -> bool:
    """Return whether a decision or a search chose a cell."""
    return any(cell.name in found.on_all(found.choice) for found in summary.decisions)


def experiment_tags(
    summary: ExperimentSummary, markdown: str, price_date: str | None
) -> dict[str, str]:
    """Return the tags of the parent run, its note among them."""
    chosen = [cell.label for cell in summary.cells if is_chosen(cell, summary)]
    return {
        **({CHOICE_TAG: tag_value("; ".join(chosen))} if chosen else {}),
        "simulated": _flag(summary.simulated),
        "partial": _flag(summary.run.status == "partial"),
        "resumed": _flag(summary.run.trials_kept > 0),
        "status": summary.run.status,
        **({"price_date": tag_value(price_date)} if price_date else {}),
        "ember_bench.version": tag_value(summary.version),
        EXPERIMENT_TAG: tag_value(summary.digest),
        NOTE_TAG: note(markdown),
    }


def note(markdown: str) -> str:
    """Return `markdown` as the description of the parent's run.

    Its title is left out, as the run's name stands above it and MLflow shows three lines until
    asked for more; and it is cut at a line, as MLflow takes no more than 8,000 characters.
    """
    # In MLflow's Markdown, unlike in others, a dollar has no meaning, and the backslash is shown.
    # It shows one before a "less than" as well, which begins no tag if no letter follows.
    text = _LESS.sub("<", _TITLE.sub("", markdown, count=1).replace("\\$", "$"))
    if len(text) <= _LONGEST_TAG:
        return text
    ending = "\n\n… more of this is in the artifact `summary.md`.\n"
    return text[: _LONGEST_TAG - len(ending)].rpartition("\n")[0] + ending


def _cell_note(cell: CellSummary) -> str:
    lines = [f"**{escaped_markdown(cell.label)}** on {escaped_markdown(cell.dataset)}"]
    if not cell.measured:
        lines.insert(0, "Not measured: all of its trials failed.")
    if cell.simulated:
        lines.append("Simulated: its answers were made up by a simulated model.")
    if cell.oracle:
        lines.append("Oracle: it looks at the target, so it is a bound and not a system.")
    if cell.comparison is not None:
        baseline = escaped_markdown(cell.comparison.baseline)
        if cell.comparison.same_calls:
            lines.append(f"Same calls as {baseline}: there is no difference to test.")
        else:
            shared = ", on shared draws" if cell.comparison.shared_draws else ""
            lines.append(f"Baseline: {baseline}{shared}")
    lines.append("Trials, item by item: artifacts `trials.json` (for a look) and `trials.parquet`.")
    return "\n\n".join(lines)


def _flag(value: bool) -> str:
    return "true" if value else "false"
