"""The SDKs' connections, over real sockets, with whichever library below the SDKs is there."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import random
import socket
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import ModuleType
from typing import Any

import pytest

from ember_bench.models.providers.generated_sdk import pooled
from ember_bench.models.transport import sdk_pool
from ember_bench.models.transport.sdk_pool import Lanes, connecting
from tests.models.transport.channel import model, one_by_one
from tests.support.loopback import Asked, LoopbackServer
from tests.support.openai_server import Answer, OpenAIServer
from tests.support.raw import RawServer, Serve, response

Writer = asyncio.StreamWriter


# openai 2.x, which litellm holds it at, asks through httpx.
@pytest.fixture(params=[pytest.param("httpx", marks=pytest.mark.extra), "httpx2"])
def library(request: pytest.FixtureRequest) -> ModuleType:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"needs {request.param}")
    return importlib.import_module(request.param)


class Client:
    """A client of a library's, on lanes."""

    def __init__(self, library: ModuleType, server: LoopbackServer, size: int, **more: Any) -> None:
        self.lanes = Lanes(library, size)
        self.http = library.AsyncClient(transport=self.lanes, base_url=server.url, **more)
        self._size = size

    async def ask(self, text: str) -> str:
        """Send a text; return that of the answer."""
        answer = await self.http.post("/", json={"text": text})
        answered: str = answer.text
        return answered

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    def check(self) -> None:
        """See that every lane is back, once, and that none is handed out twice."""
        idle = [lane for _, lane in self.lanes._idle]
        assert self.lanes._busy == set()
        assert self.lanes._slots._value == self._size
        assert len(idle) == len(set(idle)) <= self._size


async def repeat(asked: Asked, writer: Writer) -> bool:
    """Answer with what was said, in two halves."""
    whole = response(asked.body["text"].encode())
    half = len(whole) - len(asked.body["text"]) // 2 - 1
    writer.write(whole[:half])
    await writer.drain()
    await asyncio.sleep(0.001)
    writer.write(whole[half:])
    await writer.drain()
    return True


def cut_short(*texts: str) -> Serve:
    """End the connection in the middle of the answers to `texts`."""

    async def serve(asked: Asked, writer: Writer) -> bool:
        text = asked.body["text"]
        whole = response(text.encode())
        writer.write(whole[:-1] if text in texts else whole)
        await writer.drain()
        return text not in texts

    return serve


@types.coroutine
def cancelled_at(
    work: Coroutine[Any, Any, str], step: int, times: int
) -> Generator[Any, Any, str | None]:
    """Run some work, but cancel its task where it waits for the `step`-th time, and at the next.

    Returns:
        What comes of it; None if it was cancelled.
    """
    waits, error = 0, None
    while True:
        try:
            awaited = work.send(None) if error is None else work.throw(error)
        except StopIteration as done:
            return str(done.value)
        except asyncio.CancelledError:
            return None
        if step <= waits < step + times and (task := asyncio.current_task()) is not None:
            task.cancel()
        waits += 1
        error = None
        try:
            yield awaited
        except BaseException as thrown:
            error = thrown


