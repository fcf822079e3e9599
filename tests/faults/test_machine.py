"""What the machine under a run does: full disks, locked files, broken files."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import StoreError
from ember_bench.models import journal
from ember_bench.models.salvage import open_response_store
from tests.faults.study import (
    NEEDED,
    FaultyServer,
    comparable,
    fill,
    finish,
    responses,
    stored,
)
from tests.support.workspace import Workspace


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(lambda *_: None) as server:
        yield server


@pytest.fixture
def workspace(tmp_path: Path, server: FaultyServer) -> Workspace:
    return fill(tmp_path / "study", server.base_url)


@pytest.fixture
def undisturbed(tmp_path: Path, server: FaultyServer) -> Any:
    ran = finish(fill(tmp_path / "undisturbed", server.base_url))
    assert set(server.answered.values()) == {1}
    server.answered.clear()
    return comparable(ran.summary)


def test_a_full_disk_stops_the_run_and_loses_nothing_that_was_stored(
    workspace: Workspace,
    server: FaultyServer,
    undisturbed: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect = journal.connect

    def small(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        return connection

    monkeypatch.setattr(journal, "connect", small)
    with pytest.raises(StoreError, match=r"responses\.db: an answer could not be stored: .*full"):
        finish(workspace)
    kept = stored(workspace)
    assert 0 < kept < NEEDED
    monkeypatch.undo()  # somebody made room
    ran = finish(workspace)
    assert comparable(ran.summary) == undisturbed
    assert ran.progress.calls_made == NEEDED - kept
    assert stored(workspace) == NEEDED


def test_a_store_that_another_program_locks_is_waited_for(
    workspace: Workspace, undisturbed: Any, server: FaultyServer
) -> None:
    open_response_store(responses(workspace))[0].close()
    locked, asked = threading.Event(), threading.Event()

    def lock() -> None:
        with closing(sqlite3.connect(responses(workspace), isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            locked.set()
            asked.wait(30)
            connection.execute("COMMIT")

    other = threading.Thread(target=lock)
    other.start()
    assert locked.wait(10)
    timer = threading.Timer(0.5, asked.set)
    timer.start()
    ran = finish(workspace)
    other.join()
    assert comparable(ran.summary) == undisturbed
    assert set(server.answered.values()) == {1}


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_a_store_that_was_cut_short_is_put_aside_and_what_is_left_is_used(
    workspace: Workspace, undisturbed: Any, share: float
) -> None:
    finish(workspace)
    content = responses(workspace).read_bytes()
    responses(workspace).write_bytes(content[: int(len(content) * share)])
    (workspace.root / "results" / "trip" / "trials.db").unlink()
    store, note = open_response_store(responses(workspace))
    recovered = len(store)
    store.close()
    assert note is not None
    assert f"responses.db.damaged-1 now, and {recovered} of its answers" in note
    ran = finish(workspace)
    assert comparable(ran.summary) == undisturbed
    assert ran.progress.calls_made == NEEDED - recovered


def test_a_trial_store_of_garbage_is_put_aside_and_nothing_is_asked_again(
    workspace: Workspace, undisturbed: Any, server: FaultyServer
) -> None:
    finish(workspace)
    trials = workspace.root / "results" / "trip" / "trials.db"
    trials.write_bytes(b"garbage" * 1000)
    before = server.count
    ran = finish(workspace)
    assert comparable(ran.summary) == undisturbed
    assert server.count == before
    assert any("trials.db was damaged" in change for change in ran.changes)


def test_an_answer_is_stored_though_its_trial_was_cancelled(
    workspace: Workspace, server: FaultyServer
) -> None:
    async def main() -> None:
        from tests.faults.study import experiment

        study = experiment(workspace)
        study.service.store = open_response_store(responses(workspace))[0]
        module = next(iter(study.cells[0].graph)).operator.lm_modules()[0]
        asking = asyncio.create_task(module.acall("1 + 2 = ?"))
        while not server.count:
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await study.service.close()

    asyncio.run(main())
    assert stored(workspace) == 1
