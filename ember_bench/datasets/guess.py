"""Guesses the dataset card that a file of records needs.

A guess rests on the names of the fields and on the values of the first records. It is a draft that
a person looks at, never a decision that is taken while a dataset is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ember_bench.answers.formats import read_target
from ember_bench.datasets.by_target import BY_TARGET, is_number
from ember_bench.datasets.formats import Delimiter, Layout, open_records, other_delimiter
from ember_bench.datasets.guess_choices import Choices, find_choices, is_scalar, named
from ember_bench.datasets.records import Record, flattened
from ember_bench.errors import ConfigError, Location, Problem, did_you_mean
from ember_bench.record_fields import as_text, lookup

_LOOKED_AT: Final = 5_000  # records
_FEW: Final = 0.1

# Names that fields have in published files, the most telling ones first.
_QUESTION: Final = (
    "question", "query", "prompt", "problem", "task", "instruction", "input", "text", "q",
)  # fmt: skip
_TARGET: Final = (
    "target", "answer", "correctanswer", "solution", "gold", "expected", "expectedanswer",
    "answerkey", "groundtruth", "reference", "correct", "label", "output", "a",
)  # fmt: skip
_ID: Final = ("id", "uid", "itemid", "questionid", "qid", "key", "index", "idx", "number", "nr")
_CATEGORY: Final = ("category", "subject", "topic", "domain", "group")
_FORMAT: Final = ("answerformat", "answertype", "format", "type", "kind")
_EVALUATOR: Final = ("evaluator", "scorer", "metric")

# Answer format -> the evaluator that goes with it; the first one that reads all targets is taken.
_EVALUATORS: Final[Mapping[str, str]] = {
    "yes_no": "yes_no",
    "number": "numeric_match",
    "integers": "integers",
    "text": "quasi_exact_match",
}


def _prompt(answer: str, choices: str = "") -> str:
    """Return a prompt that asks for a line which states the answer.

    Without such a line, an answer has to be searched for in the text.
    """
    return f"{{question}}\n\n{choices}End with a line of the form `Answer: X`, where X is {answer}."


_PROMPTS: Final[Mapping[str, str]] = {
    "choice": _prompt("the letter of the right choice", "{choices}\n\n"),
    "yes_no": _prompt("yes or no"),
    "number": _prompt("a number"),
    "integers": _prompt("a list of whole numbers"),
    "text": _prompt("the answer in as few words as possible"),
}
# Compares answers as their formats give them, whatever these are.
_ANY_FORMAT: Final = "exact_match"
_ANY_PROMPT: Final = _prompt("the answer: a letter if there are choices", "{choices}\n\n")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Fields that a person has named; those that are None are guessed.

    Attributes:
        question: Field of the question.
        target: Field of the target.
        choices: Fields of the choices; empty if there are none.
        id: Field of unique names; "" if there is none.
        evaluator: Name of the evaluator card.
    """

    question: str | None = None
    target: str | None = None
    choices: tuple[str, ...] | None = None
    id: str | None = None
    evaluator: str | None = None


@dataclass(frozen=True, slots=True)
class Guess:
    """A draft of a dataset card.

    Attributes:
        columns: The fields of the records.
        fields: The card's `fields`.
        rest: Other keys of the card: `target_is`, `prompt`, `answer_format`, `evaluator`.
        delimiter: Of a CSV file, if it is not the usual one.
        doubts: Sentences about what may be wrong.
    """

    columns: tuple[str, ...]
    fields: Mapping[str, Any]
    rest: Mapping[str, Any]
    delimiter: Delimiter | None = None
    doubts: tuple[str, ...] = ()

    def card(self, name: str, source: str) -> dict[str, Any]:
        """Return the card's content.

        Args:
            name: The dataset's name.
            source: The path of the file, relative to the card.
        """
        file = source if self.delimiter is None else {"path": source, "delimiter": self.delimiter}
        purpose = f"The items of {Path(source).name}."
        return {
            "name": name,
            "purpose": purpose,
            "source": {"file": file},
            "fields": dict(self.fields),
            **self.rest,
        }


