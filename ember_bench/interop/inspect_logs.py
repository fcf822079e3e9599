"""Logs of Inspect AI, `.eval` and `.json`, read by Inspect's own reader (package inspect-ai)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ember_bench.errors import ConfigError, EmberBenchError, Location
from ember_bench.interop.found import (
    Found,
    FoundAnswer,
    FoundItem,
    as_number,
    chosen_scorer,
    files_of,
)

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample


def read(paths: Sequence[Path], scorer: str | None = None) -> Found:
    """Return the items and answers of logs, and of those in folders.

    Args:
        paths: The logs and folders.
        scorer: The scorer that counts; by default the first one of each sample.

    Raises:
        ConfigError: if there are none, one cannot be read or has no such scorer, or inspect-ai is
            not installed.
    """
    files = files_of(paths, "*.eval", "*.json")
    if not files:
        raise ConfigError(f"{paths[0]}: no log of Inspect (*.eval, *.json)")
    found = Found("Inspect AI")
    logs = [(file, _log(file)) for file in files]
    tasks = {log.eval.task for _, log in logs}
    for file, log in logs:
        if log.status != "success":
            found.notes.append(f"{file.name}: the evaluation ended with {log.status}")
        names = [name for sample in log.samples or () for name in sample.scores or {}]
        if names:
            chosen_scorer(scorer, names, Location(file))
        for sample in log.samples or ():
            _add(found, sample, log, f"{log.eval.task}/" if len(tasks) > 1 else "", scorer)
    return found


def _log(file: Path) -> EvalLog:
    try:
        from inspect_ai.log import read_eval_log  # noqa: PLC0415 - heavy, and optional
    except ImportError:
        raise ConfigError(
            "logs of Inspect are read by the package inspect-ai: pip install inspect-ai"
        ) from None
    try:
        return read_eval_log(str(file))
    except EmberBenchError:
        raise
    except Exception as error:
        message = str(error).partition("\n")[0]
        raise ConfigError(f"{file}: not a log of Inspect: {message}") from None


def _add(found: Found, sample: EvalSample, log: EvalLog, prefix: str, scorer: str | None) -> None:
    item = f"{prefix}{sample.id}"
    question = sample.input if isinstance(sample.input, str) else _last(sample.input)
    target = sample.target if isinstance(sample.target, str) else "; ".join(sample.target)
    found.add_item(FoundItem(item, question, target, prefix[:-1] or None))
    failed = sample.error is not None
    output, usage = sample.output, sample.output.usage if sample.output else None
    found.answers.append(
        FoundAnswer(
            model=log.eval.model,
            item=item,
            sample=sample.epoch - 1,
            answer=None if failed or output is None else output.completion,
            score=None if failed else next(_scores(sample, scorer), None),
            latency=output.time if output else None,
            cost=getattr(usage, "total_cost", None),
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
        )
    )


def _scores(sample: EvalSample, scorer: str | None) -> Iterator[float]:
    """Yield the scores as numbers, of the first scorer first; `C` is correct, `P` half."""
    for name, score in (sample.scores or {}).items():
        if scorer not in (None, name):
            continue
        letters = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
        value = score.value
        number = letters.get(value) if isinstance(value, str) else None
        number = as_number(value) if number is None else number
        if number is not None:
            yield number


def _last(messages: list[Any]) -> str:
    return str(messages[-1].text) if messages else ""
