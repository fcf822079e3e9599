"""What the limits come to together, against servers in virtual time."""

from __future__ import annotations

import asyncio
import random

import pytest

from ember_bench.errors import ProviderError
from ember_bench.models.call import Call
from tests.support import virtual
from tests.support.limited import Limited, a_call, ask_for, endpoint
from tests.support.models import scripted

pytestmark = pytest.mark.slow

WARM = 60.0
END = 120.0


def callers(latency: float) -> int:
    """Enough to exceed 50 requests a second by half."""
    return int(75 * latency) + 20


class TestAServerThatAllows50ASecond:
    """90 % of its rate are reached, and fewer than 5 % of the requests are refused."""

    @pytest.mark.parametrize("retry_after", [None, 1.0])
    @pytest.mark.parametrize(
        ("kind", "latency"),
        [("bucket", 0.02), ("bucket", 0.2), ("bucket", 2.0), ("fixed", 0.2), ("sliding", 0.2)],
    )
    def test_is_used_and_not_annoyed(
        self, kind: str, latency: float, retry_after: float | None
    ) -> None:
        server = Limited(kind=kind, latency=latency, retry_after=retry_after)
        ask_for(server, END, callers=callers(latency))
        reached, refused = server.between(WARM, END)
        assert reached >= 0.9
        assert refused < 0.05

    @pytest.mark.parametrize("retry_after", [None, 1.0])
    def test_that_lets_no_bursts_through_is_too(self, retry_after: float | None) -> None:
        server = Limited(burst=1, retry_after=retry_after)
        ask_for(server, END, callers=callers(0.2))
        reached, refused = server.between(WARM, END)
        assert reached >= 0.85
        assert refused < 0.05

    def test_is_used_again_when_it_allows_more(self) -> None:
        server = Limited()

        async def main() -> None:
            async def raise_limit() -> None:
                await asyncio.sleep(40)
                server.rate = server.burst = 150

            model = scripted(server, max_concurrency=1000)
            asked = endpoint(model)

            async def caller(name: int) -> None:
                while virtual.virtual_time() < 140:
                    await asked.complete(a_call(model, name))

            await asyncio.gather(raise_limit(), *(caller(name) for name in range(50)))

        virtual.run(main())
        assert server.between(110, 140)[0] >= 0.85

    def test_leaves_its_history(self) -> None:
        server = Limited(retry_after=1.0)
        asked = ask_for(server, 30, callers=60)
        reasons = [change.reason for change in asked.window_history]
        assert "refused with 429" in reasons
        assert "told to wait 1 s" in reasons
        halved = [c for c in asked.window_history if c.reason == "refused with 429"]
        assert all(change.window < 60 for change in halved)
        assert halved[-1].pace == pytest.approx(50, rel=0.2)


class TestRefusalsAtRandom:
    def test_do_not_slow_it_down_without_end(self) -> None:
        """A twentieth of the requests is refused whatever the pace."""
        rng, answered = random.Random(5), 0

        async def server(call: Call) -> str:
            nonlocal answered
            await asyncio.sleep(0.02)
            if rng.random() < 0.05:
                raise ProviderError("busy", retryable=True, status=429)
            answered += 1
            return "answer"

        ask_for(server, 100, callers=20)
        assert answered / 100 > 100


class TestRetryAfter:
    def test_all_requests_of_the_endpoint_wait(self) -> None:
        begun: list[float] = []

        async def server(call: Call) -> str:
            now = virtual.virtual_time()
            begun.append(now)
            await asyncio.sleep(0.1)
            if len(begun) <= 3:
                raise ProviderError("busy", retryable=True, status=429, retry_after=7.0)
            return "answer"

        async def main() -> None:
            model = scripted(server, max_concurrency=3)
            asked = endpoint(model)
            await asyncio.gather(*(asked.complete(a_call(model, n)) for n in range(20)))

        virtual.run(main())
        assert len(begun) == 23
        assert [at for at in begun if 0.1 < at < 7.1] == []

    def test_that_is_longer_than_the_deadline_fails_all_at_once(self) -> None:
        async def server(call: Call) -> str:
            raise ProviderError("quota", retryable=True, status=429, retry_after=86_400.0)

        async def main() -> tuple[list[BaseException | object], float]:
            model = scripted(server, max_concurrency=2)
            asked = endpoint(model)
            calls = (asked.complete(a_call(model, n)) for n in range(100))
            ended = await asyncio.gather(*calls, return_exceptions=True)
            return list(ended), virtual.virtual_time()

        ended, seconds = virtual.run(main())
        assert all(isinstance(error, ProviderError) for error in ended)
        assert "asked to wait 86,400 s" in str(ended[-1])
        assert seconds < 1


class TestRequestsPerMinute:
    @pytest.fixture(autouse=True)
    def _state(self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: object) -> None:
        assert isinstance(monkeypatch, pytest.MonkeyPatch)
        monkeypatch.setenv("EMBER_BENCH_STATE", str(tmp_path_factory.mktemp("state")))

    def begun(self, seconds: float, **limit: int) -> list[float]:
        times: list[float] = []

        async def server(call: Call) -> str:
            times.append(virtual.virtual_time())
            await asyncio.sleep(0.5)
            return "answer"

        ask_for(server, seconds, callers=50, rate_limit=limit)
        return times

    def test_are_kept_and_used(self) -> None:
        times = self.begun(300, requests_per_minute=120)
        worst = max(sum(start <= t < start + 60 for t in times) for start in times)
        assert worst <= 120
        assert len(times) >= 0.95 * 5 * 120

    def test_and_so_are_tokens(self) -> None:
        # What a scripted model uses is 5 tokens; before its answer, 300 are reckoned with.
        times = self.begun(300, tokens_per_minute=600)
        assert 0.8 <= len(times) * 5 / (5 * 600) <= 1.2


class TestADeadEndpoint:
    def test_fails_its_calls_in_seconds_and_answers_again_when_it_is_back(self) -> None:
        async def server(call: Call) -> str:
            await asyncio.sleep(0.01)
            if virtual.virtual_time() < 60:
                raise ProviderError("connection refused", retryable=True)
            return "answer"

        async def main() -> tuple[list[BaseException | str], float, str]:
            model = scripted(server, max_concurrency=10)
            asked = endpoint(model)
            calls = (asked.complete(a_call(model, n)) for n in range(1000))
            ended = await asyncio.gather(*calls, return_exceptions=True)
            seconds = virtual.virtual_time()
            await asyncio.sleep(120)
            back = await asked.complete(a_call(model, "again"))
            return [str(e) for e in ended], seconds, back.text

        ended, seconds, back = virtual.run(main())
        assert all("connection refused" in str(error) for error in ended)
        assert seconds < 15
        assert back == "answer"
