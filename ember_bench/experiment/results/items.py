"""The items of an experiment in its trial store, read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any, Final, Literal, Protocol, overload

import msgspec
import numpy as np
import numpy.typing as npt

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


class Select(Protocol):
    """Reads rows of a trial store."""

    def __call__(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows; raises `DamagedStoreError` where they cannot be read."""


@dataclass(frozen=True)
class Match:
    """The places of one list's items in another list.

    Attributes:
        places: For each item its place in the other list, -1 if that has no item of the same id
            and content; shape (n_items,).
        edited: Number of items with the same id and another content there.
        missing: Number of ids that the other list does not have.
    """

    places: npt.NDArray[np.int64]
    edited: int
    missing: int


class AskedItems(Sequence[AskedItem]):
    """The items of one dataset in the order in which they are asked, a few thousand in memory.

    Trials refer to their items by place. The cells of one dataset share this list.

    Args:
        count: Number of items.
        read: Returns those from one index up to another.
        labels: Returns the category, or the cluster, of each.
        whole: Whether these are all items of the grid, and not only those that have a trial.
    """

    def __init__(
        self, count: int, read: ReadItems, labels: ReadLabels, *, whole: bool = True
    ) -> None:
        self.whole = whole
        self._count = count
        self._read_labels = labels
        # All of a dataset of the usual size; a large one is gone through page by page.
        self._page = lru_cache(_PAGES)(lambda page: read(page * _PAGE, (page + 1) * _PAGE))

    @classmethod
    def of(cls, items: Sequence[AskedItem], *, whole: bool = True) -> AskedItems:
        """Return items that are in memory anyway."""
        return cls(
            len(items),
            lambda start, end: items[start:end],
            lambda name: map(attrgetter(name), items),
            whole=whole,
        )

    @classmethod
    def stored(cls, select: Select, dataset: str, count: int) -> AskedItems:
        """Return the items in the table `asked`."""

        def read(start: int, end: int) -> list[AskedItem]:
            rows = select(
                "SELECT items.item, digest, category, cluster, question, target"
                " FROM asked JOIN items ON items.id = asked.item"
                " WHERE asked.dataset = ? AND place >= ? AND place < ? ORDER BY place",
                (dataset, start, end),
            )
            return [AskedItem(*row) for row in rows]

        def labels(name: str) -> Iterator[str | None]:
            rows = select(
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

    def check(self) -> None:
        """Read each item once and keep none; raises what reading raises."""
        for page in range(-(-self._count // _PAGE)):
            self._page.__wrapped__(page)

    def __iter__(self) -> Iterator[AskedItem]:
        for page in range(-(-self._count // _PAGE)):
            yield from self._page(page)

    @cached_property
    def categories(self) -> tuple[list[str], npt.NDArray[np.int32]]:
        """The names of the categories, sorted, and each item's index among them, -1 for none."""
        found: dict[str | None, int] = {}
        labels = (found.setdefault(label, len(found)) for label in self._read_labels("category"))
        numbers = np.fromiter(labels, np.int32, len(self))
        names = sorted(label for label in found if label is not None)
        places: dict[str | None, int] = {label: place for place, label in enumerate(names)}
        sorted_places = np.asarray([places.get(label, -1) for label in found], dtype=np.int32)
        return names, sorted_places[numbers]

    def clusters(self, chosen: npt.NDArray[np.integer[Any] | np.bool_]) -> list[str] | None:
        """Return the clusters of the chosen items; None if no item has a cluster.

        An item without a cluster is a cluster of its own.

        Args:
            chosen: Places, of which one may come several times, or a mask of shape (n_items,).
        """
        if not self._labels:
            return None
        places = np.arange(len(self))[chosen].tolist()
        labels = [self._labels[place] for place in places]
        if all(label is None for label in labels):
            return None
        return [
            f"\0{place}" if label is None else label
            for place, label in zip(places, labels, strict=True)
        ]

    def match(self, other: AskedItems) -> Match:
        """Return the places of these items in another list; computed once for each list."""
        if other is self:
            return Match(np.arange(len(self), dtype=np.int64), 0, 0)
        known = self._matches.get(id(other))
        if known is None or known[0] is not other:
            known = self._matches[id(other)] = other, self._match(other)
        return known[1]

    def _match(self, other: AskedItems) -> Match:
        places = np.full(len(self), -1, dtype=np.int64)
        edited = missing = 0
        for number, item in enumerate(self):
            place = other._places.get(item.id)
            if place is None:
                missing += 1
            elif _same(item, other[place]):
                places[number] = place
            else:
                edited += 1
        return Match(places, edited, missing)

    @cached_property
    def _labels(self) -> list[str | None]:
        """The cluster of each item, each label kept once; empty if no item has one."""
        if all(label is None for label in self._read_labels("cluster")):
            return []
        known: dict[str | None, str | None] = {}
        return [known.setdefault(label, label) for label in self._read_labels("cluster")]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {item.id: place for place, item in enumerate(self)}

    @cached_property
    def _matches(self) -> dict[int, tuple[AskedItems, Match]]:
        return {}


def _same(one: AskedItem, other: AskedItem) -> bool:
    return not (one.digest and other.digest) or one.digest == other.digest
