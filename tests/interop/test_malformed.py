"""Logs that are not as their tool writes them: one error with the place, never a traceback."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import ConfigError
from ember_bench.interop import (
    alpaca_eval,
    every_eval_ever,
    lm_eval_samples,
    promptfoo_results,
)
from ember_bench.interop.found import Found
from ember_bench.registry import Cards
from ember_bench.running.imports import summary, write_import

Log = Any
Read = Callable[[Sequence[Path]], Found]

_PROMPTFOO: Log = {
    "results": {
        "version": 3,
        "results": [
            {
                "testIdx": 0, "promptIdx": 0, "promptId": "a", "success": True, "score": 1,
                "prompt": {"raw": "2 + 2?", "label": "ask"}, "provider": {"id": "gpt", "label": ""},
                "testCase": {"description": "sum", "assert": [{"type": "equals", "value": "4"}]},
                "vars": {"sum": "2 + 2"}, "namedScores": {"near": 1}, "latencyMs": 3,
                "response": {"output": "4", "cost": 0.1, "tokenUsage": {"prompt": 3}},
            }
        ],
    }
}  # fmt: skip
_SAMPLE: Log = {
    "evaluation_name": "sums", "evaluation_result_id": "exact", "model_id": "gpt",
    "sample_id": "1", "input": {"raw": "2 + 2?", "reference": ["4"]}, "output": {"raw": ["4"]},
    "messages": [{"role": "assistant", "content": "4"}], "evaluation": {"score": 1.0},
    "metadata": {"category": "easy"}, "token_usage": {"input_tokens": 3},
    "performance": {"latency_ms": 3, "additional_details": {"cost_usd": "0.1"}},
}  # fmt: skip
_LM_EVAL: Log = {
    "doc_id": 1, "target": "4", "resps": [["4"]], "filter": "none", "metrics": ["exact_match"],
    "exact_match": 1.0, "arguments": {"gen_args_0": {"arg_0": "2 + 2?"}},
}  # fmt: skip
_ALPACA: Log = [
    {
        "instruction": "2 + 2?", "dataset": "sums", "output_1": "4", "output_2": "5",
        "generator_1": "reference", "generator_2": "gpt", "annotator": "judge", "preference": 1.2,
    }
]  # fmt: skip
_LOGS: dict[str, tuple[Read, str, Log]] = {
    "promptfoo": (promptfoo_results.read, "results.json", _PROMPTFOO),
    "every-eval-ever": (every_eval_ever.read, "x_samples.jsonl", _SAMPLE),
    "lm-eval": (lm_eval_samples.read, "samples_sums_2026-01-01T00-00-00.jsonl", _LM_EVAL),
    "alpaca-eval": (alpaca_eval.read, "annotations.json", _ALPACA),
}
_WRONG: Sequence[object] = (None, 7, "text", [], {}, [7], {"a": 7}, True)


@pytest.mark.parametrize("tool", _LOGS)
def test_a_log_as_its_tool_writes_it_is_read(tool: str, tmp_path: Path) -> None:
    read, name, log = _LOGS[tool]
    found = read([_written(tmp_path / name, log)])
    (item,), (answer,) = found.items.values(), found.answers
    assert item.question == "2 + 2?"
    assert (item.target, answer.score is not None) == ("4", True)


@pytest.mark.parametrize("tool", _LOGS)
def test_whatever_stands_in_a_field_is_read_or_refused_with_its_file(
    tool: str, tmp_path: Path
) -> None:
    read, name, log = _LOGS[tool]
    refusals = []
    for changed in [*_changed(log), *_without(log)]:
        path = _written(tmp_path / name, changed)
        try:
            summary(read([path]))
        except ConfigError as error:
            refusals.append(str(error))
    assert refusals
    for refusal in refusals:
        assert name in refusal or "no answers were found" in refusal


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("results", "version"), 2, "results of version 2; version 3 is read"),
        (
            ("results", "results", 0, "testCase", "assert"),
            "equals",
            "results.results[0].testCase.assert: expected `array | null`, got `str`",
        ),
        (
            ("results", "results", 0),
            {"testIdx": 0},
            "results.results[0]: object missing required field `promptIdx`",
        ),
    ],
)
def test_the_field_is_named(
    path: tuple[str | int, ...], value: object, message: str, tmp_path: Path
) -> None:
    file = _written(tmp_path / "results.json", _with(_PROMPTFOO, path, value))
    with pytest.raises(ConfigError) as caught:
        promptfoo_results.read([file])
    assert message in str(caught.value)


def test_requests_of_lm_eval_before_0_4_3_are_lists(tmp_path: Path) -> None:
    log = {**_LM_EVAL, "arguments": [["2 + 2?", {"until": ["\n"]}]]}
    found = lm_eval_samples.read([_written(tmp_path / "samples_sums.jsonl", log)])
    assert found.items["1"].question == "2 + 2?"


def _written(path: Path, log: Log) -> Path:
    path.write_text(json.dumps(log), encoding="utf-8")
    return path


def _changed(log: Log) -> Iterator[Log]:
    """Yield the log with each of its values replaced by others."""
    for path in _paths(log):
        for value in _WRONG:
            yield _with(log, path, value)


def _without(log: Log) -> Iterator[Log]:
    """Yield the log without each of its fields."""
    for *above, last in _paths(log):
        changed = copy.deepcopy(log)
        inner = changed
        for step in above:
            inner = inner[step]
        del inner[last]
        yield changed


def _with(log: Log, path: Sequence[str | int], value: object) -> Log:
    changed = copy.deepcopy(log)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


def _paths(log: Log) -> Iterator[tuple[str | int, ...]]:
    steps = log.items() if isinstance(log, dict) else enumerate(log)
    for step, value in steps:
        yield (step,)
        if isinstance(value, dict | list):
            yield from ((step, *rest) for rest in _paths(value))


@pytest.mark.parametrize(("third", "votes"), [("small", True), ("another essay", False)])
def test_models_whose_texts_never_agree_do_not_vote(
    third: str, votes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = {"a": "Small", "b": "an essay of its own", "c": third}
    compared = [
        {**_ALPACA[0], "output_1": "Tall", "generator_2": model, "output_2": text}
        for model, text in texts.items()
    ]
    found = alpaca_eval.read([_written(tmp_path / "annotations.json", compared)])
    *_, grid = write_import(found, "essays", Cards())
    assert ("vote of all" in grid.read_text(encoding="utf-8")) is votes
