"""Loading of the datasets that cards describe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ember_bench.code_identity import code_of
from ember_bench.datasets import generated
from ember_bench.datasets.cards import DatasetCard, GeneratedSource, parse_card
from ember_bench.datasets.dataset import Dataset
from ember_bench.datasets.packed import PackedItems
from ember_bench.datasets.reading import read_items
from ember_bench.errors import ConfigError, Location, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ember_bench.datasets.item import Item
    from ember_bench.documents import Document
    from ember_bench.registry import Card, Cards


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
    return loaded if limit is None else loaded.sample(limit)


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
    read = read_items(card, document, data_dir)
    return Dataset(
        card.name,
        read.items,
        card.evaluator,
        read.source,
        read.revision,
        card.licence,
        read.code,
    )


def _at(document: Document, *keys: str) -> Callable[..., Location]:
    return lambda *more: document.at(*keys, *more)
