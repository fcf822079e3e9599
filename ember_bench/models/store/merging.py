"""The union of response stores: a call's identity is its content, so files need no order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ember_bench.errors import ConfigError, DamagedStoreError, StoreError
from ember_bench.file_lock import FileLock
from ember_bench.models.recorded.places import RecordedAnswers
from ember_bench.models.storable import as_kept
from ember_bench.models.store.response_store import lock_path
from ember_bench.models.store.rows import (
    APPLICATION_ID,
    LATER_SCHEMA,
    SCHEMA,
    SCHEMA_VERSION,
    StoredCall,
    insert,
    place_in,
    row_of,
)
from ember_bench.models.store.sqlite import (
    BUSY_SECONDS,
    connect,
    is_damage,
    open_database,
    open_for_reading,
    opening,
    reading_uri,
)

_SHOWN: Final = 5
# Two answers of one call are the same but for what is measured in seconds.
_MORE: Final = [
    f"ifnull(iif(json_valid({t}.more), json_remove({t}.more, '$[3]'), {t}.more), '[[],[],\"\"]')"
    for t in ("p", "m")
]
_DIFFERS: Final = " OR ".join(
    [
        *(f"p.{n} IS NOT m.{n}" for n in ("text", "finish_reason", "usage", "cost_usd")),
        " <> ".join(_MORE),
    ]
)
_AT_ONCE: Final = 256
_OF_CALL: Final = ("role", "parameters", "epoch", "replica", "draw")
_PLACED: Final = (
    f"SELECT key, prompt, cost_usd, created, source, item, number, {', '.join(_OF_CALL)}"  # noqa: S608 - ours
    " FROM places JOIN recordings ON recording = recordings.id LIMIT ?"
)
# Damaged rows were put aside under such keys.
_SOUND: Final = "substr(p.key, 1, 8) <> CAST('damaged:' AS BLOB)"


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a response store.

    Attributes:
        keys: Of its answers.
        accounts: Prefixes of its accounts, before the last `/`.
    """

    keys: frozenset[bytes]
    accounts: frozenset[str]


def merge_responses(into: Path, part: Path, share: Share | None = None) -> int:
    """Add the answers and payments of `part` to `into`, which is made if it is not there.

    All of them are added, or none; with a `share`, all of that.

    Returns:
        The number of answers that were not there before.

    Raises:
        ConfigError: if both have an answer of the same call, and not the same one.
        StoreError: if one of them cannot be used.
    """
    kind = {"application_id": APPLICATION_ID, "version": SCHEMA_VERSION, "schema": SCHEMA}
    open_for_reading(part, **kind).close()  # type: ignore[arg-type]
    with opening(into):
        lock = FileLock(lock_path(into), shared=True)  # nobody may replace the file meanwhile
    with lock:
        open_database(into, **kind, later=LATER_SCHEMA).close()  # type: ignore[arg-type]
        return _merge(into, part, share)


def _merge(into: Path, part: Path, share: Share | None) -> int:
    with joined(into, part) as base:
        _refuse_conflicts(base, part)
        _name(base, share)
        (offset,) = base.execute("SELECT ifnull(max(id), 0) FROM main.prompts").fetchone()
        base.execute(
            "CREATE TEMP TABLE fresh AS SELECT p.key, p.prompt FROM part.responses p"  # noqa: S608 - ours
            f" WHERE {_SOUND} AND p.key NOT IN (SELECT key FROM main.responses)"
            f"{'' if share is None else ' AND p.key IN (SELECT key FROM asked)'}"
        )
        base.execute(
            "INSERT INTO main.prompts SELECT id + ?, messages FROM part.prompts"
            " WHERE id IN (SELECT prompt FROM fresh) ORDER BY id",
            (offset,),
        )
        columns = [name for _, name, *_ in base.execute("PRAGMA main.table_info(responses)")]
        taken = [f"p.{name}" if name != "prompt" else "p.prompt + ?" for name in columns]
        added = base.execute(
            f"INSERT INTO main.responses ({', '.join(columns)})"  # noqa: S608 - ours
            f" SELECT {', '.join(taken)} FROM part.responses p WHERE p.key IN"
            " (SELECT key FROM fresh) ORDER BY p.rowid",
            (offset,),
        ).rowcount
        added += _add_places(base, share)
        _add_payments(base, share)
    return added


def _add_places(base: sqlite3.Connection, share: Share | None) -> int:
    """Add the places of answers in recordings, of the share that was named; return their number."""
    if not _has(base, "places"):
        return 0
    (offset,) = base.execute("SELECT ifnull(max(id), 0) FROM main.prompts").fetchone()
    base.execute(
        "CREATE TEMP TABLE placed AS SELECT key, prompt FROM part.places"  # noqa: S608 - ours
        " WHERE key NOT IN (SELECT key FROM main.responses)"
        " AND key NOT IN (SELECT key FROM main.places)"
        f"{'' if share is None else ' AND key IN (SELECT key FROM asked)'}"
    )
    base.execute(
        "INSERT INTO main.prompts SELECT id + ?, messages FROM part.prompts"
        " WHERE id IN (SELECT prompt FROM placed) ORDER BY id",
        (offset,),
    )
    base.execute(
        "INSERT OR IGNORE INTO main.recordings (source) SELECT source FROM part.recordings"
        " WHERE id IN (SELECT recording FROM part.places JOIN placed USING (key))"
    )
    columns = [name for _, name, *_ in base.execute("PRAGMA main.table_info(places)")]
    other = {"prompt": "p.prompt + ?", "recording": "m.id"}
    taken = [other.get(name, f"p.{name}") for name in columns]
    return base.execute(
        f"INSERT INTO main.places ({', '.join(columns)}) SELECT {', '.join(taken)}"  # noqa: S608 - ours
        " FROM part.places p JOIN part.recordings r ON p.recording = r.id"
        " JOIN main.recordings m ON m.source = r.source"
        " WHERE p.key IN (SELECT key FROM placed) ORDER BY p.rowid",
        (offset,),
    ).rowcount


