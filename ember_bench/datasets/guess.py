"""Guesses the dataset card that a file of records needs.

A guess rests on the names of the fields and on the values of the first records. It is a draft that
a person looks at, never a decision that is taken while a dataset is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ember_bench.answers.formats import read_target
from ember_bench.datasets.formats import Delimiter, Layout, open_records, other_delimiter
from ember_bench.datasets.prompts import LETTERS
from ember_bench.datasets.records import ABSENT, Record, as_text, flattened, lookup
from ember_bench.errors import ConfigError, Location, Problem, did_you_mean

_LOOKED_AT: Final = 5_000  # records

# Names that fields have in published files, the most telling ones first.
_QUESTION: Final = (
    "question", "query", "prompt", "problem", "task", "instruction", "input", "text", "q",
)  # fmt: skip
_TARGET: Final = (
    "target", "answer", "correctanswer", "solution", "gold", "expected", "expectedanswer",
    "answerkey", "groundtruth", "reference", "correct", "label", "output", "a",
)  # fmt: skip
_CHOICES: Final = ("choices", "options", "choicestext", "optionstext", "endings", "answers")
_LABELS: Final = ("choiceslabel", "optionslabel")
_ID: Final = ("id", "uid", "itemid", "questionid", "qid", "key", "index", "idx", "number", "nr")
_CATEGORY: Final = ("category", "subject", "topic", "domain", "group")
_FORMAT: Final = ("answerformat", "answertype", "format", "type", "kind")
_EVALUATOR: Final = ("evaluator", "scorer", "metric")
_SERIES: Final = re.compile(r"(.*?)[ _.-]?([A-Za-z]|\d{1,2})")
_SERIES_STEMS: Final = ("", "choice", "option", "opt", "answer", "alternative", "ending")

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

    def __post_init__(self) -> None:
        self.columns = tuple(_columns(self.rows))

    def guess(self) -> Guess:
        chosen = self.chosen
        for name in (chosen.question, chosen.target, chosen.id, *(chosen.choices or ())):
            if name and name not in self.columns:
                raise self._wrong(f"no field {name!r}{did_you_mean(name, self.columns)}")
        question = chosen.question or self._named(_QUESTION)
        choices = self._choices(question) if chosen.choices is None else chosen.choices
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
        rest = self._rest(target, choices, fields)
        fields["category"] = category
        given = {name: value for name, value in fields.items() if value is not None}
        return Guess(self.columns, given, rest, self.delimiter, tuple(self.doubts))

    def _wrong(self, message: str) -> ConfigError:
        return ConfigError(Problem(message, Location(self.path)))

    def _named(self, names: Sequence[str], but: Sequence[str | None] = ()) -> str | None:
        """Return the field with the first of these names, whatever its case and separators."""
        bare = {_bare(column): column for column in reversed(self.columns) if column not in but}
        return next((bare[name] for name in names if name in bare), None)

    def _values(self, path: str) -> list[Any]:
        return [lookup(row, path) for row in self.rows]

    def _texts(self, path: str) -> list[str]:
        """Return the texts of a field: of a list each entry, and nothing where it is absent."""
        values = (v for value in self._values(path) for v in flattened(value))
        return [as_text(v, path) for v in values if _is_scalar(v)]

    def _longest(self, but: Sequence[str | None]) -> str | None:
        left = [c for c in self.columns if c not in but and self._is_text(c)]
        return max(left, key=lambda c: sum(map(len, self._texts(c))), default=None)

    def _other(self, but: Sequence[str | None]) -> str | None:
        """Return the only field that is left."""
        left = [c for c in self.columns if c not in but and self._is_text(c)]
        return left[0] if len(left) == 1 else None

    def _is_text(self, column: str) -> bool:
        return all(_is_scalar(value) for value in self._values(column))

    def _id(self, but: Sequence[str | None]) -> str | None:
        column = self._named(_ID, but)
        if column is None or not self._is_text(column):
            return None
        texts = self._texts(column)
        return column if all(t.strip() for t in texts) and len({*texts}) == len(texts) else None

    def _category(self, but: Sequence[str | None]) -> str | None:
        column = self._named(_CATEGORY, but)
        return column if column is not None and self._is_text(column) else None

    def _choices(self, question: str | None) -> tuple[str, ...]:
        """Return the field that holds a list of choices, or the fields that hold one each."""
        listed = self._named(_CHOICES)
        values = [] if listed is None else self._values(listed)
        lists = [_is_list(value) for value in values]
        if listed and any(lists) and all(ok or not v for ok, v in zip(lists, values, strict=True)):
            return (listed,)
        for stem in _SERIES_STEMS:
            series = [c for c in self.columns if c != question and _stem(c) == stem]
            places = [_place(column) for column in series]
            if len(series) > 1 and places in (_letters(series), _numbers(places)):
                return tuple(series)
        return ()

    def _rest(
        self, target: str, choices: tuple[str, ...], fields: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the keys of the card beside `fields`, and add the choices to `fields`."""
        if (form := self._format_field((target, *choices))) is not None:
            return self._by_record(form, target, choices, fields)
        if not choices:
            return self._format(self._texts(target))
        if not all(_options(row, choices) for row in self.rows):
            return self._mixed(target, choices, fields)
        rest = self._chosen(self.rows, target, choices, fields)
        return rest | self._scored("choice", "multiple_choice")

    def _chosen(
        self,
        rows: Sequence[Record],
        target: str,
        choices: tuple[str, ...],
        fields: dict[str, Any],
    ) -> dict[str, Any]:
        """Return how targets name choices in these records, and add the choices to `fields`."""
        fields["choices"] = choices[0] if len(choices) == 1 else list(choices)
        kind = self._target_is(rows, target, choices)
        if kind == "label":
            fields["labels"] = self._named(_LABELS)
        return {} if kind == "answer" else {"target_is": kind}

    def _format_field(self, but: Sequence[str]) -> str | None:
        """Return the field that names each record's answer format."""
        name = self._named(_FORMAT, but)
        if name is None or not self._is_text(name):
            return None
        stated = {*self._texts(name)}
        return name if stated and stated <= {*_PROMPTS} else None

    def _by_record(
        self, form: str, target: str, choices: tuple[str, ...], fields: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the keys of a card whose records have formats, and evaluators, of their own."""
        fields["answer_format"] = form
        scorer = self._named(_EVALUATOR, but=(target, form, *choices))
        if scorer is not None and self._is_text(scorer):
            fields["evaluator"] = scorer
        with_choices = [row for row in self.rows if choices and _options(row, choices)]
        rest: dict[str, Any] = {}
        if with_choices:
            rest = self._chosen(with_choices, target, choices, fields)
        prompt = _ANY_PROMPT if with_choices else _PROMPTS["text"]
        return rest | {"prompt": prompt, "evaluator": self.chosen.evaluator or _ANY_FORMAT}

    def _format(self, targets: Sequence[str]) -> dict[str, Any]:
        stated = [target for target in targets if target.strip()]
        form = next(
            (f for f in _EVALUATORS if all(read_target(t, f) is not None for t in stated)), "text"
        )
        return self._scored(form, _EVALUATORS[form])

    def _mixed(
        self, target: str, choices: tuple[str, ...], fields: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the keys of a card for items of which only some have choices.

        The choices are shown as lines, and all answers are compared as texts.

        Raises:
            ConfigError: if targets name choices by their letters, which the lines do not have.
        """
        for row in self.rows:
            options = _options(row, choices)
            said = as_text(lookup(row, target), target)
            if options and said not in options:
                raise self._wrong(
                    f"some records have no choices, and the target {said!r} is not the text of one"
                    " of its choices: write the text of the right choice, or add a field"
                    " answer_format that says of each: choice, number, yes_no, integers or text"
                )
        fields["metadata"] = choices[0] if len(choices) == 1 else list(choices)
        lines = "\n".join(f"{{{name}}}" for name in choices)
        found = self._scored("text", "quasi_exact_match")
        prompt = _PROMPTS["text"].replace("{question}", "{question}\n\n" + lines)
        self.doubts.append("some items have no choices, so all answers are compared as texts")
        return found | {"prompt": prompt}

    def _scored(self, form: str, evaluator: str) -> dict[str, Any]:
        chosen = self.chosen.evaluator or evaluator
        return {"prompt": _PROMPTS[form], "answer_format": form, "evaluator": chosen}

    def _target_is(self, records: Sequence[Record], target: str, choices: tuple[str, ...]) -> str:
        """Return how the target names the right choice."""
        if all(_is_list(lookup(row, target)) for row in records):
            return "flags"
        options = [_options(row, choices) for row in records]
        targets = [as_text(lookup(row, target), target) for row in records]
        rows = list(zip(targets, options, strict=True))
        labels = self._named(_LABELS)
        fitting = {
            "answer": all(t.strip().upper() in LETTERS[: len(o)] for t, o in rows if t.strip()),
            "text": all(o.count(t) == 1 for t, o in rows),
            "label": labels is not None
            and all(
                _options(row, (labels,)).count(t) == 1
                for t, row in zip(targets, records, strict=True)
            ),
            "index": all(t.strip() in map(str, range(len(o))) for t, o in rows),
        }
        found = [kind for kind, fits in fitting.items() if fits]
        if "label" in found and "answer" in found and not self._labels_are_letters(labels):
            found.remove("answer")
        if not found:
            self.doubts.append(f"the targets (field {target!r}) do not all name one of the choices")
        elif {"text", "index"} <= {*found}:
            self.doubts.append(
                f"the targets (field {target!r}) are taken for texts of choices; they could be "
                "their indices, too (`target_is: index`)"
            )
        return found[0] if found else "text"

    def _labels_are_letters(self, labels: str | None) -> bool:
        return all(
            list(listed) == list(LETTERS[: len(listed)])
            for row in self.rows
            if (listed := _options(row, (labels or "",)))
        )


def _columns(rows: Sequence[Record]) -> Iterator[str]:
    """Yield the fields of records, and those of a mapping in a field as `a.b`, each once."""
    seen: set[str] = set()
    for row in rows:
        for name, value in row.items():
            inner = [f"{name}.{key}" for key in value] if isinstance(value, Mapping) else [name]
            yield from (column for column in inner if column not in seen)
            seen.update(inner)


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 1


def _is_scalar(value: Any) -> bool:
    return value is not ABSENT and not isinstance(value, list | tuple | Mapping | bytes)


def _stem(column: str) -> str | None:
    found = _SERIES.fullmatch(column)
    return _bare(found[1]) if found is not None else None


def _place(column: str) -> str:
    found = _SERIES.fullmatch(column)
    return found[2].upper() if found is not None else ""


def _letters(series: Sequence[str]) -> list[str]:
    return list(LETTERS[: len(series)])


def _numbers(places: Sequence[str]) -> list[str]:
    start = 0 if "0" in places else 1
    return [str(number) for number in range(start, start + len(places))]


def _options(row: Record, choices: tuple[str, ...]) -> list[str]:
    values = (v for path in choices for v in flattened(lookup(row, path)))
    texts = [as_text(v, "choices") for v in values if _is_scalar(v)]
    return [text for text in texts if text.strip()]
