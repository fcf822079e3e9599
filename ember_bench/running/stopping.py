"""The end of a run before all trials are done: by a signal, or from another thread."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from ember_bench.experiment.runner import Run


class Stop:
    """A request to end a run early, from any thread, also before the run begins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0
        self._interrupt: Callable[[], None] | None = None

    def ask(self) -> None:
        """End the run in order: what is in flight is finished. Asked again, end it at once."""
        with self._lock:
            self._asked += 1
            if self._interrupt is not None:
                self._interrupt()

    @contextmanager
    def of(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Have `interrupt` called on the running loop for each request."""
        loop = asyncio.get_running_loop()

        def soon() -> None:
            loop.call_soon_threadsafe(interrupt)

        with self._lock:
            self._interrupt = soon
            for _ in range(self._asked):
                soon()
        try:
            yield
        finally:
            with self._lock:
                self._interrupt = None


@contextmanager
def stoppable(run: Run, stopping: Callable[[], None], asked: Stop) -> Iterator[None]:
    """Let SIGINT, SIGTERM and `asked` stop `run`; a second SIGINT stops the task that runs it.

    Args:
        run: The run.
        stopping: Called when it is told to stop.
        asked: Stops it from another thread.
    """
    task = asyncio.current_task()

    def stop() -> None:
        if not run.stop.is_set():
            run.stop.set()
            # A call may wait for half an hour, a batch for a day; the next run takes them up.
            run.experiment.service.wind_down()
            stopping()

    def interrupt() -> None:
        if run.stop.is_set() and task is not None:
            task.cancel()
        stop()

    with _handlers({signal.SIGINT: interrupt, signal.SIGTERM: stop}), asked.of(interrupt):
        yield


@contextmanager
def _handlers(handlers: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """Have signals handled on the running loop; only a program's main thread gets any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in handlers}
    # On Windows no event loop gets signals.
    with suppress(NotImplementedError):
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            for number, handler_before in before.items():
                if loop.remove_signal_handler(number):
                    signal.signal(number, handler_before)
