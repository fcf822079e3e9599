"""Any table of completions, CSV, JSON Lines, JSON or Parquet, by guessed columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeAlias

from ember_bench.datasets.formats import Layout, open_records, other_delimiter
from ember_bench.datasets.records import flattened
from ember_bench.errors import ConfigError, Location, Problem, did_you_mean
from ember_bench.interop.found import Found, FoundAnswer, FoundItem, as_count, as_number
from ember_bench.record_fields import ABSENT, as_text, lookup

_Rows: TypeAlias = Sequence[tuple[int, Mapping[str, Any]]]

# Beside an empty one, what stands for an unknown score.
_BLANK: Final = frozenset({"", "nan", "n/a", "na", "none", "null"})

_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "item": ("itemid", "questionid", "taskid", "promptid", "qid", "id", "uid", "key", "index"),
    "question": ("question", "prompt", "input", "instruction", "query", "problem", "messages"),
    "answer": (
        "completion", "completions", "response", "responses", "output", "outputs", "modeloutput",
        "modelanswer", "prediction", "predictions", "generation", "generatedtext", "answer", "text",
    ),
    "target": (
        "target", "expected", "expectedanswer", "expectedoutput", "gold", "reference",
        "groundtruth", "correctanswer", "answerkey", "label", "ideal",
    ),
    "model": ("model", "modelname", "modelid", "generator", "engine", "system"),
    "sample": ("sample", "sampleid", "epoch", "trial", "run", "attempt", "repeat"),
    "score": ("score", "correct", "iscorrect", "passed", "pass", "accuracy", "right", "success"),
    "category": ("category", "subject", "topic", "domain", "task", "dataset"),
    "latency": ("latency", "latencyseconds", "seconds", "duration", "timeseconds"),
    "cost": ("cost", "costusd", "usd", "dollars", "price"),
    "input_tokens": ("inputtokens", "prompttokens", "tokensin"),
    "output_tokens": ("outputtokens", "completiontokens", "tokensout"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table by their meaning; None is without one."""

    item: str | None = None
    question: str | None = None
    answer: str | None = None
    target: str | None = None
    model: str | None = None
    sample: str | None = None
    score: str | None = None
    category: str | None = None
    latency: str | None = None
    cost: str | None = None
    input_tokens: str | None = None
    output_tokens: str | None = None

    def given(self) -> dict[str, str]:
        """Return the columns that there are."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {meaning: column for meaning, column in named.items() if column is not None}


def read(path: Path, chosen: Mapping[str, str], model: str | None = None) -> tuple[Found, Columns]:
    """Return the items and answers of a table, and the columns that were taken.

    Args:
        path: The file.
        chosen: Columns by their meaning, in place of the guesses.
        model: The model's name, for a table without a column for it.

    Raises:
        ConfigError: if the file cannot be read, or no column has answers or scores.
    """
    rows = _rows(path)
    columns = _columns(path, rows, chosen)
    found = Found(f"the table {path.name}")
    seen: Counter[tuple[str, str]] = Counter()
    by_question: dict[str, str] = {}
    for number, row in rows:
        question = _text(row, columns.question, path, number)
        item = _text(row, columns.item, path, number)
        if not columns.item:
            item = by_question.setdefault(question or str(number), str(len(by_question)))
        target = _text(row, columns.target, path, number)
        category = _text(row, columns.category, path, number) or None
        found.add_item(FoundItem(item, question or item, target, category), Location(path, number))
        who = _text(row, columns.model, path, number) or model or path.name.partition(".")[0]
        for text, score in _answers(row, columns, path, number):
            sample = seen[who, item]
            seen[who, item] += 1
            found.answers.append(
                FoundAnswer(
                    who, item, sample, text, score,
                    _size(row, columns.latency), _size(row, columns.cost),
                    as_count(_value(row, columns.input_tokens)),
                    as_count(_value(row, columns.output_tokens)),
                )
            )  # fmt: skip
    found.notes += [*_unknown(rows, columns, path), *_repeated(rows, columns, path)]
    return found, columns


def _unknown(rows: _Rows, columns: Columns, path: Path) -> Iterator[str]:
    """Yield what is given, but no number, of quantities that are unknown therefore."""
    for meaning in ("latency", "cost", "input_tokens", "output_tokens"):
        values = ((number, _value(row, columns.given().get(meaning))) for number, row in rows)
        strange = [(n, v) for n, v in values if v is not None and not _is_size(v)]
        if strange:
            number, value = strange[0]
            yield (
                f"{meaning}: values that are no numbers from 0 on, and therefore unknown:"
                f" {len(strange):,}, such as {value!r} ({path.name}:{number})"
            )


def _size(row: Mapping[str, Any], column: str | None) -> float | None:
    value = _value(row, column)
    return as_number(value) if _is_size(value) else None


def _is_size(value: Any) -> bool:
    number = as_number(value)
    return number is not None and number >= 0


def _repeated(rows: _Rows, columns: Columns, path: Path) -> Iterator[str]:
    """Yield that rows say the same sample as others, if they do."""
    named = (columns.model, columns.item or columns.question, columns.sample)
    seen: set[str] = set()
    repeats: list[int] = []
    for number, row in rows:
        mark = repr([_value(row, name) for name in named] if columns.sample else row)
        if mark in seen:
            repeats.append(number)
        seen.add(mark)
    if repeats:
        yield (
            f"rows that repeat another one: {len(repeats):,}, such as {path.name}:{repeats[0]};"
            " each counts as a further sample of its item"
        )


def _answers(
    row: Mapping[str, Any], columns: Columns, path: Path, number: int
) -> list[tuple[str | None, float | None]]:
    """Return a row's answers with their scores; a list of them is several samples."""
    answers, scores = _value(row, columns.answer), _value(row, columns.score)
    listed = answers if isinstance(answers, list) else [answers]
    verdicts = scores if isinstance(scores, list) else [scores] * len(listed)
    if len(listed) != len(verdicts):
        message = f"{len(listed)} answers need as many scores, found {len(verdicts)}"
        raise ConfigError(Problem(message, Location(path, number)))
    for verdict in verdicts:
        if not _is_blank(verdict) and as_number(verdict) is None:
            message = f"{columns.score}: expected a score, true or false; found {verdict!r}"
            raise ConfigError(Problem(message, Location(path, number)))
    texts = [
        None if text is None else _as_text(text, str(columns.answer), path, number)
        for text in listed
    ]
    return list(zip(texts, map(as_number, verdicts), strict=True))


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in _BLANK)


