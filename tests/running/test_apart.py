"""Work in a thread of its own, and the interrupts of the thread that waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from ember_bench.running import apart


class Interrupts:
    """Raises so many interrupts where the caller waits."""

    def __init__(self, count: int) -> None:
        self.left = count

    def wait(self, futures: object, timeout: float) -> None:
        if self.left:
            self.left -= 1
            raise KeyboardInterrupt
        threading.Event().wait(0.001)


@pytest.fixture
def told() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()  # whatever the test did, the work ends


def test_the_result_or_the_error_of_the_work_comes_back() -> None:
    assert apart.run_apart(lambda: asyncio.run(asyncio.sleep(0, 3))) == 3
    with pytest.raises(ZeroDivisionError):
        apart.run_apart(lambda: 1 / 0)


def test_an_interrupt_is_raised_after_the_work_has_ended(
    monkeypatch: pytest.MonkeyPatch, told: threading.Event
) -> None:
    monkeypatch.setattr(apart, "wait", Interrupts(1).wait)
    ended = []

    def work() -> None:
        told.wait(30)
        ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        apart.run_apart(work, told.set)
    assert ended


def test_the_third_interrupt_does_not_wait(
    monkeypatch: pytest.MonkeyPatch, told: threading.Event
) -> None:
    monkeypatch.setattr(apart, "wait", Interrupts(3).wait)
    interrupts: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        apart.run_apart(lambda: told.wait(30), lambda: interrupts.append(1))
    assert len(interrupts) == 2
    assert not told.is_set()


def test_a_cancelled_task_waits_until_the_work_has_ended(told: threading.Event) -> None:
    ended = []

    def work() -> None:
        told.wait(30)
        ended.append(True)

    async def cancelled() -> None:
        task = asyncio.create_task(apart.await_apart(work, told.set))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert ended


def test_the_loop_gets_the_result_or_the_error_of_the_work() -> None:
    assert asyncio.run(apart.await_apart(lambda: 3, lambda: None)) == 3
    with pytest.raises(ZeroDivisionError):
        asyncio.run(apart.await_apart(lambda: 1 / 0, lambda: None))
