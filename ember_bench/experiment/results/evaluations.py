"""The calls of judges in a trial store, in a table of their own."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from ember_bench.errors import DamagedStoreError
from ember_bench.experiment.evaluation import EvaluationResult
from ember_bench.experiment.results.items import Select
from ember_bench.experiment.trial_calls import counts_of

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS evaluations (
    cell INTEGER NOT NULL REFERENCES cells (id),
    item INTEGER NOT NULL REFERENCES items (id),
    epoch INTEGER NOT NULL,
    cost_usd REAL,
    latency_seconds REAL,
    spend_usd REAL NOT NULL,
    calls_used INTEGER NOT NULL,
    calls_made INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    verdicts TEXT NOT NULL,
    calls BLOB NOT NULL,
    PRIMARY KEY (cell, item, epoch)
) WITHOUT ROWID
"""
# Stores of experiments without a judge do without the table.
_KNOWN: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'evaluations'"

Place = tuple[int, int, int]
"""Numbers of cell and item in their tables, and the epoch."""

_encode_calls = msgspec.msgpack.Encoder().encode
_decode_verdicts = msgspec.json.Decoder(list[str]).decode


@dataclass(frozen=True, eq=False)
class Evaluations:
    """What the judges of a cell's trials took.

    Attributes:
        item: Place of the item, shape (n_evaluations,) as all that follow.
        cost: US dollars; NaN if a price is unknown.
        latency: Seconds; NaN if unknown.
        spend: US dollars paid.
        calls: Calls used.
        made: Requests.
        sent: Tokens sent.
        received: Tokens received.
        verdicts: Number of the judges' answers by what they were.
    """

    item: IntArray
    cost: FloatArray
    latency: FloatArray
    spend: FloatArray
    calls: FloatArray
    made: FloatArray
    sent: FloatArray
    received: FloatArray
    verdicts: dict[str, int]


def make_table(base: sqlite3.Connection) -> None:
    """Make the table, unless it is there."""
    base.execute(_TABLE)


def write_evaluations(
    base: sqlite3.Connection, results: Iterable[tuple[Place, EvaluationResult | None]]
) -> None:
    """Keep what judges were asked about trials, replacing what they were asked before."""
    if base.execute(_KNOWN).fetchone() is None:
        return
    found = list(results)
    base.executemany(
        "DELETE FROM evaluations WHERE cell = ? AND item = ? AND epoch = ?",
        [place for place, _ in found],
    )
    base.executemany(
        "INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*place, *_row(result)) for place, result in found if result is not None],
    )


def remove_orphans(base: sqlite3.Connection) -> None:
    """Remove what judges were asked about trials that are not stored any more."""
    if base.execute(_KNOWN).fetchone() is not None:
        base.execute(
            "DELETE FROM evaluations WHERE NOT EXISTS (SELECT 1 FROM trials WHERE"
            " trials.cell = evaluations.cell AND trials.item = evaluations.item"
            " AND trials.epoch = evaluations.epoch)"
        )


def _row(found: EvaluationResult) -> Sequence[object]:
    return (
        found.cost_usd, found.latency_seconds, found.spend_usd,
        *counts_of(found.calls, found.wasted_calls),
        msgspec.json.encode(found.verdicts).decode(), _encode_calls(found.calls),
    )  # fmt: skip


def evaluation_calls(select: Select, place: Place) -> bytes:
    """Return the calls of the judges of one trial as they are stored; of none if none was asked."""
    if next(iter(select(_KNOWN, ())), None) is not None:
        query = "SELECT calls FROM evaluations WHERE cell = ? AND item = ? AND epoch = ?"
        for (calls,) in select(query, place):
            return bytes(calls)
    return _encode_calls(())


def read_evaluations(
    select: Select, cell: int, epochs: int, indices: npt.NDArray[np.intc]
) -> Evaluations | None:
    """Return what the judges of a cell's trials took; None if none was asked.

    Args:
        select: Reads the trial store.
        cell: Number of the cell in the table of cells.
        epochs: Number of epochs of the experiment.
        indices: Place of each item by its number in the table of items; -1 if it is not asked.

    Raises:
        DamagedStoreError: if verdicts cannot be read.
    """
    if next(iter(select(_KNOWN, ())), None) is None:
        return None
    where = "FROM evaluations WHERE cell = ? AND epoch < ? ORDER BY item, epoch"
    rows = select(
        "SELECT item, ifnull(cost_usd, 9e999), ifnull(latency_seconds, 9e999), spend_usd,"
        f" calls_used, calls_made, input_tokens, output_tokens {where}",
        (cell, epochs),
    )
    found = np.fromiter(chain.from_iterable(rows), np.float64).reshape(-1, 8)
    texts = [text for (text,) in select(f"SELECT verdicts {where}", (cell, epochs))]
    items = indices[found[:, 0].astype(np.intp)].astype(np.int64)
    asked = items >= 0
    if not asked.any():
        return None
    found[np.isinf(found)] = np.nan
    kept = found[asked].T
    said = (_decoded(text) for text, keep in zip(texts, asked, strict=True) if keep)
    verdicts = Counter(chain.from_iterable(said))
    _, cost, latency, spend, calls, made, sent, received = kept
    counts = dict(sorted(verdicts.items()))
    return Evaluations(items[asked], cost, latency, spend, calls, made, sent, received, counts)


def read_verdicts(
    select: Select, cell: int, epochs: int, indices: npt.NDArray[np.intc]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the place of the item and the judges' answers of each of a cell's trials.

    Raises:
        DamagedStoreError: if verdicts cannot be read.
    """
    if next(iter(select(_KNOWN, ())), None) is None:
        return
    query = "SELECT item, verdicts FROM evaluations WHERE cell = ? AND epoch < ?"
    for item, text in select(query, (cell, epochs)):
        if indices[item] >= 0:
            yield int(indices[item]), _decoded(text)


def _decoded(text: str) -> list[str]:
    try:
        return _decode_verdicts(text)
    except msgspec.MsgspecError as error:
        raise DamagedStoreError(f"verdicts in the trial store cannot be read: {error}") from error
