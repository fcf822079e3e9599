"""Trials under way: their calls so far and what they wait for, as text alone."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from starlette.testclient import TestClient

from ember_bench.experiment.lock import locked
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.models.under_way import EndpointNow
from ember_bench.running.live import LIVE, Live, LiveTrial, WaitingCall
from tests.experiment.conftest import workspace
from tests.serving.test_trial_pages import get, links
from tests.serving.test_view import PAYLOAD, TOKEN, client
from tests.support.workspace import Workspace, vote

__all__ = ["workspace"]


@pytest.fixture
def folder(workspace: Workspace) -> Iterator[Path]:
    """The folder of an experiment that this process runs: two trials are stored, three to come."""
    workspace.sums([PAYLOAD] * 5)
    workspace.grid(architectures=[vote([3], label=PAYLOAD)], in_flight=1)
    workspace.run(stop_after=2)
    folder = workspace.root / "results/trip"
    with locked(folder):
        yield folder


def doing(folder: Path, *trials: LiveTrial, under_way: int | None = None) -> TestClient:
    """Write what the run of a folder is doing."""
    models = {f"openai:{PAYLOAD}": EndpointNow(20, 3, 7, 2.5, True)}
    prompts = ((("user", PAYLOAD),),)
    number = len(trials) if under_way is None else under_way
    content = Live(os.getpid(), time.time(), models, number, trials, prompts)
    (folder / LIVE).write_bytes(msgspec.json.encode(content))
    return client(folder.parent)


def trial(folder: Path, item: int = 3) -> LiveTrial:
    """A trial of which one call is answered, one is sent, and one failed."""
    rows = StoredTrials(folder / "trials.db")
    (answered, *_) = rows.calls(0, 0, 0) or ()
    rows.close()
    waits = (
        WaitingCall(b"1" * 16, f"openai:{PAYLOAD}", PAYLOAD, PAYLOAD, 4.0, "sent", 2.0, 1, "", 0),
        WaitingCall(b"2" * 16, "openai:x", "judge", "judge", 9.0, "again", None, 3, PAYLOAD, 7),
    )
    return LiveTrial(0, item, 0, 75.0, (answered,), waits)


def test_the_first_page_leads_to_the_trials_under_way_and_to_each(folder: Path) -> None:
    pages = doing(folder, trial(folder))
    first = get(pages, "live")
    assert ">1 trial under way<" in first
    (listed,) = links(first, "under-way/trip")
    text = get(pages, listed)
    assert "1 min 15 s" in text
    assert "1 x openai:x (failed, to be sent again)" in text
    (link,) = links(text, r"../trials/trip/\d+/\d+/\d+")
    assert link == "../trials/trip/0/3/0"
    assert links(get(pages, "trials/trip/0/3/0"), "../../../../under-way/trip")


def test_the_limits_of_each_model_are_those_of_now(folder: Path) -> None:
    text = re.sub(r"<[^>]+>", " ", get(doing(folder), "live"))
    assert "3 / 20" in text
    assert re.search(r"3 / 20\s+7\s+2\.5\s", text)


def test_a_trial_has_its_calls_by_node(folder: Path) -> None:
    text = get(doing(folder, trial(folder)), "trials/trip/0/3/0")
    assert "<dt>under way for</dt><dd>1 min 15 s</dd>" in text
    assert "<h2>ensemble: 1 call answered</h2>" in text
    assert "<h2>judge: 0 calls answered, 1 waited for</h2>" in text
    assert "judge openai:x: failed, to be sent again" in text
    assert "3 requests sent; the last error: &lt;script" in text
    assert "sent 2.0 s ago" in text
    assert "<h4>answer</h4><pre>Answer: " in text  # of the call that is answered


def test_a_trial_that_has_ended_is_shown_as_it_is_stored(folder: Path) -> None:
    pages = doing(folder)
    stored = get(pages, "trials/trip/0/0/0")
    assert "<dt>outcome</dt>" in stored
    assert "X-Next-Ms" not in pages.get(f"/{TOKEN}/trials/trip/0/0/0?part=main").headers


def test_a_trial_that_is_neither_stored_nor_under_way_says_so(folder: Path) -> None:
    assert "waits for its turn, or has just ended" in get(doing(folder), "trials/trip/0/4/0")


def test_a_page_that_changes_asks_for_its_middle_alone(folder: Path) -> None:
    pages = doing(folder, trial(folder))
    for path in ("under-way/trip", "trials/trip/0/3/0"):
        answer = pages.get(f"/{TOKEN}/{path}?part=main")
        assert int(answer.headers["x-next-ms"]) >= 1_000
        assert "<html" not in answer.text
        assert answer.text in get(pages, path)


def test_long_lists_come_page_by_page(folder: Path) -> None:
    pages = doing(folder, *[trial(folder)] * 130, under_way=1_200)
    text = get(pages, "under-way/trip")
    assert len(links(text, r"../trials/trip/\d+/\d+/\d+")) == 100
    assert "1,070 more" in text
    assert links(text, r"\?from=\d+") == ["?from=100"]
    assert len(links(get(pages, "under-way/trip?from=100"), r"../trials/trip/\d+/\d+/\d+")) == 30


@pytest.mark.parametrize("path", ["", "live", "under-way/trip", "trials/trip/0/3/0",
                                  "under-way/trip?part=main"])  # fmt: skip
def test_text_of_models_and_data_is_no_markup(folder: Path, path: str) -> None:
    text = get(doing(folder, trial(folder)), path)
    assert "&lt;img" in text
    assert "<img" not in text
    assert "<script>alert" not in text


@pytest.mark.parametrize("path", ["under-way/nowhere", "under-way/trip?from=x",
                                  "under-way/..%2Ftrip"])  # fmt: skip
def test_what_there_is_not_is_not_found(folder: Path, path: str) -> None:
    assert doing(folder).get(f"/{TOKEN}/{path}").status_code == 404


def test_an_engine_that_does_not_tell_is_said_not_to(folder: Path) -> None:
    content = Live(os.getpid(), time.time(), {}, None)
    (folder / LIVE).write_bytes(msgspec.json.encode(content))
    pages = client(folder.parent)
    assert "under way" not in get(pages, "live")
    assert "does not tell" in get(pages, "under-way/trip")


def test_without_a_run_nothing_is_under_way(workspace: Workspace) -> None:
    workspace.grid(in_flight=1)
    workspace.run(stop_after=2)
    pages = client(workspace.root / "results")
    assert "Not known" in get(pages, "under-way/trip")
    assert pages.get(f"/{TOKEN}/trials/trip/0/9/0").status_code == 404
