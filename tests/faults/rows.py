"""The fault matrix: what goes wrong, one row each."""

from __future__ import annotations

import functools
import pkgutil
import random
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from ember_bench.models.store.salvage import open_response_store
from tests.faults.study import Disturbance, chance, finish, identity, responses
from tests.support.loopback import RESET, Asked, Fault, Reply, json_reply
from tests.support.openai_server import Answer
from tests.support.workspace import Workspace

ATTEMPT_SECONDS = 1.5

_EMPTY = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": []}
FAULTS: dict[str, Fault | Answer] = {
    "408 request timeout": Fault(408),
    "409 conflict": Fault(409),
    "429 with Retry-After": Fault(429, headers={"retry-after": "0.02"}),
    "429 without": Fault(429),
    "429 with a date that is past": Fault(
        429, headers={"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}
    ),
    "500 server error": Fault(500),
    "502 bad gateway": Fault(502, "<html>Bad gateway</html>", raw=True),
    "503 unavailable": Fault(503, headers={"retry-after": "0"}),
    "504 gateway timeout": Fault(504),
    "529 overloaded": Fault(529),
    "connection closed without a word": Fault(0),
    "connection reset": Fault(RESET),
    "reset in the middle of the body": Fault(200, _EMPTY, raw=True, cut=20),
    "truncated body": Fault(200, b'{"id": "x", "choices": [{"mess', raw=True),
    "not JSON": Fault(200, "what?", raw=True),
    "not text": Fault(200, b"\xff\xfe\x00", raw=True),
    "another content type": Fault(
        200, "<html>Welcome</html>", raw=True, headers={"content-type": "text/html"}
    ),
    "JSON of another kind": json_reply([1, 2, 3]),
    "an error that calls itself a success": json_reply(
        {"error": {"message": "overloaded", "code": 503}}
    ),
    "no choices": json_reply(_EMPTY),
    "null content": Answer(None),
    "a huge body of nothing": Fault(200, b" " * 3_000_000, raw=True),
    "no answer in time": Fault(0, delay=ATTEMPT_SECONDS + 0.5),
    "an answer that trickles in": Fault(200, b" " * 10_000, raw=True, trickle=0.1),
}
_SLOW = ("no answer in time", "an answer that trickles in")
# A run has to wait for these to pass, so only every third call meets them.
_WAITED_FOR = (*_SLOW, *(name for name in FAULTS if name.startswith("429")))

Serve = Callable[[Asked, int], Reply | None]
"""(what is asked, how often it was asked before) -> what goes wrong; None answers."""


def answers(_asked: Asked, _before: int) -> None:
    """Nothing goes wrong."""


def at_first(fault: Reply, share: float = 1.0) -> Serve:
    """The fault, whenever one of a share of the calls is asked for the first time."""

    def serve(asked: Asked, before: int) -> Reply | None:
        return fault if before == 0 and chance(identity(asked), "met") < share else None

    return serve


def mixed(asked: Asked, before: int) -> Reply | None:
    """Any of the faults but the slow ones, at every fifth request."""
    if chance(identity(asked), before, "fault") >= 0.2:
        return None
    quick = [fault for name, fault in FAULTS.items() if name not in _SLOW]
    return quick[int(chance(identity(asked), before, "which") * len(quick))]


def nothing(_: Workspace) -> AbstractContextManager[None]:
    """The machine does what it should."""
    return nullcontext()


@dataclass(frozen=True)
class Row:
    """What goes wrong.

    Attributes:
        server: What the model's server does.
        host: What the model's server is called.
        damage: What happens to the files of a run that was finished before; None if there was none.
        machine: What the machine under the run does meanwhile.
        stops: Whether the run cannot go on, and ends with this error.
        says: What the run is to say about it.
    """

    server: Serve = answers
    host: str = "127.0.0.1"
    damage: Callable[[Workspace], None] | None = None
    machine: Disturbance = nothing
    stops: str | None = None
    says: str | None = None

    @property
    def killed_at_requests(self) -> float:
        """How often it is killed when requests are made, and not at any moment, such as before."""
        return 1.0 if self.damage is None else 0.5

    def prepare(self, workspace: Workspace) -> None:
        """Do the damage."""
        if self.damage is not None:
            finish(workspace)
            self.damage(workspace)


@contextmanager
def full_disk(opens: str, pages: int, _: Workspace) -> Iterator[None]:
    """There is room for so many more pages in the files that the function `opens` opens."""
    opened = pkgutil.resolve_name(opens)

    def small(path: Path, **more: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = opened(path, **more)
        used = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {used + pages}")
        return connection

    with mock.patch(opens, small):
        yield


@contextmanager
def locked_store(workspace: Workspace) -> Iterator[None]:
    """Another program holds the response store, for the first half second."""
    open_response_store(responses(workspace))[0].close()
    locked = threading.Event()

    def lock() -> None:
        with closing(sqlite3.connect(responses(workspace), isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            locked.set()
            time.sleep(0.5)
            connection.execute("COMMIT")

    other = threading.Thread(target=lock, daemon=True)
    other.start()
    assert locked.wait(10)
    yield
    other.join()


@contextmanager
def failing_names(_: Workspace) -> Iterator[None]:
    """The server's name cannot be looked up for a while."""
    lookup, failed = socket.getaddrinfo, list[str]()

    def flaky(host: Any, *rest: Any, **more: Any) -> Any:
        if host in ("localhost", b"localhost") and len(failed) < 10:
            failed.append(str(host))
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return lookup(host, *rest, **more)

    # uvloop looks names up by itself, where nothing can be put in its way.
    asyncios = mock.patch.dict(sys.modules, {"uvloop": None})
    with asyncios, mock.patch.object(socket, "getaddrinfo", flaky):
        yield
    assert failed


@contextmanager
def jumping_clock(_: Workspace) -> Iterator[None]:
    """The time of day goes back and forth by a day."""
    now, jumps = time.time, random.Random(7)

    def jumping() -> float:
        return now() + jumps.choice([-86_400.0, 0.0, 86_400.0])

    with mock.patch.object(time, "time", jumping):
        yield


def cut(share: float, workspace: Workspace) -> None:
    """Cut the response store short, and take the trials away, which would not ask it."""
    path = responses(workspace)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    _trials(workspace).unlink()


def overwrite(workspace: Workspace) -> None:
    """Write garbage over the response store, and take the trials away."""
    responses(workspace).write_bytes(b"garbage" * 1000)
    _trials(workspace).unlink()


def overwrite_trials(workspace: Workspace) -> None:
    """Write garbage over the trial store."""
    _trials(workspace).write_bytes(b"garbage" * 1000)


def forget_trials(workspace: Workspace) -> None:
    """Take the trial store away."""
    _trials(workspace).unlink()


def _trials(workspace: Workspace) -> Path:
    return workspace.root / "results" / "trip" / "trials.db"


SERVERS = {
    name: Row(server=at_first(fault, 1 / 3 if name in _WAITED_FOR else 1.0))
    for name, fault in FAULTS.items()
} | {"mixed": Row(server=mixed)}
MACHINES = {
    "a disk without room for answers": Row(
        machine=functools.partial(full_disk, "ember_bench.models.store.writer.connect", 1),
        stops=r"responses\.db: an answer could not be stored: .*full",
    ),
    "a disk without room for trials": Row(
        machine=functools.partial(full_disk, "ember_bench.experiment.trial_store.open_database", 3),
        stops=r"trials\.db: cannot be used: .*full",
    ),
    "a store that another program locks": Row(machine=locked_store),
    "a name that is not found": Row(host="localhost", machine=failing_names),
    "a clock that jumps, and faults": Row(server=mixed, machine=jumping_clock),
    "a response store cut at .6": Row(
        damage=functools.partial(cut, 0.6), says=r"responses\.db was damaged; it is .*damaged-1"
    ),
    "a response store cut at .9": Row(
        damage=functools.partial(cut, 0.9), says=r"responses\.db was damaged; it is .*damaged-1"
    ),
    "a response store of garbage": Row(
        damage=overwrite, says=r"responses\.db was damaged; it is .*damaged-1"
    ),
    "a trial store of garbage": Row(
        damage=overwrite_trials, says=r"trials\.db was damaged; it is .*damaged-1"
    ),
    "a trial store that is gone": Row(damage=forget_trials),
}
ROWS = SERVERS | MACHINES
