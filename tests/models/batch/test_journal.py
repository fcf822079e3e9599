"""Damage in the journal of open batches: what cannot be read is forgotten, the rest is kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ember_bench.errors import StoreError
from ember_bench.models.batch.api import OpenBatch
from ember_bench.models.batch.journal import BatchJournal, open_journal

KEYS = [bytes([number]) * 16 for number in range(4)]
NOT_UTF8 = "CAST(x'ff41' AS TEXT)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of two batches, with two calls each."""
    path = tmp_path / "batches.db"
    journal = BatchJournal(path)
    for number in range(2):
        batch = OpenBatch(f"token {number}", None, "p:m", 2, 100.0, 1)
        assert journal.begin(batch, KEYS[2 * number : 2 * number + 2])
        journal.submitted(batch.token, f"id {number}")
    journal.close()
    return path


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(statement)


def tokens(path: Path) -> list[str | None]:
    """Return the batch that each call is in."""
    journal = open_journal(path)
    try:
        found = [journal.batch_of(key) for key in KEYS]
        # Calls that are in none can be submitted in another.
        free = [key for key, batch in zip(KEYS, found, strict=True) if batch is None]
        assert journal.begin(OpenBatch("new", None, "p:m", len(free), 1.0, 1), free) == free
    finally:
        journal.close()
    return [None if batch is None else batch.token for batch in found]


def test_nothing_is_forgotten_of_a_sound_one(path: Path) -> None:
    assert tokens(path) == ["token 0", "token 0", "token 1", "token 1"]


@pytest.mark.parametrize(
    "damage",
    [
        f"model = {NOT_UTF8}",
        f"id = {NOT_UTF8}",
        f"token = {NOT_UTF8}",
        "id = x'00'",
        "count = 'many'",
        "count = -2",
        "begun = 'long ago'",
        "begun = 9e999",
        "owner = 'me'",
    ],
)
def test_a_damaged_batch_is_forgotten_with_its_calls(path: Path, damage: str) -> None:
    change(path, f"UPDATE batches SET {damage} WHERE id = 'id 0'")
    assert tokens(path) == [None, None, "token 1", "token 1"]


@pytest.mark.parametrize(
    "damage", [f"token = {NOT_UTF8}", "token = 'another'", "place = 'first'", "place = -1"]
)
def test_a_damaged_call_is_forgotten_alone(path: Path, damage: str) -> None:
    change(path, f"UPDATE calls SET {damage} WHERE key = x'{KEYS[0].hex()}'")
    assert tokens(path) == [None, "token 0", "token 1", "token 1"]


@pytest.mark.parametrize("statement", ["DROP TABLE calls", "ALTER TABLE batches DROP COLUMN owner"])
def test_a_journal_that_is_not_whole_is_put_aside(path: Path, statement: str) -> None:
    change(path, statement)
    assert tokens(path) == [None] * 4
    assert path.with_name("batches.db.damaged-1").exists()


def test_a_file_that_is_no_database_is_put_aside(path: Path) -> None:
    path.write_bytes(b"garbage" * 1_000)
    assert tokens(path) == [None] * 4


def test_another_programs_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "batches.db"
    change(path, "CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not one of this kind"):
        open_journal(path)
    assert path.read_bytes() == before
