"""Items by the million: some 30 bytes of memory each, the rest in a temporary file."""

from __future__ import annotations

import marshal
import os
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from tempfile import TemporaryFile
from typing import Final, Literal, overload

import numpy as np
import numpy.typing as npt

from ember_bench.datasets.item import Item
from ember_bench.errors import StoreError

TextField = Literal["id", "target"]
Order = npt.NDArray[np.intp]

_FIELDS: Final = tuple(Item.__dataclass_fields__)
_fields_of: Final = attrgetter(*_FIELDS)
_new: Final = object.__new__
_DIGEST: Final = 16  # bytes

# Cells advance together item by item, so an item is wanted again soon or not for long.
_AT_HAND: Final = 1024

# So many bytes are kept in memory before they are written, and read at once where all are.
_CHUNK: Final = 1 << 22
_READ: Final = 1 << 18


class PackedItems(Sequence[Item]):
    """Items that are packed as they come, and made again, equal to what they were, when asked for.

    Raises:
        StoreError: if there is no room for them in the folder of temporary files.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._records = _Records()
        self._digests = bytearray()
        # What is in an item that is not plain data stays as it is.
        self._kept: dict[int, Item] = {}
        self._order: array[int] | None = None
        for number, item in enumerate(items):
            self._digests += bytes.fromhex(item.digest)
            try:
                if type(item) is not Item:
                    raise ValueError("a class of its own")
                record = marshal.dumps(_fields_of(item), 2)
            except ValueError:
                self._kept[number] = item
                record = b""
            self._records.append(record)
        self._get = lru_cache(_AT_HAND)(self._unpacked)

    def picked(self, numbers: Order) -> PackedItems:
        """Return the items with these numbers, in this order; they are not packed again."""
        chosen = numbers
        if self._order is not None:
            chosen = np.frombuffer(self._order, dtype=np.uint32)[numbers].astype(np.intp)
        picked = object.__new__(PackedItems)
        picked._records, picked._digests, picked._kept = self._records, self._digests, self._kept
        picked._order = array("I", chosen.astype(np.uint32).tobytes())
        picked._get = lru_cache(_AT_HAND)(picked._unpacked)
        return picked

    def __len__(self) -> int:
        return len(self._records) if self._order is None else len(self._order)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Item, ...]: ...
    def __getitem__(self, index: int | slice) -> Item | tuple[Item, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        place = index if index >= 0 else index + len(self)
        if not 0 <= place < len(self):
            raise IndexError(index)
        return self._get(place if self._order is None else self._order[place])

    def __iter__(self) -> Iterator[Item]:
        for number, record in self._all():
            yield self._item(number, record)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # an item has no hash either

    def values(self, field: TextField) -> Iterator[str]:
        """Yield a field of each item; to make the items for it would take twice as long."""
        place = _FIELDS.index(field)
        for number, record in self._all():
            if record:
                value: str = marshal.loads(record)[place]  # noqa: S302 - packed by this process
            else:
                value = getattr(self._kept[number], field)
            yield value

    def digests(self) -> Iterator[str]:
        """Yield the items' digests."""
        for number in range(len(self._records)) if self._order is None else self._order:
            yield self._digest(number)

    def _all(self) -> Iterator[tuple[int, bytes]]:
        """Yield all items' numbers and records, in order."""
        if self._order is None:
            yield from enumerate(self._records)
        else:
            for number in self._order:
                yield number, self._records[number]

    def _unpacked(self, number: int) -> Item:
        return self._item(number, self._records[number])

    def _item(self, number: int, record: bytes) -> Item:
        if not record:
            return self._kept[number]
        # As `Item` and its cached digest would do it, which takes thrice as long.
        item = _new(Item)
        values = marshal.loads(record)  # noqa: S302 - packed by this process
        item.__dict__.update(zip(_FIELDS, values, strict=True), digest=self._digest(number))
        return item

    def _digest(self, number: int) -> str:
        return self._digests[number * _DIGEST : (number + 1) * _DIGEST].hex()


class _Records:
    """Pieces of bytes by number: a few in memory, many in a file that no other process sees."""

    def __init__(self) -> None:
        self._starts = array("Q", [0])
        self._waiting = bytearray()
        self._written = 0
        self._file: int | None = None

    def append(self, record: bytes) -> None:
        self._waiting += record
        self._starts.append(self._starts[-1] + len(record))
        if len(self._waiting) >= _CHUNK:
            self._write()

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, number: int) -> bytes:
        start = self._starts[number]
        return self._read(start, self._starts[number + 1] - start)

    def __iter__(self) -> Iterator[bytes]:
        block, first = b"", 0
        for number in range(len(self)):
            start, end = self._starts[number], self._starts[number + 1]
            if end > first + len(block):
                block, first = self._read(start, max(_READ, end - start)), start
            yield block[start - first : end - first]

    def _read(self, start: int, size: int) -> bytes:
        """Return `size` bytes, or as many as stand together from `start` on."""
        if self._file is None or start >= self._written:
            offset = start - self._written
            return bytes(self._waiting[offset : offset + size])
        return os.pread(self._file, min(size, self._written - start), start)

    def _write(self) -> None:
        try:
            if self._file is None:
                file = TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as this is
                self._file = file.fileno()
                weakref.finalize(self, file.close)
            view = memoryview(self._waiting)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            raise StoreError(
                f"no room for the items among the temporary files: {error.strerror}; the variable"
                " TMPDIR names another folder"
            ) from error
        self._written += len(self._waiting)
        self._waiting = bytearray()


def values_of(items: Sequence[Item], field: TextField) -> Iterator[str]:
    """Yield a field of each item."""
    if isinstance(items, PackedItems):
        return items.values(field)
    return map(attrgetter(field), items)


def digests_of(items: Sequence[Item]) -> Iterator[str]:
    """Yield the digests of items."""
    return items.digests() if isinstance(items, PackedItems) else (item.digest for item in items)


def pick(items: Sequence[Item], numbers: Order) -> Sequence[Item]:
    """Return the items with these numbers, in this order."""
    if isinstance(items, PackedItems):
        return items.picked(numbers)
    return tuple(items[number] for number in numbers.tolist())


def hashed_order(texts: Iterable[str]) -> Order:
    """Return the order of texts by their SHA-256: random, but fixed by each text alone."""
    digests = bytearray()
    for text in texts:
        digests += sha256(text.encode()).digest()
    return np.argsort(np.frombuffer(digests, dtype="S32"), kind="stable")


def content_digest(items: Sequence[Item]) -> str:
    """Return a hex digest over the content of all items, whatever their order."""
    content = bytearray()
    for digest in digests_of(items):
        content += bytes.fromhex(digest)
    ordered = np.sort(np.frombuffer(content, dtype="S16")).tobytes()
    whole = sha256()
    for start in range(0, len(ordered), _READ):
        whole.update(ordered[start : start + _READ].hex().encode())
    return whole.hexdigest()[:32]
