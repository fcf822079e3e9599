"""Items to train on, to choose by, and to test on: apart, and clusters whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ember_bench.datasets import Item
from ember_bench.errors import ConfigError

_LEAST: Final = 5
_MOST: Final = 100
_SHARE: Final = 0.25


@dataclass(frozen=True)
class Split:
    """The items of a dataset, in three parts.

    Attributes:
        train: Items that the optimiser looks at.
        validation: Items by which it chooses among candidates.
        test: Items that it never sees.
    """

    train: Sequence[Item]
    validation: Sequence[Item]
    test: Sequence[Item]


def split(items: Sequence[Item], train: int | None, validation: int | None) -> Split:
    """Split items, in their order; the items of a cluster are in one part.

    Args:
        items: In the experiment's seeded order.
        train: Number to train on; None for a quarter, at most 100.
        validation: Number to choose by; the same.

    Raises:
        ConfigError: if too few are left for a part.
    """
    usual = min(_MOST, int(_SHARE * len(items)))
    wanted = [usual if train is None else train, usual if validation is None else validation]
    groups: dict[str, list[Item]] = {}
    for item in items:
        key = f"item {item.id}" if item.cluster is None else f"cluster {item.cluster}"
        groups.setdefault(key, []).append(item)
    parts: list[list[Item]] = [[], [], []]
    for group in groups.values():
        part = next((n for n in (0, 1) if len(parts[n]) < wanted[n]), 2)
        parts[part] += group
    for name, part_items in zip(("train", "validation", "test"), parts, strict=True):
        if len(part_items) < _LEAST:
            raise ConfigError(
                f"{len(items)} items: {name} has {len(part_items)} of them, and needs {_LEAST};"
                " see --train and --validation"
            )
    return Split(*parts)
