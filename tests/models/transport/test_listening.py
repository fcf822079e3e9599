"""The limit of a request: the longest silence of a stream, else the whole answer."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from ember_bench.errors import ProviderError
from ember_bench.models.call import Call
from ember_bench.models.transport.listening import Silence, listener
from ember_bench.models.types import Completion
from tests.support import virtual
from tests.support.limited import a_call, endpoint
from tests.support.models import scripted


def times(*pauses: float, attempt: float = 300, deadline: float = 1800) -> tuple[str, float]:
    """Return what came of a stream with such pauses between its parts, and when."""

    async def server(call: Call) -> str:
        hear = listener()
        for pause in pauses:
            await asyncio.sleep(pause)
            hear()
        return "answer"

    async def main() -> tuple[str, float]:
        model = scripted(server, attempt_timeout_seconds=attempt, deadline_seconds=deadline)
        asked = endpoint(model, attempts=1).complete(a_call(model))
        [found] = await asyncio.gather(asked, return_exceptions=True)
        assert isinstance(found, Completion) or getattr(found, "may_be_charged", False)
        said = found.text if isinstance(found, Completion) else str(found)
        return said, virtual.virtual_time()

    return virtual.run(main())


class TestALimitOfSilence:
    def test_lets_an_answer_take_longer_than_the_limit(self) -> None:
        assert times(*[100] * 4) == ("answer", 400)

    def test_ends_a_stream_that_falls_silent(self) -> None:
        found, at = times(100, 301)
        assert "a part of an answer, and then nothing for 300 s" in found
        assert at == pytest.approx(400, abs=1)

    def test_ends_a_stream_without_end_with_the_deadline(self) -> None:
        found, at = times(*[15] * 1000, deadline=1800)
        assert "no end of the answer within 1800 s (deadline_seconds)" in found
        assert at == pytest.approx(1800, abs=1)

    def test_is_one_of_the_whole_answer_where_nothing_is_heard(self) -> None:
        async def server(call: Call) -> str:
            await asyncio.sleep(301)
            return "answer"

        async def main() -> None:
            model = scripted(server, attempt_timeout_seconds=300)
            with pytest.raises(ProviderError, match="no answer within 300 s"):
                await endpoint(model, attempts=1).complete(a_call(model))

        virtual.run(main())

    def test_does_not_hear_what_comes_after_the_block(self) -> None:
        async def main() -> None:
            async with Silence(lambda: 10.0) as silence:
                hear = listener()
            hear()
            listener()()
            assert not silence.was_broken

        virtual.run(main())

    def test_is_each_requests_own(self) -> None:
        async def one(pause: float) -> bool:
            try:
                async with Silence(lambda: 10.0):
                    for _ in range(3):
                        await asyncio.sleep(pause)
                        listener()()
            except TimeoutError:
                return False
            return True

        async def main() -> list[bool]:
            return await asyncio.gather(one(9), one(11), one(9))

        assert virtual.run(main()) == [True, False, True]


def test_nothing_is_left_of_a_limit_for_the_collector() -> None:
    async def main() -> weakref.ref[Silence]:
        async with Silence(lambda: 60.0) as silence:
            await asyncio.sleep(0)
        return weakref.ref(silence)

    gc.disable()  # it would find what refers to itself
    try:
        assert virtual.run(main())() is None
    finally:
        gc.enable()
