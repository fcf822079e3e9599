"""Guesses where the choices of records are, and how targets name the right one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ember_bench.datasets.by_target import parted
from ember_bench.datasets.prompts import LETTERS
from ember_bench.datasets.records import Record, flattened
from ember_bench.record_fields import ABSENT, as_text, lookup

# Names that fields have in published files, the most telling ones first.
_CHOICES: Final = ("choices", "options", "choicestext", "optionstext", "endings", "answers")
_LABELS: Final = ("choiceslabel", "optionslabel")
_SERIES: Final = re.compile(r"(.*?)[ _.-]?([A-Za-z]|\d{1,2})")
_SERIES_STEMS: Final = ("", "choice", "option", "opt", "answer", "alternative", "ending")
# Between choices in one text; a comma last, as choices themselves have some.
_SEPARATORS: Final = ("|", ";", "\n", " / ", ",")
_NUMBERED: Final = r"^\s*\(?[A-Za-z][).:]\s*(.*?)\s*$"


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices of records.

    Attributes:
        paths: The field that holds all, or the fields that hold one each; empty for none.
        separator: Text between them, if one field holds them as a text.
        pattern: A regular expression whose group is the choice without its letter.
        labels: The field with a label of each.
    """

    paths: tuple[str, ...] = ()
    separator: str | None = None
    pattern: str | None = None
    labels: str | None = None

    def of(self, row: Record) -> list[str]:
        """Return the choices of a record."""
        texts = texts_at(row, self.paths, self.separator)
        if self.pattern is None:
            return texts
        return [found[1] if (found := re.search(self.pattern, text)) else text for text in texts]

    @property
    def on_card(self) -> dict[str, Any]:
        """The keys of a card for them, beside its `fields`."""
        keys = {"choices_separator": self.separator, "choices_pattern": self.pattern}
        return {key: value for key, value in keys.items() if value is not None}

    def target_is(self, rows: Sequence[Record], target: str) -> tuple[str, str | None]:
        """Return how the targets of records name the right choice, and what may be wrong."""
        if all(is_list(lookup(row, target)) for row in rows):
            return "flags", None
        options = [self.of(row) for row in rows]
        targets = [as_text(lookup(row, target), target) for row in rows]
        pairs = list(zip(targets, options, strict=True))
        labels = [texts_at(row, (self.labels,)) if self.labels else [] for row in rows]
        fitting = {
            "answer": all(t.strip().upper() in LETTERS[: len(o)] for t, o in pairs if t.strip()),
            "text": all(o.count(t) == 1 for t, o in pairs),
            "label": all(named.count(t) == 1 for t, named in zip(targets, labels, strict=True)),
            "index": all(t.strip() in map(str, range(len(o))) for t, o in pairs),
        }
        found = [kind for kind, fits in fitting.items() if fits]
        lettered = all(named == list(LETTERS[: len(named)]) for named in labels)
        if "label" in found and "answer" in found and not lettered:
            found.remove("answer")
        if not found:
            return "text", f"the targets (field {target!r}) do not all name one of the choices"
        if {"text", "index"} <= {*found}:
            return found[0], (
                f"the targets (field {target!r}) are taken for texts of choices; they could be "
                "their indices, too (`target_is: index`)"
            )
        return found[0], None


def find_choices(
    columns: Sequence[str],
    rows: Sequence[Record],
    question: str | None,
    chosen: tuple[str, ...] | None,
) -> Choices:
    """Return the choices of records.

    Args:
        columns: The fields of the records.
        rows: The records.
        question: The field of the question, if it is known.
        chosen: The fields that a person has named; None for none.
    """
    labels = named(columns, _LABELS)
    if chosen is not None and len(chosen) != 1:
        return Choices(chosen, labels=labels)
    one = chosen[0] if chosen else named(columns, _CHOICES)
    found = _in_one(one, rows) if one is not None else None
    if found is not None or chosen is not None:
        separator = None if found is None else found
        return _with_pattern(Choices((one or "",), separator or None, labels=labels), rows)
    for stem in _SERIES_STEMS:
        series = [c for c in columns if c != question and _stem(c) == stem]
        places = [_place(column) for column in series]
        if len(series) > 1 and places in (list(LETTERS[: len(series)]), _numbers(places)):
            return _with_pattern(Choices(tuple(series), labels=labels), rows)
    return Choices(labels=labels)


def _in_one(path: str, rows: Sequence[Record]) -> str | None:
    """Return the separator in a field of choices, "" if it holds lists; None if it holds none."""
    values = [value for row in rows if (value := lookup(row, path)) not in (ABSENT, None, "", [])]
    for separator in ("", *_SEPARATORS):
        if values and all(is_list(parted(value, separator or None)) for value in values):
            return separator
    return None


def _with_pattern(found: Choices, rows: Sequence[Record]) -> Choices:
    """Return the choices without the letters before them, if all have one."""
    texts = [text for row in rows for text in found.of(row)]
    if not texts or not all(re.search(_NUMBERED, text) for text in texts):
        return found
    return Choices(found.paths, found.separator, _NUMBERED, found.labels)


def named(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the field with the first of these names, whatever its case and separators."""
    bare = {_bare(column): column for column in reversed(columns)}
    return next((bare[name] for name in names if name in bare), None)


def texts_at(row: Record, paths: Sequence[str], separator: str | None = None) -> list[str]:
    """Return the texts in fields of a record, of a list each entry, and none that is empty."""
    values = (v for path in paths for v in flattened(parted(lookup(row, path), separator)))
    texts = [as_text(v, "choices") for v in values if is_scalar(v)]
    return [text for text in texts if text.strip()]


def is_list(value: Any) -> bool:
    """Whether a value is a list of several."""
    return isinstance(value, list | tuple) and len(value) > 1


def is_scalar(value: Any) -> bool:
    """Whether a value is a text, number or truth value."""
    return value is not ABSENT and not isinstance(value, list | tuple | Mapping | bytes)


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def _stem(column: str) -> str | None:
    found = _SERIES.fullmatch(column)
    return _bare(found[1]) if found is not None else None


def _place(column: str) -> str:
    found = _SERIES.fullmatch(column)
    return found[2].upper() if found is not None else ""


def _numbers(places: Sequence[str]) -> list[str]:
    start = 0 if "0" in places else 1
    return [str(number) for number in range(start, start + len(places))]
