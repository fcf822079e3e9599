"""The loopback server, as HTTP/1.1 has it."""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.server import Server, ServerStats
from tests.benchmarks.wire import CHAT, Connection, body, chunked, get, post
from tests.support.programs import started

FOREVER = "/after/3600000ms/v1/chat/completions"


def until(server: Server, holds: Callable[[ServerStats], bool]) -> None:
    """Wait for what is true as soon as the server has got round to it."""
    for _ in range(6000):
        if holds(server.stats()):
            return
        time.sleep(0.01)
    pytest.fail(f"not within a minute: {server.stats()}")


# ---- what it answers


def test_the_openai_sdk_takes_a_completion_for_what_it_is(server: Server) -> None:
    with openai.OpenAI(base_url=server.base_url(), api_key="none", max_retries=0) as client:
        answer = client.chat.completions.create(
            model='bench "1" \\ ü', messages=[{"role": "user", "content": "2 + 2?"}]
        )
        models = client.models.list()
    assert answer.model == 'bench "1" \\ ü'
    assert answer.choices[0].message.content in {f"Answer: {number}" for number in range(4)}
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert [model.id for model in models] == ["bench"]


def test_equal_bodies_are_answered_alike_and_others_give_a_vote_something_to_count(
    server: Server,
) -> None:
    with Connection(server.port) as connection:
        first = [connection.ask(post(body(str(n)))).content for n in range(40)]
        again = [connection.ask(post(body(str(n)))).content for n in range(40)]
        draws = {connection.ask(post(body("one", seed=n))).text for n in range(40)}
    assert first == again
    assert len(draws) == 4


def test_dspy_is_answered_in_the_fields_that_it_asks_for(server: Server) -> None:
    with Connection(server.port) as connection:
        reply = connection.ask(post(body("Respond with [[ ## answer ## ]]")))
    assert reply.text.startswith("[[ ## answer ## ]]\n")
    assert reply.text.endswith("\n\n[[ ## completed ## ]]")


def test_a_path_has_a_latency_of_its_own_and_the_quicker_overtakes(server: Server) -> None:
    with Connection(server.port) as slow, Connection(server.port) as quick:
        began = time.monotonic()
        slow.send(post(body(), "/after/200ms/v1/chat/completions"))
        until(server, lambda stats: stats.in_flight == 1)
        assert quick.ask(post(body())).status == 200
        assert server.stats().in_flight == 1
        assert slow.read().status == 200
        assert time.monotonic() - began >= 0.2
    assert server.stats().max_in_flight == 2


def test_stats_count_and_can_begin_anew(server: Server) -> None:
    with Connection(server.port) as connection:
        for _ in range(3):
            connection.ask(post(body()))
        connection.ask(get("/v1/models"))
        connection.ask(get("/nowhere"))
    found = server.reset()
    assert (found.requests, found.other_requests, found.refused) == (3, 1, 1)
    assert (found.in_flight, found.max_in_flight) == (0, 1)
    assert found.bytes_in > 3 * len(post(body()))
    assert found.bytes_out > 0
    after = server.stats()
    assert (after.requests, after.refused, after.max_in_flight) == (0, 0, 0)
    assert after.cpu_seconds >= found.cpu_seconds > 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post(b"no JSON"), 400),
        (post(b""), 400),
        (post(b'{"model": "bench"}'), 400),
        (post(body(stream=True)), 400),
        (post(body(), "/after/soon/v1/chat/completions"), 400),
        (post(body(), "/after/99999999999999999999ms/v1/chat/completions"), 400),
        (get(CHAT), 405),
        (post(body(), "/v1/models"), 405),
        (post(body(), "/v1/embeddings"), 404),
        (get("/"), 404),
    ],
)
def test_what_cannot_be_answered_is_refused_and_the_connection_goes_on(
    server: Server, request_: bytes, status: int
) -> None:
    with Connection(server.port) as connection:
        refused = connection.ask(request_)
        assert refused.status == status
        assert refused.json["error"]["message"]
        assert connection.ask(post(body())).status == 200


# ---- how it reads


def test_requests_sent_together_are_answered_in_their_order(server: Server) -> None:
    with Connection(server.port) as connection:
        alone = [connection.ask(post(body(str(n)))).content for n in range(5)]
        latencies = [100, 0, 50, 0, 0]
        paths = [f"/after/{ms}ms/v1/chat/completions" for ms in latencies]
        connection.send(b"".join(post(body(str(n)), path) for n, path in enumerate(paths)))
        assert [connection.read().content for _ in paths] == alone


def test_a_request_may_come_byte_by_byte(server: Server) -> None:
    request = post(body())
    with Connection(server.port) as connection:
        whole = connection.ask(request).content
        connection.send(*(request[at : at + 1] for at in range(len(request))))
        assert connection.read().content == whole


@given(
    data=st.data(),
    questions=st.lists(st.text(max_size=50), min_size=1, max_size=4),
)
@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_however_requests_are_framed_and_cut_the_answers_are_the_same(
    server: Server, data: st.DataObject, questions: list[str]
) -> None:
    stream = b""
    for question in questions:
        content = body(question)
        if data.draw(st.booleans()):
            cuts = data.draw(st.lists(st.integers(1, len(content) - 1), unique=True, max_size=5))
            edges = [0, *sorted(cuts), len(content)]
            sizes = [after - before for before, after in itertools.pairwise(edges)]
            stream += chunked(
                content, sizes, trailer=data.draw(st.sampled_from([b"", b"A: b\r\n"]))
            )
        else:
            stream += post(content)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    edges = [0, *sorted(cuts), len(stream)]
    with Connection(server.port) as connection:
        alone = [connection.ask(post(body(question))).content for question in questions]
        for before, after in itertools.pairwise(edges):
            connection.send(stream[before:after])
        assert [connection.read().content for _ in questions] == alone