def guess_card(path: Path, chosen: Chosen | None = None) -> Guess:
    """Return the draft of a card for a file of records.

    Args:
        path: The file.
        chosen: Fields that are known.

    Raises:
        ConfigError: if the file cannot be read, has no records, lacks a chosen field, or its
            question or target cannot be told from the other fields.
    """
    delimiter = other_delimiter(path)
    rows = [r for _, r in islice(open_records(path, Layout(delimiter=delimiter)).rows, _LOOKED_AT)]
    if not rows:
        raise ConfigError(Problem("the file has no records", Location(path)))
    return _Guesser(path, rows, chosen or Chosen(), delimiter).guess()


@dataclass
class _Guesser:
    path: Path
    rows: Sequence[Record]
    chosen: Chosen
    delimiter: Delimiter | None
    doubts: list[str] = field(default_factory=list)
    choices: Choices = field(default_factory=Choices)

    def __post_init__(self) -> None:
        self.columns = tuple(_columns(self.rows))

    def guess(self) -> Guess:
        chosen = self.chosen
        for name in (chosen.question, chosen.target, chosen.id, *(chosen.choices or ())):
            if name and name not in self.columns:
                raise self._wrong(f"no field {name!r}{did_you_mean(name, self.columns)}")
        question = chosen.question or self._named(_QUESTION)
        self.choices = find_choices(self.columns, self.rows, question, chosen.choices)
        choices = self.choices.paths
        target = chosen.target or self._named(_TARGET, but=(question, *choices))
        id_ = self._id((question, target, *choices)) if chosen.id is None else chosen.id or None
        category = self._category(but=(question, target, id_, *choices))
        taken = (id_, category, target, *choices)
        question = question or self._longest(but=taken)
        target = target or self._other(but=(question, id_, category, *choices))
        if question is None or target is None:
            what = "question" if question is None else "target"
            known = ", ".join(self.columns)
            raise self._wrong(f"which field is the {what}? Give --{what} FIELD, one of: {known}")
        fields: dict[str, Any] = {"id": id_, "question": question, "target": target}
        rest = self._rest(target, fields)
        fields["category"] = category
        given = {name: value for name, value in fields.items() if value is not None}
        return Guess(self.columns, given, rest, self.delimiter, tuple(self.doubts))

    def _wrong(self, message: str) -> ConfigError:
        return ConfigError(Problem(message, Location(self.path)))

    def _named(self, names: Sequence[str], but: Sequence[str | None] = ()) -> str | None:
        """Return the field with the first of these names."""
        return named([column for column in self.columns if column not in but], names)

    def _values(self, path: str) -> list[Any]:
        return [lookup(row, path) for row in self.rows]

    def _texts(self, path: str) -> list[str]:
        """Return the texts of a field: of a list each entry, and nothing where it is absent."""
        values = (v for value in self._values(path) for v in flattened(value))
        return [as_text(v, path) for v in values if is_scalar(v)]

    def _longest(self, but: Sequence[str | None]) -> str | None:
        left = [c for c in self.columns if c not in but and self._is_text(c)]
        return max(left, key=lambda c: sum(map(len, self._texts(c))), default=None)

    def _other(self, but: Sequence[str | None]) -> str | None:
        """Return the only field that is left."""
        left = [c for c in self.columns if c not in but and self._is_text(c)]
        return left[0] if len(left) == 1 else None

    def _is_text(self, column: str) -> bool:
        return all(is_scalar(value) for value in self._values(column))

    def _id(self, but: Sequence[str | None]) -> str | None:
        column = self._named(_ID, but)
        if column is None or not self._is_text(column):
            return None
        texts = self._texts(column)
        if all(t.strip() for t in texts) and len({*texts}) == len(texts):
            return column
        self.doubts.append(
            f"the field {column!r} is empty or the same in some records, so the number of each"
            " record is its id"
        )
        return None

    def _category(self, but: Sequence[str | None]) -> str | None:
        column = self._named(_CATEGORY, but)
        return column if column is not None and self._is_text(column) else None

    def _rest(self, target: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the keys of the card beside `fields`, and add the choices to `fields`."""
        with_choices = [row for row in self.rows if self.choices.of(row)]
        if (form := self._format_field((target, *self.choices.paths))) is not None:
            return self._by_record(form, target, with_choices, fields)
        if not with_choices:
            return self._format(self._texts(target))
        rest = self._chosen(with_choices, target, fields)
        if len(with_choices) < len(self.rows):
            return rest | self._by_target(_ANY_PROMPT)
        return rest | self._scored("choice", "multiple_choice")

    def _chosen(
        self, rows: Sequence[Record], target: str, fields: dict[str, Any]
    ) -> dict[str, Any]:
        """Return how targets name choices in these records, and add the choices to `fields`."""
        paths = self.choices.paths
        fields["choices"] = paths[0] if len(paths) == 1 else list(paths)
        kind, doubt = self.choices.target_is(rows, target)
        if doubt is not None:
            self.doubts.append(doubt)
        if kind == "label":
            fields["labels"] = self.choices.labels
        return self.choices.on_card | ({} if kind == "answer" else {"target_is": kind})

    def _format_field(self, but: Sequence[str]) -> str | None:
        """Return the field that names each record's answer format."""
        name = self._named(_FORMAT, but)
        if name is None or not self._is_text(name):
            return None
        stated = {*self._texts(name)}
        return name if stated and stated <= {*_PROMPTS} else None

    def _by_record(
        self, form: str, target: str, with_choices: Sequence[Record], fields: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the keys of a card whose records have formats, and evaluators, of their own."""
        fields["answer_format"] = form
        scorer = self._named(_EVALUATOR, but=(target, form, *self.choices.paths))
        if scorer is not None and self._is_text(scorer):
            fields["evaluator"] = scorer
        rest = self._chosen(with_choices, target, fields) if with_choices else {}
        prompt = _ANY_PROMPT if with_choices else _PROMPTS["text"]
        return rest | {"prompt": prompt, "evaluator": self.chosen.evaluator or _ANY_FORMAT}

    def _format(self, targets: Sequence[str]) -> dict[str, Any]:
        stated = [target for target in targets if target.strip()]
        form = next(
            (f for f in _EVALUATORS if all(read_target(t, f) is not None for t in stated)), "text"
        )
        numbers = sum(map(is_number, stated))
        if form == "text" and min(numbers, len(stated) - numbers) > _FEW * len(stated):
            return self._by_target(_PROMPTS["text"])
        return self._scored(form, _EVALUATORS[form])

    def _by_target(self, prompt: str) -> dict[str, Any]:
        """Return the keys of a card whose records have the formats that their targets tell."""
        self.doubts.append(
            "records differ: their choices and targets tell the answer format of each"
            f" (`answer_format: {BY_TARGET}`)"
        )
        evaluator = self.chosen.evaluator or _EVALUATORS["text"]
        return {"prompt": prompt, "answer_format": BY_TARGET, "evaluator": evaluator}

    def _scored(self, form: str, evaluator: str) -> dict[str, Any]:
        chosen = self.chosen.evaluator or evaluator
        return {"prompt": _PROMPTS[form], "answer_format": form, "evaluator": chosen}


def _columns(rows: Sequence[Record]) -> Iterator[str]:
    """Yield the fields of records, and those of a mapping in a field as `a.b`, each once."""
    seen: set[str] = set()
    for row in rows:
        for name, value in row.items():
            inner = [f"{name}.{key}" for key in value] if isinstance(value, Mapping) else [name]
            yield from (column for column in inner if column not in seen)
            seen.update(inner)
