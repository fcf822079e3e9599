"""Damage in a trial store that SQLite does not notice: values that cannot have been written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ember_bench.experiment.results.description import Description
from ember_bench.experiment.results.items import Select
from ember_bench.experiment.results.summary import OUTCOMES
from ember_bench.experiment.trial import CallEntry
from ember_bench.models.store.rows import is_amount

_decode_calls = msgspec.msgpack.Decoder(tuple[CallEntry, ...]).decode


# A changed byte gives a column any type.
def _is_amount(column: str) -> str:
    return f"({column} IS NULL OR (typeof({column}) = 'real' AND {column} >= 0 AND {column} < 9e999))"


def _is_count(column: str) -> str:
    return f"(typeof({column}) = 'integer' AND {column} >= 0)"


def _is_text(column: str) -> str:
    return f"typeof({column}) = 'text'"


def _may_be_text(column: str) -> str:
    return f"typeof({column}) IN ('text', 'null')"


_COUNTS: Final = (
    "cell", "item", "epoch", "calls_used", "calls_made", "input_tokens", "output_tokens",
)  # fmt: skip
_SOUND_TRIAL: Final = " AND ".join(
    [
        "item <= (SELECT max(id) FROM items)",
        "typeof(fingerprint) = 'blob'",
        f"outcome IN ({', '.join(map(repr, OUTCOMES))})",
        "typeof(score) = 'real' AND score BETWEEN 0 AND 1",
        "typeof(calls) = 'blob'",
        _is_text("explanation"),
        *map(_may_be_text, ("answer", "error")),
        *map(_is_amount, ("cost_usd", "latency_seconds", "spend_usd")),
        *map(_is_count, _COUNTS),
    ]
)
_SOUND_ITEM: Final = " AND ".join(
    [
        *map(_is_count, ("place", "item")),
        *map(_is_text, ("dataset", "question", "target")),
        *map(_may_be_text, ("category", "cluster")),
    ]
)
DAMAGED_TRIAL: Final = f"({_SOUND_TRIAL}) IS NOT TRUE"
"""Condition of SQL: a row of the table `trials` has a value that cannot have been written there.

SQLite cannot tell whether a text is UTF-8, and `calls` can be decoded.
"""
DAMAGED_RUN: Final = " OR ".join(
    f"({column} >= 0 AND {column} < 9e999 AND typeof({column}) IN ('integer', 'real')) IS NOT TRUE"
    for column in ("spend_usd", "calls_made", "calls_shared")
)
"""The same of a row of the table `runs`."""


def decode_calls(column: bytes) -> tuple[CallEntry, ...]:
    """Return the calls of a trial.

    Raises:
        ValueError: if they cannot have been written.
    """
    calls = _decode_calls(column)
    for call in calls:
        if not all(map(is_amount, (call.cost_usd, call.latency_seconds, call.uncached_usd))):
            raise ValueError("a cost or a duration is none")
    return calls


def are_readable(answer: bytes | None, explanation: bytes, error: bytes | None, calls: bytes) -> bool:
    """Whether the texts of a trial, as bytes, are UTF-8, and its calls can be decoded."""
    try:
        for text in (answer, explanation, error):
            if text is not None:
                text.decode()
        decode_calls(calls)
    except ValueError:
        return False
    return True


def damage(select: Select, description: Description) -> str | None:
    """Return what is damaged in the tables of trials and items; None if nothing is."""
    if count := _count(select, "trials", DAMAGED_TRIAL):
        return f"{count:,} of its trials cannot be read"
    if count := _count(select, "asked", f"({_SOUND_ITEM}) IS NOT TRUE"):
        return f"{count:,} of its items cannot be read"
    if not {cell.dataset for cell in description.cells} <= description.items.keys():
        return "cells are of datasets that are not there"
    ((most, count),) = select("SELECT ifnull(max(id), 0), count(*) FROM items")
    if most != count:  # they are numbered in a row, and none is ever removed
        return "items are missing"
    for dataset in description.datasets:
        fitting = _count(
            select,
            "asked JOIN items ON items.id = asked.item",
            "asked.dataset = ? AND items.dataset = asked.dataset AND place < ?"
            " AND typeof(items.item) = 'text' AND typeof(digest) = 'text'",
            (dataset.name, dataset.items),
        )
        if dataset.name in description.asked and fitting != dataset.items:
            return f"items of {dataset.name} are missing"
    return None


def _count(select: Select, table: str, where: str, values: Sequence[Any] = ()) -> int:
    """Return the number of rows of a table for which a condition holds."""
    ((count,),) = select(f"SELECT count(*) FROM {table} WHERE {where}", values)  # noqa: S608 - ours
    return int(count)
