"""Streams over real sockets: every wire, through its SDK and without."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models.call import Call, Request
from ember_bench.models.endpoint import Endpoint
from ember_bench.models.model_registry import models_of_card
from ember_bench.models.providers.base import provider_class
from ember_bench.models.retry import RetryPolicy
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import Completion, SamplingParameters, Usage
from ember_bench.models.wire import adapting
from tests.models.providers.test_conformance import failure, timeless
from tests.models.providers.wires import Adapter
from tests.models.providers.wires.adapters import STREAMED
from tests.models.providers.wires.asking import QUESTION, ask, ask_all
from tests.support.loopback import Asked, Fault, LoopbackServer, json_reply
from tests.support.raw import RawServer

Writer = asyncio.StreamWriter
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
PARIS = Completion("Paris is the capital of France.", Usage(7, 8), thoughts="Easy.")
EVENTS = {"content-type": "text/event-stream"}


@pytest.fixture(
    params=[
        pytest.param(a, id=str(a), marks=[pytest.mark.slow] * (a.transport == "sdk"))
        for a in STREAMED
    ]
)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


def stream(adapter: Adapter, completion: Completion = PARIS) -> list[bytes]:
    """Return the events of an answer."""
    return list(adapter.wire.stream(adapter.wire.answer(completion)))


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


async def send(writer: Writer, content: bytes) -> None:
    writer.write(content)
    await writer.drain()


def in_chunks(*parts: bytes, ends: bool = True) -> RawServer:
    """Return a server that sends a body in chunks, and ends it or breaks the connection."""

    async def serve(asked: Asked, writer: Writer) -> bool:
        await send(writer, HEAD + b"".join(map(chunk, parts)) + LAST_CHUNK * ends)
        return ends

    return RawServer(serve)


def asked_through_endpoint(
    adapter: Adapter, server: LoopbackServer, seconds: float, deadline: float = 60
) -> Completion:
    """Ask with a limit of silence, and never again."""
    info = adapter.info(server.url, attempt_timeout_seconds=seconds, deadline_seconds=deadline)

    async def main() -> Completion:
        endpoint = Endpoint(provider_class(info.provider_name)(info), RetryPolicy(attempts=1))
        try:
            call = Call.place(Request(info, QUESTION), Strand(TrialContext()), "0", "")
            return await endpoint.complete(call)
        finally:
            await endpoint.close()

    return asyncio.run(main())


class TestForms:
    @pytest.mark.parametrize(
        "written",
        [
            lambda body: body,
            lambda body: body.replace(b"\n", b"\r\n"),
            lambda body: body.replace(b"\n", b"\r"),
            lambda body: b"\xef\xbb\xbf" + body,
            lambda body: body.replace(b"\n\n", b"\n\n: ping\n\n"),
            lambda body: body.replace(b"data: ", b"id: 1\nretry: 5\ndata:"),
            lambda body: body.rstrip(b"\n"),
        ],
        ids=["LF", "CRLF", "CR", "mark", "comments", "fields", "no last line"],
    )
    def test_of_a_stream_do_not_matter(
        self, adapter: Adapter, written: Callable[[bytes], bytes]
    ) -> None:
        body = written(b"".join(stream(adapter)))
        with LoopbackServer([Fault(200, body, EVENTS, raw=True)]) as server:
            assert timeless(ask(adapter, server.url)) == PARIS

    def test_of_transfer_do_not_matter(self, adapter: Adapter) -> None:
        body = b"".join(stream(adapter))
        bytewise = [body[i : i + 1] for i in range(len(body))]
        with in_chunks(*bytewise) as server:
            assert timeless(ask(adapter, server.url)) == PARIS

    def test_may_be_packed(self, adapter: Adapter) -> None:
        packed = gzip.compress(b"".join(stream(adapter)))
        headers = {**EVENTS, "content-encoding": "gzip"}
        with LoopbackServer([Fault(200, packed, headers, raw=True)]) as server:
            assert timeless(ask(adapter, server.url)) == PARIS

    def test_an_answer_in_one_piece_is_taken_as_well(self, adapter: Adapter) -> None:
        with LoopbackServer([json_reply(adapter.wire.answer(PARIS))]) as server:
            assert ask(adapter, server.url) == PARIS

    def test_the_next_answer_comes_over_the_same_connection(self, adapter: Adapter) -> None:
        with in_chunks(*stream(adapter)) as server:
            info = adapter.info(server.url, max_concurrency=1)
            found = ask_all(info, [Request(info, QUESTION)] * 3)
            assert [timeless(answer) for answer in found] == [PARIS] * 3
            assert server.connections == 1


class TestTimes:
    def test_the_first_token_is_timed(self, adapter: Adapter) -> None:
        async def serve(asked: Asked, writer: Writer) -> bool:
            await send(writer, HEAD)
            await asyncio.sleep(0.2)
            first, *rest = stream(adapter)
            await send(writer, b"".join(map(chunk, [first, *rest[:-1]])))
            await asyncio.sleep(0.2)
            await send(writer, chunk(rest[-1]) + LAST_CHUNK)
            return True

        with RawServer(serve) as server:
            completion = asked_through_endpoint(adapter, server, 30)
        assert completion.first_token_seconds is not None
        assert completion.latency_seconds is not None
        assert 0.2 <= completion.first_token_seconds < completion.latency_seconds - 0.1

    @pytest.mark.slow
    @pytest.mark.parametrize("ping", [b": ping\n\n", b"\n", b""])
    def test_an_answer_may_take_longer_than_the_limit_of_silence(
        self, adapter: Adapter, ping: bytes
    ) -> None:
        async def serve(asked: Asked, writer: Writer) -> bool:
            await send(writer, HEAD)
            for part in stream(adapter):
                await asyncio.sleep(0.1)
                await send(writer, chunk(ping + part))
            await send(writer, LAST_CHUNK)
            return True

        with RawServer(serve) as server:
            completion = asked_through_endpoint(adapter, server, 0.6)
            assert server.count == 1
        assert completion.text == PARIS.text
        assert completion.latency_seconds is not None
        assert completion.latency_seconds > 0.6

    def test_silence_ends_a_stream(self, adapter: Adapter) -> None:
        async def serve(asked: Asked, writer: Writer) -> bool:
            await send(writer, HEAD + b"".join(map(chunk, stream(adapter)[:3])))
            await asyncio.sleep(30)
            return False

        with RawServer(serve) as server, pytest.raises(ProviderError) as caught:
            asked_through_endpoint(adapter, server, 0.3)
        assert "and then nothing for 0.3 s" in str(caught.value)
        assert (caught.value.retryable, caught.value.may_be_charged) == (True, True)

    def test_the_deadline_ends_a_server_that_only_sends_comments(self, adapter: Adapter) -> None:
        async def serve(asked: Asked, writer: Writer) -> bool:
            await send(writer, HEAD)
            while True:
                await send(writer, chunk(b": ping\n\n"))
                await asyncio.sleep(0.05)

        with RawServer(serve) as server, pytest.raises(ProviderError, match="deadline_seconds"):
            asked_through_endpoint(adapter, server, 10, deadline=0.5)

    def test_an_answer_that_has_ended_does_not_wait_for_its_connection(
        self, adapter: Adapter
    ) -> None:
        async def serve(asked: Asked, writer: Writer) -> bool:
            await send(writer, HEAD + b"".join(map(chunk, stream(adapter))))
            await asyncio.sleep(30)
            return False

        with RawServer(serve) as server:
            started = time.monotonic()
            assert timeless(ask(adapter, server.url)) == PARIS
            assert time.monotonic() - started < 10


class TestFaults:
    @pytest.mark.slow
    def test_a_stream_that_is_cut_is_no_answer(self, adapter: Adapter) -> None:
        events = stream(adapter)
        # What follows the reason for the end are counts, without which the price is not known.
        for length in range(1, len(events) - 1):
            for server in (
                in_chunks(*events[:length], ends=False),
                in_chunks(*events[:length], events[length][:9], ends=False),
            ):
                with server, pytest.raises(ProviderError) as caught:
                    ask(adapter, server.url)
                assert caught.value.retryable
                assert caught.value.may_be_charged

    def test_a_stream_that_ends_before_its_answer_is_none(self, adapter: Adapter) -> None:
        with (
            in_chunks(*stream(adapter)[:4]) as server,
            pytest.raises(ProviderError, match="the stream ended before the answer did") as caught,
        ):
            ask(adapter, server.url)
        assert caught.value.retryable
        assert caught.value.may_be_charged

    def test_an_error_in_the_middle_is_one_that_may_be_charged(self, adapter: Adapter) -> None:
        error = adapter.wire.error(503, "overloaded")
        failing = b"event: error\ndata: " + Fault(body=error, raw=True).content() + b"\n\n"
        with (
            in_chunks(*stream(adapter)[:4], failing) as server,
            pytest.raises(ProviderError, match="overloaded") as caught,
        ):
            ask(adapter, server.url)
        assert caught.value.retryable
        assert caught.value.may_be_charged

    @pytest.mark.parametrize(
        "body",
        [
            b"data: \xff\xfe\n\n",
            b"data: {\n\n",
            b"data: [1]\n\n",
            b"data: <html>\n\n",
            b"data: " + b"x" * 100_000,
            b": " + b"x" * 100_000,
            b"data: " + b"[" * 100_000 + b"\n\n",
            b"event: x\n\n" * 1_000,
            b"\r\n\r\r\n\n",
        ],
        ids=lambda body: repr(body[:12]),
    )
    def test_a_stream_of_nothing_is_retryable(self, adapter: Adapter, body: bytes) -> None:
        error = failure(adapter, Fault(200, body, EVENTS, raw=True))
        assert error.retryable
        assert "malformed answer" in str(error)

    @pytest.mark.parametrize("line", [b"data: ", b"data: x\n\n", b": x\n"])
    def test_a_stream_without_end_fills_no_memory(
        self, adapter: Adapter, line: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(adapting, "MOST_BYTES", 100_000)
        error = failure(adapter, Fault(200, line * 100_000, EVENTS, raw=True))
        assert error.retryable


REFUSALS = [
    Fault(400, {"message": "Unknown parameter: 'stream'", "param": "stream"}),
    Fault(400, {"message": "Your organization must be verified to stream this model."}),
    Fault(422, {"detail": [{"loc": ["body", "stream"], "msg": "Extra inputs"}]}, raw=True),
    Fault(501, "streaming is not implemented"),
]


def wants_stream(asked: Asked) -> bool:
    return bool(asked.body.get("stream")) or "streamGenerateContent" in asked.path


def usual(adapter: Adapter, server: LoopbackServer, **fields: Any) -> Any:
    """Return a model whose card does not say whether it streams."""
    return adapter.info(server.url, **{"stream": None, **fields})


class TestChoice:
    @pytest.mark.parametrize("refusal", REFUSALS, ids=lambda fault: str(fault.body)[:40])
    def test_a_server_that_refuses_streams_is_asked_without(
        self, adapter: Adapter, refusal: Fault
    ) -> None:
        def serve(asked: Asked) -> Fault:
            return refusal if wants_stream(asked) else json_reply(adapter.wire.answer(PARIS))

        with LoopbackServer(serve) as server:
            info = usual(adapter, server, max_concurrency=1)
            assert ask_all(info, [Request(info, QUESTION)] * 3) == [PARIS] * 3
            streams = [asked for asked in server.asked if wants_stream(asked)]
        assert len(streams) == 3  # those that were under way; none of the next
        assert len(server.asked) == 6

    def test_other_refusals_are_not_asked_again(self, adapter: Adapter) -> None:
        for status, text in ((400, "upstream: no such model"), (401, "stream"), (429, "stream")):
            with LoopbackServer([Fault(status, text)]) as server:
                info = usual(adapter, server)
                with pytest.raises(ProviderError):
                    ask_all(info, [Request(info, QUESTION)])
                assert server.count == 1

    def test_a_card_that_insists_is_not_asked_without(self, adapter: Adapter) -> None:
        with LoopbackServer([REFUSALS[0]]) as server, pytest.raises(ProviderError):
            ask(adapter, server.url)
        assert all(map(wants_stream, server.asked))

    def test_a_server_that_does_not_count_in_streams_is_asked_without(
        self, adapter: Adapter
    ) -> None:
        uncounted = adapter.reply(Completion("Paris."))
        with LoopbackServer([uncounted, json_reply(adapter.wire.answer(PARIS))]) as server:
            info = usual(adapter, server)

            async def main() -> None:
                provider, strand = provider_class(info.provider_name)(info), Strand(TrialContext())
                for _ in range(2):
                    await provider.complete(Call.place(Request(info, QUESTION), strand, "0", ""))
                await provider.close()

            asyncio.run(main())
        assert [wants_stream(asked) for asked in server.asked] == [True, False]

    @pytest.mark.parametrize(
        ("parameters", "streams"),
        [
            (SamplingParameters(), True),
            (SamplingParameters(max_tokens=1_000), False),
            (SamplingParameters(max_tokens=32_000), True),
            (SamplingParameters(max_tokens=1_000, reasoning_effort="high"), True),
        ],
        ids=["no limit", "short", "long", "thinking"],
    )
    def test_what_may_take_long_is_streamed(
        self, adapter: Adapter, parameters: SamplingParameters, streams: bool
    ) -> None:
        with LoopbackServer([json_reply(adapter.wire.answer(PARIS))]) as server:
            info = usual(adapter, server)
            ask_all(info, [Request(info, QUESTION, parameters)])
            assert wants_stream(server.asked[0]) is streams
            info = usual(adapter, server, stream=False)
            ask_all(info, [Request(info, QUESTION, parameters)])
            assert not wants_stream(server.asked[1])

    def test_it_is_no_part_of_the_answers_identity_but_of_the_connections(
        self, adapter: Adapter
    ) -> None:
        server = "http://127.0.0.1:9"
        one, other = adapter.info(server), adapter.info(server, stream=False)
        assert one.fingerprint == other.fingerprint
        assert one.connection != other.connection


def test_an_option_that_is_refused_is_left_out_and_the_stream_stays() -> None:
    [adapter] = (each for each in STREAMED if each.name == "openai-direct-streamed")

    def serve(asked: Asked) -> Fault:
        if "stream_options" in asked.body:
            return Fault(422, {"message": "stream_options: extra fields not permitted"})
        return adapter.reply(PARIS)

    with LoopbackServer(serve) as server:
        assert timeless(ask(adapter, server.url)) == PARIS
        assert [asked.body["stream"] for asked in server.asked] == [True, True]


@pytest.mark.parametrize("status", [404, 405])
def test_a_gateway_without_geminis_streams_is_asked_without(status: int) -> None:
    [adapter] = (each for each in STREAMED if each.name == "google-direct-streamed")

    def serve(asked: Asked) -> Fault:
        unknown = Fault(status, {"detail": "Not Found"}, raw=True)
        return unknown if wants_stream(asked) else json_reply(adapter.wire.answer(PARIS))

    with LoopbackServer(serve) as server:
        info = usual(adapter, server)
        assert ask_all(info, [Request(info, QUESTION)]) == [PARIS]


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("name: simulated:m\nstream: true\n", "2:1", "simulated does not stream"),
        ("name: litellm:a/m\nstream: true\n", "2:1", "litellm does not stream"),
        ("name: openai:m\nmode: batch\nstream: true\n", "3:1", "batches do not stream"),
    ],
)
def test_a_card_that_cannot_be_is_said_at_its_place(text: str, place: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        models_of_card(parse_document(text, Path("card.yaml")))
    assert str(caught.value).startswith(f"card.yaml:{place}: ")