def _rows(path: Path) -> _Rows:
    layout = Layout(delimiter=other_delimiter(path))
    rows = list(open_records(path, layout).rows)
    if not rows:
        raise ConfigError(Problem("the file has no records", Location(path)))
    return rows


def _columns(path: Path, rows: _Rows, chosen: Mapping[str, str]) -> Columns:
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    for meaning, column in chosen.items():
        if column not in names and all(lookup(row, column) is ABSENT for _, row in rows):
            near = did_you_mean(column, names)
            raise ConfigError(Problem(f"{meaning}: no column {column!r}{near}", Location(path)))
    taken = dict(chosen)
    for meaning, known in _NAMES.items():
        bare = {_bare(name): name for name in reversed(names) if name not in taken.values()}
        guess = next((bare[name] for name in known if name in bare), None)
        if meaning not in taken and guess is not None and _fits(meaning, guess, rows):
            taken[meaning] = guess
    if "target" not in taken and taken.get("answer", "").lower() != "answer" and "answer" in names:
        taken["target"] = "answer"
    if "answer" not in taken and "score" not in taken:
        listed = ", ".join(names)
        message = f"which column has the answers? Give --answer COLUMN, one of: {listed}"
        raise ConfigError(Problem(message, Location(path)))
    return Columns(**taken)


def _fits(meaning: str, column: str, rows: _Rows) -> bool:
    """Whether a column may have what its name says: one of scores has some number or truth."""
    if meaning != "score":
        return True
    values = (_value(row, column) for _, row in rows)
    return any(as_number(one) is not None for value in values for one in flattened(value))


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _value(row: Mapping[str, Any], column: str | None) -> Any:
    found = ABSENT if column is None else lookup(row, column)
    return None if found is ABSENT or found == "" else found


def _text(row: Mapping[str, Any], column: str | None, path: Path, number: int) -> str:
    found = _value(row, column)
    return "" if found is None else _as_text(found, str(column), path, number)


def _as_text(value: Any, column: str, path: Path, number: int) -> str:
    try:
        return as_text(value, column)
    except ValueError as error:
        raise ConfigError(Problem(str(error), Location(path, number))) from None
