"""A dataset: items that have been read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ember_bench.datasets.packed import content_digest, values_of
from ember_bench.datasets.repeats import repeated
from ember_bench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
