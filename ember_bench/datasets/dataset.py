"""A dataset: items that have been read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from ember_bench.datasets.cards import parse_card
from ember_bench.datasets.from_records import RecordOptions, card_of_records
from ember_bench.datasets.packed import content_digest, hashed_order, pick, values_of
from ember_bench.datasets.reading import read_items
from ember_bench.datasets.repeats import repeated
from ember_bench.documents import Document
from ember_bench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ember_bench.datasets.item import Item

_SHOWN = 5


@dataclass(frozen=True)
class Dataset:
    """Items that have been read and checked.

    Attributes:
        name: The name of its card.
        items: In the source's order.
        evaluator: The name of the evaluator card that scores it unless a grid says otherwise.
        source: Where it came from, for people.
        revision: The pinned commit, or the digest of the file; None for generated items.
        licence: As an SPDX identifier where there is one.
        code: Digests of the user files that made the items, by file.

    Raises:
        ConfigError: if there are no items, two have one id, or a target is missing.
    """

    name: str
    items: Sequence[Item]
    evaluator: str
    source: str
    revision: str | None = None
    licence: str | None = None
    code: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if not self.items:
            raise ConfigError(f"dataset {self.name!r} has no items")
        if twins := [repr(id_) for id_ in repeated(lambda: values_of(self.items, "id"))]:
            raise ConfigError(f"dataset {self.name!r} has duplicate item ids: {_some(twins)}")
        targets = enumerate(values_of(self.items, "target"))
        if bare := [repr(self.items[i].id) for i, target in targets if not target.strip()]:
            raise ConfigError(f"dataset {self.name!r} has items without a target: {_some(bare)}")

    @classmethod
    def from_records(
        cls,
        rows: Iterable[Mapping[str, Any]],
        *,
        target: str,
        evaluator: str,
        question: str | None = None,
        name: str = "records",
        **options: Unpack[RecordOptions],
    ) -> Dataset:
        """Return the dataset of records that a program has, as a card would describe them.

        Args:
            rows: Mappings; also a pandas frame, or what else has `to_dict("records")`.
            target: The field with the right answer.
            evaluator: Name of an evaluator card; a study may score the items by another one.
            question: The field with the question, unless there are `messages`.
            name: The dataset's name in cells, tables and results.
            options: Other keys of a card and of its `fields`, see `RecordOptions`.

        Raises:
            ConfigError: with every mistake in the rows or the arguments.
        """
        given = {"question": question, "target": target, "evaluator": evaluator, **options}
        document = Document(Path(name), card_of_records(rows, name, given), {})
        parsed = parse_card(document)
        read = read_items(parsed, document)
        return cls(name, read.items, evaluator, read.source, read.revision, parsed.licence)

    def sample(self, limit: int) -> Dataset:
        """Return the dataset with at most `limit` items, a sample fixed by the items' ids.

        A sample of 100 lies within one of 1,000.
        """
        if limit >= len(self):
            return self
        order = hashed_order(values_of(self.items, "id"))
        return replace(self, items=pick(self.items, sorted(order[:limit])))

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    @cached_property
    def digest(self) -> str:
        """Hex digest over the content of all items, whatever their order."""
        return content_digest(self.items)


def _some(names: list[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
