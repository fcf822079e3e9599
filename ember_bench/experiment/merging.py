"""The union of trial stores of one experiment: of shards, or of whichever parts of it were run."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from ember_bench.errors import ConfigError
from ember_bench.experiment import user_code
from ember_bench.experiment.results import further
from ember_bench.experiment.results.description import Description, digest_of, encode
from ember_bench.experiment.results.evaluations import make_table
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.results.run_totals import keep_paid
from ember_bench.experiment.results.schema import (
    APPLICATION_ID,
    DESCRIPTION,
    DESCRIPTION_DIGEST,
    SCHEMA,
    SCHEMA_VERSION,
)
from ember_bench.experiment.results.summary import FAILED
from ember_bench.experiment.trial_store import ACCOUNTS
from ember_bench.models.store.merging import joined
from ember_bench.models.store.payments import Paid
from ember_bench.models.store.sqlite import open_database

_MERGED: Final = "merged"
_SHOWN: Final = 5
_FAILED: Final = f"({', '.join(map(repr, FAILED))})"
# Whatever a trial has but its times, and whether it or another trial made a call.
_DIFFERS: Final = " OR ".join(
    f"p.{name} IS NOT m.{name}"
    for name in (
        "fingerprint", "outcome", "score", "answer", "explanation", "cost_usd", "calls_used",
        "input_tokens", "output_tokens",
    )
)  # fmt: skip
_ROWS: Final = (
    "FROM part.trials p JOIN cells_of c ON c.part = p.cell JOIN items_of i ON i.part = p.item"
)
_SAME: Final = "m.cell = c.main AND m.item = i.main AND m.epoch = p.epoch"


class Merged(msgspec.Struct, frozen=True):
    """What was merged into a trial store.

    Attributes:
        runs: Number of each run there, by the account on which its requests were paid.
        shards: By shard, the number of its trials that were not done when it was merged.
    """

    runs: dict[str, int] = {}
    shards: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class _Part:
    path: Path
    described: Description
    scheduled: int
    merged: Merged
    account: str
    has_stated: bool


def merge_trials(into: Path, part: Path, paid: Callable[[str], Paid]) -> None:
    """Add the trials of `part` to the trial store `into`, which is made if it is not there.

    All of them are added, or none. A trial that failed gives way to one that did not.

    Args:
        into: The trial store.
        part: Another one, of the same experiment.
        paid: Tells what was paid on an account in the response store of the part.

    Raises:
        ConfigError: if they are of different grids, or both have a trial with different results.
        StoreError: if one of them cannot be used.
    """
    found = _read(part)
    open_database(
        into, application_id=APPLICATION_ID, version=SCHEMA_VERSION, schema=SCHEMA
    ).close()
    with joined(into, part) as base:
        _describe(base, found, into)
        _match(base, found.described)
        _refuse_conflicts(base, part)
        missing = _add_trials(base, found)
        before = _merged(_fact(base, _MERGED))
        shards = {**before.shards, **found.merged.shards}
        if name := found.described.shard:
            shards[name] = missing
        runs = {**before.runs, **_add_runs(base, found, before.runs, paid)}
        _note(base, _MERGED, msgspec.json.encode(Merged(runs, shards)).decode())


def merged_parts(trials: StoredTrials) -> Merged:
    """Return what was merged into a trial store."""
    return _merged(trials.fact(_MERGED))


def _merged(fact: str | None) -> Merged:
    return msgspec.json.decode(fact or "{}", type=Merged)


def _read(part: Path) -> _Part:
    with closing(StoredTrials(part)) as rows:
        described = rows.description
        return _Part(
            part,
            described,
            sum(map(described.scheduled, described.cells)),
            merged_parts(rows),
            rows.fact(ACCOUNTS) or uuid4().hex,
            rows.tells_stated,
        )


def _fact(base: sqlite3.Connection, name: str, schema: str = "main") -> str | None:
    row = base.execute(f"SELECT value FROM {schema}.facts WHERE name = ?", (name,)).fetchone()  # noqa: S608 - ours
    return None if row is None else str(row[0])


def _note(base: sqlite3.Connection, name: str, value: str) -> None:
    base.execute("INSERT OR REPLACE INTO main.facts VALUES (?, ?)", (name, value))


def _describe(base: sqlite3.Connection, part: _Part, into: Path) -> None:
    """See that both are of the same grid; describe the whole experiment."""
    described, stored = part.described, _fact(base, DESCRIPTION)
    if stored is None:
        base.execute("INSERT INTO main.items SELECT * FROM part.items ORDER BY id")
        for table in ("asked", "evaluators"):
            base.execute(f"INSERT INTO main.{table} SELECT * FROM part.{table}")  # noqa: S608 - ours
        base.execute(
            "INSERT INTO main.cells SELECT * FROM part.cells"
            " WHERE name IN (SELECT value FROM json_each(?)) ORDER BY id",
            (_names(described),),
        )
        dates = described.price_dates
    else:
        there = msgspec.json.decode(stored, type=Description)
        if there.digest != described.digest:
            raise ConfigError(
                f"{part.path}: is of another grid than {into}: {_difference(there, described)};"
                " nothing of this part was merged"
            )
        dates = sorted({*there.price_dates, *described.price_dates})
    cells = [msgspec.structs.replace(cell, elsewhere=0) for cell in described.cells]
    whole = msgspec.structs.replace(described, cells=cells, shard="", price_dates=dates)
    if stored is not None:
        whole = msgspec.structs.replace(whole, grid=there.grid)
    text = encode(whole)
    _note(base, DESCRIPTION, text)
    _note(base, DESCRIPTION_DIGEST, digest_of(text))
    code = user_code.noted(_fact(base, user_code.FACT, "part"))
    if known := {**code, **user_code.noted(_fact(base, user_code.FACT))}:
        _note(base, user_code.FACT, msgspec.json.encode(known, order="sorted").decode())


def _names(described: Description) -> str:
    return msgspec.json.encode([cell.name for cell in described.cells]).decode()


def _difference(a: Description, b: Description) -> str:
    """Return the first thing that differs between two grids, as far as a description tells."""
    pairs: Mapping[str, tuple[object, object]] = {
        "the name differs": (a.name, b.name),
        "the seed differs": (a.seed, b.seed),
        "the number of epochs differs": (a.epochs, b.epochs),
        "the systems differ": ([c.name for c in a.cells], [c.name for c in b.cells]),
        "the items differ": (
            [(d.name, d.digest, d.items) for d in a.datasets],
            [(d.name, d.digest, d.items) for d in b.datasets],
        ),
        "an evaluator differs": (
            [d.evaluator_identity for d in a.datasets],
            [d.evaluator_identity for d in b.datasets],
        ),
    }
    differing = [name for name, (one, other) in pairs.items() if one != other]
    return differing[0] if differing else "a model, a prompt, a setting or code differs"


def _match(base: sqlite3.Connection, described: Description) -> None:
    """Find the numbers that the cells and items of the part have in the whole."""
    base.execute(
        "INSERT INTO main.cells (name, parts) SELECT name, parts FROM part.cells"
        " WHERE name IN (SELECT value FROM json_each(?))"
        " AND name NOT IN (SELECT name FROM main.cells)",
        (_names(described),),
    )
    base.execute("CREATE TEMP TABLE cells_of (part INTEGER PRIMARY KEY, main INTEGER NOT NULL)")
    base.execute(
        "INSERT INTO cells_of SELECT p.id, m.id FROM part.cells p JOIN main.cells m USING (name)"
        " WHERE name IN (SELECT value FROM json_each(?))",
        (_names(described),),
    )
    base.execute("CREATE TEMP TABLE items_of (part INTEGER PRIMARY KEY, main INTEGER NOT NULL)")
    base.execute(
        "INSERT INTO items_of SELECT p.id, m.id FROM part.items p"
        " JOIN main.items m USING (dataset, item, digest)"
        " WHERE m.id IN (SELECT item FROM main.asked)"
    )


def _refuse_conflicts(base: sqlite3.Connection, part: Path) -> None:
    query = (
        f"{_ROWS} JOIN main.trials m ON {_SAME} WHERE ({_DIFFERS})"
        f" AND p.outcome NOT IN {_FAILED} AND m.outcome NOT IN {_FAILED}"
    )
    (number,) = base.execute(f"SELECT count(*) {query}").fetchone()
    if not number:
        return
    rows = base.execute(
        "SELECT (SELECT name FROM main.cells WHERE id = m.cell),"  # noqa: S608 - ours
        " (SELECT item FROM main.items WHERE id = m.item), m.epoch"
        f" {query} ORDER BY m.cell, m.item, m.epoch LIMIT {_SHOWN}"
    )
    shown = "; ".join(f"{cell}, item {item}, epoch {epoch}" for cell, item, epoch in rows)
    more = "; ..." if number > _SHOWN else ""
    trials = "1 trial has" if number == 1 else f"{number:,} trials have"
    raise ConfigError(
        f"{part}: {trials} another result here than in what was merged before: {shown}{more};"
        " nothing of this part was merged"
    )


def _add_trials(base: sqlite3.Connection, part: _Part) -> int:
    """Add the trials that are not there, or failed there; return how many the part lacks."""
    asked = f"p.epoch < {part.described.epochs}"
    base.execute(
        "CREATE TEMP TABLE taken AS SELECT c.main AS cell, i.main AS item, p.epoch AS epoch,"
        f" p.cell AS part_cell, p.item AS part_item {_ROWS}"
        f" LEFT JOIN main.trials m ON {_SAME} WHERE {asked} AND (m.cell IS NULL OR"
        f" (m.outcome IN {_FAILED} AND p.outcome NOT IN {_FAILED}))"
    )
    _copy(base, "trials", "" if part.has_stated else "stated")
    for table, make in (("evaluations", make_table), ("further", further.make_table)):
        known = f"SELECT 1 FROM part.sqlite_master WHERE type = 'table' AND name = '{table}'"  # noqa: S608 - ours
        if base.execute(known).fetchone() is not None:
            make(base)
            base.execute(
                f"DELETE FROM main.{table} WHERE (cell, item, epoch) IN"  # noqa: S608 - ours
                " (SELECT cell, item, epoch FROM taken)"
            )
            _copy(base, table)
    (there,) = base.execute(f"SELECT count(*) {_ROWS} WHERE {asked}").fetchone()
    return max(0, part.scheduled - int(there))


def _copy(base: sqlite3.Connection, table: str, missing: str = "") -> None:
    """Copy the rows of the trials that are taken; the column `missing` is not in the part."""
    columns = [row[1] for row in base.execute(f"PRAGMA main.table_info({table})")]
    rest = [name for name in columns if name not in ("cell", "item", "epoch", missing)]
    base.execute(
        f"INSERT OR REPLACE INTO main.{table} (cell, item, epoch, {', '.join(rest)})"  # noqa: S608 - ours
        f" SELECT t.cell, t.item, t.epoch, {', '.join(f'p.{name}' for name in rest)}"
        f" FROM taken t JOIN part.{table} p ON p.cell = t.part_cell AND p.item = t.part_item"
        " AND p.epoch = t.epoch ORDER BY t.cell, t.item, t.epoch"
    )


def _add_runs(
    base: sqlite3.Connection,
    part: _Part,
    known: Mapping[str, int],
    paid: Callable[[str], Paid],
) -> dict[str, int]:
    """Add the runs of the part with their payments, each once; return their numbers."""
    names = {number: account for account, number in part.merged.runs.items()}
    known_doubts = "SELECT 1 FROM part.sqlite_master WHERE type = 'table' AND name = 'doubts'"
    doubts: dict[int, tuple[int, int, float | None]] = {}
    if base.execute(known_doubts).fetchone() is not None:
        doubts = {row[0]: row[1:] for row in base.execute("SELECT * FROM part.doubts")}
    found = {}
    rows = base.execute(
        "SELECT id, started, spend_usd, calls_made, calls_shared FROM part.runs ORDER BY id"
    )
    for number, started, spend, made, shared in rows.fetchall():
        account = names.get(number, f"{part.account}/{number}")
        if (ours := known.get(account)) is None:
            row = base.execute("INSERT INTO main.runs (started) VALUES (?)", (started,))
            ours = row.lastrowid or 0
        found[account] = ours
        base.execute(
            "UPDATE main.runs SET calls_shared = max(calls_shared, ?) WHERE id = ?", (shared, ours)
        )
        keep_paid(base, ours, Paid(made, spend, *doubts.get(number, (0, 0, 0.0))))
        keep_paid(base, ours, paid(account))
    return found
