"""What servers and networks do: a run ends with the very result that it has without it.

Each fault alone, at the first request of every call; all of them mixed, at a fifth of the
requests; and both again with the run killed (SIGKILL) on the way and started anew.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.study import (
    NEEDED,
    FaultyServer,
    chance,
    comparable,
    fill,
    finish,
    identity,
    run_and_kill,
    stored,
)
from tests.support.loopback import RESET, Asked, Fault, Reply, json_reply
from tests.support.openai_server import Answer

ATTEMPT_SECONDS = 1.5
TRANSPORTS = ("sdk", "direct")

EMPTY = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
FAULTS: dict[str, Fault | Answer] = {
    "408 request timeout": Fault(408),
    "409 conflict": Fault(409),
    "429 with Retry-After": Fault(429, headers={"retry-after": "0.02"}),
    "429 without": Fault(429),
    "500 server error": Fault(500),
    "502 bad gateway": Fault(502, "<html>Bad gateway</html>", raw=True),
    "503 unavailable": Fault(503, headers={"retry-after": "0"}),
    "504 gateway timeout": Fault(504),
    "529 overloaded": Fault(529),
    "connection closed without a word": Fault(0),
    "connection reset": Fault(RESET),
    "reset in the middle of the body": Fault(200, EMPTY, raw=True, cut=20),
    "truncated body": Fault(200, b'{"id": "x", "choices": [{"mess', raw=True),
    "not JSON": Fault(200, "what?", raw=True),
    "not text": Fault(200, b"\xff\xfe\x00", raw=True),
    "another content type": Fault(
        200, "<html>Welcome</html>", raw=True, headers={"content-type": "text/html"}
    ),
    "JSON of another kind": json_reply([1, 2, 3]),
    "no choices": json_reply(EMPTY),
    "null content": Answer(None),
    "a huge body of nothing": Fault(200, b" " * 3_000_000, raw=True),
    "no answer in time": Fault(0, delay=ATTEMPT_SECONDS + 0.5),
    "an answer that trickles in": Fault(200, b" " * 10_000, raw=True, trickle=0.1),
}
SLOW = ("no answer in time", "an answer that trickles in")


def always(fault: Reply) -> Callable[[Asked, int], Reply | None]:
    """The fault, whenever a call is asked for the first time."""
    return lambda _, before: fault if before == 0 else None


def mixed(asked: Asked, before: int) -> Reply | None:
    """Any of the faults but the slow ones, at every fifth request."""
    if chance(identity(asked), before, "fault") >= 0.2:
        return None
    quick = [fault for name, fault in FAULTS.items() if name not in SLOW]
    return quick[int(chance(identity(asked), before, "which") * len(quick))]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with FaultyServer(lambda *_: None) as server:
        ran = finish(fill(tmp_path_factory.mktemp("undisturbed"), server.base_url))
        assert server.count == NEEDED
    assert ran.summary.run.status == "complete"
    accuracies = [cell.accuracy and cell.accuracy.value for cell in ran.summary.cells]
    assert all(a is not None and 0.3 < a < 0.9 for a in accuracies)
    return comparable(ran.summary)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", [*FAULTS, "mixed"])
def test_the_result_is_that_of_an_undisturbed_run(
    tmp_path: Path, undisturbed: Any, name: str, transport: str
) -> None:
    fault = mixed if name == "mixed" else always(FAULTS[name])
    card = {"attempt_timeout_seconds": ATTEMPT_SECONDS, "transport": transport}
    with FaultyServer(fault) as server:
        ran = finish(fill(tmp_path, server.base_url, **card))
        assert comparable(ran.summary) == undisturbed
        assert ran.summary.run.status == "complete"
        # Each call was answered, and so is paid, once.
        assert set(server.answered.values()) == {1}
        assert ran.summary.run.calls_made == sum(server.answered.values()) == NEEDED
        asked = server.count
        assert asked > NEEDED
        finish(fill(tmp_path, server.base_url, **card))
        assert server.count == asked


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", [*FAULTS, "mixed"])
def test_killed_on_the_way_it_is_too_and_no_stored_answer_is_paid_again(
    tmp_path: Path, undisturbed: Any, name: str, transport: str
) -> None:
    fault = mixed if name == "mixed" else always(FAULTS[name])
    card = {"attempt_timeout_seconds": ATTEMPT_SECONDS, "transport": transport}
    with FaultyServer(fault) as server:
        workspace = fill(tmp_path, server.base_url, **card)
        moment = random.Random(name).randrange(NEEDED // 4, NEEDED)
        run_and_kill(workspace, lambda: server.count >= moment)
        kept = stored(workspace)
        ran = finish(workspace)
    assert comparable(ran.summary) == undisturbed
    # What was answered but not stored at that moment was in flight; it alone is paid again.
    assert ran.progress.calls_made == NEEDED - kept
    assert max(server.answered.values()) <= 2
    assert len(server.answered) == NEEDED


class TestNames:
    """The server's name cannot be looked up for a while."""

    @pytest.fixture
    def failing(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
        lookup, failed = socket.getaddrinfo, list[str]()

        def flaky(host: Any, *rest: Any, **more: Any) -> Any:
            if host in ("localhost", b"localhost") and len(failed) < 10:
                failed.append(str(host))
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return lookup(host, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", flaky)
        return iter([failed])

    def test_a_name_that_is_not_found_is_looked_up_again(
        self, tmp_path: Path, undisturbed: Any, failing: Iterator[list[str]]
    ) -> None:
        failed = next(failing)
        with FaultyServer(lambda *_: None) as server:
            url = server.base_url.replace("127.0.0.1", "localhost")
            ran = finish(fill(tmp_path, url))
        assert failed
        assert comparable(ran.summary) == undisturbed
        assert set(server.answered.values()) == {1}


def test_a_clock_that_jumps_changes_nothing(
    tmp_path: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, jumps = time.time, random.Random(7)
    monkeypatch.setattr(time, "time", lambda: now() + jumps.choice([-86_400.0, 0.0, 86_400.0]))
    with FaultyServer(mixed) as server:
        ran = finish(fill(tmp_path, server.base_url))
    assert comparable(ran.summary) == undisturbed
    assert set(server.answered.values()) == {1}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_will_not_pass_is_asked_once_and_counted(
    tmp_path: Path, status: int, transport: str
) -> None:
    # It takes long enough for both cells to wait for the request that they share.
    with FaultyServer(lambda *_: Fault(status, delay=0.2)) as server:
        ran = finish(fill(tmp_path, server.base_url, transport=transport))
        assert set(server.times.values()) == {1}
    for cell in ran.summary.cells:
        assert cell.outcomes["error"] == cell.scheduled
        assert cell.accuracy is not None
        assert cell.accuracy.value == 0.0
    assert ran.summary.run.spend_usd == 0
