"""The page of a request: what its models were asked, and what they said."""

from __future__ import annotations

import urllib.request
from typing import Any
from urllib.error import HTTPError

import openai
import pytest

from ember_bench.serving import request_traces
from ember_bench.serving.networks import Question
from ember_bench.serving.request_traces import RequestTrace, RequestTraces
from tests.serving.test_openai import ASK, Client, client, here

__all__ = ["client", "here"]  # fixtures


def page(link: str) -> str:
    with urllib.request.urlopen(link, timeout=30) as found:
        assert found.headers["Cache-Control"] == "no-store"
        return str(found.read().decode())


def test_every_answer_links_to_its_page(client: Client) -> None:
    asked = client("vote", values={"model": "counted:a", "k": 3}, key="right")
    more: dict[str, Any] = {"ember_bench": {"answer_format": "number"}}
    found = asked.chat.completions.with_raw_response.create(
        model="vote", messages=[{"role": "user", "content": "3 + 4 = <b>?"}], extra_body=more
    )
    shown = page(found.headers["x-ember-bench-trace"])
    assert "3 calls" in shown
    assert shown.count("counted:a") >= 3
    assert shown.count("3 + 4 = &lt;b&gt;?") == 4  # the question, and each prompt
    assert "Answer: " in shown
    assert "<script" not in shown
    assert (
        found.headers["x-request-id"].removeprefix("req_")
        not in (found.headers["x-ember-bench-trace"])
    )


def test_a_stream_links_to_its_page_before_it_ends(client: Client) -> None:
    asked = client("single")
    stream = asked.responses.with_raw_response.create(
        model="single", input="3 + 4 = ?", stream=True
    )
    list(stream.parse())
    assert "1 call" in page(stream.headers["x-ember-bench-trace"])


def test_a_failure_has_a_page_with_the_calls_before_it(client: Client) -> None:
    values = {"models": ["counted:a"], "judge": "counted:b"}
    asked = client("ensemble_judge", values=values)
    with pytest.raises(openai.InternalServerError) as caught:
        asked.chat.completions.create(model="ensemble_judge", messages=ASK)
    shown = page(caught.value.response.headers["x-ember-bench-trace"])
    assert "it never answers" in shown
    assert "1 call" in shown


def test_nobody_guesses_a_page(client: Client) -> None:
    url = client("single").base_url.join("/traces/req_1")
    with pytest.raises(HTTPError, match="404"):
        page(str(url))


def test_the_last_requests_are_kept_and_not_more_text_than_so_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_traces, "_MOST", 3)
    monkeypatch.setattr(request_traces, "_MOST_CHARACTERS", 100)
    kept = RequestTraces()
    made = [RequestTrace(str(n), "m", Question("x" * 40), {}, ()) for n in range(5)]
    for trace in made:
        kept.begin(trace)
        kept.end(trace, ())
    assert [kept.get(t.id) is not None for t in made] == [False, False, False, True, True]
