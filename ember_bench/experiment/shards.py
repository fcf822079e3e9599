"""Shards: an experiment's items in parts, which run apart from each other and are merged again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Self

import msgspec

from ember_bench.errors import ConfigError

if TYPE_CHECKING:
    from ember_bench.datasets import Item

MOST: Final = 10_000
_WRITTEN: Final = re.compile(r"(\d{1,5})/(\d{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shard:
    """One of the parts of an experiment: shard `number` of `count`, counted from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard that `3/8` stands for.

        Raises:
            ConfigError: if it stands for none.
        """
        found = _WRITTEN.fullmatch(text.strip())
        number, count = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= count <= MOST:
            hint = ""
            if found and number == 0 < count <= MOST:
                hint = "; shards are counted from 1: add 1 to an index that begins at 0"
            raise ConfigError(
                f"--shard: expected NUMBER/COUNT, 1/8 to 8/8 say, found {text!r}{hint}"
            )
        return cls(number, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def has(self, item: Item) -> bool:
        """Whether an item is in this shard.

        Decided by what models are asked, so that items with the same question are together,
        whatever their dataset: they share calls.
        """
        content = msgspec.json.encode((item.question, item.turns))
        digest = blake2b(content, digest_size=8, person=b"ember shard").digest()
        return int.from_bytes(digest) % self.count == self.number - 1
