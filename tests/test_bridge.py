from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import pytest

from ember_bench import bridge
from ember_bench.errors import EmberBenchError

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


async def soon(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


async def fail(error: BaseException) -> NoReturn:
    await asyncio.sleep(0)
    raise error


def frames(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


async def others() -> set[asyncio.Task[Any]]:
    """Return what else runs on this loop."""
    return asyncio.all_tasks() - {asyncio.current_task()}


class TestInAGreenlet:
    def test_thousands_of_plain_functions_are_in_flight_on_one_thread(self) -> None:
        count, waiting, threads = 5_000, 0, set[int]()

        async def main() -> list[int]:
            everyone = asyncio.Event()

            def plain(number: int) -> int:
                nonlocal waiting
                waiting += 1
                if waiting == count:
                    everyone.set()
                bridge.wait(everyone.wait())  # never set unless all are in flight together
                threads.add(threading.get_ident())
                return number

            async with asyncio.timeout(60):
                return await asyncio.gather(*(bridge.run(plain, i) for i in range(count)))

        assert asyncio.run(main()) == list(range(count))
        assert threads == {threading.get_ident()}

    def test_arguments_go_in_and_the_result_comes_out(self) -> None:
        def plain(a: int, *, b: int) -> int:
            return bridge.wait(soon(a)) - bridge.wait(soon(b))

        assert asyncio.run(bridge.run(plain, 5, b=3)) == 2

    def test_a_function_that_never_waits_is_just_called(self) -> None:
        assert asyncio.run(bridge.run(lambda: 7)) == 7

    def test_it_knows_that_it_is_in_one(self) -> None:
        assert asyncio.run(bridge.run(bridge.is_bridged))
        assert not bridge.is_bridged()

    def test_the_users_own_frames_are_in_the_traceback(self) -> None:
        def inner() -> None:
            bridge.wait(fail(KeyError("lost")))

        def outer() -> None:
            inner()

        with pytest.raises(KeyError, match="lost") as caught:
            asyncio.run(bridge.run(outer))
        names = frames(caught.value)
        assert names[names.index("outer") :][:2] == ["outer", "inner"]
        assert names[-1] == "fail"

    def test_an_error_of_the_function_itself_comes_through(self) -> None:
        def broken() -> None:
            bridge.wait(soon(1))
            raise ZeroDivisionError("mine")

        with pytest.raises(ZeroDivisionError, match="mine") as caught:
            asyncio.run(bridge.run(broken))
        assert "broken" in frames(caught.value)

    def test_an_error_can_be_caught_where_the_code_waits_and_the_code_go_on(self) -> None:
        def careful() -> Any:
            try:
                bridge.wait(fail(ValueError("once")))
            except ValueError:
                return bridge.wait(soon("recovered"))

        assert asyncio.run(bridge.run(careful)) == "recovered"

    def test_runs_nest(self) -> None:
        def inner(value: int) -> int:
            return bridge.wait(soon(value)) + 1

        def outer() -> int:
            return bridge.wait(bridge.run(inner, bridge.wait(bridge.run(inner, 1))))

        assert asyncio.run(bridge.run(outer)) == 3


class TestCancellation:
    def test_reaches_the_code_where_it_waits_and_leaves_nothing_running(self) -> None:
        seen: list[str] = []

        def plain() -> None:
            try:
                bridge.wait(asyncio.sleep(3600))
            except asyncio.CancelledError:
                seen.append("here")
                raise
            finally:
                bridge.wait(soon(None))  # cleaning up may wait
                seen.append("clean")

        async def main() -> set[asyncio.Task[Any]]:
            task = asyncio.create_task(bridge.run(plain))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await others()

        assert asyncio.run(main()) == set()
        assert seen == ["here", "clean"]

    def test_a_failure_cancels_the_rest_and_lets_them_end_before_it_is_raised(self) -> None:
        ended: list[str] = []

        def patient() -> None:
            try:
                bridge.wait(asyncio.sleep(3600))
            finally:
                bridge.wait(asyncio.sleep(0.01))
                ended.append("patient")

        def hasty() -> None:
            bridge.wait(fail(RuntimeError("no")))

        async def main() -> set[asyncio.Task[Any]]:
            with pytest.raises(RuntimeError, match="no"):
                await bridge.gather([bridge.run(patient), bridge.run(hasty)])
            assert ended == ["patient"]
            return await others()

        assert asyncio.run(main()) == set()

    def test_gather_can_raise_the_failure_that_is_first_in_order(self) -> None:
        ended: list[str] = []

        async def turns(name: str, count: int, error: Exception | None = None) -> None:
            try:
                for _ in range(count):
                    await asyncio.sleep(0)
                ended.append(name)
                if error is not None:
                    raise error
            except asyncio.CancelledError:
                ended.append(f"{name} was cancelled")
                raise

        async def main() -> set[asyncio.Task[Any]]:
            calls = [
                turns("long", 20),
                turns("second to fail", 10, KeyError("first in order")),
                turns("first to fail", 1, ValueError("first in time")),
                turns("last", 10_000),
            ]
            with pytest.raises(KeyError, match="first in order") as caught:
                await bridge.gather(calls, settle=True)
            assert caught.value.__context__ is None
            return await others()

        assert asyncio.run(main()) == set()
        assert ended == ["first to fail", "last was cancelled", "second to fail", "long"]

    def test_gather_that_settles_and_is_cancelled_leaves_nothing_running(self) -> None:
        async def main() -> set[asyncio.Task[Any]]:
            calls = [asyncio.sleep(3600), fail(ValueError("no")), asyncio.sleep(3600)]
            task = asyncio.create_task(bridge.gather(calls, settle=True))
            for _ in range(10):
                await asyncio.sleep(0)
            await bridge.cancel_all([task])
            assert task.cancelled()
            return await others()

        assert asyncio.run(main()) == set()

    def test_gather_that_is_cancelled_itself_leaves_nothing_running(self) -> None:
        async def main() -> set[asyncio.Task[Any]]:
            sleeping = bridge.gather([asyncio.sleep(3600), asyncio.sleep(3600)])
            task = asyncio.create_task(sleeping)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await bridge.cancel_all([task])
            return await others()

        assert asyncio.run(main()) == set()

    def test_ctrl_c_in_a_script_cancels_what_it_waited_for(self) -> None:
        cancelled = threading.Event()

        async def endless() -> None:
            await asyncio.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.set()
                raise

        with pytest.raises(KeyboardInterrupt):
            bridge.wait(endless())
        assert cancelled.wait(10)

    def test_a_worker_thread_stops_at_its_next_wait(self) -> None:
        begun, cancelled, stopped = threading.Event(), threading.Event(), threading.Event()
        paid = []

        async def request() -> None:
            paid.append(1)

        def blocking() -> None:
            begun.set()
            cancelled.wait(10)
            try:
                bridge.wait(request())
            except asyncio.CancelledError:
                stopped.set()

        async def main() -> None:
            task = asyncio.create_task(bridge.run_in_thread(blocking))
            await asyncio.to_thread(begun.wait, 10)
            await bridge.cancel_all([task])
            cancelled.set()
            assert await asyncio.to_thread(stopped.wait, 10)

        asyncio.run(main())
        assert paid == []

    def test_a_worker_thread_that_waits_is_woken(self) -> None:
        waiting, woken = threading.Event(), threading.Event()

        async def endless() -> None:
            waiting.set()
            await asyncio.sleep(3600)

        def blocking() -> None:
            try:
                bridge.wait(endless())
            except asyncio.CancelledError:
                woken.set()
                raise

        async def main() -> set[asyncio.Task[Any]]:
            task = asyncio.create_task(bridge.run_in_thread(blocking))
            assert await asyncio.to_thread(waiting.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(woken.wait, 10)
            return await others()

        assert asyncio.run(main()) == set()


class TestOutsideAnEngine:
    def test_a_script_just_waits(self) -> None:
        assert bridge.wait(soon("answer")) == "answer"

    def test_errors_have_the_frames_of_both_sides(self) -> None:
        with pytest.raises(ValueError, match="far") as caught:
            bridge.wait(fail(ValueError("far")))
        assert frames(caught.value)[-1] == "fail"

    def test_a_cell_of_a_notebook_waits_though_its_thread_runs_a_loop(self) -> None:
        async def cell() -> tuple[str, str]:
            async def where() -> str:
                return threading.current_thread().name

            return bridge.wait(where()), threading.current_thread().name

        there, here = asyncio.run(cell())
        assert there == "ember-bench-loop"
        assert here != there

    def test_several_threads_wait_at_the_same_time(self) -> None:
        together = asyncio.Event()
        waiting = []

        async def meet(name: int) -> int:
            waiting.append(name)
            if len(waiting) == 4:
                together.set()
            await together.wait()
            return name

        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda name: bridge.wait(meet(name)), range(4), timeout=20))
        assert results == [0, 1, 2, 3]

    def test_a_forked_child_gets_a_loop_of_its_own(self) -> None:
        script = (
            "import asyncio, os, signal\n"
            "from ember_bench import bridge\n"
            "async def one(): return 1\n"
            "assert bridge.wait(one()) == 1\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    signal.alarm(20)\n"
            "    os._exit(0 if bridge.wait(one()) == 1 else 3)\n"
            "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
            "assert bridge.wait(one()) == 1\n"
        )
        command = [sys.executable, "-W", "ignore", "-c", script]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()


class TestInAWorkerThread:
    def test_waiting_goes_back_to_the_loop_it_came_from(self) -> None:
        async def main() -> None:
            home = asyncio.get_running_loop()

            async def where() -> asyncio.AbstractEventLoop:
                return asyncio.get_running_loop()

            def blocking() -> tuple[asyncio.AbstractEventLoop, int]:
                return bridge.wait(where()), threading.get_ident()

            loop, thread = await bridge.run_in_thread(blocking)
            assert loop is home
            assert thread != threading.get_ident()

        asyncio.run(main())

    def test_greenlets_and_threads_nest(self) -> None:
        def innermost() -> Any:
            return bridge.wait(soon("deep"))

        def blocking() -> Any:
            return bridge.wait(bridge.run(innermost))

        def outer() -> Any:
            return bridge.wait(bridge.run_in_thread(blocking))

        assert asyncio.run(bridge.run(outer)) == "deep"

    def test_blocking_code_that_waits_for_blocking_code_does_not_run_out_of_threads(self) -> None:
        everyone = threading.Barrier(100)

        def inner() -> int:
            return 1

        def outer() -> int:
            everyone.wait(20)  # all hold a thread
            return bridge.wait(bridge.run_in_thread(inner))

        async def main() -> list[int]:
            return await bridge.gather([bridge.run_in_thread(outer) for _ in range(100)])

        assert asyncio.run(main()) == [1] * 100

    def test_the_loop_goes_on_meanwhile(self) -> None:
        release = threading.Event()

        async def main() -> str:
            blocked = asyncio.create_task(bridge.run_in_thread(release.wait, 10))
            await asyncio.sleep(0.01)
            release.set()  # only a loop that is free gets here
            return "free" if await blocked else "stuck"

        assert asyncio.run(main()) == "free"


class TestAsyncCode:
    def test_synchronous_waits_inside_a_coroutine_work(self) -> None:
        async def forward() -> list[int]:
            return [bridge.wait(soon(1)), await soon(2), bridge.wait(soon(3))]

        def plain() -> list[int]:
            return bridge.run_coroutine(forward())

        assert asyncio.run(bridge.run(plain)) == [1, 2, 3]
        assert plain() == [1, 2, 3]

    def test_asyncio_inside_it_works(self) -> None:
        async def forward() -> str:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(soon("grouped"))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.001):
                    await asyncio.sleep(3600)
            return task.result()

        assert asyncio.run(bridge.run(lambda: bridge.run_coroutine(forward()))) == "grouped"

    def test_its_errors_keep_its_frames(self) -> None:
        async def forward() -> None:
            await fail(LookupError("gone"))

        with pytest.raises(LookupError) as caught:
            asyncio.run(bridge.run(lambda: bridge.run_coroutine(forward())))
        assert frames(caught.value)[-2:] == ["forward", "fail"]

    def test_cancellation_reaches_it(self) -> None:
        seen = []

        async def forward() -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        async def main() -> None:
            task = asyncio.create_task(bridge.run(lambda: bridge.run_coroutine(forward())))
            await asyncio.sleep(0)
            await bridge.cancel_all([task])

        asyncio.run(main())
        assert seen == ["cancelled"]

    @pytest.mark.parametrize("engine", [True, False])
    def test_a_synchronous_call_in_a_task_of_its_own_is_refused_not_deadlocked(
        self, engine: bool
    ) -> None:
        async def task() -> Any:
            return bridge.wait(soon("never"))

        async def forward() -> Any:
            return await asyncio.create_task(task())

        def plain() -> Any:
            return bridge.run_coroutine(forward())

        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a coroutine that is never awaited
            with pytest.raises(EmberBenchError, match=r"await lm\.acall"):
                asyncio.run(bridge.run(plain)) if engine else plain()

    def test_after_a_run_its_loop_is_an_ordinary_one_again(self) -> None:
        async def notebook() -> Any:
            await bridge.run(lambda: bridge.wait(soon(1)))
            return bridge.wait(soon(2))

        assert asyncio.run(notebook()) == 2


