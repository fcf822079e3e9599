"""asyncio's own tasks in a trial: their calls are told apart whatever the timing, or refused."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench import bridge
from ember_bench.errors import EmberBenchError
from ember_bench.models import Completion
from ember_bench.models.call import Call
from ember_bench.models.strand import Strand
from ember_bench.operators import Function, LMModule, Operator, parallel
from tests.support.models import in_trial, module, scripted, serve

delays = random.Random()


async def slowly(call: Call) -> Completion:
    for _ in range(delays.randrange(8)):
        await asyncio.sleep(0)
    return Completion(call.key.hex(), latency_seconds=1.0)


MODEL = scripted(slowly)
LM: LMModule = module(serve(MODEL), MODEL)


class Runs(Operator):
    """An operator whose `forward` is a coroutine function."""

    def __init__(self, body: Callable[[], Awaitable[Any]]) -> None:
        super().__init__()
        self.body = body

    async def forward(self, inputs: Any) -> Any:
        return await self.body()


def ran(body: Callable[[], Awaitable[Any]], seed: int = 0) -> tuple[Any, Strand]:
    delays.seed(seed)
    return in_trial(lambda: Runs(body)({}))


async def chain(prompts: Sequence[str]) -> list[str]:
    return [await LM.acall(prompt) for prompt in prompts]


class TestTasksOfACoroutine:
    @given(
        chains=st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=3), max_size=4),
        seeds=st.tuples(st.integers(0, 99), st.integers(0, 99)),
    )
    def test_make_the_same_calls_whatever_the_timing(
        self, chains: list[list[str]], seeds: tuple[int, int]
    ) -> None:
        async def body() -> Any:
            first = await LM.acall("a")
            gathered = await asyncio.gather(*map(chain, chains))
            return first, gathered, await LM.acall("a")

        (one, _), (two, _) = (ran(body, seed) for seed in seeds)
        assert one == two
        first, gathered, last = one
        answers = [first, *(answer for answers in gathered for answer in answers), last]
        assert len(set(answers)) == len(answers), "each is a call of its own"

    def test_ask_what_functions_that_run_in_parallel_ask(self) -> None:
        async def gathered() -> Any:
            return await asyncio.gather(*(LM.acall("q") for _ in range(4)))

        together = ran(gathered)[0]
        assert together == in_trial(lambda: parallel([lambda: LM("q")] * 4))[0]
        assert together == in_trial(lambda: [LM("q") for _ in range(4)])[0]

    def test_take_as_long_as_the_longest(self) -> None:
        async def body() -> None:
            await asyncio.gather(chain("ab"), chain("abc"), chain("a"))
            await LM.acall("d")

        assert ran(body)[1].clock == 4.0

    def test_may_start_tasks_themselves(self) -> None:
        async def pair() -> list[str]:
            first = await LM.acall("q")
            return [first, *await asyncio.gather(chain("q"), chain("qq"))]

        async def body() -> Any:
            return await asyncio.gather(pair(), pair())

        results = {str(ran(body, seed)[0]) for seed in range(20)}
        assert len(results) == 1

    def test_of_a_function_are_told_apart_too(self) -> None:
        async def ask(query: str) -> Any:
            return {"said": await asyncio.gather(chain("q"), chain("q"))}

        def body() -> Any:
            return Function(ask)(query="x")["said"]

        answers = {str(in_trial(body)[0]) for _ in range(10)}
        assert len(answers) == 1

    def test_that_time_out_do_not_change_what_follows(self) -> None:
        async def never() -> str:
            await LM.acall("a")
            await asyncio.sleep(3600)
            return await LM.acall("b")

        async def body() -> Any:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await asyncio.gather(never(), never())
            return await LM.acall("a"), await LM.acall("b")

        assert ran(body, 1)[0] == ran(body, 2)[0]


class TestWhatWouldDependOnTiming:
    def test_tasks_that_ask_in_another_order_than_they_were_started_in_are_refused(self) -> None:
        async def late(turns: int) -> str:
            for _ in range(turns):
                await asyncio.sleep(0)
            return await LM.acall("q")

        async def body() -> Any:
            return await asyncio.gather(late(9), late(1))

        with pytest.raises(EmberBenchError, match=r"another order .*; use parallel\(\)"):
            ran(body)

    def test_tasks_with_names_of_their_own_cannot_be_put_in_order(self) -> None:
        async def body() -> Any:
            started = [asyncio.create_task(chain("q"), name=name) for name in ("one", "two")]
            return await asyncio.gather(*started)

        with pytest.raises(EmberBenchError, match="another order"):
            ran(body)

    def test_asking_while_tasks_still_ask_is_refused(self) -> None:
        async def body() -> Any:
            task = asyncio.create_task(chain("abc"))
            await asyncio.sleep(0)
            try:
                return await LM.acall("a")
            finally:
                await bridge.cancel_all([task])

        with pytest.raises(EmberBenchError, match="await them first"):
            ran(body)

    def test_leaving_tasks_behind_is_refused(self) -> None:
        left: list[asyncio.Task[Any]] = []

        async def body() -> None:
            left.append(asyncio.create_task(chain("abc")))
            await asyncio.sleep(0)

        with pytest.raises(EmberBenchError, match="still ran"):
            ran(body)


def test_a_coroutine_that_starts_no_tasks_asks_along_its_strand() -> None:
    async def body() -> Any:
        return [await LM.acall(p) for p in "aab"]

    answers, strand = ran(body)
    assert answers == in_trial(lambda: [LM(p) for p in "aab"])[0]
    assert strand.clock == 3.0


def test_a_blocking_operator_in_a_coroutine_asks_along_its_strand() -> None:
    class Blocking(Operator):
        blocking = True

        def forward(self, inputs: Any) -> Any:
            return [LM("a"), LM("b"), LM("a")]

    inner = Blocking()

    async def body() -> Any:
        return inner({})

    answers, strand = ran(body)
    assert answers == in_trial(lambda: [LM(p) for p in "aba"])[0]
    assert strand.clock == 3.0


def test_outside_a_trial_tasks_may_ask_as_they_like() -> None:
    async def main() -> Any:
        return await asyncio.gather(*(LM.acall("q") for _ in range(3)))

    assert len(set(asyncio.run(main()))) == 3
