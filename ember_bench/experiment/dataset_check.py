"""Check of a dataset before it is used: its items, targets, answer formats and classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from ember_bench.answers.formats import answer_format_names, read_target
from ember_bench.datasets import Dataset, Item, load_dataset
from ember_bench.datasets.guess import Guess, guess_card
from ember_bench.datasets.images import ItemImage
from ember_bench.datasets.records import short
from ember_bench.documents import Document, read_document
from ember_bench.errors import ConfigError
from ember_bench.evaluators import load_evaluator
from ember_bench.evaluators.base import Evaluator, RunsCode
from ember_bench.evaluators.by_record import ByRecord
from ember_bench.evaluators.judged import needs_judge
from ember_bench.experiment.target_check import target_problems
from ember_bench.registry import Card, Cards

_SHOWN: Final = 3
_MOST_CLASSES: Final = 10
_MOST_PROBLEMS: Final = 10
_CARDS: Final = (".yaml", ".yml")
_TEXTS: Final = ("text", "exact")
_LONG_TARGET: Final = 200  # characters


@dataclass(frozen=True, slots=True)
class ShownItem:
    """An item as a model sees it."""

    id: str
    prompt: str
    target: str
    alternatives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of texts, in characters."""

    shortest: int
    median: float
    longest: int


@dataclass(frozen=True, slots=True)
class DatasetCheck:
    """The facts about a dataset that tell if it can be used.

    Attributes:
        name: The dataset's name.
        source: The place that the items came from.
        items: Number of items.
        evaluator: Name of the evaluator card.
        shown: The first items.
        prompts: Lengths of prompts; None without items.
        targets: Lengths of targets; None without items.
        answer_formats: Number of items by their answer format.
        readable: Number of targets that each answer format reads, for formats that read any.
        classes: Number of items by target, the most frequent ones, if targets repeat.
        distinct_targets: Number of different targets.
        categories: Number of items by category, the most frequent ones.
        problems: Mistakes, after which results would be wrong.
        notes: Facts that may be mistakes.
    """

    name: str
    source: str
    items: int
    evaluator: str
    shown: tuple[ShownItem, ...] = ()
    prompts: Lengths | None = None
    targets: Lengths | None = None
    answer_formats: dict[str, int] | None = None
    readable: dict[str, int] | None = None
    classes: dict[str, int] | None = None
    distinct_targets: int = 0
    categories: dict[str, int] | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_dataset(
    name: str, cards: Cards, *, data_dir: Path | None = None, shown: int = _SHOWN
) -> DatasetCheck:
    """Return the facts about a dataset.

    Args:
        name: Name of a card, path of a card, or path of a file of records, whose card is guessed.
        cards: The registries in force.
        data_dir: The folder of recorded data.
        shown: Number of items to show.

    Raises:
        ConfigError: if there is no such card or file, or a card is invalid.
    """
    path = Path(name).expanduser()
    if not path.is_file():
        return check_card(cards.get("datasets", name), cards, data_dir=data_dir, shown=shown)
    if path.suffix.lower() in _CARDS:
        return check_card(card_in(read_document(path)), cards, data_dir=data_dir, shown=shown)
    return check_guess(guess_card(path), path, cards, shown=shown)


def check_guess(
    guess: Guess, path: Path, cards: Cards, *, name: str = "", shown: int = _SHOWN
) -> DatasetCheck:
    """Return the facts about the dataset that a guessed card makes of a file of records."""
    data = guess.card(name or path.stem, str(path.resolve()))
    card = card_in(Document(path, data, {}))
    return check_card(card, cards, shown=shown, notes=guess.doubts)


def card_in(document: Document) -> Card:
    """Return the dataset card in a document that is not in a registry."""
    name = document.data.setdefault("name", document.path.stem)
    return Card("datasets", str(name), document, document.path.parent)


def check_card(
    card: Card,
    cards: Cards,
    *,
    data_dir: Path | None = None,
    shown: int = _SHOWN,
    notes: Sequence[str] = (),
) -> DatasetCheck:
    """Return the facts about the dataset of a card; mistakes in records are among its problems.

    Raises:
        ConfigError: if the card is invalid, or its evaluator cannot be had.
    """
    try:
        dataset = load_dataset(card, cards, data_dir=data_dir)
    except ConfigError as error:
        places = {problem.location.path for problem in error.problems if problem.location}
        if card.document.path in places or not places:
            raise
        evaluator = str(card.document.data.get("evaluator", ""))
        problems = tuple(map(str, error.problems))
        return DatasetCheck(card.name, "", 0, evaluator, problems=problems, notes=tuple(notes))
    return _facts(dataset, _evaluator(dataset, cards), shown, notes)


def _evaluator(dataset: Dataset, cards: Cards) -> Evaluator:
    """Return the evaluator of a dataset, whose records may name evaluators of their own."""
    default = load_evaluator(dataset.evaluator, cards)
    own = sorted({item.evaluator for item in dataset if item.evaluator is not None})
    return (
        ByRecord(default, {name: load_evaluator(name, cards) for name in own}) if own else default
    )