def _has(base: sqlite3.Connection, table: str) -> bool:
    """Whether the part that is merged has a table; stores from before it have not."""
    known = "SELECT 1 FROM part.sqlite_master WHERE type = 'table' AND name = ?"
    return base.execute(known, (table,)).fetchone() is not None


def write_out(path: Path) -> None:
    """Copy the answers that stand in recordings into a response store, which needs these no more.

    Raises:
        DataMissingError: if a recording is not there any more.
        ConfigError: if it is another one.
        StoreError: if the store cannot be read or written.
    """
    with closing(connect(path)) as base:
        if base.execute("SELECT 1 FROM sqlite_master WHERE name = 'places'").fetchone() is None:
            return
        recordings = RecordedAnswers()
        try:
            base.execute("BEGIN IMMEDIATE")
            while rows := base.execute(_PLACED, (_AT_ONCE,)).fetchall():
                insert(base, "responses", [_written_out(recordings, *row) for row in rows])
                base.executemany("DELETE FROM places WHERE key = ?", ((row[0],) for row in rows))
            base.execute("DELETE FROM recordings")
            base.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"{path}: cannot be written: {error}") from error


def _written_out(
    recordings: RecordedAnswers, key: bytes, prompt: int, cost_usd: float | None,
    created: float, source: str, item: str, number: int, *call: Any,
) -> tuple[Any, ...]:  # fmt: skip
    """Return the row of responses for a row of places."""
    place, fields = place_in(source, item, number), dict(zip(_OF_CALL, call, strict=True))
    answer = as_kept(recordings.at(place, fields["role"]), cost_usd)
    whole = StoredCall(key=key, messages="", model=place.source.model, completion=answer, **fields)
    return row_of(whole, prompt, created)


def _name(base: sqlite3.Connection, share: Share | None) -> None:
    """Name the answers and the accounts of a share, for the queries that follow."""
    if share is not None:
        base.execute("CREATE TEMP TABLE asked (key BLOB PRIMARY KEY) WITHOUT ROWID")
        base.executemany("INSERT INTO asked VALUES (?)", ((key,) for key in share.keys))
        base.execute("CREATE TEMP TABLE accounts (prefix TEXT PRIMARY KEY) WITHOUT ROWID")
        base.executemany("INSERT INTO accounts VALUES (?)", ((name,) for name in share.accounts))


@contextmanager
def joined(into: Path, part: Path) -> Iterator[sqlite3.Connection]:
    """Open the file `into` with `part` attached to read; all changes are kept, or none.

    Raises:
        StoreError: if SQLite cannot read or write one of them.
    """
    uri = f"{into.absolute().as_uri()}?mode=rw"
    with opening(into):
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    with closing(connection) as base:
        try:
            base.execute("ATTACH ? AS part", (reading_uri(part),))
            base.execute("BEGIN IMMEDIATE")
            yield base
            base.execute("COMMIT")
        except sqlite3.Error as error:
            kind = DamagedStoreError if is_damage(error) else StoreError
            raise kind(f"{part}: cannot be merged into {into}: {error}") from error
        finally:
            if base.in_transaction:
                base.execute("ROLLBACK")


def _refuse_conflicts(base: sqlite3.Connection, part: Path) -> None:
    query = f"FROM part.responses p JOIN main.responses m USING (key) WHERE {_DIFFERS}"
    (number,) = base.execute(f"SELECT count(*) {query}").fetchone()
    if not number:
        return
    rows = base.execute(f"SELECT hex(key), p.model {query} ORDER BY key LIMIT {_SHOWN}")
    shown = ", ".join(f"{key.lower()[:12]} ({model})" for key, model in rows)
    more = ", ..." if number > _SHOWN else ""
    calls = "1 call has" if number == 1 else f"{number:,} calls have"
    raise ConfigError(
        f"{part}: {calls} another answer here than in what was merged before: {shown}{more};"
        " nothing of this part was merged. Leave it out: the run that completes the merged folder"
        " makes the calls that are missing then"
    )


def _add_payments(base: sqlite3.Connection, share: Share | None) -> None:
    """Add the sums of each account; what both have is counted once."""
    tables: dict[str, tuple[str, ...]] = {"payments": ("requests", "spend")}
    if _has(base, "doubts"):
        tables["doubts"] = ("unpriced", "unanswered", "most", "unbounded")
    # The prefix of an account is a UUID of 32 digits.
    taken = "true" if share is None else "substr(account, 1, 32) IN (SELECT prefix FROM accounts)"
    for table, sums in tables.items():
        largest = ", ".join(f"{name} = max({name}, excluded.{name})" for name in sums)
        base.execute(
            f"INSERT INTO main.{table} SELECT account, {', '.join(sums)} FROM part.{table}"  # noqa: S608 - ours
            f" WHERE {taken} ON CONFLICT (account) DO UPDATE SET {largest}"
        )
