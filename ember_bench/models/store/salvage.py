"""Recovery of a damaged response store: answers that were paid for are kept.

All rows that SQLite can still read are copied; a table with a broken root page has none. The
damaged file is kept for tools that read single pages.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from ember_bench.errors import DamagedStoreError, StoreError
from ember_bench.file_lock import FileLock
from ember_bench.models.store.response_store import ResponseStore, lock_path
from ember_bench.models.store.rows import (
    ANSWER_COLUMNS,
    APPLICATION_ID,
    LATER_SCHEMA,
    SCHEMA,
    SCHEMA_VERSION,
    StoredCall,
    completion_of,
    insert,
    row_of,
)
from ember_bench.models.store.sqlite import (
    connect,
    needs_mending,
    open_database,
    opening,
    put_aside,
)

_AT_ONCE: Final = 256
# So many rows one after another that cannot be read are taken for the end of the file, or as many
# as a file of its size can have.
_END: Final = 20_000
_LEAST_ROW_BYTES: Final = 64
_CALL: Final = "key, model, role, parameters, epoch, replica, draw"


def open_response_store(path: Path) -> tuple[ResponseStore, str | None]:
    """Open the response store in `path`; a damaged file is put aside, and what can be read kept.

    Of several processes that find it damaged one mends it, and the others wait.

    Returns:
        The store, and what was done to the file, if anything.

    Raises:
        StoreError: if the file is another program's, of another version, or cannot be written; or
            if it is damaged, and another process still uses it.
    """
    with opening(path):
        turn = FileLock(path.with_name(f".{path.name}.mending"))
    with turn:
        return _mended(path)


def _mended(path: Path) -> tuple[ResponseStore, str | None]:
    """Open a response store, which nobody else looks at meanwhile, mended where it has to be."""
    # It has this name only when it is whole, so whoever is killed meanwhile loses nothing.
    whole = path.with_name(f".{path.name}.recovered")
    if not whole.exists():
        try:
            if not needs_mending(path):
                return ResponseStore(path), None
        except DamagedStoreError:
            pass
    with _alone(path):
        aside = _replace(path, whole)
    store = ResponseStore(path)
    where = "beside it" if aside is None else f"{aside.name} now"
    return store, (
        f"{path.name} was damaged; it is {where}, and {len(store):,} of its answers were recovered"
    )


def _alone(path: Path) -> FileLock:
    """Have a store that no other process writes to: its answers would go where nobody looks."""
    with opening(path):
        try:
            return FileLock(lock_path(path), wait=False)
        except BlockingIOError:
            raise StoreError(
                f"{path}: is damaged, and another process is using it; the same command mends it "
                "when that has ended"
            ) from None


def _replace(path: Path, whole: Path) -> Path | None:
    """Put a damaged file aside, and what can be read of it in its place; return where it is now."""
    if not whole.exists():
        begun = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            _recover(path, begun)
            begun.rename(whole)
        finally:
            begun.unlink(missing_ok=True)
    aside = put_aside(path) if path.exists() else None
    whole.rename(path)
    return aside


def _recover(damaged: Path, path: Path) -> None:
    """Copy what can be read of a damaged file to a new one."""
    prompts = 0
    with (
        closing(
            open_database(
                path,
                application_id=APPLICATION_ID,
                version=SCHEMA_VERSION,
                schema=SCHEMA,
                later=LATER_SCHEMA,
            )
        ) as target,
        closing(connect(damaged)) as source,
    ):
        # What a file that is cut short still has is read only with this (as in `sqlite3 .recover`).
        source.execute("PRAGMA writable_schema = ON")
        target.execute("BEGIN IMMEDIATE")
        numbers: dict[str, int] = {}
        end = min(_END, damaged.stat().st_size // _LEAST_ROW_BYTES)
        for call in _calls(source, end):
            if (number := numbers.get(call.messages)) is None:
                number = prompts = prompts + 1
                insert(target, "prompts", [(number, call.messages)])
                numbers[call.messages] = number
                if len(numbers) > _AT_ONCE:  # draws of one prompt lie close together
                    del numbers[next(iter(numbers))]
            insert(target, "responses", [row_of(call, number, time.time())])
        _recover_places(source, target)
        insert(target, "payments", _table(source, "account, requests, spend", "payments"))
        names = "account, unpriced, unanswered, most, unbounded"
        insert(target, "doubts", _table(source, names, "doubts"))
        target.execute("COMMIT")


def _recover_places(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy the places of answers in recordings, with their prompts."""
    insert(target, "recordings", _table(source, "id, source", "recordings"))
    (last,) = target.execute("SELECT ifnull(max(id), 0) FROM prompts").fetchone()
    names = [name for _, name, *_ in target.execute("PRAGMA table_info(places)")]
    asked = names.index("prompt")
    rows = [
        tuple(last + value if at == asked else value for at, value in enumerate(row))
        for row in _table(source, ", ".join(names), "places")
    ]
    insert(target, "places", rows)
    used = {row[asked] for row in rows}
    prompts = _table(source, "id, messages", "prompts")
    insert(target, "prompts", [(last + n, text) for n, text in prompts if last + n in used])


