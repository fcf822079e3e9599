"""Systems as records of Every Eval Ever, the shared schema of evaluation results, version 0.3.0.

Schema: https://github.com/evaleval/every_eval_ever. A system is a record `UUID.json` with its mean
score, and `UUID_samples.jsonl` with a line for each trial. What the schema has no field for (epoch,
category, dollars, the system's parameters) stands in its free fields, as text.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec

from ember_bench import __version__
from ember_bench.experiment.results.analysis import Analysis
from ember_bench.experiment.results.description import CellDescription
from ember_bench.experiment.results.items import AskedItem
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.summary import FAILED, CellSummary, DatasetSummary
from ember_bench.experiment.trial_calls import CallEntry
from ember_bench.models.store.stored_answers import StoredAnswers

_VERSION: Final = "0.3.0"
_RESULT: Final = "mean_score"
_OURS: Final = "ember-bench"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._=+-]+")


def records(
    rows: TrialRows,
    cells: set[str],
    answers: StoredAnswers | None,
    started: str,
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield the files of a record for each system, by their paths below a folder.

    Args:
        rows: The trial store.
        cells: Names of the cells that are wanted.
        answers: The texts of calls; without them a sample's output is the answer that was read.
        started: Time of the last run, ISO 8601; "" if unknown.
    """
    now = str(time.time())
    known = Counter((cell.dataset, _model(cell)) for cell in rows.description.cells)
    for cell in Analysis(rows).cells():
        if cell.name not in cells or cell.accuracy is None or cell.oracle:
            continue
        described = rows.description.cells[rows.description.places[cell.name]]
        model = _model(described)
        digest = hashlib.sha256(f"{rows.description.digest} {cell.name}".encode()).digest()
        stem = str(uuid.UUID(bytes=digest[:16], version=4))
        if known[cell.dataset, model] > 1:  # of the same model, with other parameters
            model = f"{model}_{stem[:8]}"
        folder = PurePosixPath("data", *map(_safe, (cell.dataset, *_parts(model))))
        evaluation = f"{_safe(cell.dataset)}/{model}/{now}"
        scores: set[float] = set()
        lines = [
            msgspec.json.encode(sample) + b"\n"
            for sample in _samples(rows, described, answers, evaluation, model, scores)
        ]
        samples, path = b"".join(lines), folder / f"{stem}_samples.jsonl"
        record = {
            "schema_version": _VERSION,
            "evaluation_id": evaluation,
            **({"evaluation_timestamp": started} if started else {}),
            "retrieved_timestamp": now,
            "source_metadata": {
                "source_name": rows.description.name,
                "source_type": "evaluation_run",
                "source_organization_name": "unknown",
                "evaluator_relationship": "other",
            },
            "eval_library": {"name": _OURS, "version": __version__},
            "model_info": _model_info(described, model),
            "evaluation_results": [_result(rows, cell, scores)],
            "detailed_evaluation_results": {
                "format": "jsonl",
                "file_path": str(path),
                "hash_algorithm": "sha256",
                "checksum": hashlib.sha256(samples).hexdigest(),
                "total_rows": len(lines),
            },
        }
        yield path, samples
        yield folder / f"{stem}.json", msgspec.json.format(msgspec.json.encode(record)) + b"\n"


def _safe(name: str) -> str:
    """Return a name as part of a path on any platform."""
    return _UNSAFE.sub("_", name).strip("._ ") or "_"


def _parts(model: str) -> tuple[str, str]:
    developer, _, name = model.partition("/")
    return developer, name


def _model(cell: CellDescription) -> str:
    """Return `developer/model`: of one model alone its id, of a network its label."""
    if cell.architecture == "single" and len(cell.models) == 1:
        provider, _, name = cell.models[0].partition(":")
        return f"{_safe(provider)}/{_safe(name)}"
    return f"{_OURS}/{_safe(cell.label)}"


def _model_info(cell: CellDescription, model: str) -> dict[str, Any]:
    return {
        "name": cell.label,
        "id": model,
        "developer": _parts(model)[0],
        "additional_details": {
            # The schema asks for both, and a network may have several models.
            "deployment_type": "unknown",
            "model_availability": "unknown",
            "system": cell.name,
            "architecture": cell.architecture,
            "parameters": json.dumps(cell.parameters, ensure_ascii=False),
            "models": ", ".join(cell.models),
            "simulated": str(cell.simulated).lower(),
        },
    }


