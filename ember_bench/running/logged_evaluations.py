"""Evaluation runs of MLflow itself, as logs to import, and as systems to compare."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np

from ember_bench.errors import ConfigError
from ember_bench.experiment.results.cells import CellResults
from ember_bench.experiment.results.comparison import Group
from ember_bench.experiment.results.summary import DatasetSummary
from ember_bench.interop import completions
from ember_bench.interop.found import (
    Found,
    FoundAnswer,
    FoundItem,
    as_number,
    chosen_scorer,
    text_of,
)
from ember_bench.tracking.evaluations import EvaluatedRun, EvaluatedTrace, read_evaluations
from ember_bench.tracking.reading import trials_of
from ember_bench.tracking.uris import RUN_PREFIX

_LEVEL: Final = 0.95
_TARGETS: Final = ("expected_response", "expected_output", "ground_truth", "answer", "target")
_WORDS: Final = {"yes": 1.0, "no": 0.0, "pass": 1.0, "fail": 0.0, "passed": 1.0, "failed": 0.0}
_SCORE: Final = "/score"


def read(names: Sequence[str], tracking_uri: str, scorer: str | None = None) -> Found:
    """Return the items and answers of evaluation runs; a run's name is its model.

    Args:
        names: Ids or names of runs, or of experiments, which stand for all evaluation runs in them;
            each with or without `runs:/`.
        tracking_uri: A database, or a server.
        scorer: The scorer that counts; by default the first one that gives numbers from 0 to 1.

    Raises:
        ConfigError: if there is no such run or scorer, or ember-bench has logged it.
        TrackingError: if MLflow cannot be read.
    """
    runs: dict[str, EvaluatedRun] = {}
    for name in names:
        bare = name.removeprefix(RUN_PREFIX)
        found = read_evaluations(bare, tracking_uri)
        if not found:
            raise ConfigError(
                f"{name}: ember-bench has logged it; `compare {RUN_PREFIX}{bare}` and `report` read"
                " it as it is"
            )
        runs |= {run.id: run for run in found}
    return _found(list(runs.values()), scorer)


def evaluated_group(name: str, tracking_uri: str) -> Group | None:
    """Return evaluation runs as systems on one dataset; None if ember-bench has logged them.

    Raises:
        ConfigError: if there is no such run, or it has no scores from 0 to 1.
        TrackingError: if MLflow cannot be read.
    """
    runs = read_evaluations(name, tracking_uri)
    if not runs:
        return None
    found = _found(runs, None)
    cells = [_results(found, model) for model in found.models]
    baseline = {cell.asked.name: cell for cell in cells[:1]} if len(cells) > 1 else {}
    return Group(name, cells, baseline)


def _found(runs: Sequence[EvaluatedRun], scorer: str | None) -> Found:
    found = Found("MLflow")
    names = Counter(run.name for run in runs)
    common = scorer or _common_scorer([run for run in runs if run.traces])
    for run in runs:
        model = run.name if names[run.name] == 1 else f"{run.name} {run.id[:8]}"
        if run.traces:
            _add_traces(found, run, model, common)
        else:
            _add_table(found, run, model, scorer)
    return found


def _add_traces(found: Found, run: EvaluatedRun, model: str, scorer: str | None) -> None:
    known = sorted({name for trace in run.traces for name in trace.scores})
    counting = chosen_scorer(scorer, known, None)
    seen: Counter[str] = Counter()
    for trace in run.traces:
        item = _id(trace.inputs)
        found.add_item(FoundItem(item, _question(trace.inputs), _target(trace.expectations)))
        value = None if counting is None or trace.failed else trace.scores.get(counting)
        answer = FoundAnswer(
            model=model,
            item=item,
            sample=seen[item],
            answer=None if trace.failed or trace.outputs is None else _said(trace),
            score=_number(value),
            latency=None if trace.failed else trace.latency,
            cost=trace.cost,
            input_tokens=trace.input_tokens,
            output_tokens=trace.output_tokens,
        )
        found.answers.append(answer)
        seen[item] += 1
    found.notes += _notes(run, model, counting, known)


def _notes(
    run: EvaluatedRun, model: str, counting: str | None, known: Sequence[str]
) -> Iterator[str]:
    if len(known) > 1:
        others = ", ".join(name for name in known if name != counting)
        yield f"{model}: scores are those of {counting}, and not of {others}"
    if failed := sum(trace.failed for trace in run.traces):
        yield (
            f"{model}: {failed:,} of the {len(run.traces):,} traces ended in an error, and have no"
            " score here; MLflow's scorers may have given them one"
        )


def _add_table(found: Found, run: EvaluatedRun, model: str, scorer: str | None) -> None:
    """Add the records of a table, whose columns are guessed; scores end in `/score`."""
    scores = [name for name in run.table[0] if name.endswith(_SCORE)] if run.table else []
    known = {name.split("/")[0]: name for name in scores}
    counting = chosen_scorer(scorer, known, None)
    chosen = {} if counting is None else {"score": known[counting]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{run.name.replace('/', '_')}.jsonl")
        path.write_text("".join(json.dumps(row) + "\n" for row in run.table), encoding="utf-8")
        table, _ = completions.read(path, chosen, model)
    ids = {item.id: _id(item.question) for item in table.items.values()}
    for item in table.items.values():
        found.add_item(FoundItem(ids[item.id], item.question, item.target, item.category))
    for one in table.answers:
        found.answers.append(
            FoundAnswer(model, ids[one.item], one.sample, one.answer, one.score, one.latency,
                        one.cost, one.input_tokens, one.output_tokens)
        )  # fmt: skip
    found.notes += table.notes


def _id(inputs: Any) -> str:
    """Return the same id for the same inputs, in any run."""
    text = json.dumps(inputs, sort_keys=True, ensure_ascii=False)
    return blake2b(text.encode(), digest_size=6).hexdigest()


def _question(inputs: Any) -> str:
    if not isinstance(inputs, Mapping) or not inputs:
        return text_of(inputs)
    value = next(iter(inputs.values()))
    if len(inputs) > 1:
        return "\n".join(f"{name}: {text_of(one)}" for name, one in inputs.items())
    if isinstance(value, list) and value and isinstance(value[-1], Mapping):
        return text_of(value[-1].get("content", ""))
    return text_of(value)


def _target(expectations: Mapping[str, Any]) -> str:
    texts = {name: value for name, value in expectations.items()
             if isinstance(value, str | int | float)}  # fmt: skip
    found = [texts[name] for name in _TARGETS if name in texts] or list(texts.values())
    return text_of(found[0]) if found else ""


def _said(trace: EvaluatedTrace) -> str:
    """Return the text of outputs: of a chat completion, of a record of one text, or as it is."""
    outputs = trace.outputs
    if isinstance(outputs, Mapping):
        if isinstance(choices := outputs.get("choices"), list) and choices:
            return text_of((choices[0].get("message") or {}).get("content") or "")
        texts = [value for value in outputs.values() if isinstance(value, str)]
        if len(texts) == 1:
            return texts[0]
    return text_of(outputs)


def _number(value: Any) -> float | None:
    word = _WORDS.get(value.strip().lower()) if isinstance(value, str) else None
    return as_number(value) if word is None else word


def _common_scorer(runs: Sequence[EvaluatedRun]) -> str | None:
    """Return the first scorer by name that gives numbers from 0 to 1 in all runs that have one."""
    scores = [trace.scores for run in runs for trace in run.traces]
    for name in sorted({name for one in scores for name in one}):
        values = [_number(one[name]) for one in scores if one.get(name) is not None]
        everywhere = all(any(name in trace.scores for trace in run.traces) for run in runs)
        if everywhere and values and all(v is not None and 0 <= v <= 1 for v in values):
            return name
    return None


def _results(found: Found, model: str) -> CellResults:
    answers = [answer for answer in found.answers if answer.model == model]
    scores = [answer.score for answer in answers if answer.score is not None]
    if not scores or min(scores) < 0 or max(scores) > 1:
        raise ConfigError(
            f"{model}: no scorer of it gives numbers from 0 to 1; `ember-bench import mlflow` takes"
            " another range"
        )
    items, data = trials_of(
        {
            "item": [answer.item for answer in answers],
            "item_digest": ["" for _ in answers],
            "cluster": [None for _ in answers],
            "target": [found.items[answer.item].target for answer in answers],
            "outcome": [_outcome(answer.score) for answer in answers],
            "score": [answer.score or 0.0 for answer in answers],
            "cost_usd": [np.nan if a.cost is None else a.cost for a in answers],
            "latency_seconds": [np.nan if a.latency is None else a.latency for a in answers],
        }
    )
    asked = DatasetSummary(
        name="evaluation", source="MLflow", revision=None, digest="", items=len(items),
        evaluator="as MLflow scored", evaluator_identity="as MLflow scored",
    )  # fmt: skip
    texts = [answer.answer for answer in answers]
    return CellResults(
        source="MLflow",
        name=f"evaluation/{model}",
        label=model,
        asked=asked,
        simulated=False,
        oracle=False,
        failures="excluded",
        level=_LEVEL,
        seed=0,
        items=items,
        data=data,
        read_answers=lambda: texts,
    )


def _outcome(score: float | None) -> str:
    """Return the outcome of a trial; one without a score failed."""
    if score is None:
        return "error"
    return {0.0: "wrong", 1.0: "correct"}.get(score, "partial")
