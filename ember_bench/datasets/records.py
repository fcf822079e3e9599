"""Records of a source, and their conversion to items."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from ember_bench.datasets.item import Item
from ember_bench.datasets.prompts import LETTERS
from ember_bench.datasets.splitmix import SplitMix

if TYPE_CHECKING:
    from ember_bench.datasets.cards import DatasetCard, Fields
    from ember_bench.errors import Problem

Record = Mapping[str, Any]

ABSENT: Final = object()
_TRUTHS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class Records:
    """The records of one source, read as they are asked for.

    Attributes:
        source: Where they come from, for people.
        revision: The pinned commit, or the digest of the file.
        rows: Each record with its number, counted from 1.
        unit: What the number counts: lines of a text file, or records.
        locate: Places a message at the record of that number.
    """

    source: str
    revision: str
    rows: Iterable[tuple[int, Record]] = field(repr=False)
    unit: Literal["line", "record"]
    locate: Callable[[int, str], Problem] = field(repr=False)


class RecordError(ValueError):
    """A record cannot become an item."""


class MissingFieldError(RecordError):
    """A record does not have a field that the card names."""

    def __init__(self, path: str, key: str) -> None:
        super().__init__(f"the record has no field {path!r}")
        self.path, self.key = path, key


def lookup(record: Record, path: str) -> Any:
    """Return the value at `path`, or `ABSENT`; `a.b` goes into the mapping at `a`."""
    if path in record:
        return record[path]
    value: Any = record
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return ABSENT
        value = value[name]
    return value


def as_text(value: Any, what: str, *, truths: tuple[str, str] = ("false", "true")) -> str:
    """Return a scalar as text, "" for nothing; numbers as Python writes them.

    Raises:
        RecordError: if `value` is not a scalar.
    """
    if isinstance(value, str):
        return value
    if value is None or value is ABSENT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return truths[value]
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    raise RecordError(f"{what}: expected text or a number, found {_kind(value)}")


class ItemReader:
    """Makes items of records as a card says."""

    def __init__(self, card: DatasetCard) -> None:
        if card.fields is None:
            raise ValueError(f"card {card.name!r} maps no fields")
        self._card, self._fields = card, card.fields
        self._prompt = card.parsed_prompt
        self._format = card.answer_format or ("choice" if card.fields.choices else "text")
        self._pattern = re.compile(card.target_pattern) if card.target_pattern else None
        self._truths = ("no", "yes") if self._format == "yes_no" else ("false", "true")
        self._where = {
            name: {as_text(v, name) for v in values} for name, values in card.where.items()
        }

    def selects(self, record: Record) -> bool:
        """Return whether the record passes the card's `where`."""
        return all(
            as_text(lookup(record, name), name) in values for name, values in self._where.items()
        )

    def item(self, index: int, record: Record) -> Item:
        """Return the item made of the record; `index` is its id if no field is.

        Raises:
            RecordError: if something is missing or not what it should be.
        """
        fields = self._fields
        id_ = self._id(index, record, fields)
        choices = self._choices(record, fields)
        target = self._target(record, fields, choices)
        if self._card.shuffle_choices:
            choices, target = _shuffle(id_, choices, target)
        item = Item(
            id=id_,
            question=self._prompt.render(
                self._text(record, fields.question, "question"), choices, self._shown(record)
            ),
            target=target,
            alternatives=self._list(record, fields.alternatives, "alternatives"),
            choices=choices,
            answer_format=self._format,
            category=self._optional(record, fields.category, "category"),
            cluster=self._optional(record, fields.cluster, "cluster"),
            difficulty=_difficulty(self._optional(record, fields.difficulty, "difficulty")),
            metadata={
                name: json_like(value)
                for name in fields.metadata or ()
                if (value := lookup(record, name)) is not ABSENT
            },
        )
        try:
            # Needed in any case, and the one place where text that no file can hold shows up.
            _ = item.digest
        except TypeError as error:
            raise RecordError(f"the record cannot be written down as JSON: {error}") from None
        return item

    def _id(self, index: int, record: Record, fields: Fields) -> str:
        if fields.id is None:
            return str(index)
        return "/".join(self._text(record, name, "id") for name in fields.id)

    def _shown(self, record: Record) -> dict[str, str]:
        """Return the metadata that the prompt shows, of a list an entry to a line."""
        shown = {}
        for path in self._prompt.metadata:
            value = lookup(record, path)
            if value is ABSENT:
                raise MissingFieldError(path, "metadata")
            entries = value if isinstance(value, list | tuple) else [value]
            shown[path] = "\n".join(as_text(entry, path) for entry in entries)
        return shown

    def _text(self, record: Record, path: str, key: str) -> str:
        value = lookup(record, path)
        if value is ABSENT:
            raise MissingFieldError(path, key)
        text = as_text(value, key, truths=self._truths)
        if not text.strip():
            raise RecordError(f"the {key} (field {path!r}) is empty")
        return text

    def _optional(self, record: Record, path: str | None, key: str) -> str | None:
        return (as_text(lookup(record, path), key) or None) if path is not None else None

    def _list(self, record: Record, paths: tuple[str, ...] | None, key: str) -> tuple[str, ...]:
        found: list[str] = []
        for path in paths or ():
            value = lookup(record, path)
            values = value if isinstance(value, list | tuple) else [value]
            found += [text for v in values if (text := as_text(v, key, truths=self._truths))]
        return tuple(found)

    def _choices(self, record: Record, fields: Fields) -> tuple[str, ...]:
        if fields.choices is None:
            return ()
        if len(fields.choices) > 1:
            return tuple(self._text(record, path, "choices") for path in fields.choices)
        (path,) = fields.choices
        value = lookup(record, path)
        if value is ABSENT:
            raise MissingFieldError(path, "choices")
        if not isinstance(value, list | tuple):
            raise RecordError(f"choices (field {path!r}): expected a list, found {_kind(value)}")
        choices = tuple(as_text(v, "choices") for v in value)
        if not 2 <= len(choices) <= len(LETTERS):
            raise RecordError(f"expected 2 to {len(LETTERS)} choices, found {len(choices)}")
        if not all(c.strip() for c in choices):
            raise RecordError("one of the choices is empty")
        return choices

    def _target(self, record: Record, fields: Fields, choices: tuple[str, ...]) -> str:
        kind = self._card.target_is
        if kind == "flags":
            return LETTERS[self._flagged(record, fields.target, len(choices))]
        target = self._text(record, fields.target, "target")
        if self._pattern is not None:
            found = self._pattern.findall(target)
            if not found or not found[-1].strip():
                raise RecordError(f"the target {_short(target)} does not match `target_pattern`")
            target = found[-1]
        if not choices:
            return target
        letters = LETTERS[: len(choices)]
        if kind == "answer":
            return letters[_position(target.strip().upper(), list(letters), "letters")]
        if kind == "index":
            names = [str(i) for i in range(len(choices))]
            return letters[_position(target.strip(), names, "indices")]
        if kind == "text":
            return letters[_position(target, list(choices), "choices")]
        labels = list(self._list(record, (fields.labels or "",), "labels"))
        if len(labels) != len(choices):
            raise RecordError(f"{len(labels)} labels for {len(choices)} choices")
        return letters[_position(target, labels, "labels")]

    def _flagged(self, record: Record, path: str, count: int) -> int:
        value = lookup(record, path)
        if value is ABSENT:
            raise MissingFieldError(path, "target")
        flags = value if isinstance(value, list | tuple) else [value]
        truths = [_TRUTHS.get(as_text(flag, "target").strip().lower()) for flag in flags]
        if None in truths or len(truths) != count or truths.count(True) != 1:
            raise RecordError(f"expected {count} flags, one of them true, found {_short(flags)}")
        return truths.index(True)


