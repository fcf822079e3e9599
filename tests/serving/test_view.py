"""The pages of the live view: for this machine only, and nothing in them is markup of others."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ember_bench.experiment.lock import locked
from ember_bench.models.limits import WindowHistory
from ember_bench.running.run_log import run_log
from ember_bench.serving.view import View
from tests.experiment.conftest import workspace
from tests.support.workspace import Workspace, single

__all__ = ["workspace"]

PAYLOAD = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
TOKEN = "the-token"


@pytest.fixture
def pages(workspace: Workspace) -> TestClient:
    workspace.sums(["", f"refuse {PAYLOAD}"])
    workspace.grid(architectures=[single(label=PAYLOAD)])
    workspace.run()
    return client(workspace.root / "results")


def client(results: Path) -> TestClient:
    return TestClient(View(results, TOKEN).app(), base_url="http://127.0.0.1:8000")


def test_the_page_has_each_experiment_with_its_systems(pages: TestClient) -> None:
    text = pages.get(f"/{TOKEN}/").text
    assert ">trip <" in text
    assert "2 of 2 trials" in text
    assert "1 trial failed:" in text
    assert "it will not answer" in text


@pytest.mark.parametrize("path", ["", "live", "report/trip"])
def test_text_of_models_and_data_is_no_markup(pages: TestClient, path: str) -> None:
    text = pages.get(f"/{TOKEN}/{path}").text
    assert PAYLOAD not in text
    assert "<img" not in text
    assert "&lt;img" in text
    assert "<script>alert" not in text


def test_what_the_limits_did_is_said_of_a_run_that_goes_on(
    workspace: Workspace, pages: TestClient
) -> None:
    folder = workspace.root / "results/trip"
    with run_log(folder):
        WindowHistory("openai:x", lambda: 5.0).add(12, None, f"refused: {PAYLOAD}")
    assert "Limits of requests now" not in pages.get(f"/{TOKEN}/live").text
    with locked(folder):
        text = pages.get(f"/{TOKEN}/live").text
    assert "Limits of requests now" in text
    assert "openai:x" in text
    assert "refused: &lt;script&gt;" in text
    assert "window 12" in text
    assert PAYLOAD not in text


def test_only_the_script_of_the_page_runs_and_it_asks_only_its_server(pages: TestClient) -> None:
    text = pages.get(f"/{TOKEN}/").text
    assert "default-src &#x27;none&#x27;" in text
    assert "connect-src &#x27;self&#x27;" in text
    assert text.count("<script>") == 1


@pytest.mark.parametrize("path", ["", "live", "report/trip"])
def test_without_the_token_there_is_nothing(pages: TestClient, path: str) -> None:
    assert pages.get(f"/wrong/{path}").status_code == 404
    assert pages.get(f"/{path}").status_code == 404


def test_pages_of_elsewhere_get_nothing(pages: TestClient) -> None:
    assert pages.get(f"/{TOKEN}/", headers={"Host": "evil.example"}).status_code == 404


def test_the_address_does_not_leave_the_browser(pages: TestClient) -> None:
    headers = pages.get(f"/{TOKEN}/").headers
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_the_next_reading_waits_for_longer_than_this_one_took(pages: TestClient) -> None:
    assert int(pages.get(f"/{TOKEN}/live").headers["x-next-ms"]) >= 1_000


@pytest.mark.parametrize("name", ["nowhere", "..%2fresults", "..%2F..%2Fetc", "%2fetc"])
def test_only_experiments_of_the_folder_have_a_report(pages: TestClient, name: str) -> None:
    assert pages.get(f"/{TOKEN}/report/{name}").status_code == 404


def test_it_waits_for_the_first_results(tmp_path: Path) -> None:
    assert "No results here yet" in client(tmp_path / "later").get(f"/{TOKEN}/").text


def test_tokens_are_not_guessed(tmp_path: Path) -> None:
    tokens = {View(tmp_path).token for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 20
