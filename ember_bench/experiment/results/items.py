"""The items that an experiment asks, as its trial store keeps them, read when they are needed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Final, Literal, overload

import msgspec

_PAGE: Final = 1 << 10
_PAGES: Final = 16


class AskedItem(msgspec.Struct, frozen=True, array_like=True):
    """An item, as far as results are about it; see `datasets.Item`."""

    id: str
    digest: str
    category: str | None
    cluster: str | None
    question: str
    target: str


ReadItems = Callable[[int, int], Sequence[AskedItem]]
ReadLabels = Callable[[Literal["category", "cluster"]], Iterable[str | None]]


class AskedItems(Sequence[AskedItem]):
    """The items of one dataset in the order in which they are asked, a few thousand in memory.

    Args:
        count: How many there are.
        read: Returns those from one index up to another.
        labels: Returns the category, or the cluster, of each.
    """

    def __init__(self, count: int, read: ReadItems, labels: ReadLabels) -> None:
        self._count = count
        self._read_labels = labels
        # All of a dataset of the usual size; a large one is gone through page by page.
        self._page = lru_cache(_PAGES)(lambda page: read(page * _PAGE, (page + 1) * _PAGE))

    @classmethod
    def of(cls, items: Sequence[AskedItem]) -> AskedItems:
        """Return items that are in memory anyway."""
        return cls(
            len(items),
            lambda start, end: items[start:end],
            lambda name: map(attrgetter(name), items),
        )

    @classmethod
    def stored(cls, database: sqlite3.Connection, dataset: str, count: int) -> AskedItems:
        """Return the items in the table `asked`."""

        def read(start: int, end: int) -> list[AskedItem]:
            rows = database.execute(
                "SELECT items.item, digest, category, cluster, question, target"
                " FROM asked JOIN items ON items.id = asked.item"
                " WHERE asked.dataset = ? AND place >= ? AND place < ? ORDER BY place",
                (dataset, start, end),
            )
            return [AskedItem(*row) for row in rows]

        def labels(name: str) -> Iterator[str | None]:
            rows = database.execute(
                f"SELECT {name} FROM asked WHERE dataset = ? ORDER BY place",  # noqa: S608 - ours
                (dataset,),
            )
            return (label for (label,) in rows)

        return cls(count, read, labels)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> AskedItem: ...
    @overload
    def __getitem__(self, index: slice) -> list[AskedItem]: ...
    def __getitem__(self, index: int | slice) -> AskedItem | list[AskedItem]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        place = index if index >= 0 else index + self._count
        if not 0 <= place < self._count:
            raise IndexError(index)
        return self._page(place // _PAGE)[place % _PAGE]

    def __iter__(self) -> Iterator[AskedItem]:
        for page in range(-(-self._count // _PAGE)):
            yield from self._page(page)

    def categories(self) -> Iterator[str | None]:
        """Yield the category of each."""
        return iter(self._read_labels("category"))

    @cached_property
    def clustered(self) -> bool:
        """Whether any is in a cluster."""
        return any(label is not None for label in self._read_labels("cluster"))
