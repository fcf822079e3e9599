"""Items by the million: some 12 bytes of memory each, the rest in a temporary file."""

from __future__ import annotations

import os
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from tempfile import TemporaryFile
from typing import Any, Final, Literal, get_type_hints, overload

import msgspec

from ember_bench.datasets.item import Item
from ember_bench.errors import StoreError

TextField = Literal["id", "target", "answer_format"]
Order = Sequence[int]

_FIELDS: Final = tuple(Item.__dataclass_fields__)
_fields_of: Final = attrgetter(*_FIELDS)
_new: Final = object.__new__
_hints: Final = get_type_hints(Item)
_Fields: Final[Any] = tuple[tuple(_hints[name] for name in _FIELDS)]  # type: ignore[misc]
_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(_Fields).decode
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
        # What is in an item that is not plain data stays as it is.
        self._kept: dict[int, Item] = {}
        self._order: array[int] | None = None
        for number, item in enumerate(items):
            record = _record(item)
            if not record:
                self._kept[number] = item
            self._records.append(bytes.fromhex(item.digest) + record)
        self._get = lru_cache(_AT_HAND)(self._unpacked)

    def picked(self, numbers: Order) -> PackedItems:
        """Return the items with these numbers, in this order; they are not packed again."""
        order = self._order
        picked = object.__new__(PackedItems)
        picked._records, picked._kept = self._records, self._kept
        picked._order = array("I", numbers if order is None else (order[n] for n in numbers))
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
            if len(record) > _DIGEST:
                value: str = _unpack(record[_DIGEST:])[place]
            else:
                value = getattr(self._kept[number], field)
            yield value

    def digests(self) -> Iterator[str]:
        """Yield the items' digests."""
        for _, record in self._all():
            yield record[:_DIGEST].hex()

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
        if len(record) == _DIGEST:
            return self._kept[number]
        # As `Item` and its cached digest would do it, which takes thrice as long.
        item = _new(Item)
        fields = zip(_FIELDS, _unpack(record[_DIGEST:]), strict=True)
        item.__dict__.update(fields, digest=record[:_DIGEST].hex())
        return item


def _record(item: Item) -> bytes:
    """Return an item packed; nothing if it would not be the same again.

    Its metadata may hold what is no plain data, or tuples, which would come back as lists.
    """
    if type(item) is not Item:
        return b""
    fields = _fields_of(item)
    try:
        record = _pack(fields)
        return record if _unpack(record) == fields else b""
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        return b""


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
    return tuple(items[number] for number in numbers)


def hashed_order(texts: Iterable[str]) -> Order:
    """Return the order of texts by their SHA-256: random, but fixed by each text alone."""
    digests = bytearray()
    for text in texts:
        digests += sha256(text.encode()).digest()
    return _sorted(digests, 32)


def content_digest(items: Sequence[Item]) -> str:
    """Return a hex digest over the content of all items, whatever their order."""
    content = bytearray()
    for digest in digests_of(items):
        content += bytes.fromhex(digest)
    whole = sha256()
    for number in _sorted(content, _DIGEST):
        whole.update(content[number * _DIGEST : (number + 1) * _DIGEST].hex().encode())
    return whole.hexdigest()[:32]


def _sorted(digests: bytearray, size: int) -> array[int]:
    """Return the numbers of digests, which stand one after the other, in the digests' order."""
    # Those that begin alike at a time: to sort all at once would hold an object for each.
    alike = [array("I") for _ in range(256)]
    for number, first in enumerate(digests[::size]):
        alike[first].append(number)
    order = array("I")
    for numbers in alike:
        order.extend(sorted(numbers, key=lambda n: bytes(digests[size * n : size * n + size])))
    return order
