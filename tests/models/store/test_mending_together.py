"""Processes that find one damaged response store: one mends it, and no answer of any is lost."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import StoreError
from ember_bench.models import ResponseStore
from ember_bench.models.store.salvage import open_response_store
from ember_bench.models.store.sqlite import suspect
from tests.models.store.test_response_store import digest
from tests.models.store.test_salvage import CALLS, Content, call, fill, found

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])
_PATIENCE = 60.0
# Whoever does not wait for another has come by then.
_SOON = 0.5


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    sound = fill(tmp_path_factory.mktemp("sound") / "responses.db")
    return Content(sound[: int(len(sound) * 0.6)])


@pytest.fixture
def path(tmp_path: Path, damaged: bytes) -> Path:
    path = tmp_path / "responses.db"
    path.write_bytes(damaged)
    return path


@pytest.fixture
def recovered(tmp_path_factory: pytest.TempPathFactory, damaged: bytes) -> int:
    """How many answers one process alone gets out of it."""
    alone = tmp_path_factory.mktemp("alone") / "responses.db"
    alone.write_bytes(damaged)
    store, _ = open_response_store(alone)
    count = found(store)
    store.close()
    return count


def use(path: Path, number: int, pause_at: int | None, line: Connection) -> None:
    """Open the store, keep a new answer in it, and close it when told to.

    Args:
        path: The store.
        number: Of the answer.
        pause_at: Before which renaming of a file to wait until told to go on.
        line: Says "paused", "used" and what was said of the file; hears when to go on.
    """
    rename, left = Path.rename, -1 if pause_at is None else pause_at

    def pausing(source: Path, target: Path) -> Path:
        nonlocal left
        if left == 0:
            line.send("paused")
            line.recv()
        left -= 1
        return rename(source, target)

    Path.rename = pausing  # type: ignore[assignment,method-assign]
    try:
        store, note = open_response_store(path)
        asyncio.run(keep(store, number))
    except StoreError as error:
        line.send(error)
        return
    line.send(note)
    line.recv()
    store.close()


async def keep(store: ResponseStore, number: int) -> None:
    await store.put(call(number), account="a")


class User:
    """A process that uses the store."""

    def __init__(self, path: Path, number: int, pause_at: int | None = None) -> None:
        self._line, theirs = _processes.Pipe()
        self._process = _processes.Process(target=use, args=(path, number, pause_at, theirs))
        self._process.start()

    def __enter__(self) -> User:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join(_PATIENCE)

    def said(self) -> Any:
        assert self._line.poll(_PATIENCE), "it never came"
        return self._line.recv()

    def comes(self) -> bool:
        """Whether it has something to say before long."""
        return self._line.poll(_SOON)

    def go_on(self) -> None:
        self._line.send(None)

    def end(self) -> None:
        self.go_on()
        self._process.join(_PATIENCE)
        assert self._process.exitcode == 0


def kept(path: Path, *numbers: int) -> int:
    """Return how many old answers are there; the new ones must be."""
    store, note = open_response_store(path)
    assert note is None
    assert all(store.get(digest(number)) == call(number).completion for number in numbers)
    count = found(store)
    store.close()
    return count


@pytest.mark.parametrize("step", range(3))
def test_one_mends_while_the_other_waits(
    path: Path, damaged: bytes, recovered: int, step: int
) -> None:
    with User(path, CALLS, pause_at=step) as first:
        assert first.said() == "paused"
        with User(path, CALLS + 1) as second:
            assert not second.comes()
            first.go_on()
            notes = [first.said(), second.said()]
            assert [note for note in notes if note is not None] == notes[:1]
            first.end()
            second.end()
    assert kept(path, CALLS, CALLS + 1) == recovered
    assert path.with_name("responses.db.damaged-1").read_bytes() == damaged
    assert sorted(os.listdir(path.parent)) == ["responses.db", "responses.db.damaged-1"]


def test_of_many_that_come_at_once_one_mends(path: Path, recovered: int) -> None:
    with ExitStack() as stack:
        users = [stack.enter_context(User(path, CALLS + n)) for n in range(6)]
        notes = [user.said() for user in users]
        for user in users:
            user.end()
    assert sum(note is not None for note in notes) == 1
    assert kept(path, *range(CALLS, CALLS + 6)) == recovered
    assert sorted(os.listdir(path.parent)) == ["responses.db", "responses.db.damaged-1"]


def test_who_is_killed_while_mending_leaves_it_to_the_one_who_waits(
    path: Path, recovered: int
) -> None:
    with User(path, CALLS, pause_at=1) as first:
        assert first.said() == "paused"
        with User(path, CALLS + 1) as second:
            assert not second.comes()
            first.__exit__()
            assert "damaged" in second.said()
            second.end()
    assert kept(path, CALLS + 1) == recovered


def test_a_store_is_not_taken_away_from_those_that_still_use_it(tmp_path: Path) -> None:
    path = tmp_path / "responses.db"
    sound = fill(path)
    with User(path, CALLS) as user:
        assert user.said() is None
        garbage = bytes(4_096)
        with path.open("r+b") as file:  # a page that the user does not look at again
            file.seek(len(sound) // 2 // 4_096 * 4_096)
            file.write(garbage)
        suspect(path)
        with User(path, CALLS + 1) as other:
            error = other.said()
            assert isinstance(error, StoreError)
            assert "another process is using it" in str(error)
        user.end()
    store, note = open_response_store(path)
    assert note is not None
    assert store.get(digest(CALLS)) == call(CALLS).completion
    store.close()