def _of_each_format(dataset: Dataset, number: int) -> list[Item]:
    """Return the first items, one of each answer format before others, in the dataset's order."""
    first: dict[str, int] = {}
    for place, item in enumerate(dataset):
        first.setdefault(item.answer_format, place)
    wanted = list(dict.fromkeys([*first.values(), *range(min(number, len(dataset)))]))[:number]
    return [dataset.items[place] for place in sorted(wanted)]


def _facts(
    dataset: Dataset, evaluator: Evaluator, shown: int, notes: Sequence[str]
) -> DatasetCheck:
    refused, unrun = _refused(dataset, evaluator)
    targets = Counter(item.target for item in dataset)
    categories = Counter(item.category for item in dataset if item.category is not None)
    repeated = 2 * len(targets) <= len(dataset)
    return DatasetCheck(
        name=dataset.name,
        source=dataset.source,
        items=len(dataset),
        evaluator=evaluator.name,
        shown=tuple(
            ShownItem(item.id, item.question, item.target, item.alternatives)
            for item in _of_each_format(dataset, shown)
        ),
        prompts=_lengths([len(item.question) for item in dataset]),
        targets=_lengths([len(item.target) for item in dataset]),
        answer_formats=dict(Counter(item.answer_format for item in dataset).most_common()),
        readable=_readable(dataset),
        classes=dict(targets.most_common(_MOST_CLASSES)) if repeated else {},
        distinct_targets=len(targets),
        categories=dict(categories.most_common(_MOST_CLASSES)),
        problems=(*refused, *_first([*_equal_choices(dataset), *_contradictions(dataset)])),
        notes=(*notes, *unrun, *_first([*_duplicates(dataset), *_unreadable_texts(dataset)])),
    )


def _refused(dataset: Dataset, evaluator: Evaluator) -> tuple[list[str], list[str]]:
    """Return targets that the evaluator does not accept; and why they are not run, if so."""
    if needs_judge(evaluator):
        return [], []  # only an experiment has the models, and a judge may accept any target
    if isinstance(evaluator, RunsCode):
        try:
            evaluator = evaluator.confined(unsafe=False)
        except ConfigError as error:
            return [], [f"the targets are not run: {error.problems[0].message}"]
    return _first([*target_problems(dataset, evaluator)]), []


def _first(messages: Sequence[str]) -> list[str]:
    """Return the first messages, and the number of the others."""
    left = len(messages) - _MOST_PROBLEMS
    return [*messages[:_MOST_PROBLEMS], *([f"... and {left:,} more"] if left > 0 else [])]


def _lengths(lengths: Sequence[int]) -> Lengths:
    return Lengths(min(lengths), median(lengths), max(lengths))


def _readable(dataset: Dataset) -> dict[str, int]:
    counts = {
        form: sum(read_target(i.target, form, i.choices) is not None for i in dataset)
        for form in answer_format_names()
    }
    return {form: count for form, count in counts.items() if count}


def _equal_choices(dataset: Dataset) -> Iterator[str]:
    for item in dataset:
        if len({*item.choices}) < len(item.choices):
            yield f"item {item.id!r} has two equal choices"


def _contradictions(dataset: Dataset) -> Iterator[str]:
    """Yield a message for each prompt that has several targets."""
    for items in _by_prompt(dataset):
        targets = list(dict.fromkeys(item.target for item in items))
        if len(targets) > 1:
            yield (
                f"items {_names(items)} have one prompt and different targets: "
                f"{', '.join(map(short, targets[:_SHOWN]))}"
            )


def _duplicates(dataset: Dataset) -> Iterator[str]:
    """Yield a message for each prompt that several items have with one target."""
    for items in _by_prompt(dataset):
        if len({item.target for item in items}) == 1:
            yield f"items {_names(items)} are the same: one prompt, one target"


def _by_prompt(dataset: Dataset) -> Iterator[list[Item]]:
    """Yield the items of each prompt that several have; spaces and case are ignored."""
    found: dict[tuple[str, tuple[ItemImage, ...]], list[Item]] = {}
    for item in dataset:
        asked = " ".join(item.question.casefold().split())
        found.setdefault((asked, item.images), []).append(item)
    return (items for items in found.values() if len(items) > 1)


def _names(items: Sequence[Item]) -> str:
    more = ", ..." if len(items) > _SHOWN else ""
    return ", ".join(repr(item.id) for item in items[:_SHOWN]) + more


def _unreadable_texts(dataset: Dataset) -> Iterator[str]:
    long = [i for i in dataset if i.answer_format in _TEXTS and len(i.target) > _LONG_TARGET]
    if long:
        yield (
            f"{len(long):,} targets have over {_LONG_TARGET} characters ({_names(long)}): no model "
            "gives such a text word for word, so exact match is 0; consider a judge"
        )
