"""Conversion of records to items, as a dataset card says."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ember_bench.datasets.by_target import BY_TARGET, EVALUATORS, format_of, parted
from ember_bench.datasets.cards import DatasetCard, Fields
from ember_bench.datasets.images import ItemImage, images_of
from ember_bench.datasets.item import Item
from ember_bench.datasets.prompts import LETTERS, Prompt
from ember_bench.datasets.records import MissingFieldError, Record, flattened, listed, short
from ember_bench.datasets.splitmix import SplitMix
from ember_bench.record_fields import ABSENT, RecordError, as_text, id_text, lookup, type_name

_ROLES: Final = ("system", "user", "assistant")
_TRUTHS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class ItemReader:
    """Makes items of records as a card says.

    Args:
        card: The card.
        folder: Paths in records are relative to it.
    """

    def __init__(self, card: DatasetCard, folder: Path = Path()) -> None:
        if card.fields is None:
            raise ValueError(f"card {card.name!r} maps no fields")
        self._card, self._fields, self._folder = card, card.fields, folder
        self._prompt = card.parsed_prompt
        self._pattern = re.compile(card.target_pattern) if card.target_pattern else None
        self._choice = re.compile(card.choices_pattern) if card.choices_pattern else None
        self._is_by_target = card.answer_format == BY_TARGET
        self._plain = Prompt.parse("{question}")
        self._truths = ("false", "true")
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
        answer_format = self._answer_format(record, fields)
        self._truths = ("no", "yes") if answer_format == "yes_no" else ("false", "true")
        choices = self._choices(record, fields) if self._has_choices(record, fields) else ()
        targets = self._targets(record, fields, choices)
        evaluator = self._optional(record, fields.evaluator, "evaluator")
        if answer_format == BY_TARGET:
            answer_format = format_of(targets, choices)
            evaluator = evaluator or EVALUATORS.get(answer_format)
        if self._card.shuffle_choices:
            choices, targets = _shuffle(id_, choices, targets)
        *turns, (_, bare) = self._messages(record, fields)
        prompt = self._prompt if choices or self._card.prompt is not None else self._plain
        if not choices and self._is_by_target:
            prompt = prompt.without_choices()
        question = prompt.render(bare, choices, self._shown(record))
        item = Item(
            id=id_,
            question=question,
            target=targets[0],
            alternatives=(*targets[1:], *self._alternatives(record, fields, targets)),
            choices=choices,
            answer_format=answer_format,
            category=self._optional(record, fields.category, "category"),
            cluster=self._optional(record, fields.cluster, "cluster"),
            difficulty=_difficulty(self._optional(record, fields.difficulty, "difficulty")),
            metadata={
                name: json_like(value)
                for name in fields.metadata or ()
                if (value := lookup(record, name)) is not ABSENT
            },
            bare=None if bare == question else bare,
            evaluator=evaluator,
            turns=tuple(turns),
            images=tuple(self._images(record, fields)),
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
        return "/".join(self._id_part(record, name) for name in fields.id)

    def _id_part(self, record: Record, path: str) -> str:
        value = lookup(record, path)
        return id_text(value) if isinstance(value, float) else self._text(record, path, "id")

    def _answer_format(self, record: Record, fields: Fields) -> str:
        default = self._card.answer_format or ("choice" if self._card.has_choices else "text")
        return self._optional(record, fields.answer_format, "answer_format") or default

    def _has_choices(self, record: Record, fields: Fields) -> bool:
        """Return whether the record must have choices; a mixed dataset has some that have none."""
        if fields.choices is None:
            return self._card.options is not None
        if self._is_by_target:
            return any(
                lookup(record, path) not in (ABSENT, None, "", []) for path in fields.choices
            )
        if fields.answer_format is None or self._answer_format(record, fields) == "choice":
            return True
        return any(lookup(record, path) not in (ABSENT, None, "", []) for path in fields.choices)

    def _messages(self, record: Record, fields: Fields) -> list[tuple[str, str]]:
        """Return (role, content) of the messages; the last is the question."""
        said: list[tuple[str, str]] = []
        if (system := self._optional(record, fields.system, "system")) is not None:
            said.append(("system", system))
        if fields.messages is None:
            return [*said, ("user", self._text(record, fields.question or "", "question"))]
        value = lookup(record, fields.messages)
        if value is ABSENT:
            raise MissingFieldError(fields.messages, "messages")
        said += messages_of(value)
        if said[-1][0] != "user":
            raise RecordError("messages: the last one must be a user's")
        return said

    def _images(self, record: Record, fields: Fields) -> Iterator[ItemImage]:
        for path in fields.images or ():
            value = lookup(record, path)
            if value is ABSENT:
                raise MissingFieldError(path, "images")
            yield from images_of(value, self._folder)

    def _shown(self, record: Record) -> dict[str, str]:
        """Return the metadata that the prompt shows."""
        shown = {}
        for path in self._prompt.metadata:
            value = lookup(record, path)
            if value is ABSENT:
                raise MissingFieldError(path, "metadata")
            shown[path] = listed(value, path)
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
            values = flattened(lookup(record, path))
            found += [text for v in values if (text := as_text(v, key, truths=self._truths))]
        return tuple(found)

    def _alternatives(
        self, record: Record, fields: Fields, targets: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Return the alternatives; those that a list of targets has already are none."""
        found = self._list(record, fields.alternatives, "alternatives")
        return found if len(targets) == 1 else tuple(a for a in found if a not in targets)

    def _choices(self, record: Record, fields: Fields) -> tuple[str, ...]:
        if fields.choices is None:
            return self._card.options or ()
        if len(fields.choices) > 1:
            paths = self._filled(record, fields.choices) if self._is_by_target else fields.choices
            return self._cut(self._text(record, path, "choices") for path in paths)
        (path,) = fields.choices
        value = parted(lookup(record, path), self._card.choices_separator)
        if value is ABSENT:
            raise MissingFieldError(path, "choices")
        if not isinstance(value, list | tuple):
            raise RecordError(
                f"choices (field {path!r}): expected a list, found {type_name(value)}"
            )
        choices = self._cut(as_text(v, "choices") for v in value)
        if not 2 <= len(choices) <= len(LETTERS):
            raise RecordError(f"expected 2 to {len(LETTERS)} choices, found {len(choices)}")
        if not all(c.strip() for c in choices):
            raise RecordError("one of the choices is empty")
        return choices

    def _filled(self, record: Record, paths: tuple[str, ...]) -> tuple[str, ...]:
        """Return the fields of choices without the last ones that are empty."""
        last = max(i for i, path in enumerate(paths) if lookup(record, path) not in (None, ""))
        return paths[: last + 1]

    def _cut(self, choices: Iterable[str]) -> tuple[str, ...]:
        """Return of each choice what the card's pattern says."""
        if self._choice is None:
            return tuple(choices)
        cut = []
        for choice in choices:
            if (found := self._choice.search(choice)) is None:
                raise RecordError(f"the choice {short(choice)} does not match `choices_pattern`")
            cut.append(found[1] or "")
        return tuple(cut)

    def _targets(self, record: Record, fields: Fields, choices: tuple[str, ...]) -> tuple[str, ...]:
        """Return the target, or all the equally right ones of a list, each once."""
        if self._card.target_is == "flags":
            return (LETTERS[self._flagged(record, fields.target, len(choices))],)
        value = self._right_answers(record, fields.target)
        texts = [as_text(v, "target", truths=self._truths) for v in flattened(value)]
        if (separator := self._card.target_separator) is not None:
            texts = [part for text in texts for part in text.split(separator)]
        if stated := [text for text in texts if text.strip()]:
            return tuple(dict.fromkeys(self._target(record, text, choices) for text in stated))
        if self._card.empty_target is None:
            raise RecordError(f"the target (field {_named(fields.target)}) is empty")
        return (self._card.empty_target,)

    def _right_answers(self, record: Record, path: str | Sequence[str]) -> Any:
        """Return what is in the fields of the target; of several, some may be missing."""
        paths = (path,) if isinstance(path, str) else path
        values = [value for one in paths if (value := lookup(record, one)) is not ABSENT]
        if not values:
            raise MissingFieldError(paths[0], "target")
        return values

    def _target(self, record: Record, target: str, choices: tuple[str, ...]) -> str:
        fields, kind = self._fields, self._card.target_is
        if self._pattern is not None:
            found = self._pattern.findall(target)
            if not found or not found[-1].strip():
                raise RecordError(f"the target {short(target)} does not match `target_pattern`")
            target = found[-1]
        if not choices:
            return target
        letters = LETTERS[: len(choices)]
        if kind == "answer":
            return letters[_position(target.strip().upper(), list(letters), "letters")]
        if kind == "index":
            names = [str(i) for i in range(len(choices))]
            return letters[_position(target.strip(), names, "indices")]
        if kind == "position":
            places = [str(i) for i in range(1, len(choices) + 1)]
            return letters[_position(target.strip(), places, "positions")]
        if kind == "text":
            return letters[_position(target, list(choices), "choices")]
        labels = list(self._list(record, (fields.labels or "",), "labels"))
        if len(labels) != len(choices):
            raise RecordError(f"{len(labels)} labels for {len(choices)} choices")
        return letters[_position(target, labels, "labels")]

    def _flagged(self, record: Record, path: str | Sequence[str], count: int) -> int:
        value = lookup(record, path) if isinstance(path, str) else [lookup(record, p) for p in path]
        if value is ABSENT:
            raise MissingFieldError(str(path), "target")
        flags = value if isinstance(value, list | tuple) else [value]
        truths = [
            bool(flag)
            if isinstance(flag, list | tuple)
            else _TRUTHS.get(as_text(flag, "target").strip().lower())
            for flag in flags
        ]
        if None in truths or len(truths) != count or truths.count(True) != 1:
            raise RecordError(f"expected {count} flags, one of them true, found {short(flags)}")
        return truths.index(True)


def _named(path: str | Sequence[str]) -> str:
    return repr(path) if isinstance(path, str) else " or ".join(map(repr, path))


def messages_of(value: Any) -> list[tuple[str, str]]:
    """Return (role, content) of the messages of a record.

    Raises:
        RecordError: if it is not a list of messages.
    """
    if not isinstance(value, list | tuple) or not value:
        raise RecordError(f"messages: expected a list of messages, found {type_name(value)}")
    said = []
    for entry in value:
        role = entry.get("role") if isinstance(entry, Mapping) else None
        if role not in _ROLES:
            raise RecordError(f"messages: expected a role of {', '.join(_ROLES)}; found {role!r}")
        said.append((str(role), as_text(entry.get("content"), "messages")))
    return said


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
    raise RecordError(f"metadata: {type_name(value)} cannot be kept")


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
    raise RecordError(f"the target {short(target)} {found} of the {kind} {short(options)}")


def _shuffle(
    id_: str, choices: tuple[str, ...], targets: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    order = SplitMix("choices", id_).shuffled(range(len(choices)))
    moved = tuple(LETTERS[order.index(LETTERS.index(target))] for target in targets)
    return tuple(choices[i] for i in order), moved


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