class TestLanes:
    def test_one_is_used_again_and_again(self, library: ModuleType) -> None:
        async def main() -> None:
            async with Client(library, server, 5) as client:
                assert [await client.ask(text) for text in "abcdef"] == list("abcdef")
                client.check()

        with RawServer(repeat) as server:
            asyncio.run(main())
        assert server.connections == 1

    def test_the_one_that_was_used_last_comes_first(self, library: ModuleType) -> None:
        async def main() -> None:
            async with Client(library, server, 3) as client:
                await asyncio.gather(*map(client.ask, "abc"))
                last = client.lanes._idle[-1][1]
                await client.ask("d")
                assert client.lanes._idle[-1][1] is last

        with RawServer(repeat) as server:
            asyncio.run(main())
        assert server.connections == 3

    def test_as_many_as_may_be_and_no_more_and_whoever_is_late_waits(
        self, library: ModuleType
    ) -> None:
        # A wait for a lane is not the library's to cut short.
        impatient = library.Timeout(30, pool=0.000_001)

        async def main() -> None:
            async with Client(library, server, 4, timeout=impatient) as client:
                texts = [str(n) for n in range(40)]
                assert await asyncio.gather(*map(client.ask, texts)) == texts
                client.check()

        with RawServer(repeat) as server:
            asyncio.run(main())
        assert server.connections == 4

    def test_an_error_that_the_server_explains_leaves_the_connection(
        self, library: ModuleType
    ) -> None:
        async def refuse(asked: Asked, writer: Writer) -> bool:
            writer.write(response({"error": asked.body["text"]}, status=500))
            await writer.drain()
            return True

        async def main() -> None:
            async with Client(library, server, 1) as client:
                assert [await client.ask(text) for text in "ab"] == [
                    '{"error": "a"}',
                    '{"error": "b"}',
                ]
                client.check()

        with RawServer(refuse) as server:
            asyncio.run(main())
        assert server.connections == 1


class TestWhatGoesWrong:
    """After anything but a whole answer no connection is used again, and no lane is lost."""

    def test_an_answer_that_breaks_off(self, library: ModuleType) -> None:
        async def main() -> None:
            async with Client(library, server, 1) as client:
                for text in "abc":
                    with pytest.raises(library.RemoteProtocolError):
                        await client.ask("cut")
                    client.check()
                    assert await client.ask(text) == text
                    client.check()

        with RawServer(cut_short("cut")) as server:
            asyncio.run(main())

    def test_nobody_there(self, library: ModuleType) -> None:
        with RawServer(repeat) as server:
            pass

        async def main() -> None:
            async with Client(library, server, 1) as client:
                for text in "abc":
                    with pytest.raises(library.ConnectError):
                        await client.ask(text)
                    client.check()

        asyncio.run(main())

    def test_an_answer_that_comes_too_late(self, library: ModuleType) -> None:
        async def late(asked: Asked, writer: Writer) -> bool:
            if asked.body["text"] == "late":
                await asyncio.sleep(0.2)
            return await repeat(asked, writer)

        async def main() -> None:
            async with Client(library, server, 1) as client:
                client.http.timeout = library.Timeout(30, read=0.05)
                with pytest.raises(library.ReadTimeout):
                    await client.ask("late")
                client.check()
                client.http.timeout = library.Timeout(30)
                assert await client.ask("b") == "b"

        with RawServer(late) as server:
            asyncio.run(main())
        assert server.connections == 2

    def test_an_answer_that_nobody_reads_to_its_end(self, library: ModuleType) -> None:
        async def main() -> None:
            async with Client(library, server, 1) as client:
                for read in (0, 1):
                    async with client.http.stream("POST", "/", json={"text": "long" * 999}) as got:
                        parts = got.aiter_raw(8)
                        for _ in range(read):
                            assert await anext(parts) == b"longlong"
                        assert len(client.lanes._busy) == 1
                    client.check()
                    assert await client.ask("b") == "b"
                await got.aclose()  # again
                client.check()

        with RawServer(repeat) as server:
            asyncio.run(main())
        assert server.connections == 3

    def test_a_hook_that_fails(self, library: ModuleType) -> None:
        async def fail(answer: Any) -> None:
            raise KeyError(answer.status_code)

        async def main() -> None:
            async with Client(library, server, 1) as client:
                for text in "ab":
                    client.http.event_hooks = {"response": [fail]}
                    with pytest.raises(KeyError):
                        await client.ask("x")
                    client.check()
                    client.http.event_hooks = {}
                    assert await client.ask(text) == text

        with RawServer(repeat) as server:
            asyncio.run(main())

    @pytest.mark.parametrize("times", [1, 2, 3])
    @pytest.mark.parametrize("kept", [False, True])
    def test_a_task_that_is_cancelled_wherever_it_waits(
        self, library: ModuleType, times: int, kept: bool
    ) -> None:
        async def main() -> int:
            for step in range(1_000):
                async with Client(library, server, 1) as client:
                    if kept:
                        await client.ask("first")
                    found = await asyncio.create_task(
                        _awaited(cancelled_at(client.ask("cancelled"), step, times))
                    )
                    client.check()
                    assert await asyncio.wait_for(client.ask(f"after {step}"), 5) == f"after {step}"
                    client.check()
                    if found is not None:
                        assert found == "cancelled"
                        return step
            raise AssertionError

        with RawServer(repeat) as server:
            assert asyncio.run(main()) > 3

    def test_many_at_once_some_of_which_are_given_up(self, library: ModuleType) -> None:
        chance = random.Random(4711)

        async def give_up(work: Coroutine[Any, Any, str]) -> str | None:
            task = asyncio.create_task(work)
            if chance.random() < 0.5:
                for _ in range(chance.randrange(40)):
                    await asyncio.sleep(0)
                task.cancel()
            try:
                return await task
            except asyncio.CancelledError:
                return None

        async def main() -> None:
            async with Client(library, server, 7) as client:
                texts = [f"question {n}" for n in range(300)]
                found = await asyncio.gather(*(give_up(client.ask(text)) for text in texts))
                answered = [(t, f) for t, f in zip(texts, found, strict=True) if f is not None]
                assert 100 < len(answered) < 300
                assert all(text == answer for text, answer in answered)
                client.check()

        with RawServer(repeat) as server:
            asyncio.run(main())


