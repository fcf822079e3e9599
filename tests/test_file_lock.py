from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from ember_bench import host
from ember_bench.file_lock import FileLock
from tests.support import windows


@pytest.fixture(params=["posix", "windows"], autouse=True)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kind of locks: those of POSIX, or stand-ins for those of Windows."""
    if request.param == "windows":
        monkeypatch.setattr(host, "LOCKS_BYTES", True)
        monkeypatch.setitem(sys.modules, "msvcrt", windows.msvcrt)
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / ".lock"


def is_free(path: Path) -> bool:
    """Whether somebody could have it alone."""
    try:
        FileLock(path, wait=False).release()
    except BlockingIOError:
        return False
    return True


def test_is_shared_by_many_or_had_by_one(path: Path) -> None:
    first, second = FileLock(path, shared=True), FileLock(path, shared=True)
    assert not is_free(path)
    first.release()
    assert not is_free(path)
    second.release()
    with FileLock(path), pytest.raises(BlockingIOError):
        FileLock(path, shared=True, wait=False)
    assert is_free(path)


def test_its_file_goes_with_the_last_that_holds_it(path: Path, system: str) -> None:
    first, second = FileLock(path, shared=True), FileLock(path, shared=True)
    first.release()
    assert path.exists()
    second.release()
    assert path.exists() == (system == "windows")


def test_a_file_that_a_dead_process_left_hinders_nobody(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert is_free(path)


def test_one_that_has_it_alone_is_named_in_it(path: Path) -> None:
    with FileLock(path):
        assert path.read_text() == str(os.getpid())


def test_never_do_two_have_it_though_its_file_comes_and_goes(path: Path) -> None:
    inside = most = rounds = 0

    def work() -> None:
        nonlocal inside, most, rounds
        for _ in range(200):
            with FileLock(path):
                inside += 1
                os.sched_yield()  # others have their chance
                most = max(most, inside)
                rounds += 1
                inside -= 1

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (most, rounds) == (1, 800)


def test_a_forked_process_does_not_let_go_of_its_parents(path: Path) -> None:
    with FileLock(path) as lock:
        if (child := os.fork()) == 0:
            lock.release()
            os._exit(0)
        os.waitpid(child, 0)
        assert path.exists()
        assert not is_free(path)
