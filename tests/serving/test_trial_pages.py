"""Any trial and any call can be looked at, also while the run goes on, and is text alone."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from ember_bench.experiment.lock import locked
from tests.experiment.conftest import workspace
from tests.serving.test_view import PAYLOAD, TOKEN, client
from tests.support.workspace import Workspace, single, vote

__all__ = ["workspace"]


@pytest.fixture
def pages(workspace: Workspace) -> TestClient:
    """Three trials: one that is stored, one of text that wants to be markup, one that failed."""
    workspace.sums(["", PAYLOAD, f"refuse {PAYLOAD}"])
    workspace.grid(architectures=[single(label=PAYLOAD)])
    workspace.run()
    return client(workspace.root / "results")


def get(pages: TestClient, path: str) -> str:
    answer = pages.get(f"/{TOKEN}/{path}")
    assert answer.status_code == 200
    return answer.text


def links(text: str, pattern: str) -> list[str]:
    return re.findall(f'href="({pattern})"', text)


def test_the_pages_lead_from_experiment_to_system_to_trial_and_its_calls(
    pages: TestClient,
) -> None:
    (listed,) = links(get(pages, ""), r"trials/trip/\d+")
    trials = links(get(pages, listed), r"0/\d+/\d+")
    assert len(trials) == 3
    found = [get(pages, f"trials/trip/{trial}") for trial in trials]
    (first,) = (text for text in found if ">sums-0<" in text)
    assert "<dt>question</dt><dd> 0 + 0 = ?</dd>" in first
    assert "<h2>1 call</h2>" in first
    assert "<h4>user</h4>" in first
    assert re.search(r"<h4>answer</h4><pre>Answer: \d", first)
    (failed,) = (text for text in found if ">sums-2<" in text)
    assert "<dt>outcome</dt><dd>error</dd>" in failed
    assert "it will not answer" in failed
    assert "<dt>score</dt>" not in failed


def test_a_page_leads_back(pages: TestClient) -> None:
    for path, back in [("calls", "./"), ("trials/trip/0", "../../"),
                       ("trials/trip/0/0/0", "../../../../")]:  # fmt: skip
        assert back in links(get(pages, path), r"[./]+")


@pytest.mark.parametrize("show", ["failed", "error"])
def test_failed_trials_are_shown_by_themselves(pages: TestClient, show: str) -> None:
    text = get(pages, f"trials/trip/0?show={show}")
    assert "sums-2" in text
    assert "sums-0" not in text
    assert "None yet." in get(pages, "trials/trip/0?show=skipped")


def test_the_trials_of_a_large_system_come_page_by_page(workspace: Workspace) -> None:
    workspace.sums(130)
    workspace.grid()
    workspace.run()
    pages = client(workspace.root / "results")
    one, two = get(pages, "trials/trip/0"), get(pages, "trials/trip/0?from=100")
    sizes = [len(links(text, r"0/\d+/\d+")) for text in (one, two)]
    assert sizes == [100, 30]
    assert links(one, r"\?show=all&amp;from=\d+") == ["?show=all&amp;from=100"]
    assert links(two, r"\?show=all&amp;from=\d+") == ["?show=all&amp;from=0"]


def test_the_latest_calls_come_first_with_prompt_and_answer(pages: TestClient) -> None:
    text = get(pages, "calls")
    assert text.count("<details ") == 2  # the third one was refused
    assert text.count("<h4>answer</h4>") == 2


def test_trials_are_seen_while_another_process_writes(workspace: Workspace) -> None:
    workspace.grid(architectures=[vote([3])], in_flight=1)
    workspace.run(stop_after=2)
    with locked(workspace.root / "results/trip"):
        pages = client(workspace.root / "results")
        (trial, *_) = links(get(pages, "trials/trip/0"), r"0/\d+/\d+")
        assert "<h2>3 calls</h2>" in get(pages, f"trials/trip/{trial}")


def test_what_is_not_stored_any_more_is_said(workspace: Workspace) -> None:
    workspace.run()
    (workspace.root / "results/responses.db").unlink()
    pages = client(workspace.root / "results")
    assert "are not stored here" in get(pages, "trials/trip/0/0/0")
    assert "No call is answered yet." in get(pages, "calls")


@pytest.mark.parametrize("path", ["trials/trip/0", "trials/trip/0?show=failed", "calls",
                                  "trials/trip/0/0/0", "trials/trip/0/1/0",
                                  "trials/trip/0/2/0"])  # fmt: skip
def test_text_of_models_and_data_is_no_markup(pages: TestClient, path: str) -> None:
    text = get(pages, path)
    assert PAYLOAD not in text
    assert "<img" not in text
    assert "<script" not in text
    assert "&lt;img" in text
    assert "script-src &#x27;none&#x27;" in text


@pytest.mark.parametrize("path", ["trials/trip/0", "trials/trip/0/0/0", "calls"])
def test_without_the_token_there_is_nothing(pages: TestClient, path: str) -> None:
    assert pages.get(f"/wrong/{path}").status_code == 404
    assert pages.get(f"/{TOKEN}/{path}", headers={"Host": "evil.example"}).status_code == 404


@pytest.mark.parametrize("path", [
    "trials/trip/1", "trials/trip/-1", "trials/trip/x", "trials/nowhere/0", "trials/..%2Ftrip/0",
    "trials/trip/0?show=everything", "trials/trip/0?from=-1", "trials/trip/0?from=9999999999999",
    "trials/trip/0/3/0", "trials/trip/0/0/1", "trials/trip/0/99999999999999999999/0",
    "trials/nowhere/0/0/0",
])  # fmt: skip
def test_what_there_is_not_is_not_found(pages: TestClient, path: str) -> None:
    assert pages.get(f"/{TOKEN}/{path}").status_code == 404
