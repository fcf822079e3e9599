"""The trial store: every trial's result, in one SQLite file for each experiment."""

from __future__ import annotations

import itertools
import sqlite3
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec

from ember_bench.errors import DamagedStoreError, StoreError
from ember_bench.evaluators.base import Evaluator, judges_of
from ember_bench.evaluators.kinds import evaluator_identity
from ember_bench.evaluators.several import further_of
from ember_bench.experiment import user_code
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.questions import Questions
from ember_bench.experiment.results import further
from ember_bench.experiment.results.damage import DAMAGED_RUN, DAMAGED_TRIAL, are_readable
from ember_bench.experiment.results.description import decode, describe, digest_of, encode
from ember_bench.experiment.results.evaluations import (
    make_table,
    remove_orphans,
    write_evaluations,
)
from ember_bench.experiment.results.rows import TrialRows
from ember_bench.experiment.results.run_totals import RunTotals, keep_paid
from ember_bench.experiment.results.schema import (
    APPLICATION_ID,
    DESCRIPTION,
    DESCRIPTION_DIGEST,
    SCHEMA,
    SCHEMA_VERSION,
)
from ember_bench.experiment.results.summary import FAILED
from ember_bench.experiment.some_names import Some
from ember_bench.experiment.trial import Trial, TrialResult, fingerprint
from ember_bench.experiment.trial_calls import counts_of
from ember_bench.models.store.payments import Paid
from ember_bench.models.store.sqlite import (
    is_damage,
    needs_mending,
    open_database,
    put_aside,
    suspect,
)

ACCOUNTS: Final = "accounts"
"""Name of the fact that holds the prefix of the accounts of its runs."""
_BATCH: Final = 1_000

_encode_calls = msgspec.msgpack.Encoder().encode


def open_trial_store(path: Path, experiment: Experiment, *, started: str) -> TrialStore:
    """Open the trial store in `path`; a damaged file is put aside, and `changes` says so.

    Its trials are run again: what their calls answered is in the response store.

    Raises:
        StoreError: if the file is something else, of another version, or cannot be written.
    """
    try:
        if not needs_mending(path):
            return TrialStore(path, experiment, started=started)
    except DamagedStoreError:
        pass
    aside = put_aside(path)
    store = TrialStore(path, experiment, started=started)
    store.changes.append(
        f"{path.name} was damaged; it is {aside.name} now, and all trials run anew"
    )
    return store