def _result(rows: TrialRows, cell: CellSummary, scores: set[float]) -> dict[str, Any]:
    dataset = next(found for found in rows.description.datasets if found.name == cell.dataset)
    accuracy = cell.accuracy
    assert accuracy is not None  # noqa: S101 - others are passed over
    uncertainty: dict[str, Any] = {"num_samples": cell.items}
    if accuracy.low is not None and accuracy.high is not None:
        uncertainty["confidence_interval"] = {
            "lower": accuracy.low,
            "upper": accuracy.high,
            "confidence_level": rows.description.level,
            "method": accuracy.method,
        }
    binary = scores <= {0.0, 1.0}
    return {
        "evaluation_result_id": _RESULT,
        "evaluation_name": cell.dataset,
        "source_data": _source(dataset),
        "metric_config": {
            "evaluation_description": f"Mean score of {dataset.evaluator} over items.",
            "metric_id": "accuracy" if binary else f"{_OURS}.{_RESULT}",
            "metric_name": "Accuracy" if binary else "Mean score",
            "metric_unit": "proportion",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
            "additional_details": {
                "evaluator": dataset.evaluator_identity,
                "epochs": str(rows.description.epochs),
                "failures": rows.description.failures,
            },
        },
        "score_details": {
            "score": accuracy.value,
            "details": {name: str(count) for name, count in cell.outcomes.items()},
            "uncertainty": uncertainty,
        },
    }


def _source(dataset: DatasetSummary) -> dict[str, Any]:
    details = {"source": dataset.source, "digest": dataset.digest, "items": str(dataset.items)}
    if dataset.revision is not None:
        details["revision"] = dataset.revision
    return {
        "dataset_name": dataset.name, "source_type": "other", "additional_details": details,
    }  # fmt: skip


def _samples(
    rows: TrialRows,
    cell: CellDescription,
    answers: StoredAnswers | None,
    evaluation: str,
    model: str,
    scores: set[float],
) -> Iterator[dict[str, Any]]:
    """Yield the samples of a cell, and add what they scored to `scores`."""
    place, items = rows.description.places[cell.name], rows.description.items[cell.dataset]
    dataset = next(found for found in rows.description.datasets if found.name == cell.dataset)
    columns = ("outcome", "score", "answer", "error", "cost_usd", "latency_seconds")
    trials = rows.columns(place, columns)
    for trial, (_, _, calls) in zip(trials, rows.all_calls(place), strict=True):
        number, epoch, outcome, score, answer, error, cost, latency = trial
        failed = outcome in FAILED
        if not failed:
            scores.add(score)
        text = _output(calls, answers, answer)
        yield {
            "schema_version": _VERSION,
            "evaluation_id": evaluation,
            "model_id": model,
            "evaluation_name": cell.dataset,
            "evaluation_result_id": _RESULT,
            **_asked(items[number]),
            "output": {"raw": [] if text is None else [text]},
            "answer_attribution": []
            if answer is None
            else [_attribution(answer, dataset.evaluator)],
            "evaluation": {"score": score, "is_correct": outcome == "correct", "num_turns": 1},
            "token_usage": _tokens(calls),
            "performance": {
                "latency_ms": None if latency is None else latency * 1000,
                "additional_details": {} if cost is None else {"cost_usd": repr(cost)},
            },
            "error": (error or outcome) if failed else None,
            "metadata": _metadata(items[number], epoch, outcome),
        }


def _asked(item: AskedItem) -> dict[str, Any]:
    content = json.dumps({"raw": item.question, "reference": item.target}, sort_keys=True)
    return {
        "sample_id": item.id,
        "sample_hash": hashlib.sha256(content.encode()).hexdigest(),
        "interaction_type": "single_turn",
        "input": {"raw": item.question, "reference": [item.target] if item.target else []},
    }


def _attribution(answer: str, evaluator: str) -> dict[str, Any]:
    return {
        "turn_idx": 0,
        "source": "output.raw",
        "extracted_value": answer,
        "extraction_method": evaluator,
        "is_terminal": True,
    }


def _output(
    calls: tuple[CallEntry, ...], answers: StoredAnswers | None, answer: str | None
) -> str | None:
    """Return the text of the only call, else the answer that a network gave."""
    if answers is not None and len(calls) == 1:
        found = answers.get(calls[0].key)
        if found is not None:
            return found.text
    return answer


def _tokens(calls: tuple[CallEntry, ...]) -> dict[str, int] | None:
    sent = [call.input_tokens for call in calls]
    received = [call.output_tokens for call in calls]
    known = [count for count in (*sent, *received) if count is not None]
    if not calls or len(known) < 2 * len(calls):
        return None
    total, out = sum(known), sum(count or 0 for count in received)
    return {"input_tokens": total - out, "output_tokens": out, "total_tokens": total}


def _metadata(item: AskedItem, epoch: int, outcome: str) -> dict[str, str]:
    told = {"epoch": str(epoch), "outcome": outcome}
    return told | ({"category": item.category} if item.category else {})
