"""The direct transport's connections, over real sockets."""

from __future__ import annotations

import asyncio
import gzip
import threading
import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.errors import ProviderError
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.openai import OpenAI
from ember_bench.models.transport import http
from ember_bench.models.transport.reply import EncodingError
from tests.models.transport.channel import echo, model, one_by_one, questions, repeat
from tests.support.loopback import Asked
from tests.support.openai_server import Answer, OpenAIServer
from tests.support.raw import RawServer, Serve, response

Writer = asyncio.StreamWriter


def followed_by(more: Callable[[bytes], bytes]) -> Serve:
    """Answer, and send more with it."""

    async def serve(asked: Asked, writer: Writer) -> bool:
        writer.write(echo(asked) + more(echo(asked)))
        await writer.drain()
        return True

    return serve


def twice(sent: threading.Event) -> Serve:
    """Answer, and again a moment later."""

    async def serve(asked: Asked, writer: Writer) -> bool:
        await repeat(asked, writer)
        await asyncio.sleep(0.02)
        await repeat(asked, writer)
        sent.set()
        return True

    return serve


class TestWhatNobodyAskedFor:
    @pytest.mark.parametrize("more", [bytes, lambda _: b"more", lambda answer: answer[:60]])
    def test_with_an_answer_ends_the_connection_and_not_the_answer(
        self, more: Callable[[bytes], bytes]
    ) -> None:
        with RawServer(followed_by(more)) as server:
            assert one_by_one(model(server), "a", "b", "c") == ["a", "b", "c"]
            assert server.connections == 3

    def test_later_is_not_taken_for_an_answer(self) -> None:
        sent = threading.Event()

        async def later() -> None:
            assert await asyncio.to_thread(sent.wait, 10)
            sent.clear()

        with RawServer(twice(sent)) as server:
            assert one_by_one(model(server), "a", "b", "c", between=later) == ["a", "b", "c"]
            assert server.connections == 3

    def test_while_nobody_looked_is_not_either(self) -> None:
        sent = threading.Event()

        async def busy() -> None:
            assert sent.wait(10)  # the loop stands still, and sees nothing of what comes
            sent.clear()

        with RawServer(twice(sent)) as server:
            assert one_by_one(model(server), "a", "b", "c", between=busy) == ["a", "b", "c"]
            assert server.connections == 3

    def test_a_server_that_speaks_before_it_is_asked_is_not_asked(self) -> None:
        async def main() -> None:
            connection, transport = http._Connection(10_000), Written()
            connection.connection_made(transport)
            connection.data_received(response({}))
            assert transport.is_closing()
            with pytest.raises(ConnectionError):
                await connection.ask(b"question")
            assert transport.written == b""

        asyncio.run(main())