def _calls(source: sqlite3.Connection, end: int) -> Iterator[StoredCall]:
    """Yield the calls that can be read, however the pages between them are broken."""
    last, failed = 0, 0
    while failed < end:
        try:
            rows = _rows(source, "rowid > ? ORDER BY rowid LIMIT ?", last, _AT_ONCE)
            if not rows:
                return
        except sqlite3.DatabaseError:
            rows = []
        # Broken pages may lead back to rows that were read.
        if not (rows := [row for row in rows if row[0] > last]):
            rows, unread = _one_by_one(source, range(last + 1, last + 1 + _AT_ONCE))
            failed = 0 if rows else failed + unread
            last += _AT_ONCE
        for row in rows:
            last = max(last, row[0])
            if (call := _call(source, row)) is not None:
                yield call


def _one_by_one(source: sqlite3.Connection, numbers: range) -> tuple[list[tuple[Any, ...]], int]:
    """Return the rows of `numbers` that can be read, and how many cannot."""
    rows: list[tuple[Any, ...]] = []
    for number in numbers:
        with suppress(sqlite3.DatabaseError):
            rows += _rows(source, "rowid = ?", number)
    return rows, len(numbers) - len(rows)


def _rows(source: sqlite3.Connection, where: str, *values: int) -> list[tuple[Any, ...]]:
    return source.execute(
        f"SELECT rowid, prompt, {_CALL}, {ANSWER_COLUMNS}"  # noqa: S608 - ours
        f" FROM responses NOT INDEXED WHERE {where}",
        values,
    ).fetchall()


def _call(source: sqlite3.Connection, row: tuple[Any, ...]) -> StoredCall | None:
    """Return the call of a row; None if what stands there is none."""
    _, prompt, key, *call = row
    try:
        found = source.execute("SELECT messages FROM prompts WHERE id = ?", (prompt,)).fetchone()
    except sqlite3.DatabaseError:
        found = None
    fields = ("model", "role", "parameters", "epoch", "replica", "draw")
    try:
        return msgspec.convert(
            {
                "key": key,
                # The answer is worth keeping without the question, which its key stands for.
                "messages": found[0] if found is not None else "[]",
                **dict(zip(fields, call, strict=False)),
                "completion": completion_of(call[len(fields) :]),
            },
            StoredCall,
        )
    except (msgspec.MsgspecError, TypeError, ValueError):
        return None


def _table(source: sqlite3.Connection, names: str, table: str) -> list[tuple[Any, ...]]:
    """Return the rows of a small table; none if it cannot be read, or is not there."""
    try:
        return source.execute(f"SELECT {names} FROM {table}").fetchall()  # noqa: S608 - ours
    except sqlite3.DatabaseError:
        return []
