"""Items of the records that a dataset card names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ember_bench.code_identity import code_of
from ember_bench.datasets.cards import DatasetCard
from ember_bench.datasets.item_reader import ItemReader
from ember_bench.datasets.records import MissingFieldError, Record, Records
from ember_bench.datasets.sources import Opening, record_sources
from ember_bench.errors import ConfigError, Problem, did_you_mean
from ember_bench.record_fields import ABSENT, RecordError, as_text, lookup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ember_bench.datasets.item import Item
    from ember_bench.documents import Document

_MOST_PROBLEMS: Final = 10
_MOST_VALUES: Final = 50


@dataclass(frozen=True, slots=True)
class ReadItems:
    """The items of a card and their origin, as `Dataset` has them."""

    items: tuple[Item, ...]
    source: str
    revision: str
    code: Mapping[str, str]


def read_items(card: DatasetCard, document: Document, data_dir: Path | None = None) -> ReadItems:
    """Open the card's source and return the items made of its records.

    Args:
        card: A card whose items are not generated.
        document: The card's text, for the places of mistakes and for relative paths.
        data_dir: The folder of recorded data.

    Raises:
        DataMissingError: if recorded data is not on this machine.
        ConfigError: with every mistake in the card or the records.
    """
    wanted = frozenset(path for paths in card.field_paths.values() for path in paths)
    name, options = card.source.given
    source = record_sources()[name]
    opening = Opening(name, card.name, document, wanted, card.available_from, data_dir)
    records = source.open(options, opening)
    items = _items(card, document, records)
    return ReadItems(items, records.source, records.revision, code_of(source.open))


def _items(card: DatasetCard, document: Document, records: Records) -> tuple[Item, ...]:
    """Return the items made of the records, or raise with what is wrong and where."""
    folder = document.path.parent if records.folder is None else records.folder
    reader, watch = ItemReader(card, folder), _Watch(card, document)
    items: list[Item] = []
    first_at: dict[str, tuple[int, int]] = {}
    problems: list[Problem] = []
    for index, (number, record) in enumerate(records.rows):
        try:
            watch.look(record)
            if not reader.selects(record):
                continue
            item = reader.item(index, record)
            twin = first_at.setdefault(item.id, (index, number))
            if twin[0] != index:
                where = f"{records.unit} {twin[1]}"
                raise RecordError(f"duplicate id {item.id!r}: {where} has it already")
            items.append(item)
            if len(items) == card.first:
                break
        except MissingFieldError as error:
            if index == 0:
                raise ConfigError(watch.unknown(error.path, "fields", error.key)) from None
            problems.append(records.locate(number, str(error)))
        except RecordError as error:
            problems.append(records.locate(number, str(error)))
        if len(problems) == _MOST_PROBLEMS:
            raise ConfigError(*problems, f"{records.source}: and perhaps more")
    if problems := problems + watch.never_seen():
        raise ConfigError(*problems)
    if not items:
        raise ConfigError(watch.nothing_selected(records.source))
    return tuple(items)


class _Watch:
    """Notices fields that a card names but no record has: most likely misspelt."""

    def __init__(self, card: DatasetCard, document: Document) -> None:
        self._document = document
        self._where = card.where
        self._missing = {
            (*keys, path): (keys, path)
            for keys, paths in card.field_paths.items()
            for path in paths
        }
        self._known: dict[str, None] = {}
        self._values: dict[str, dict[str, None]] = {name: {} for name in card.where}

    def look(self, record: Record) -> None:
        if self._missing:
            self._known |= dict.fromkeys(map(str, record))
            for entry, (_, path) in list(self._missing.items()):
                if lookup(record, path) is not ABSENT:
                    del self._missing[entry]
        for name, values in self._values.items():
            if len(values) < _MOST_VALUES:
                values.setdefault(as_text(lookup(record, name), name))

    def unknown(self, path: str, *keys: str) -> Problem:
        near = did_you_mean(path, self._known)
        return self._document.problem(f"the records have no field {path!r}{near}", *keys)

    def never_seen(self) -> list[Problem]:
        if not self._known:
            return []
        return [self.unknown(path, *keys) for keys, path in self._missing.values()]

    def nothing_selected(self, source: str) -> Problem:
        if not any(self._values.values()):
            return self._document.problem(f"{source} has no records", "source")
        parts = [
            f"{name} is {' or '.join(repr(as_text(v, name)) for v in values)}"
            + did_you_mean(as_text(values[0], name), self._values[name])
            for name, values in self._where.items()
        ]
        message = f"no record of {source} has " + " and ".join(parts)
        return self._document.problem(message, "where")
