"""The samples that lm-evaluation-harness logs with `--log_samples`.

Beside `results_*.json`, which names the model, each task has a file `samples_TASK_DATE.jsonl` with
a record for each document and filter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Required, TypedDict

import orjson

from ember_bench.errors import ConfigError, Location, Problem
from ember_bench.interop.found import (
    Found,
    FoundAnswer,
    FoundItem,
    as_number,
    check_shape,
    chosen_scorer,
    files_of,
    last_message,
    text_of,
)

_FILE: Final = re.compile(r"samples_(.+)_\d{4}-\d\d-\d\dT[\d.-]+\.jsonl")


class _Shape(TypedDict, total=False):
    """What is read of a sample."""

    resps: Required[list[Any]]
    metrics: list[str] | None
    arguments: dict[str, dict[str, Any]] | list[list[Any]] | None
    filter: str


def read(paths: Sequence[Path], scorer: str | None = None) -> Found:
    """Return the items and answers of files of samples, and of those in folders.

    Args:
        paths: The files and folders.
        scorer: The metric that counts; by default the first one of each sample.

    Raises:
        ConfigError: if there are none, one cannot be read, or has no such metric.
    """
    files = files_of(paths, "samples_*.jsonl")
    if not files:
        raise ConfigError(f"{paths[0]}: no samples_*.jsonl; run lm_eval with --log_samples")
    found = Found("lm-evaluation-harness")
    tasks = {_task(file) for file in files}
    for file in files:
        model, task = _model(file), _task(file)
        for record in _of_first_filter(_records(file), found, task):
            _add(found, record, model, f"{task}/" if len(tasks) > 1 else "", file, scorer)
    return found


def _add(
    found: Found,
    record: Mapping[str, Any],
    model: str,
    prefix: str,
    file: Path,
    scorer: str | None,
) -> None:
    item = f"{prefix}{record['doc_id']}"
    known = FoundItem(item, _prompt(record), text_of(record["target"]), prefix[:-1] or None)
    found.add_item(known, Location(file))
    metric = chosen_scorer(scorer, record.get("metrics") or (), Location(file))
    score = None if metric is None else as_number(record.get(metric))
    # A request's answers: one, or several if it is repeated. Log-likelihoods are no texts.
    for answers in record["resps"]:
        texts = answers if isinstance(answers, list) else [answers]
        if not all(isinstance(text, str) for text in texts):
            raise ConfigError(
                Problem("log-likelihoods are no answers: only generated texts", Location(file))
            )
        for sample, text in enumerate(texts):
            own = score if len(texts) == 1 else None
            found.answers.append(FoundAnswer(model, item, sample, text, own))
    if metric is not None and score is None:
        found.notes.append(f"{file.name}: {metric} is no number, so answers have no score")


def _of_first_filter(
    records: Iterator[dict[str, Any]], found: Found, task: str
) -> Iterator[dict[str, Any]]:
    first: str | None = None
    left_out: set[str] = set()
    for record in records:
        name = record.get("filter", "none")
        first = name if first is None else first
        if name == first:
            yield record
        else:
            left_out.add(name)
    if left_out:
        others = ", ".join(sorted(left_out))
        found.notes.append(f"{task}: scores are those of the filter {first}, and not of {others}")


def _records(file: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ConfigError(Problem(f"not JSON: {error.msg}", Location(file, number))) from None
        if not isinstance(record, dict) or not {"doc_id", "target", "resps"} <= set(record):
            message = "expected a sample with doc_id, target and resps"
            raise ConfigError(Problem(message, Location(file, number)))
        check_shape(record, _Shape, Location(file, number))
        yield record


def _prompt(record: Mapping[str, Any]) -> str:
    """Return the text of a request: of chat messages the last one.

    Before 0.4.3, requests were lists of their arguments.
    """
    arguments = record.get("arguments") or {}
    if isinstance(arguments, list):
        request = arguments[0][0] if arguments[0] else ""
    else:
        request = arguments.get("gen_args_0", {}).get("arg_0", "")
    text = request[0] if isinstance(request, list) and request else request
    return last_message(text_of(text))


def _model(file: Path) -> str:
    """Return the model's name: as the results say, else the folder's, which lm_eval names so."""
    for path in sorted(file.parent.glob("results_*.json")):
        try:
            name = orjson.loads(path.read_bytes()).get("model_name")
        except (OSError, orjson.JSONDecodeError):
            continue
        if isinstance(name, str) and name:
            return name
    return file.parent.name


def _task(file: Path) -> str:
    named = _FILE.fullmatch(file.name)
    return named[1] if named else file.stem