class TestForms:
    """An answer is the same in whatever form HTTP has it."""

    def asked(self, *parts: bytes, keep: bool = True) -> list[str]:
        async def serve(asked: Asked, writer: Writer) -> bool:
            for part in parts:
                writer.write(part.replace(b"BODY", echo(asked).partition(b"\r\n\r\n")[2]))
                await writer.drain()
            return keep

        with RawServer(serve) as server:
            return one_by_one(model(server), "a", "b")

    def test_of_a_length_that_only_the_end_of_the_connection_tells(self) -> None:
        assert self.asked(b"HTTP/1.0 200 OK\r\n\r\nBODY", keep=False) == ["a", "b"]
        assert self.asked(b"HTTP/1.1 200 OK\r\n\r\nBODY", keep=False) == ["a", "b"]

    def test_in_chunks(self) -> None:
        async def serve(asked: Asked, writer: Writer) -> bool:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            body = echo(asked).partition(b"\r\n\r\n")[2]
            for start in range(0, len(body), 50):
                chunk = body[start : start + 50]
                writer.write(b"%x;ext=1\r\n%b\r\n" % (len(chunk), chunk))
                await writer.drain()
            writer.write(b"0\r\nx-trailer: 1\r\n\r\n")
            await writer.drain()
            return True

        with RawServer(serve) as server:
            assert one_by_one(model(server), "a", "b") == ["a", "b"]
            assert server.connections == 1

    def test_cut_short_it_is_none(self) -> None:
        for head in (b"content-length: 9999\r\n\r\n", b"transfer-encoding: chunked\r\n\r\nfff\r\n"):
            part = b"HTTP/1.1 200 OK\r\n" + head + b"BODY"
            first, _ = self.asked(part, keep=False)
            assert first.startswith("openai:m: connection failed: it broke in the middle")

    def test_after_a_word_that_it_is_to_come(self) -> None:
        async def serve(asked: Asked, writer: Writer) -> bool:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 -\r\nlink: x\r\n\r\n")
            writer.write(echo(asked))
            await writer.drain()
            return True

        with RawServer(serve) as server:
            assert one_by_one(model(server), "a", "b") == ["a", "b"]

    @pytest.mark.parametrize(
        ("name", "compress"),
        [
            ("gzip", gzip.compress),
            ("x-gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])),
            ("deflate", zlib.compress),
            ("deflate", lambda body: zlib.compress(body)[2:-4]),
            ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
            ("identity", bytes),
        ],
    )
    def test_compressed(self, name: str, compress: Callable[[bytes], bytes]) -> None:
        async def serve(asked: Asked, writer: Writer) -> bool:
            body = compress(echo(asked).partition(b"\r\n\r\n")[2])
            writer.write(response(body, content_encoding=name))
            await writer.drain()
            return True

        with RawServer(serve) as server:
            assert one_by_one(model(server), "a", "b") == ["a", "b"]

    @pytest.mark.parametrize("name", ["br", "gzip", "deflate"])
    def test_in_a_way_that_nobody_knows_it_is_malformed(self, name: str) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-encoding: %b\r\n\r\nxyz"
        first, _ = self.asked(head % name.encode())
        assert first.startswith("openai:m: malformed answer, ")

    def test_what_is_not_http_breaks_the_connection(self) -> None:
        for part in (b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n\0\0"):
            first, _ = self.asked(part, keep=False)
            assert first.startswith("openai:m: connection failed: ")

    @given(cuts=st.sets(st.integers(1, 200)), chunked=st.booleans())
    def test_however_its_bytes_arrive(self, cuts: set[int], chunked: bool) -> None:
        if chunked:
            wire = b"HTTP/1.1 429 -\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
            wire += b"5\r\nhello\r\n8\r\n, world!\r\n0\r\n\r\n"
        else:
            wire = b"HTTP/1.1 429 -\r\nRetry-After: 7\r\nContent-Length: 13\r\n\r\nhello, world!"
        edges = [0, *sorted(cut for cut in cuts if cut < len(wire)), len(wire)]

        async def main() -> http.Reply:
            connection, transport = http._Connection(10_000), Written()
            connection.connection_made(transport)
            answer = connection.ask(b"question")
            for start, end in pairwise(edges):
                connection.data_received(wire[start:end])
            assert transport.written == b"question"
            assert connection.is_done
            return await answer

        reply = asyncio.run(main())
        assert (reply.status, reply.content) == (429, b"hello, world!")
        assert reply.headers["retry-after"] == "7"


class Written(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self._aborted = False

    def abort(self) -> None:
        self._aborted = True

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self._aborted

    def get_write_buffer_size(self) -> int:
        return 0


class TestConnections:
    def test_one_is_used_again_and_again(self) -> None:
        with OpenAIServer(lambda asked: Answer(asked.prompt)) as server:
            assert one_by_one(model(server), *"abcdef") == list("abcdef")
            assert server.connections == 1

    def test_one_that_nobody_used_for_long_is_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [0.0]
        monkeypatch.setattr(http.time, "monotonic", lambda: now[0])

        async def wait() -> None:
            now[0] += 6

        with OpenAIServer(lambda asked: Answer(asked.prompt)) as server:
            assert one_by_one(model(server), "a", "b", between=wait) == ["a", "b"]
            assert server.connections == 2

    def test_one_that_the_server_has_closed_is_not(self) -> None:
        closed = threading.Event()

        async def serve(asked: Asked, writer: Writer) -> bool:
            writer.write(echo(asked))
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            closed.set()
            return False

        async def busy() -> None:
            assert closed.wait(10)
            closed.clear()

        with RawServer(serve) as server:
            assert one_by_one(model(server), "a", "b", "c", between=busy) == ["a", "b", "c"]

    def test_one_that_the_server_says_it_closes_is_not(self) -> None:
        async def serve(asked: Asked, writer: Writer) -> bool:
            body = echo(asked).partition(b"\r\n\r\n")[2]
            writer.write(response(body, connection="close"))
            await writer.drain()
            return True

        with RawServer(serve) as server:
            assert one_by_one(model(server), "a", "b") == ["a", "b"]
            assert server.connections == 2

    def test_a_refusal_before_the_whole_question_was_heard_is_one(self) -> None:
        class Impatient(RawServer):
            async def _connection(self, reader: Any, writer: Writer) -> None:
                self.connections += 1
                await reader.readuntil(b"\r\n\r\n")
                writer.write(response({"error": {"message": "too long"}}, status=413))
                await writer.drain()
                await asyncio.sleep(1)

        async def never(asked: Asked, writer: Writer) -> bool:
            raise AssertionError

        with Impatient(never) as server:
            found = one_by_one(model(server), "x" * 20_000_000, "y" * 20_000_000)
            assert found == ["openai:m: HTTP 413: too long"] * 2
            assert server.connections == 2

    def test_a_call_that_is_cancelled_closes_its_own(self) -> None:
        gone, heard = threading.Event(), threading.Event()

        class Listening(RawServer):
            async def _exchange(self, reader: Any, writer: Writer) -> bool:
                self.asked.append(await self._read(reader))
                if len(self.asked) > 1:
                    return await self._serve_one(self.asked[-1], writer)
                heard.set()
                assert await reader.read() == b""
                gone.set()
                return False

        async def main(info: ModelInfo) -> None:
            provider = OpenAI(info)
            first, second = questions(info, "a", "b")
            task = asyncio.create_task(provider.complete(first))
            await asyncio.to_thread(heard.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(gone.wait, 10)
            assert (await provider.complete(second)).text == "b"
            await provider.close()

        with Listening(repeat) as server:
            asyncio.run(main(model(server, max_concurrency=1)))

    def test_closing_ends_what_is_under_way(self) -> None:
        async def main(info: ModelInfo, server: OpenAIServer) -> None:
            provider = OpenAI(info)
            [call] = questions(info, "a")
            task = asyncio.create_task(provider.complete(call))
            while not server.count:
                await asyncio.sleep(0.01)
            await provider.close()
            with pytest.raises(ProviderError, match="connection failed"):
                await task

        with OpenAIServer([Answer("late", delay=5)]) as server:
            asyncio.run(main(model(server), server))


def test_a_body_that_is_not_what_it_is_said_to_be_is_named() -> None:
    reply = http.Reply(200, [(b"Content-Encoding", b"gzip")], b"plain", 10_000)
    with pytest.raises(EncodingError, match="not gzip"):
        assert reply.content
