from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ember_bench.running import session
from ember_bench.running.interpreter import tuned
from ember_bench.running.listening import Listener
from tests.support.workspace import Workspace


def settings() -> tuple[tuple[int, int, int], int, float]:
    return gc.get_threshold(), gc.get_freeze_count(), sys.getswitchinterval()


@pytest.fixture(autouse=True)
def left_as_it_was() -> Iterator[None]:
    before = settings()
    yield
    assert settings() == before


def test_garbage_is_collected_rarely_and_what_is_there_is_not_looked_at() -> None:
    before = gc.get_threshold()[0]
    with tuned():
        assert gc.get_threshold()[0] > before
        assert gc.get_freeze_count() > 0


def test_threads_are_switched_often() -> None:
    before = sys.getswitchinterval()
    with tuned():
        assert sys.getswitchinterval() < before


def test_settings_return_also_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), tuned():
        raise ZeroDivisionError


def test_a_collector_that_is_off_stays_off() -> None:
    before = gc.get_threshold()
    gc.set_threshold(0, *before[1:])
    try:
        with tuned():
            assert gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*before)


@pytest.mark.parametrize("dedicated", [True, False])
def test_a_run_tunes_only_a_process_of_its_own(workspace: Workspace, dedicated: bool) -> None:
    workspace.sums(3)
    workspace.grid()
    before, meanwhile = settings(), set[Any]()

    class Looks(Listener):
        def progressed(self, progress: object) -> None:
            meanwhile.add(settings()[2])

    options = session.Options(workspace.root / "results", mlflow=False, dedicated=dedicated)
    session.run_experiment(workspace.experiment(), options, Looks())
    assert bool(meanwhile - {before[2]}) == dedicated