def json_like(value: Any) -> Any:
    """Return `value` as JSON can hold it: dates and long integers become text, NaN null."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, list | tuple):
        return [json_like(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): json_like(v) for k, v in value.items()}
    if isinstance(value, int | float | Decimal):
        return _json_number(value)
    if isinstance(value, date | time):
        return value.isoformat()
    raise RecordError(f"metadata: {_kind(value)} cannot be kept")


def _json_number(value: float | Decimal) -> float | str | None:
    if isinstance(value, Decimal):
        return str(value)
    if math.isnan(value):
        return None
    fits = -(2**63) <= value < 2**63 if isinstance(value, int) else math.isfinite(value)
    return value if fits else str(value)


def _position(target: str, options: list[str], kind: str) -> int:
    if options.count(target) == 1:
        return options.index(target)
    found = "names two" if target in options else "is none"
    raise RecordError(f"the target {_short(target)} {found} of the {kind} {_short(options)}")


def _shuffle(id_: str, choices: tuple[str, ...], target: str) -> tuple[tuple[str, ...], str]:
    order = SplitMix("choices", id_).shuffled(range(len(choices)))
    moved = order.index(LETTERS.index(target))
    return tuple(choices[i] for i in order), LETTERS[moved]


def _difficulty(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise RecordError(f"difficulty: expected a number from 0 to 1, found {text!r}")
    return value


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _kind(value: Any) -> str:
    names = {"list": "a list", "tuple": "a list", "dict": "a mapping", "bytes": "bytes"}
    return names.get(type(value).__name__, f"a {type(value).__name__}")
