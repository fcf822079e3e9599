"""A damaged response store is put aside, and what can be read of it kept."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ember_bench.errors import StoreError
from ember_bench.models import Completion, ResponseStore, Usage
from ember_bench.models.store.payments import Paid
from ember_bench.models.store.rows import StoredCall
from ember_bench.models.store.salvage import open_response_store
from tests.models.store.test_response_store import digest

pytestmark = pytest.mark.slow

CALLS = 1_000


def call(number: int) -> StoredCall:
    return StoredCall(
        key=digest(number),
        messages=f'[{{"role":"user","content":"question {number // 5}"}}]',
        model="p:m",
        role="generate",
        parameters="{}",
        epoch=0,
        replica="0",
        draw=str(number % 5),
        completion=Completion(f"answer {number} " * 20, Usage(10, number), cost_usd=0.01),
    )


def fill(path: Path, calls: int = CALLS) -> bytes:
    """Make a store with some calls and return its file's content."""

    async def main() -> None:
        store = ResponseStore(path)
        for first in range(0, calls, 100):
            await asyncio.gather(
                *(
                    store.put(call(n), account="a", spend_usd=0.01)
                    for n in range(first, first + 100)
                )
            )
        store.close()

    asyncio.run(main())
    return path.read_bytes()


class Content(bytes):
    """A file's content, which no report of a failure needs to show."""

    def __repr__(self) -> str:
        return f"<{len(self):,} bytes>"


# The roots of the tables lie before: without one, SQLite finds nothing of its table any more.
FIRST_LEAF = 10 * 4_096


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return Content(fill(tmp_path_factory.mktemp("sound") / "responses.db"))


def found(store: ResponseStore) -> int:
    """Return how many of the calls are there; what is there must be right."""
    answers = [store.get(digest(n)) for n in range(CALLS)]
    assert all(a is None or a == call(n).completion for n, a in enumerate(answers))
    return sum(answer is not None for answer in answers)


def test_a_sound_store_is_opened_as_it_is(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "responses.db"
    path.write_bytes(sound)
    store, note = open_response_store(path)
    assert note is None
    assert found(store) == CALLS
    store.close()
    assert [p.name for p in tmp_path.iterdir()] == ["responses.db"]


def test_a_store_that_is_not_there_is_made(tmp_path: Path) -> None:
    store, note = open_response_store(tmp_path / "new" / "responses.db")
    assert (len(store), note) == (0, None)
    store.close()


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_a_truncated_store_keeps_what_is_left_of_it(
    sound: bytes, tmp_path: Path, share: float
) -> None:
    path = tmp_path / "responses.db"
    path.write_bytes(sound[: int(len(sound) * share)])
    store, note = open_response_store(path)
    recovered = found(store)
    store.close()
    assert recovered >= 0.5 * share * CALLS
    assert note is not None
    assert "responses.db.damaged-1" in note
    assert f"{recovered:,} of its answers" in note
    assert (tmp_path / "responses.db.damaged-1").stat().st_size > 0
    again, note = open_response_store(path)  # and that is a sound one
    assert (found(again), note) == (recovered, None)
    again.close()


class Killed(BaseException):
    """The end of a process, as far as one can have it in a test."""


@pytest.mark.parametrize("step", range(5))
def test_who_is_killed_while_a_store_is_mended_loses_nothing(
    sound: bytes, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "responses.db"
    content = sound[: int(len(sound) * 0.6)]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "responses.db").write_bytes(content)
    undisturbed, _ = open_response_store(tmp_path / "other" / "responses.db")
    expected = found(undisturbed)
    undisturbed.close()

    path.write_bytes(content)
    path.with_name("responses.db-wal").touch()  # of the damaged file, and so put aside with it
    rename, left = Path.rename, step

    def until_killed(source: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        return rename(source, target)

    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr(Path, "rename", until_killed)
        open_response_store(path)[0].close()
    store, note = open_response_store(path)
    assert found(store) == expected
    store.close()
    assert (note is None) == (left >= 0)
    assert (tmp_path / "responses.db.damaged-1").read_bytes() == content
    assert not list(tmp_path.glob(".responses*"))


@pytest.mark.parametrize("content", [b"", b"garbage", b"\0" * 50_000, Random(1).randbytes(50_000)])
def test_a_file_that_is_no_database_any_more_is_put_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "responses.db"
    path.write_bytes(content)
    store, note = open_response_store(path)
    assert len(store) == 0
    store.close()
    if content:  # an empty file is what a crash leaves before the first write
        assert note is not None
        assert (tmp_path / "responses.db.damaged-1").read_bytes() == content


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), spots=st.integers(1, 8))
def test_garbage_in_the_middle_is_recovered_around(
    sound: bytes, tmp_path_factory: pytest.TempPathFactory, seed: int, spots: int
) -> None:
    path = tmp_path_factory.mktemp("garbage") / "responses.db"
    content, random = bytearray(sound), Random(seed)
    for _ in range(spots):
        at = random.randrange(FIRST_LEAF, len(content) - 4_096) // 4_096 * 4_096
        content[at : at + 4_096] = random.randbytes(4_096)
    path.write_bytes(content)
    store, _ = open_response_store(path)
    with closing(store), suppress(StoreError):  # it says that the same command again mends it
        for number in range(CALLS):
            store.get(digest(number))
    again, _ = open_response_store(path)
    recovered = found(again)
    again.close()
    assert recovered >= CALLS * (1 - 0.2 * spots)


def test_what_was_paid_is_kept_too(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "responses.db"
    path.write_bytes(sound[: len(sound) - 5_000])
    store, note = open_response_store(path)
    assert note is not None
    assert store.paid("a") == Paid(CALLS, 10.0)
    store.close()


def test_another_programs_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "responses.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not one of this kind"):
        open_response_store(path)
    assert path.read_bytes() == before
