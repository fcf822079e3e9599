"""Records of Every Eval Ever, the shared schema of evaluation results, versions 0.2 and 0.3.

A record of one model is `UUID.json`, with the results of all items; beside it, `UUID_samples.jsonl`
has a line for each sample and result. Schema: https://github.com/evaleval/every_eval_ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Required, TypedDict

import orjson

from ember_bench.errors import ConfigError, Location, Problem
from ember_bench.interop.found import (
    Found,
    FoundAnswer,
    FoundItem,
    as_count,
    as_number,
    check_shape,
    chosen_scorer,
    files_of,
    last_message,
    text_of,
)

_NEEDED: Final = frozenset({"evaluation_name", "model_id", "sample_id", "input", "evaluation"})


class _Input(TypedDict, total=False):
    raw: object
    reference: list[Any] | None


class _Output(TypedDict, total=False):
    raw: list[str | None] | None


class _Performance(TypedDict, total=False):
    additional_details: dict[str, Any] | None


class _Shape(TypedDict, total=False):
    """What is read of a line."""

    input: Required[_Input]
    evaluation: Required[dict[str, Any]]
    output: _Output | None
    messages: list[dict[str, Any]] | None
    metadata: dict[str, Any] | None
    token_usage: dict[str, Any] | None
    performance: _Performance | None


@dataclass(frozen=True, slots=True)
class _Sample:
    """A line of a file of samples."""

    place: Location
    content: Mapping[str, Any]

    @property
    def evaluation(self) -> str:
        return str(self.content["evaluation_name"])

    @property
    def result(self) -> str:
        return str(self.content.get("evaluation_result_id") or "")


def read(paths: Sequence[Path], scorer: str | None = None) -> Found:
    """Return the items and answers of files of samples, and of those in folders.

    Args:
        paths: The files, or folders of records.
        scorer: The `evaluation_result_id` of the samples that count; by default the first one of
            each evaluation.

    Raises:
        ConfigError: if there are none, one cannot be read, or has no such result.
    """
    files = files_of(paths, "*_samples.jsonl")
    if not files:
        raise ConfigError(f"{paths[0]}: no samples of Every Eval Ever (*_samples.jsonl)")
    samples = [sample for file in files for sample in _samples(file)]
    found = Found("Every Eval Ever")
    counting = _counting(samples, scorer)
    several = len(counting) > 1
    seen: Counter[tuple[str, str]] = Counter()
    for sample in samples:
        if sample.result == counting[sample.evaluation]:
            _add(found, sample, seen, f"{sample.evaluation}/" if several else "")
    for name, result in counting.items():
        others = {one.result for one in samples if one.evaluation == name} - {result}
        if others and scorer is None:
            listed = ", ".join(sorted(others))
            found.notes.append(f"{name}: scores are those of {result}, and not of {listed}")
    return found


def _samples(file: Path) -> Iterator[_Sample]:
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        place = Location(file, number)
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ConfigError(Problem(f"not JSON: {error.msg}", place)) from None
        if not isinstance(record, dict) or not set(record) >= _NEEDED:
            message = f"expected a sample of Every Eval Ever, with {', '.join(sorted(_NEEDED))}"
            raise ConfigError(Problem(message, place))
        check_shape(record, _Shape, place)
        yield _Sample(place, record)


def _counting(samples: Sequence[_Sample], scorer: str | None) -> dict[str, str]:
    """Return by evaluation the result whose samples count."""
    results: dict[str, list[str]] = {}
    for sample in samples:
        results.setdefault(sample.evaluation, []).append(sample.result)
    place = samples[0].place if samples else None
    return {name: chosen_scorer(scorer, ids, place) or "" for name, ids in results.items()}


def _add(found: Found, sample: _Sample, seen: Counter[tuple[str, str]], prefix: str) -> None:
    content, model = sample.content, str(sample.content["model_id"])
    item = f"{prefix}{content['sample_id']}"
    asked, told = content["input"], content.get("metadata") or {}
    target = "; ".join(map(text_of, asked.get("reference") or ()))
    question = last_message(text_of(asked.get("raw") or item))
    category = told.get("category") or prefix[:-1] or None
    found.add_item(FoundItem(item, question, target, category), sample.place)
    usage, performance = content.get("token_usage") or {}, content.get("performance") or {}
    latency = as_number(performance.get("latency_ms"))
    failed = content.get("error") is not None
    for text in [None] if failed else _outputs(content):
        found.answers.append(
            FoundAnswer(
                model=model,
                item=item,
                sample=seen[model, item],
                answer=text,
                score=None if failed else as_number(content["evaluation"].get("score")),
                latency=None if latency is None else latency / 1000,
                cost=as_number((performance.get("additional_details") or {}).get("cost_usd")),
                input_tokens=as_count(usage.get("input_tokens")),
                output_tokens=as_count(usage.get("output_tokens")),
            )
        )
        seen[model, item] += 1


def _outputs(content: Mapping[str, Any]) -> list[str | None]:
    """Return the texts of a model: of a conversation the last one."""
    if content.get("output") is not None:
        return list(content["output"].get("raw") or ()) or [None]
    said = [one.get("content") for one in content.get("messages") or ()
            if one.get("role") == "assistant"]  # fmt: skip
    return [said[-1] if said else None]
