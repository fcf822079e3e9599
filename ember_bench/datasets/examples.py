"""Solved examples that stand before a question (few-shot prompts)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from ember_bench.datasets.load import load_dataset
from ember_bench.datasets.packed import content_digest
from ember_bench.datasets.splitmix import SplitMix
from ember_bench.errors import ConfigError, EmberBenchError

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item
    from ember_bench.registry import Card, Cards

Choice = Literal["fixed", "random", "by_category"]
Form = Literal["text", "chat"]

_ANSWER: Final = "Answer: "


@dataclass(frozen=True)
class Examples:
    """The examples of a cell.

    Attributes:
        pool: Solved items, in their source's order.
        k: Number of examples before each question.
        choose: `fixed`: the same for all items; `random`: drawn for each item; `by_category`: drawn
            for each item among those of its category. Fewer examples are the first of more.
        form: `text`: in the question; `chat`: as turns of a conversation before it.
        seed: Of the draws; None of fixed ones takes the first of the pool.
    """

    pool: Sequence[Item]
    k: int
    choose: Choice = "fixed"
    form: Form = "text"
    seed: int | None = None

    @cached_property
    def digest(self) -> str:
        """Changes with the pool and with anything that decides on the examples."""
        settings = [self.k, self.choose, self.form, self.seed, content_digest(self.pool)]
        # The content's digest knows no order, and fixed examples have one.
        order = [item.digest for item in self.pool] if self.choose == "fixed" else []
        return sha256(json.dumps([settings, order]).encode()).hexdigest()[:32]

    def before(self, item: Item) -> tuple[Item, ...]:
        """Return the examples before a question; none of them asks the same.

        Raises:
            EmberBenchError: if there are not so many.
        """
        found: list[Item] = []
        for index in self._order(item):
            example = self.pool[index]
            if (example.question, example.images) != (item.question, item.images):
                found.append(example)
            if len(found) == self.k:
                return tuple(found)
        raise EmberBenchError(
            f"few_shot: item {item.id!r} has {len(found)} examples of {self.k}: {self._shortage}"
        )

    @property
    def _shortage(self) -> str:
        kind = " of its category" if self.choose == "by_category" else ""
        return f"there are no more other items{kind}"

    def missing(self, items: Sequence[Item]) -> str | None:
        """Return why some item has not enough examples; None if all have."""
        for item in items:
            try:
                self.before(item)
            except EmberBenchError as error:
                return str(error)
        return None

    def _order(self, item: Item) -> Iterator[int]:
        """Yield indices in the pool, each once."""
        if self.choose == "fixed":
            yield from self._fixed
            return
        places = self._all
        if self.choose == "by_category":
            places = self._by_category.get(item.category, ())
        random = SplitMix("few_shot", self.seed or 0, item.id)
        seen: set[int] = set()
        while len(seen) < len(places):
            number = random.between(0, len(places) - 1)
            if number not in seen:
                seen.add(number)
                yield places[number]

    @cached_property
    def _all(self) -> Sequence[int]:
        return range(len(self.pool))

    @cached_property
    def _fixed(self) -> Sequence[int]:
        if self.seed is None:
            return self._all
        return SplitMix("few_shot", self.seed).shuffled(self._all)

    @cached_property
    def _by_category(self) -> dict[str | None, list[int]]:
        places: dict[str | None, list[int]] = {}
        for index, item in enumerate(self.pool):
            places.setdefault(item.category, []).append(index)
        return places


def solution(item: Item) -> str:
    """Return the answer to an example, in the form that its answer format reads."""
    return item.target if item.answer_format == "exact" else f"{_ANSWER}{item.target}"


def load_pool(
    name: str,
    origin: str | None,
    cards: Cards,
    *,
    folder: Path,
    data_dir: Path | None = None,
    parameters: dict[str, Any] | None = None,
) -> Sequence[Item]:
    """Return the solved items of a dataset from which examples are taken.

    Args:
        name: The dataset.
        origin: A file of records with the fields of the dataset's own; or a split of a dataset on
            the hub. None stands for the dataset itself.
        cards: Where to find the card.
        folder: The folder of the grid, for files.
        data_dir: The folder of recorded data.
        parameters: Of a generated dataset.

    Raises:
        ConfigError: if there is no such file or split, or the records do not fit the card.
    """
    card: str | Card = name
    if origin is not None:
        card = _from(cards.get("datasets", name), origin, folder)
    return load_dataset(card, cards, data_dir=data_dir, parameters=parameters).items


def _from(card: Card, origin: str, folder: Path) -> Card:
    """Return the card of a dataset with its records from elsewhere."""
    data = dict(card.document.data)
    source = data.get("source")
    hub = source.get("hub") if isinstance(source, dict) else None
    path = folder / origin
    if path.is_file():
        data["source"] = {"file": str(path.resolve())}
    elif isinstance(hub, dict):
        data["source"] = {"hub": {**hub, "split": origin}}
    else:
        raise ConfigError(f"there is no file {path}, and {card.name!r} has no splits")
    data.pop("first", None)
    data.pop("available_from", None)
    return replace(card, document=replace(card.document, data=data))
