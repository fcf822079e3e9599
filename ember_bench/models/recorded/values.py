"""Values of a record: answers, numbers and scores."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from ember_bench.models.recorded.fields import Fields, Reading
from ember_bench.models.types import Completion, Usage
from ember_bench.record_fields import as_text

Sample = tuple[Completion, float | None]
"""An answer, and the source's score of it."""

_RIGHT: Final = ("true", "yes", "correct", "right", "pass", "passed", "c")
_WRONG: Final = ("false", "no", "incorrect", "wrong", "fail", "failed", "i")
_TRUTHS: Final = dict.fromkeys(_RIGHT, 1.0) | dict.fromkeys(_WRONG, 0.0)
_UNCOUNTED: Final = Usage()
# Digits in groups of three, and what stands around numbers in tables.
_WRITTEN: Final = re.compile(
    r"\$?\s*(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.?\d+(?:[eE][-+]?\d+)?)\s*(?:s|USD)?"
)


def told(path: str | Sequence[str] | None) -> str:
    """Return the name of a field, or of several, for a message."""
    return path if isinstance(path, str) else ", ".join(path or ())


def sample_of(
    fields: Fields, reading: Reading, answer: Any, numbers: Sequence[Any]
) -> Sample | None:
    """Return a sample and its score, or None if neither answer nor score was recorded."""
    if reading.missing:
        numbers = [None if str(number) in reading.missing else number for number in numbers]
    *measured, judged = numbers
    verdict = None if fields.verdict is None else _verdict(judged, fields, reading)
    if answer is None or (reading.missing and str(answer) in reading.missing):
        if verdict is None:
            return None
        answer = f"[no text was recorded; its score is {verdict:g}]"
    return _completion(fields, reading, answer, measured), verdict


def _completion(
    fields: Fields, reading: Reading, answer: Any, numbers: Sequence[Any]
) -> Completion:
    """Make a sample of its text and what was recorded of latency, cost and tokens."""
    latency, cost, sent, received = numbers
    text = answer if isinstance(answer, str) else as_text(answer, told(fields.answer))
    return Completion(
        reading.texts.get(text, text) if reading.texts else text,
        _UNCOUNTED
        if fields.input_tokens is None and fields.output_tokens is None
        else Usage(
            None if fields.input_tokens is None else _tokens(sent, told(fields.input_tokens)),
            None if fields.output_tokens is None else _tokens(received, told(fields.output_tokens)),
        ),
        cost_usd=None if fields.cost is None else _scaled(cost, told(fields.cost), reading, "cost"),
        latency_seconds=None
        if fields.latency is None
        else _scaled(latency, told(fields.latency), reading, "latency"),
    )


def _verdict(value: Any, fields: Fields, reading: Reading) -> float | None:
    """Return the source's score of an answer, from 0 to 1; None where it gave none."""
    if is_nothing(value):
        return None
    if reading.scores and (given := reading.scores.get(str(value))) is not None:
        return given
    low, high = reading.score_range if fields.score is not None else (0.0, 1.0)
    truth = _TRUTHS.get(str(value).casefold())
    if truth is not None:
        return truth
    try:
        number = float(value.strip().removesuffix("%") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        number = math.nan
    if fields.correct is not None and number not in (0, 1):
        raise ValueError(
            f"{told(fields.correct)}: expected true or false, or 1 or 0, found {value!r}"
        )
    if not low <= number <= high:
        raise ValueError(
            f"{told(fields.verdict)}: expected a score from {low:g} to {high:g}, found {value!r};"
            " the card's `score_range` says what the lowest and the highest are"
        )
    return (number - low) / (high - low)


def _scaled(value: Any, name: str, reading: Reading, what: str) -> float | None:
    number = _number(value, name)
    factor = next((factor for key, factor in reading.scale.items() if key == what), None)
    return number if number is None or factor is None else number * factor


def _number(value: Any, name: str) -> float | None:
    """Return a number of at least 0, or None where none was recorded."""
    if is_nothing(value):
        return None
    if isinstance(value, str) and (written := _WRITTEN.fullmatch(value.strip())):
        value = written[1].replace(",", "")
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{name}: expected a number of at least 0, found {value!r}")
    return number


def _tokens(value: Any, name: str) -> int | None:
    """Return a number of tokens, or None where none was recorded."""
    return None if is_nothing(value) else whole(value, name)


def whole(value: Any, name: str) -> int:
    """Return a whole number of at least 0.

    Raises:
        ValueError: if it is none.
    """
    number = _number(value, name)
    if number is None or not number.is_integer():
        raise ValueError(f"{name}: expected a whole number of at least 0, found {value!r}")
    return int(number)


def is_nothing(value: Any) -> bool:
    """Return whether a value says that there is none."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))