def test_a_client_that_waits_to_be_told_is_told_to_go_on(server: Server) -> None:
    request = post(body(), CHAT, "Expect: 100-continue")
    head, _, content = request.partition(b"\r\n\r\n")
    with Connection(server.port) as connection:
        assert connection.ask(head + b"\r\n\r\n").status == 100
        assert connection.ask(content).status == 200
        # Who does not wait is not told.
        assert connection.ask(request).status == 200


def test_a_body_of_a_megabyte_is_read(server: Server) -> None:
    with Connection(server.port) as connection:
        assert connection.ask(post(body("x" * 1_000_000))).json["usage"]["prompt_tokens"] > 250_000


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /v1/models HTTP/2.0\r\n\r\n", 505),
        (b"GET /v1/models HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nSpace : before\r\n\r\n", 400),
        (b"POST /chat/completions HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /chat/completions HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (
            (
                b"POST /chat/completions HTTP/1.1\r\nContent-Length: 1\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            ),
            400,
        ),
        (b"POST /chat/completions HTTP/1.1\r\nContent-Length: 9999999999999999999999\r\n\r\n", 413),
        (b"POST /chat/completions HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST /chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", 400),
        (
            b"POST /chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
            413,
        ),
        (b"POST /chat/completions HTTP/1.1\r\nExpect: a miracle\r\n\r\n", 417),
        (b"GET /" + b"x" * 70_000, 431),
    ],
)
def test_what_cannot_be_read_is_refused_and_the_connection_closed(
    server: Server, request_: bytes, status: int
) -> None:
    with Connection(server.port) as connection:
        reply = connection.ask(request_)
        assert (reply.status, reply.headers["connection"]) == (status, "close")
        assert connection.is_closed()
    with Connection(server.port) as another:
        assert another.ask(post(body())).status == 200


@pytest.mark.parametrize(
    "request_",
    [
        post(body(), CHAT, "Connection: close"),
        post(body(), CHAT, "Connection: TE, Close"),
        post(body()).replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_a_client_that_wants_no_more_is_answered_and_let_go(
    server: Server, request_: bytes
) -> None:
    with Connection(server.port) as connection:
        assert connection.ask(request_).status == 200
        assert connection.is_closed()


def test_http_1_0_may_be_kept_alive(server: Server) -> None:
    request = post(body(), CHAT, "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
    with Connection(server.port) as connection:
        assert connection.ask(request).status == 200
        assert connection.ask(request).status == 200


# ---- how much it holds


def test_thousands_of_requests_are_in_flight_and_whoever_hangs_up_is_forgotten(
    server: Server,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4_000)), hard))
    connections = [Connection(server.port) for _ in range(1_200)]
    try:
        for connection in connections:
            connection.send(post(body(), FOREVER), post(body(), FOREVER))
        until(server, lambda stats: stats.in_flight == 2_400)
        assert server.stats().connections == 1_201  # the one that asks is one too
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    # Their answers are not due for an hour.
    until(server, lambda stats: stats.in_flight == 0 and stats.connections == 1)
    assert server.stats().max_in_flight == 2_400


def test_a_client_that_reads_nothing_holds_up_nobody_and_loses_nothing(server: Server) -> None:
    requests = [post(body(str(n % 7))) for n in range(20_000)]
    with Connection(server.port) as lazy, Connection(server.port) as other:
        sender = threading.Thread(target=lazy.send, args=[b"".join(requests)])
        sender.start()
        assert other.ask(post(body())).status == 200
        alone = [other.ask(request).content for request in requests[:7]]
        assert [lazy.read().content for _ in requests] == [alone[n % 7] for n in range(20_000)]
        sender.join()


def test_aiohttp_asks_many_questions_at_once_over_kept_connections(server: Server) -> None:
    async def ask_all() -> list[int]:
        connector = aiohttp.TCPConnector(limit=50)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def ask(number: int) -> int:
                url = server.base_url(number % 3) + "/chat/completions"
                async with session.post(url, data=body(str(number))) as response:
                    return len((await response.json())["choices"])

            return await asyncio.gather(*map(ask, range(1_000)))

    assert asyncio.run(ask_all()) == [1] * 1_000
    found = server.stats()
    assert found.requests == 1_000
    assert found.accepted <= 51


# ---- how it ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(server_program: Path, number: signal.Signals) -> None:
    with started([server_program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with Connection(int(process.stdout.readline())) as connection:
            connection.send(post(body(), FOREVER))
            process.send_signal(number)
            assert process.wait(60) == 0


def test_it_does_not_outlive_whoever_started_it(server_program: Path) -> None:
    reading, writing = os.pipe()
    command = [server_program, "--until-eof", "--latency", "5"]
    with started(command, stdin=reading, stdout=subprocess.PIPE) as process:
        os.close(reading)
        assert process.stdout is not None
        process.stdout.readline()
        assert process.poll() is None
        os.close(writing)
        assert process.wait(60) == 0


@pytest.mark.parametrize("arguments", [["--port"], ["--port", "x"], ["--latency", "-1"], ["-v"]])
def test_a_mistake_in_its_options_is_said(server_program: Path, arguments: list[str]) -> None:
    command = [server_program, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr
