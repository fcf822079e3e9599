"""Loading of the datasets that cards describe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ember_bench.code_identity import code_of
from ember_bench.datasets import generated
from ember_bench.datasets.cards import DatasetCard, GeneratedSource, parse_card
from ember_bench.datasets.dataset import Dataset
from ember_bench.datasets.item_reader import ItemReader
from ember_bench.datasets.packed import PackedItems, hashed_order, pick, values_of
from ember_bench.datasets.records import (
    ABSENT,
    MissingFieldError,
    Record,
    RecordError,
    Records,
    as_text,
    lookup,
)
from ember_bench.datasets.sources import Opening, record_sources
from ember_bench.errors import (
    ConfigError,
    Location,
    Problem,
    did_you_mean,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ember_bench.datasets.item import Item
    from ember_bench.documents import Document
    from ember_bench.registry import Card, Cards

_MOST_PROBLEMS: Final = 10
_MOST_VALUES: Final = 50


def load_dataset(
    dataset: str | Card,
    cards: Cards,
    *,
    data_dir: Path | None = None,
    limit: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    at: Callable[..., Location] | None = None,
) -> Dataset:
    """Return the dataset that a card describes, read and checked.

    Args:
        dataset: The name of a card, or a card.
        cards: Where to find the card.
        data_dir: The folder of recorded data; by default the variable `EMBER_BENCH_DATA`.
        limit: At most so many items: a sample fixed by the items' ids (one of 100 lies within
            one of 1,000), since the first rows of a file are seldom like the rest.
        parameters: Of the generator, on top of the card's.
        at: Where the caller's options stand, as `Document.at` says it for the keys `name`,
            `limit` and `parameters, <name>`; errors in them are placed there.

    Raises:
        UnknownNameError: if there is no such card or generator.
        DataMissingError: if the card reads recorded data that is not on this machine.
        ConfigError: with every mistake in the card, the options, or the data.
    """
    where = at or (lambda *_: None)
    if isinstance(dataset, str):
        dataset = cards.get("datasets", dataset, where("name"))
    card, document = parse_card(dataset.document), dataset.document
    if limit is not None and (isinstance(limit, bool) or limit < 1):
        raise ConfigError(Problem(f"limit: expected at least 1 (found {limit!r})", where("limit")))
    if card.source.generated is not None:
        loaded = _generate(card, card.source.generated, document, parameters or {}, at)
    elif parameters:
        message = f"dataset {card.name!r} takes no parameters: only generated datasets do"
        raise ConfigError(Problem(message, where("parameters")))
    else:
        loaded = _read(card, document, data_dir)
    if limit is None or limit >= len(loaded):
        return loaded
    return replace(loaded, items=_sample(loaded.items, limit))


def read_card(card: Card) -> DatasetCard:
    """Return what the card says, without reading any data; raises as `load_dataset` does."""
    parsed = parse_card(card.document)
    if parsed.source.generated is not None:
        _generator_of(parsed.source.generated, card.document)
    return parsed


def _generator_of(
    source: GeneratedSource, document: Document
) -> tuple[generated.Generator, dict[str, Any]]:
    """Return the card's generator and its parameters, checked."""
    keys = ("source", "generated")
    found = generated.get_generator(source.generator, document.at(*keys, "generator"))
    place = _at(document, *keys, "parameters")
    return found, generated.check_parameters(found, source.parameters, place)


def _generate(
    card: DatasetCard,
    source: GeneratedSource,
    document: Document,
    options: Mapping[str, Any],
    at: Callable[..., Location] | None,
) -> Dataset:
    found, given = _generator_of(source, document)
    place = (lambda name: at("parameters", name)) if at else None
    given |= generated.check_parameters(found, options, place)
    try:
        items = PackedItems(_as_asked(generated.generate(found, given), card))
    except ConfigError as error:
        location = at("parameters") if at and options else document.at("source", "generated")
        raise ConfigError(*(Problem(p.message, location) for p in error.problems)) from None
    settings = found.parameters(**given).model_dump()
    shown = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    return Dataset(
        card.name,
        items,
        card.evaluator,
        f"{found.name}({shown})",
        licence=card.licence,
        code=code_of(found.make),
    )


def _as_asked(items: Iterable[Item], card: DatasetCard) -> Iterator[Item]:
    """Yield generated items with the card's own prompt and answer format, where it has them."""
    prompt, form = card.parsed_prompt, card.answer_format
    for item in items:
        made = item
        if card.prompt is not None:
            asked = prompt.render(made.question)
            made = replace(made, question=asked, bare=made.question)
        if form is not None:
            made = replace(made, answer_format=form)
        yield made


def _read(card: DatasetCard, document: Document, data_dir: Path | None) -> Dataset:
    wanted = frozenset(path for paths in card.field_paths.values() for path in paths)
    name, options = card.source.given
    source = record_sources()[name]
    opening = Opening(name, card.name, document, wanted, card.available_from, data_dir)
    records = source.open(options, opening)
    items = _items(card, document, records)
    return Dataset(
        card.name,
        items,
        card.evaluator,
        records.source,
        records.revision,
        card.licence,
        code_of(source.open),
    )


def _items(card: DatasetCard, document: Document, records: Records) -> tuple[Item, ...]:
    """Return the items made of the records, or raise with what is wrong and where."""
    reader, watch = ItemReader(card), _Watch(card, document)
    items: list[Item] = []
    first_at: dict[str, int] = {}
    problems: list[Problem] = []
    for index, (number, record) in enumerate(records.rows):
        try:
            watch.look(record)
            if not reader.selects(record):
                continue
            item = reader.item(index, record)
            if (twin := first_at.setdefault(item.id, number)) != number:
                raise RecordError(f"duplicate id {item.id!r}: {records.unit} {twin} has it already")
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


def _sample(items: Sequence[Item], limit: int) -> Sequence[Item]:
    return pick(items, sorted(hashed_order(values_of(items, "id"))[:limit]))


def _at(document: Document, *keys: str) -> Callable[..., Location]:
    return lambda *more: document.at(*keys, *more)
