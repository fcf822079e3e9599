"""Requests of OpenAI's APIs: what is read of them, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ember_bench.serving.openai_requests import RequestError, read_request

ASK = [{"role": "user", "content": "3 + 4 = ?"}]


def remote() -> dict[str, Any]:
    """Return a format that refers to a schema elsewhere."""
    schema = {"properties": {"sum": {"$ref": "http://127.0.0.1:1/sum.json"}}}
    return {"type": "json_schema", "json_schema": {"name": "sum", "schema": schema}}


def body(api: str, **fields: Any) -> dict[str, Any]:
    asked = {"messages": ASK} if api == "chat" else {"input": "3 + 4 = ?"}
    return {"model": "single", **asked, **fields}


@pytest.mark.parametrize(
    ("api", "fields", "read"),
    [
        ("chat", {"max_tokens": 5}, {"max_tokens": 5}),
        ("chat", {"max_tokens": 5, "max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        ("chat", {"temperature": None, "user": "u", "metadata": {"a": "b"}}, {}),
        ("responses", {"max_output_tokens": 5}, {"max_output_tokens": 5}),
        ("responses", {"reasoning": {"effort": "low"}}, {"reasoning.effort": "low"}),
        ("responses", {"text": {"verbosity": "low"}}, {"text.verbosity": "low"}),
    ],
)
def test_parameters_are_read_by_the_names_of_the_api(
    api: Any, fields: dict[str, Any], read: dict[str, Any]
) -> None:
    assert read_request(body(api, **fields), api).sampling == read


@pytest.mark.parametrize(
    ("api", "fields", "error"),
    [
        ("chat", {"temperature": "hot"}, "temperature: expected a number"),
        ("chat", {"temperature": -1}, "temperature: must be at least 0"),
        ("chat", {"temperature": True}, "temperature: expected a number"),
        ("chat", {"max_tokens": 0}, "max_tokens: must be greater than 0"),
        ("chat", {"max_tokens": 5, "max_completion_tokens": 6}, "say the same"),
        ("chat", {"reasoning": {"effort": "low"}}, "Unrecognized request argument .* reasoning"),
        ("responses", {"reasoning": {"summary": "auto"}}, "'reasoning.summary' is not supported"),
        ("responses", {"background": True}, "'background' is not supported"),
        ("responses", {"truncation": "auto"}, "'truncation' is not supported"),
        ("responses", {"stop": "x"}, "Unrecognized request argument supplied: stop"),
        ("responses", {"instructions": 3}, "instructions: expected a text"),
        ("chat", {"input": "hm"}, "Unrecognized request argument supplied: input"),
        ("chat", {"web_search_options": {}}, "'web_search_options' is not supported"),
        ("chat", {"stream_options": {"include_usage": True}}, "only allowed when 'stream'"),
        ("chat", {"stream": True, "stream_options": {"usage": True}}, "stream_options.usage"),
        ("chat", {"response_format": remote()}, "only parts of the schema can be referred to"),
        ("chat", {"messages": [{"role": ["user"], "content": "3"}]}, "0.role: expected system"),
        ("chat", {"messages": [{**ASK[0], "name": "Ann"}]}, "messages.0.name is not supported"),
        ("chat", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "needs a text"),
    ],
)
def test_wrong_values_are_refused(api: Any, fields: dict[str, Any], error: str) -> None:
    with pytest.raises(RequestError, match=error):
        read_request(body(api, **fields), api)