class TrialStore(TrialRows):
    """The results of one experiment's trials.

    Opening it for an experiment compares what is stored with what the experiment now asks:
    results of trials whose fingerprint is another one are removed, and `changes` says why.

    Raises:
        StoreError: if the file is not a trial store of this version.
    """

    def __init__(self, path: Path, experiment: Experiment, *, started: str) -> None:
        self.path = path
        self.experiment = experiment
        self._db = open_database(
            path, application_id=APPLICATION_ID, version=SCHEMA_VERSION, schema=SCHEMA
        )
        # Rows lost with the power are computed again from the response store, for free.
        self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            with self._transaction():
                damaged = self._remove_damaged()
                if not self.tells_stated:  # trials of before: unknown
                    self._db.execute("ALTER TABLE trials ADD COLUMN stated INTEGER")
                if any(judges_of(q.evaluator) for q in experiment.questions.values()):
                    make_table(self._db)
                if any(further_of(q.evaluator) for q in experiment.questions.values()):
                    further.make_table(self._db)
                self._before, self._price_dates = self._described_before()
                self.changes = self._changed_parts()
                self._cell_ids = self._register_cells()
                for name, questions in experiment.questions.items():
                    self.changes += self._register_items(name, questions)
                    self.changes += self._register_evaluator(name, questions.evaluator)
                self._describe()
                self._check()
                for items in self.description.items.values():
                    items.check()
                self._numbers = self._read_numbers()
                self.done = self._keep_current(damaged)
                remove_orphans(self._db)
                further.remove_orphans(self._db)
                row = self._db.execute("INSERT INTO runs (started) VALUES (?)", (started,))
                self._run = row.lastrowid or 0
                self._accounts = self._named_accounts()
                self._unsettled = True  # an earlier run may have been killed
        except BaseException:
            self._db.close()
            raise

    def write(self, results: Sequence[TrialResult]) -> None:
        """Keep the results of trials, replacing those of the same trials."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO trials"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [self._row(result) for result in results],
            )
            write_evaluations(self._db, ((self._place(r.trial), r.evaluation) for r in results))
            further.write_further(self._db, ((self._place(r.trial), r.further) for r in results))
            shared = sum(not entry.made for result in results for entry in result.all_calls)
            self._db.execute(
                "UPDATE runs SET calls_shared = calls_shared + ? WHERE id = ?",
                (shared, self._run),
            )

    def _place(self, trial: Trial) -> tuple[int, int, int]:
        """Return the key of a trial in the tables."""
        return self._cell_ids[trial.cell], self._numbers[trial.cell].stored[trial.item], trial.epoch

    def settle(self, paid: Callable[[str], Paid]) -> RunTotals:
        """Update the spending of each run; return that of this run.

        Counted where the answers are kept: a request is paid also if its trial was cancelled, or
        the run was killed, before the trial could use the answer.

        Args:
            paid: Tells what was paid on an account, see `account`.
        """
        with self._transaction():
            numbers = [number for (number,) in self._db.execute("SELECT id FROM runs")]
            for number in numbers if self._unsettled else [self._run]:
                keep_paid(self._db, number, paid(self._account_of(number)))
        self._unsettled = False
        return self.run_totals()

    @property
    def account(self) -> str:
        """The account of this run's requests."""
        return self._account_of(self._run)

    def _named_accounts(self) -> str:
        """Return the prefix of the accounts of the experiment's runs, in any response store."""
        name = self.fact(ACCOUNTS) or uuid4().hex
        self.note(ACCOUNTS, name)
        return name

    def _account_of(self, run: int) -> str:
        return f"{self._accounts}/{run}"

    def is_done(self, trial: Trial) -> bool:
        """Whether `trial` was done, and not in vain, before this run."""
        items = len(self._numbers[trial.cell].stored)
        return bool(self.done[trial.cell][trial.epoch * items + trial.item])

    def narrow(self, names: Collection[str]) -> Experiment:
        """Describe the cells of these names alone; return the experiment of them.

        Trials of the others stay, and are found again by a run of the whole.
        """
        cells = self.experiment.cells
        kept = [place for place, cell in enumerate(cells) if cell.name in names]
        self.experiment = self.experiment.only(names)
        self._cell_ids = [self._cell_ids[place] for place in kept]
        self._numbers = [self._numbers[place] for place in kept]
        self.done = [self.done[place] for place in kept]
        with self._transaction():
            self._describe()
        return self.experiment

    def run_totals(self) -> RunTotals:
        """Return the calls and spending of this run."""
        return self._totals("WHERE id = ?", self._run)

    def note(self, name: str, value: str) -> None:
        """Note a fact about the experiment, for later runs."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit all changes within, or none of them.

        Raises:
            StoreError: if SQLite cannot: the file is damaged, the disk full.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, DamagedStoreError) or is_damage(error):
                suspect(self.path)
            if isinstance(error, sqlite3.Error):
                kind = DamagedStoreError if is_damage(error) else StoreError
                raise kind(f"{self.path}: cannot be used: {error}") from error
            raise

    def _row(self, result: TrialResult) -> tuple[Any, ...]:
        calls = result.calls
        return (
            *self._place(result.trial),
            result.fingerprint, result.outcome, result.score, further.writable(result.answer),
            further.writable(result.explanation), further.writable(result.error), result.cost_usd,
            result.latency_seconds, result.spend_usd, *counts_of(calls, result.wasted_calls),
            _encode_calls(calls), result.stated,
        )  # fmt: skip

    def _described_before(self) -> tuple[dict[str, str], list[str]]:
        """Return the identities in the table `asked`, by dataset, and the dates of prices."""
        stored = self.fact(DESCRIPTION)
        try:
            before = None if stored is None else decode(stored, self._select)
        except msgspec.MsgspecError:
            before = None
        return ({}, []) if before is None else (dict(before.asked), before.price_dates)

    def _describe(self) -> None:
        """Store the description of the experiment; the items are in their tables already."""
        stored = encode(describe(self.experiment, self._price_dates))
        self.note(DESCRIPTION, stored)
        self.note(DESCRIPTION_DIGEST, digest_of(stored))
        self.description = decode(stored, self._select)
        asked = self.description.asked
        for name in self._before.keys() - asked.keys():
            self._db.execute("DELETE FROM asked WHERE dataset = ?", (name,))

    def _changed_parts(self) -> list[str]:
        """Return the changes of the cells since their trials, as sentences."""
        experiment, changes = self.experiment, []
        known = dict(self._db.execute("SELECT name, parts FROM cells"))
        changed: dict[str, list[str]] = {}
        for cell in experiment.cells:
            if (stored := known.get(cell.name)) is None:
                continue
            try:
                before = msgspec.json.decode(stored, type=dict[str, str])
            except msgspec.MsgspecError:
                continue  # it is damaged; fingerprints tell what has changed all the same
            for part, digest in cell.parts.items():
                if before.get(part, digest) != digest:
                    changed.setdefault(part, []).append(cell.name)
        changed.pop("code", None)  # told by file
        for part, cells in changed.items():
            verb = "has" if part == "graph" else "have"
            changes.append(f"the {part} of {Some('cell', cells)} {verb} changed")
        return changes

    def _register_cells(self) -> list[int]:
        """Bring the table of cells up to date and return each cell's id there."""
        for cell in self.experiment.cells:
            self._db.execute(
                "INSERT INTO cells (name, parts) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET parts = excluded.parts",
                (cell.name, msgspec.json.encode(cell.parts).decode()),
            )
        return self._read_cell_ids(cell.name for cell in self.experiment.cells)

    def _register_items(self, dataset: str, questions: Questions) -> list[str]:
        """Bring the tables of items up to date; say, in sentences, which items changed."""
        if self._before.get(dataset) == questions.identity:
            return []
        edited = Some("item")
        self._db.execute("DELETE FROM asked WHERE dataset = ?", (dataset,))
        items = enumerate(questions.items)
        while batch := list(itertools.islice(items, _BATCH)):
            for _, item in batch:
                row = self._db.execute(
                    "SELECT digest FROM items WHERE dataset = ? AND item = ?", (dataset, item.id)
                ).fetchone()
                if row is not None and row[0] != item.digest:
                    edited.add(item.id)
            self._db.executemany(
                "INSERT INTO items (dataset, item, digest) VALUES (?, ?, ?)"
                " ON CONFLICT (dataset, item) DO UPDATE SET digest = excluded.digest"
                " WHERE digest <> excluded.digest",
                [(dataset, item.id, item.digest) for _, item in batch],
            )
            self._db.executemany(
                "INSERT INTO asked SELECT dataset, ?, id, ?, ?, ?, ? FROM items"
                " WHERE dataset = ? AND item = ?",
                [
                    (place, i.category, i.cluster, i.question, i.target, dataset, i.id)
                    for place, i in batch
                ],
            )
        return [f"{dataset}: {edited} changed"] if edited else []

    def _register_evaluator(self, dataset: str, evaluator: Evaluator) -> list[str]:
        """Bring the table of evaluators up to date; say if it is another one."""
        row = self._db.execute(
            "SELECT identity FROM evaluators WHERE dataset = ?", (dataset,)
        ).fetchone()
        identity = evaluator_identity(evaluator)
        if row is not None and row[0] == identity:
            return []
        self._db.execute("INSERT OR REPLACE INTO evaluators VALUES (?, ?)", (dataset, identity))
        return (
            [f"{dataset}: the evaluator {evaluator.name} changed, or is another one"] if row else []
        )

    def _remove_damaged(self) -> int:
        """Remove trials of which SQLite can tell that they are damaged; return their number."""
        self._db.execute(
            "UPDATE runs SET spend_usd = 0, calls_made = 0, calls_shared = 0"  # noqa: S608 - ours
            f" WHERE {DAMAGED_RUN}"  # what was paid is read again from the response store
        )
        return self._db.execute(f"DELETE FROM trials WHERE {DAMAGED_TRIAL}").rowcount  # noqa: S608 - ours

    def _keep_current(self, damaged: int) -> list[bytearray]:
        """Remove trials that are about something else now; return which are done, by cell.

        Trials that ended in an error, or that an evaluator failed on, are not done: this run tries
        them again.

        Args:
            damaged: Number of trials that were removed as damaged.
        """
        done, stale = list[bytearray](), dict[str, int]()
        epochs = self.experiment.spec.epochs
        for number, cell in enumerate(self.experiment.cells):
            questions = self.experiment.questions[cell.dataset]
            index, items = self._numbers[number].index, len(questions.items)
            flags = bytearray(items * epochs)
            stale_items, stale_epochs = array("q"), array("q")
            unreadable = 0
            again = further.failed_places(self._select, self._cell_ids[number])
            rows = self._select(
                "SELECT item, epoch, fingerprint, outcome, CAST(answer AS BLOB),"
                " CAST(explanation AS BLOB), CAST(error AS BLOB), calls FROM trials WHERE cell = ?",
                (self._cell_ids[number],),
            )
            for stored, epoch, identity, outcome, *content in rows:
                if not (readable := are_readable(*content)):
                    unreadable += 1
                elif (item := index[stored]) < 0:
                    continue  # not asked this time
                if not readable or identity != fingerprint(
                    cell, questions.items[item], questions.evaluator, epoch
                ):
                    stale_items.append(stored)
                    stale_epochs.append(epoch)
                elif epoch < epochs and outcome not in FAILED and (stored, epoch) not in again:
                    flags[epoch * items + item] = 1
            ids = itertools.repeat(self._cell_ids[number])
            self._db.executemany(
                "DELETE FROM trials WHERE cell = ? AND item = ? AND epoch = ?",
                zip(ids, stale_items, stale_epochs, strict=False),
            )
            stale[cell.name] = len(stale_items) - unreadable
            damaged += unreadable
            done.append(flags)
        if damaged:
            self.changes.append(f"{damaged:,} stored trials were damaged: they run again")
        self.changes += user_code.changes(self, self.experiment, stale)
        if (unexplained := sum(stale.values())) and not self.changes:
            self.changes.append(
                f"{unexplained:,} stored trials do not fit the experiment any more: an answer "
                "format, ember-bench itself, or something that an earlier run has noticed changed"
            )
        return done
