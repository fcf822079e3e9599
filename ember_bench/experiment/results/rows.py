"""Reading a trial store, also while another process writes to it."""

from __future__ import annotations

import sqlite3
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from ember_bench.errors import DamagedStoreError, StoreError
from ember_bench.experiment.results.damage import damage, decode_calls
from ember_bench.experiment.results.description import Description, decode, digest_of
from ember_bench.experiment.results.evaluations import (
    Evaluations,
    evaluation_calls,
    read_evaluations,
    read_verdicts,
)
from ember_bench.experiment.results.further import Further, further_rows, read_further
from ember_bench.experiment.results.item_numbers import ItemNumbers
from ember_bench.experiment.results.run_totals import LastRun, RunTotals
from ember_bench.experiment.results.schema import (
    APPLICATION_ID,
    BUDGET_USD,
    DESCRIPTION,
    DESCRIPTION_DIGEST,
    SCHEMA,
    SCHEMA_VERSION,
)
from ember_bench.experiment.results.summary import FAILED, OUTCOMES
from ember_bench.experiment.trial_calls import CallEntry
from ember_bench.models.store.payments import dollars, units
from ember_bench.models.store.sqlite import is_damage, is_undecodable, open_for_reading

_AT_ONCE: Final = 10_000

_OUTCOME: Final = " ".join(
    ["CASE outcome", *(f"WHEN '{name}' THEN {i}" for i, name in enumerate(OUTCOMES)), "END"]
)


FloatArray = npt.NDArray[np.float64]


