"""Results of promptfoo, as `promptfoo eval -o results.json` writes them.

A record is a test case asked of one provider with one prompt. `--repeat` repeats the test case
under a number of its own, so test cases are told apart by what they have, and not by their number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Required, TypedDict

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
    read_json,
    text_of,
)

_VERSION: Final = 3
_ERROR: Final = 2  # of `failureReason`: the request, and no assertion, failed
_PASS, _SCORE = "pass", "score"
_EXACT: Final = ("equals", "iequals", "contains", "icontains")
_VARIABLE: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class _Prompt(TypedDict):
    raw: object
    label: object


class _Provider(TypedDict, total=False):
    id: Required[object]
    label: object


class _Response(TypedDict, total=False):
    output: object
    tokenUsage: dict[str, Any] | None


_Case = TypedDict("_Case", {"assert": list[dict[str, Any]] | None}, total=False)


class _Shape(TypedDict, total=False):
    """What is read of a record."""

    testIdx: Required[int]
    promptIdx: Required[int]
    promptId: Required[str]
    prompt: Required[_Prompt]
    provider: Required[_Provider]
    testCase: _Case | None
    vars: dict[str, Any] | None
    response: _Response | None
    namedScores: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Record:
    """A record with its file, and the key of its test case."""

    file: Path
    test: str
    content: Mapping[str, Any]


def read(paths: Sequence[Path], scorer: str | None = None) -> Found:
    """Return the items and answers of files of results, and of those in folders.

    Args:
        paths: The files and folders.
        scorer: `pass`, the default, `score`, or the name of a metric.

    Raises:
        ConfigError: if there are none, one cannot be read, or has no such scorer.
    """
    records = [record for file in files_of(paths, "*.json") for record in _records(file)]
    if not records:
        raise ConfigError(f"{paths[0]}: no results; run promptfoo eval -o results.json")
    metrics = (name for record in records for name in record.content.get("namedScores") or {})
    chosen = chosen_scorer(scorer, (_PASS, _SCORE, *metrics), Location(paths[0])) or _PASS
    found = Found("promptfoo")
    prompts = _prompts(records)
    items = _items(records, found, several=len(prompts) > 1)
    seen: Counter[tuple[str, str]] = Counter()
    for record in records:
        model = _model(record.content, prompts)
        item = items[record.test]
        found.answers.append(_answer(record.content, model, item, seen[model, item], chosen))
        seen[model, item] += 1
    found.notes += [*_notes(records, prompts, scorer)]
    return found


def _records(file: Path) -> list[_Record]:
    content = read_json(file)
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict) or not isinstance(results.get("results"), list):
        message = "expected results of promptfoo, with `results.results`"
        raise ConfigError(Problem(message, Location(file)))
    if results.get("version") != _VERSION:
        said = f"of version {results['version']}" if "version" in results else "without a version"
        message = f"results {said}; version {_VERSION} is read"
        raise ConfigError(Problem(message, Location(file)))
    for number, record in enumerate(results["results"]):
        check_shape(record, _Shape, Location(file), f"results.results[{number}]")
    # As they were finished, otherwise.
    ordered = sorted(results["results"], key=lambda one: (one["testIdx"], one["promptIdx"]))
    return [_Record(file, _test(record), record) for record in ordered]


def _test(record: Mapping[str, Any]) -> str:
    case = record.get("testCase") or {}
    return text_of([record.get("vars"), case.get("description"), case.get("assert")])


def _prompts(records: Iterable[_Record]) -> dict[str, str]:
    """Return the label of each prompt by its id."""
    return {one.content["promptId"]: str(one.content["prompt"]["label"]) for one in records}


def _items(records: Sequence[_Record], found: Found, *, several: bool) -> dict[str, str]:
    """Add the test cases, and return their ids; with `several` prompts the question is the vars."""
    described = Counter({record.test: _description(record.content) for record in records}.values())
    ids: dict[str, str] = {}
    for record in records:
        content = record.content
        name = _description(content)
        if record.test not in ids:
            ids[record.test] = name if name and described[name] == 1 else str(len(ids) + 1)
        question = last_message(str(content["prompt"]["raw"]))
        variables = content.get("vars") or {}
        if several and variables:
            question = "\n".join(f"{key}: {text_of(value)}" for key, value in variables.items())
        item = FoundItem(ids[record.test], question, _target(content, variables))
        found.add_item(item, Location(record.file))
    return ids


def _description(record: Mapping[str, Any]) -> str:
    return str((record.get("testCase") or {}).get("description") or "")


def _target(record: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
    """Return the value that the first assertion of a text compares with; "" without one."""
    for assertion in (record.get("testCase") or {}).get("assert") or ():
        value = assertion.get("value")
        if assertion.get("type") in _EXACT and isinstance(value, str | int | float):
            text = _VARIABLE.sub(lambda m: text_of(variables.get(m[1], m[0])), str(value))
            return "" if "{{" in text or "{%" in text else text
    return ""


def _model(record: Mapping[str, Any], prompts: Mapping[str, str]) -> str:
    """Return the provider's label or id; of several prompts also the number of the prompt."""
    provider = record["provider"]
    name = str(provider.get("label") or provider["id"])
    if len(prompts) == 1:
        return name
    return f"{name} prompt {[*prompts].index(record['promptId']) + 1}"


def _answer(
    record: Mapping[str, Any], model: str, item: str, sample: int, scorer: str
) -> FoundAnswer:
    response = record.get("response") or {}
    output, failed = response.get("output"), record.get("failureReason") == _ERROR
    # Of a stored answer promptfoo says no tokens and no price, which are not 0.
    usage = {} if response.get("cached") else response.get("tokenUsage") or {}
    latency = as_number(record.get("latencyMs"))
    return FoundAnswer(
        model=model,
        item=item,
        sample=sample,
        answer=None if output is None else text_of(output),
        score=None if failed else _score(record, scorer),
        latency=None if latency is None or output is None else latency / 1000,
        # The record's own `cost` is 0 also of providers without a price.
        cost=None if response.get("cached") else as_number(response.get("cost")),
        input_tokens=as_count(usage.get("prompt")),
        output_tokens=as_count(usage.get("completion")),
    )


def _score(record: Mapping[str, Any], scorer: str) -> float | None:
    if not (record.get("testCase") or {}).get("assert"):
        return None  # promptfoo passes whatever nothing is asserted of
    if scorer == _PASS:
        return as_number(record.get("success"))
    if scorer == _SCORE:
        return as_number(record.get("score"))
    return as_number((record.get("namedScores") or {}).get(scorer))


def _notes(
    records: Sequence[_Record], prompts: Mapping[str, str], scorer: str | None
) -> Iterable[str]:
    if len(prompts) > 1:
        for number, label in enumerate(prompts.values(), 1):
            yield f"prompt {number} is {label if len(label) <= 60 else f'{label[:57]}...'!r}"
    graded = sum(
        as_number(one.content.get("score")) != as_number(one.content.get("success"))
        for one in records
        if one.content.get("failureReason") != _ERROR
    )
    if graded and scorer is None:
        yield (
            f"promptfoo passed or failed {graded:,} of the {len(records):,} answers with another"
            " score than 1 or 0: `--scorer score` takes the scores"
        )
    cached = sum(bool((one.content.get("response") or {}).get("cached")) for one in records)
    if cached:
        yield f"{cached:,} answers were in promptfoo's cache: their tokens and prices are unknown"
    if errors := sum(one.content.get("failureReason") == _ERROR for one in records):
        yield f"{errors:,} of the {len(records):,} requests failed"