class TestContextVariables:
    def test_flow_in_and_out(self) -> None:
        def plain() -> str:
            seen = variable.get()
            variable.set("inside")
            bridge.wait(soon(None))
            assert variable.get() == "inside"
            return seen

        async def main() -> tuple[str, str]:
            variable.set("outside")
            return await bridge.run(plain), variable.get()

        assert asyncio.run(main()) == ("outside", "inside")

    def test_are_seen_by_what_is_waited_for(self) -> None:
        async def look() -> str:
            await asyncio.sleep(0)
            return variable.get()

        def plain() -> str:
            variable.set("mine")
            return bridge.wait(look())

        assert asyncio.run(bridge.run(plain)) == "mine"
        assert contextvars.copy_context().run(plain) == "mine"  # on the background loop

    def test_are_kept_apart_between_tasks(self) -> None:
        def plain(name: str) -> str:
            variable.set(name)
            for _ in range(3):
                bridge.wait(soon(None))
            return variable.get()

        async def main() -> list[str]:
            return await bridge.gather([bridge.run(plain, name) for name in "abc"])

        assert asyncio.run(main()) == ["a", "b", "c"]

    def test_flow_into_a_worker_thread_and_back_to_the_loop(self) -> None:
        async def look() -> str:
            return variable.get()

        async def main() -> str:
            variable.set("carried")
            return await bridge.run_in_thread(lambda: bridge.wait(look()))

        assert asyncio.run(main()) == "carried"
