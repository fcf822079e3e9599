"""Whatever goes wrong, a run ends with the very result that it has without it.

Each fault of a server alone, at the first request of every call, or of every third where the run
has to wait; all of them mixed, at a fifth of the requests; what the machine under the run does; and
all of it again with the run killed (SIGKILL) on the way and started anew, and what servers do with
the run told to stop (SIGINT).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ember_bench.running.session import Outcome, RunStoppedError
from tests.faults.rows import ATTEMPT_SECONDS, MACHINES, ROWS, SERVERS, Row, answers
from tests.faults.study import (
    ITEMS,
    NEEDED,
    FaultyServer,
    comparable,
    fill,
    finish,
    kill_after,
    kill_at_request,
    moments,
    stop_at_request,
    stored,
)
from tests.support.loopback import Fault
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

TRANSPORTS = ("sdk", "direct")
# A run of the study takes about so long.
SOON_SECONDS = 0.4


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with FaultyServer(answers) as server:
        ran = finish(fill(tmp_path_factory.mktemp("undisturbed"), server.base_url))
        assert server.count == NEEDED
    assert ran.summary.run.status == "complete"
    accuracies = [cell.accuracy and cell.accuracy.value for cell in ran.summary.cells]
    assert all(a is not None and 0.3 < a < 0.9 for a in accuracies)
    return comparable(ran.summary)


# What a server does is met by whoever carries the bytes; the machine does the same to both.
CASES = [
    *((name, transport) for name in SERVERS for transport in TRANSPORTS),
    *((name, "direct") for name in ROWS if name not in SERVERS),
]
each_case = pytest.mark.parametrize(("name", "transport"), CASES)


def study(folder: Path, server: FaultyServer, row: Row, transport: str) -> Workspace:
    url = server.base_url.replace("127.0.0.1", row.host)
    card = {"attempt_timeout_seconds": ATTEMPT_SECONDS, "transport": transport}
    workspace = fill(folder, url, **card)
    row.prepare(workspace)
    return workspace


def finish_from(workspace: Workspace, kept: int, server: FaultyServer) -> Outcome:
    """Finish; paid are the calls needed and what was billed in vain, and all are there then."""
    before = server.billed
    ran = finish(workspace)
    assert ran.summary.run.status == "complete"
    assert ran.summary.run.calls_made == NEEDED - kept + server.billed - before
    assert stored(workspace) == NEEDED
    return ran


def found(ran: Outcome, server: FaultyServer) -> Any:
    """Return what may not depend on faults."""
    return found_undisturbed(comparable(ran.summary), server)


def found_undisturbed(summary: Any, server: FaultyServer) -> Any:
    """Return a summary without its numbers of calls if some were billed in vain: these count."""
    if not server.billed:
        return summary
    cells = [{k: v for k, v in cell.items() if k != "calls"} for cell in summary["cells"]]
    return summary | {"cells": cells}


@each_case
def test_the_result_is_that_of_an_undisturbed_run(
    tmp_path: Path, undisturbed: Any, name: str, transport: str
) -> None:
    row = ROWS[name]
    with FaultyServer(row.server) as server:
        workspace = study(tmp_path, server, row, transport)
        with row.machine(workspace):
            if row.stops is None:
                ran = finish_from(workspace, stored(workspace), server)
            else:
                with pytest.raises(RunStoppedError, match=row.stops):
                    finish(workspace)
        if row.stops is not None:
            kept = stored(workspace)
            assert 0 < kept <= NEEDED
            ran = finish_from(workspace, kept, server)
        assert found(ran, server) == found_undisturbed(undisturbed, server)
        if row.says is not None:
            assert re.search(row.says, " ".join(ran.summary.run.changes))
        if row.damage is None and row.stops is None:
            assert set(server.answered.values()) == {1}
        asked = server.count
        assert asked > NEEDED or name in MACHINES
        finish(workspace)
        assert server.count == asked


@each_case
def test_killed_on_the_way_it_is_too_and_no_stored_answer_is_paid_again(
    tmp_path: Path, undisturbed: Any, name: str, transport: str
) -> None:
    row = ROWS[name]
    draw = moments(f"{name} {transport}")
    with FaultyServer(row.server) as server:
        workspace = study(tmp_path, server, row, transport)
        needed = NEEDED - stored(workspace)
        if row.stops is None and needed and draw.random() < row.killed_at_requests:
            number = draw.randrange(1, needed + 1)
            kill_at_request(number, server, workspace, row.machine)
        else:
            kill_after(draw.uniform(0, SOON_SECONDS), workspace, row.machine)
        # What was answered but not stored at that moment was in flight; it alone is paid again.
        ran = finish_from(workspace, stored(workspace), server)
    assert found(ran, server) == found_undisturbed(undisturbed, server)
    # Once by each run, of which damaged files have one more.
    assert max(server.answered.values()) <= (2 if row.damage is None else 3)
    assert len(server.answered) == NEEDED


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", SERVERS)
def test_stopped_on_the_way_it_is_too_and_no_answer_is_paid_twice(
    tmp_path: Path, undisturbed: Any, name: str, transport: str
) -> None:
    number = moments(f"stopped {name} {transport}").randrange(1, NEEDED + 1)
    with FaultyServer(SERVERS[name].server) as server:
        workspace = study(tmp_path, server, SERVERS[name], transport)
        ran = stop_at_request(number, server, workspace)
        assert ran.stopped or ran.summary.run.status == "complete"
        # A call that was given up makes no failed trial.
        assert all(cell.outcomes["error"] == 0 for cell in ran.summary.cells)
        ran = finish_from(workspace, stored(workspace), server)
        assert set(server.answered.values()) == {1}
    assert found(ran, server) == found_undisturbed(undisturbed, server)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_will_not_pass_is_asked_once_and_counted(
    tmp_path: Path, status: int, transport: str
) -> None:
    with FaultyServer(lambda *_: Fault(status)) as server:
        workspace = fill(tmp_path, server.base_url, transport=transport)
        # Where two trials share a call, each may ask: what failed is not stored.
        workspace.grid(architectures=[{"name": "seeded_vote", "parameters": {"k": 3}}])
        ran = finish(workspace)
        assert set(server.times.values()) == {1}
        assert server.count == NEEDED
    for cell in ran.summary.cells:
        assert cell.outcomes["error"] == cell.scheduled == ITEMS
        assert not cell.measured
    assert ran.summary.run.spend_usd == 0