class TrialRows:
    """The stored trials of one experiment.

    Attributes:
        path: The file.
        description: The description of the experiment; cells and items are numbered in its order.
    """

    path: Path
    description: Description
    _db: sqlite3.Connection
    _cell_ids: list[int]
    """Of each cell in the table of cells."""
    _numbers: list[ItemNumbers]
    """For each cell, of its items in the table of items."""

    def columns(
        self, cell: int, names: Sequence[str], *, first: int | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """Yield (item index, epoch, *names) of the stored trials of a cell, in item order.

        Args:
            cell: Its number.
            names: Names of columns.
            first: Only those of the first so many items; None for all.
        """
        numbers = self._numbers[cell]
        index, wanted = numbers.index, numbers.stored[:first]
        rows = self._select(
            f"SELECT item, epoch, {', '.join(names)} FROM trials"  # noqa: S608 - column names of ours
            " WHERE cell = ? AND epoch < ? AND item BETWEEN ? AND ? ORDER BY item, epoch",
            (
                self._cell_ids[cell],
                self.description.epochs,
                min(wanted, default=0),
                max(wanted, default=-1),
            ),
        )
        found = ((index[row[0]], *row[1:]) for row in rows if 0 <= index[row[0]] < len(wanted))
        return found if numbers.ascending else iter(sorted(found, key=itemgetter(0, 1)))

    def numbers(self, cell: int, names: Sequence[str]) -> Iterator[FloatArray]:
        """Yield item index and `names` of the stored trials of a cell, some thousand at a time.

        Shape (1 + len(names), n_trials); NaN where there is no value, and an outcome by its place
        among `OUTCOMES`. The epochs of an item follow each other; items come in the order of their
        numbers in the table of items. They go to an array one by one: no trial is an object
        meanwhile.
        """
        # The largest number that SQLite can write is infinite, and is none that is stored.
        wanted = [_OUTCOME if name == "outcome" else f"ifnull({name}, 9e999)" for name in names]
        rows = self._select(
            f"SELECT {', '.join(['item', *wanted])} FROM trials"  # noqa: S608 - column names of ours
            " WHERE cell = ? AND epoch < ? ORDER BY item, epoch",
            (self._cell_ids[cell], self.description.epochs),
        )
        indices, width = self._numbers[cell].indices, 1 + len(names)
        while True:
            some = chain.from_iterable(islice(rows, _AT_ONCE))
            found = np.fromiter(some, np.float64).reshape(-1, width).T
            if not found.size:
                return
            found[np.isinf(found)] = np.nan
            found[0] = indices[found[0].astype(np.intp)]
            yield found[:, found[0] >= 0]

    def row(self, cell: int, item: int, epoch: int, names: Sequence[str]) -> tuple[Any, ...] | None:
        """Return the columns `names` of one trial, or None if it is not stored."""
        rows = self._select(
            f"SELECT {', '.join(names)} FROM trials"  # noqa: S608 - column names of ours
            " WHERE cell = ? AND item = ? AND epoch = ?",
            (self._cell_ids[cell], self._numbers[cell].stored[item], epoch),
        )
        return next(rows, None)

    def calls(self, cell: int, item: int, epoch: int) -> tuple[CallEntry, ...] | None:
        """Return the calls of one trial, or None if it is not stored."""
        row = self.row(cell, item, epoch, ["calls"])
        return None if row is None else self._calls_in(row[0])

    def evaluation_calls(self, cell: int, item: int, epoch: int) -> tuple[CallEntry, ...]:
        """Return the calls of the judges of one trial."""
        place = (self._cell_ids[cell], self._numbers[cell].stored[item], epoch)
        return self._calls_in(evaluation_calls(self._select, place))

    def all_calls(
        self, cell: int, *, first: int | None = None
    ) -> Iterator[tuple[int, int, tuple[CallEntry, ...]]]:
        """Yield (item index, epoch, calls) as `columns` does."""
        for item, epoch, calls in self.columns(cell, ["calls"], first=first):
            yield item, epoch, self._calls_in(calls)

    def asked_shares(self, cell: int, models: int) -> dict[str, float]:
        """Return the share of a cell's trials that called each model, failed trials left out.

        Empty if every trial called every model.

        Args:
            cell: The index of the cell.
            models: The number of its models.
        """
        ((fewest,),) = self._select(
            "SELECT ifnull(min(calls_used), 0) FROM trials WHERE cell = ? AND epoch < ?",
            (self._cell_ids[cell], self.description.epochs),
        )
        if models < 2 or fewest > models:
            return {}
        trials, found = 0, Counter[str]()
        for _, _, outcome, calls in self.columns(cell, ["outcome", "calls"]):
            if outcome not in FAILED:
                trials += 1
                found.update({call.model for call in self._calls_in(calls)})
        if len(found) == models and set(found.values()) <= {trials}:
            return {}
        ordered = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))
        return {model: count / trials for model, count in ordered}

    def errors(self, cell: int) -> Iterator[str]:
        """Yield the errors of a cell's failed trials, in item order."""
        for _, _, outcome, error in self.columns(cell, ["outcome", "error"]):
            if outcome in FAILED:
                yield error or ""

    def evaluations(self, cell: int) -> Evaluations | None:
        """Return what the judges of a cell's trials took; None if none was asked."""
        return read_evaluations(
            self._select,
            self._cell_ids[cell],
            self.description.epochs,
            self._numbers[cell].indices,
        )

    def verdicts(self, cell: int) -> Iterator[tuple[int, list[str]]]:
        """Yield the place of the item and the judges' answers of each of a cell's trials."""
        indices = self._numbers[cell].indices
        return read_verdicts(self._select, self._cell_ids[cell], self.description.epochs, indices)

    def further(self, cell: int, evaluator: str) -> Further | None:
        """Return the scores of a cell's outputs by a further evaluator; None if it gave none."""
        return read_further(
            self._select,
            self._cell_ids[cell],
            evaluator,
            self.description.epochs,
            self._numbers[cell].indices,
        )

    def further_scores(self, cell: int) -> Iterator[tuple[Any, ...]]:
        """Yield item index, epoch, and what `further_rows` has of each further score of a cell."""
        indices = self._numbers[cell].indices
        return further_rows(self._select, self._cell_ids[cell], self.description.epochs, indices)

    @property
    def tells_stated(self) -> bool:
        """Whether the table of trials has the column `stated`; stores of before do without."""
        return ("stated",) in self._select("SELECT name FROM pragma_table_info('trials')")

    def never_stated(self, cell: int) -> bool:
        """Return whether a cell has answers of which it is known, and none was stated."""
        if not self.tells_stated:
            return False
        ((known, stated),) = self._select(
            "SELECT count(stated), total(stated) FROM trials WHERE cell = ? AND epoch < ?",
            (self._cell_ids[cell], self.description.epochs),
        )
        return known > 0 and not stated

    def all_totals(self) -> RunTotals:
        """Return the calls and spending of all runs of the experiment."""
        return self._totals("")

    def fact(self, name: str) -> str | None:
        """Return a fact that was noted under `name`."""
        rows = self._select("SELECT value FROM facts WHERE name = ?", (name,))
        return next((str(value) for (value,) in rows), None)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _read_cell_ids(self, names: Iterable[str]) -> list[int]:
        """Return the numbers of cells in the table of cells."""
        ids = dict(self._select("SELECT name, id FROM cells"))
        try:
            return [ids[name] for name in names]
        except KeyError as error:
            raise self._damaged(f"the cell {error} is not there") from None

    def _read_numbers(self) -> list[ItemNumbers]:
        """Return, for each cell, the numbers of its items in the table of items."""
        ((most,),) = self._select("SELECT ifnull(max(id), 0) FROM items")
        by_dataset = {
            name: ItemNumbers(array("i", self._stored_numbers(name)), most)
            for name in self.description.items
        }
        return [by_dataset[cell.dataset] for cell in self.description.cells]

    def _stored_numbers(self, dataset: str) -> Iterator[int]:
        if dataset in self.description.asked:
            rows = self._select(
                "SELECT item FROM asked WHERE dataset = ? ORDER BY place", (dataset,)
            )
            return (number for (number,) in rows)
        found = dict(self._select("SELECT item, id FROM items WHERE dataset = ?", (dataset,)))
        return (found[item.id] for item in self.description.items[dataset])

    def _select(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query.

        Raises:
            DamagedStoreError: where they cannot be read.
            StoreError: if the file cannot be read for another reason.
        """
        try:
            # Not `yield from`, which closes the cursor where nobody reads on, maybe after the file.
            for row in self._db.execute(query, values):  # noqa: UP028
                yield row
        except sqlite3.Error as error:
            if is_damage(error):
                reason = "a text is not UTF-8" if is_undecodable(error) else str(error)
                raise self._damaged(reason) from error
            raise StoreError(f"{self.path}: cannot be read: {error}") from error

    def _damaged(self, reason: str) -> DamagedStoreError:
        return DamagedStoreError(
            f"{self.path}: is damaged: {reason}; run its grid once more, which mends it"
        )

    def _calls_in(self, column: bytes) -> tuple[CallEntry, ...]:
        try:
            return decode_calls(column)
        except ValueError as error:
            raise self._damaged(f"the calls of a trial: {error}") from error

    def _check(self) -> None:
        """Check that the tables fit each other, and hold what is written there.

        Raises:
            DamagedStoreError: if they do not.
        """
        if (reason := damage(self._select, self.description)) is not None:
            raise self._damaged(reason)

    def _totals(self, where: str, *values: Any) -> RunTotals:
        runs = list(
            self._select(
                "SELECT spend_usd, calls_made, calls_shared FROM runs " + where,  # noqa: S608 - ours
                values,
            )
        )
        # As integers: the sum is the same over however many runs it was paid.
        spend = dollars(sum(units(usd) for usd, _, _ in runs))
        totals = RunTotals(spend, sum(row[1] for row in runs), sum(row[2] for row in runs))
        known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'doubts'"
        if next(self._select(known), None) is None:
            return totals
        ((unpriced, unanswered, usd, unbounded),) = self._select(
            "SELECT sum(unpriced), sum(unanswered), total(unanswered_usd),"  # noqa: S608 - ours
            " count(*) - count(unanswered_usd) FROM doubts " + where,
            values,
        )
        return replace(
            totals,
            unpriced=unpriced or 0,
            unanswered=unanswered or 0,
            unanswered_usd=None if unbounded else usd,
        )


class StoredTrials(TrialRows):
    """The trials that are in a trial store now; nothing in it is made, changed or locked.

    What another process writes meanwhile is not seen. Neither grid nor registry is needed.

    Args:
        path: The file.

    Raises:
        StoreError: if it is not a trial store of this version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = open_for_reading(
            path, application_id=APPLICATION_ID, version=SCHEMA_VERSION, schema=SCHEMA
        )
        try:
            # All that is read from here on is of one moment.
            self._db.execute("BEGIN")
            self.description = self._described()
            self._check()
            self._cell_ids = self._read_cell_ids(cell.name for cell in self.description.cells)
            self._numbers = self._read_numbers()
            self.evaluators = dict(self._select("SELECT dataset, identity FROM evaluators"))
            """Identity of the evaluator that scored, by dataset."""
        except BaseException:
            self._db.close()
            raise

    def last_run(self) -> LastRun:
        """Return the spending of the last run, and its cap."""
        rows = self._select("SELECT spend_usd FROM runs ORDER BY id DESC LIMIT 1")
        cap = self.fact(BUDGET_USD)
        return LastRun(next((usd for (usd,) in rows), 0.0), float(cap) if cap else None)

    def fingerprints(self, cell: int) -> dict[tuple[int, int], bytes]:
        """Return the fingerprint of each stored trial of a cell by (item index, epoch)."""
        return {(item, epoch): print_ for item, epoch, print_ in self.columns(cell, _FINGERPRINT)}

    def failure(self, cell: int, item: int, epoch: int) -> dict[str, Any] | None:
        """Return the result of a trial that ended in an error, by field of `TrialResult`.

        None if it is not stored, or did not end in an error.
        """
        names = ("outcome", "error", "cost_usd", "latency_seconds", "calls")
        rows = self._select(
            f"SELECT {', '.join(names)} FROM trials"  # noqa: S608 - column names of ours
            " WHERE cell = ? AND item = ? AND epoch = ? AND outcome = 'error'",
            (self._cell_ids[cell], self._numbers[cell].stored[item], epoch),
        )
        if (row := next(rows, None)) is None:
            return None
        found = self._calls_in(row[-1])
        calls = tuple(msgspec.structs.replace(call, made=False) for call in found)
        return dict(zip(names, row[:-1], strict=False)) | {"calls": calls}

    def _described(self) -> Description:
        stored = self.fact(DESCRIPTION)
        if stored is None:
            raise StoreError(f"{self.path}: does not say what it is of; run its grid once more")
        try:
            description = decode(stored, self._select)
        except msgspec.MsgspecError as error:
            raise StoreError(
                f"{self.path}: was written by another version of ember-bench: {error}; run its "
                "grid once more"
            ) from None
        if self.fact(DESCRIPTION_DIGEST) not in (None, digest_of(stored)):
            raise self._damaged("the description of its experiment is not what was written")
        return description


_FINGERPRINT: Final = ("fingerprint",)