async def _awaited(work: Awaitable[str | None]) -> str | None:
    return await work


class Counting(RawServer):
    """Knows how many connections are open."""

    open = 0

    async def _connection(self, reader: Any, writer: Writer) -> None:
        self.open += 1
        try:
            await super()._connection(reader, writer)
        finally:
            self.open -= 1


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


class TestIdleConnections:
    def test_those_that_nobody_needs_any_more_are_closed_one_with_each_request(
        self, library: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, gone = sdk_pool.time.monotonic, [0.0]
        monkeypatch.setattr(sdk_pool.time, "monotonic", lambda: real() + gone[0])

        async def main() -> None:
            async with Client(library, server, 4) as client:
                await asyncio.gather(*map(client.ask, "abcd"))
                assert server.open == 4
                gone[0] += 4
                await client.ask("e")
                assert server.open == 4
                gone[0] += 4
                for left in (3, 2, 1, 1):
                    await client.ask("f")
                    await until(lambda left=left: server.open == left)  # type: ignore[misc]
                client.check()
                assert len(client.lanes._idle) == 1

        with Counting(repeat) as server:
            asyncio.run(main())
        # The one that was used last was used again.
        assert server.connections == 4

    def test_one_that_the_server_has_closed_is_not_used(self, library: ModuleType) -> None:
        async def once(asked: Asked, writer: Writer) -> bool:
            await repeat(asked, writer)
            return False

        async def main() -> None:
            async with Client(library, server, 1) as client:
                for text in "abc":
                    assert await client.ask(text) == text
                    await until(lambda: server.open == 0)

        with Counting(once) as server:
            asyncio.run(main())

    def test_all_are_closed_in_the_end(self, library: ModuleType) -> None:
        async def main() -> None:
            async with Client(library, server, 4) as client:
                await asyncio.gather(*map(client.ask, "abcd"))
                assert server.open == 4
            await until(lambda: server.open == 0)

        with Counting(repeat) as server:
            asyncio.run(main())

    def test_also_one_whose_answer_is_read_afterwards(self, library: ModuleType) -> None:
        async def main() -> None:
            async with Client(library, server, 1) as client:
                lane = client.lanes._new()
                client.lanes._busy.add(lane)
                await client.lanes._slots.acquire()
                await client.lanes.aclose()
                await client.lanes.take_back(lane, reusable=True)
                client.check()
                assert not client.lanes._idle

        with RawServer(repeat) as server:
            asyncio.run(main())

    def test_closing_tells_whoever_waits_for_an_answer(self, library: ModuleType) -> None:
        async def never(asked: Asked, writer: Writer) -> bool:
            await asyncio.sleep(30)
            return False

        async def main() -> None:
            async with Client(library, server, 1) as client:
                task = asyncio.create_task(client.ask("a"))
                await until(lambda: server.count == 1)
                await client.http.aclose()
                with pytest.raises(library.TransportError):
                    await task
                client.check()

        with RawServer(never) as server:
            asyncio.run(main())


class TestProxies:
    """Which server goes through which proxy is the library's to say (tests of `_connecting`)."""

    @pytest.fixture(autouse=True)
    def _no_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)

    @pytest.mark.parametrize("variable", ["http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
    def test_where_the_environment_names_one_the_librarys_pool_stays(
        self, library: ModuleType, variable: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
        every = library.Limits(max_connections=5, max_keepalive_connections=5)
        assert connecting(library, 5) == {"limits": every}

    @pytest.mark.parametrize("variable", ["http_proxy", "NO_PROXY"])
    def test_a_variable_that_names_none_changes_nothing(
        self, library: ModuleType, variable: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, "127.0.0.1" if variable == "NO_PROXY" else "")
        assert isinstance(connecting(library, 5)["transport"], Lanes)


class TestTheSDKsClients:
    """What an SDK's own client does, the one that it is given does as well."""

    @pytest.fixture(params=["openai", "anthropic"])
    def sdk(self, request: pytest.FixtureRequest) -> ModuleType:
        return importlib.import_module(request.param)

    def test_has_the_sdks_timeouts_and_follows_redirects_as_it_does(self, sdk: Any) -> None:
        own, ours = sdk.DefaultAsyncHttpxClient(), pooled(sdk, 5)
        assert ours.timeout == own.timeout
        assert ours.follow_redirects == own.follow_redirects
        assert ours.max_redirects == own.max_redirects
        assert ours.headers == own.headers

    def test_keeps_its_sockets_alive_as_anthropics_does(self, sdk: Any) -> None:
        import anthropic

        async def options(client: Any) -> list[int]:
            async with client:
                answer = await client.post(server.url, json={"text": "a"})
                connected = answer.extensions["network_stream"].get_extra_info("socket")
                return [
                    connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                    *(
                        connected.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
                        for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
                        if hasattr(socket, name)
                    ),
                ]

        with RawServer(repeat) as server:
            own = asyncio.run(options(anthropic.DefaultAsyncHttpxClient()))
            assert asyncio.run(options(pooled(sdk, 5))) == own
        assert own[0] == 1

    def test_certificates_are_read_once(self, sdk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        of = type(sdk.DEFAULT_CONNECTION_LIMITS).__module__.partition(".")[0]
        used = importlib.import_module(of)
        read, create = [], used.create_ssl_context

        def counted(*args: Any, **more: Any) -> Any:
            read.append(1)
            return create(*args, **more)

        monkeypatch.setattr(used, "create_ssl_context", counted)

        async def main() -> None:
            async with pooled(sdk, 5) as client:
                contexts = {id(client._transport._new()._pool._ssl_context) for _ in range(3)}
                assert len(contexts) == 1

        asyncio.run(main())
        assert len(read) == 1

    def test_a_redirect_is_followed_on_the_only_lane(self, sdk: Any) -> None:
        async def moved(asked: Asked, writer: Writer) -> bool:
            if asked.path == "/":
                writer.write(response(b"there", status=307, location="/there"))
                await writer.drain()
                return True
            return await repeat(asked, writer)

        async def main() -> str:
            async with pooled(sdk, 1) as client:
                answer = await client.post(f"{server.url}/", json={"text": "a"})
                text: str = answer.text
                return text

        with RawServer(moved) as server:
            assert asyncio.run(main()) == "a"
        assert server.connections == 1


def test_a_provider_that_asks_through_its_sdk_keeps_one_connection() -> None:
    with OpenAIServer(lambda asked: Answer(asked.prompt)) as server:
        assert one_by_one(model(server, transport="sdk"), *"abcdef") == list("abcdef")
        assert server.connections == 1
