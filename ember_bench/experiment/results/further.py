"""The scores of further evaluators in a trial store, in a table of their own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ember_bench.experiment.evaluation import FurtherScore
from ember_bench.experiment.results.evaluations import Place
from ember_bench.experiment.results.items import Select
from ember_bench.experiment.results.summary import FAILED, OUTCOMES

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS further (
    cell INTEGER NOT NULL REFERENCES cells (id),
    item INTEGER NOT NULL REFERENCES items (id),
    epoch INTEGER NOT NULL,
    evaluator TEXT NOT NULL,
    outcome TEXT NOT NULL,
    score REAL NOT NULL,
    answer TEXT,
    explanation TEXT NOT NULL,
    characters INTEGER NOT NULL,
    PRIMARY KEY (cell, item, epoch, evaluator)
) WITHOUT ROWID
"""
# Stores of experiments with one evaluator each do without the table.
_KNOWN: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'further'"
_OUTCOME: Final = " ".join(
    ["CASE further.outcome", *(f"WHEN '{o}' THEN {i}" for i, o in enumerate(OUTCOMES)), "END"]
)
_BAD: Final = ", ".join(f"'{name}'" for name in FAILED)


@dataclass(frozen=True, eq=False)
class Further:
    """The scores that a further evaluator gave to the outputs of a cell.

    Attributes:
        item: Place of the item, shape (n_scores,) as all that follow; in order, epochs within.
        outcome: Index in `OUTCOMES`.
        score: In [0, 1]; 0 if the evaluator failed.
        headline: The headline evaluator's score of the same output; NaN if it has none.
        characters: Length of the output.
    """

    item: IntArray
    outcome: IntArray
    score: FloatArray
    headline: FloatArray
    characters: FloatArray


def make_table(base: sqlite3.Connection) -> None:
    """Make the table, unless it is there."""
    base.execute(_TABLE)


def write_further(
    base: sqlite3.Connection, results: Iterable[tuple[Place, tuple[FurtherScore, ...]]]
) -> None:
    """Keep the scores of trials, replacing those that they had."""
    if base.execute(_KNOWN).fetchone() is None:
        return
    found = list(results)
    base.executemany(
        "DELETE FROM further WHERE cell = ? AND item = ? AND epoch = ?",
        [place for place, _ in found],
    )
    base.executemany(
        "INSERT INTO further VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *place, given.evaluator, given.outcome, given.score, writable(given.answer),
                writable(given.explanation), given.characters,
            )
            for place, scores in found
            for given in scores
        ],
    )  # fmt: skip


def writable(text: str | None) -> str | None:
    """Return `text` without halves of surrogate pairs, which SQLite cannot hold."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def remove_orphans(base: sqlite3.Connection) -> None:
    """Remove the scores of trials that are not stored any more."""
    if base.execute(_KNOWN).fetchone() is not None:
        base.execute(
            "DELETE FROM further WHERE NOT EXISTS (SELECT 1 FROM trials WHERE"
            " trials.cell = further.cell AND trials.item = further.item"
            " AND trials.epoch = further.epoch)"
        )


def failed_places(select: Select, cell: int) -> set[tuple[int, int]]:
    """Return the numbers of item and epoch of trials that a further evaluator failed on."""
    if next(iter(select(_KNOWN, ())), None) is None:
        return set()
    query = f"SELECT DISTINCT item, epoch FROM further WHERE cell = ? AND outcome IN ({_BAD})"  # noqa: S608 - ours
    return {(item, epoch) for item, epoch in select(query, (cell,))}


def read_further(
    select: Select, cell: int, evaluator: str, epochs: int, indices: npt.NDArray[np.intc]
) -> Further | None:
    """Return the scores of a cell's outputs by a further evaluator; None if it gave none.

    Args:
        select: Reads the trial store.
        cell: Number of the cell in the table of cells.
        evaluator: Its name.
        epochs: Number of epochs of the experiment.
        indices: Place of each item by its number in the table of items; -1 if it is not asked.
    """
    if next(iter(select(_KNOWN, ())), None) is None:
        return None
    rows = select(
        f"SELECT item, {_OUTCOME}, further.score, characters,"  # noqa: S608 - words of ours
        f" CASE WHEN trials.outcome IN ({_BAD}) THEN 9e999 ELSE trials.score END"
        " FROM further JOIN trials USING (cell, item, epoch)"
        " WHERE cell = ? AND evaluator = ? AND epoch < ? ORDER BY item, epoch",
        (cell, evaluator, epochs),
    )
    found = np.fromiter(chain.from_iterable(rows), np.float64).reshape(-1, 5)
    items = indices[found[:, 0].astype(np.intp)].astype(np.int64)
    asked = items >= 0
    if not asked.any():
        return None
    order = np.argsort(items[asked], kind="stable")
    _, outcome, score, characters, headline = found[asked][order].T
    headline = np.where(np.isinf(headline), np.nan, headline)
    return Further(items[asked][order], outcome.astype(np.int64), score, headline, characters)


def further_rows(
    select: Select, cell: int, epochs: int, indices: npt.NDArray[np.intc]
) -> Iterator[tuple[Any, ...]]:
    """Yield (item place, epoch, evaluator, outcome, score, answer, explanation) of a cell."""
    if next(iter(select(_KNOWN, ())), None) is None:
        return
    rows = select(
        "SELECT item, epoch, evaluator, outcome, score, answer, explanation FROM further"
        " WHERE cell = ? AND epoch < ? ORDER BY item, epoch, evaluator",
        (cell, epochs),
    )
    for item, *values in rows:
        if indices[item] >= 0:
            yield int(indices[item]), *values
