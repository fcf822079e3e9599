"""An address at which a server has no API is corrected in the error of its 404."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ember_bench.errors import ProviderError
from ember_bench.models.call import Call, Request
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.base import provider_class
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import Message
from ember_bench.models.wire.adapting import version_advice
from tests.support.openai_server import Fault, OpenAIServer

ADDRESSES = [
    ("http://host:8000", "v1", True, "base_url has no /v1: is it http://host:8000/v1?"),
    ("http://host/llm/", "v1", True, "base_url has no /v1: is it http://host/llm/v1?"),
    ("http://u:secret@host", "v1", True, "base_url has no /v1: is it http://***@host/v1?"),
    ("http://host/v1", "v1", True, ""),
    ("http://host/v1/", "v1", True, ""),
    ("http://host/api/v3", "v1", True, ""),
    (
        "http://host/v1",
        "v1",
        False,
        "base_url ends in /v1, which is added to it: is it http://host?",
    ),
    ("http://host", "v1", False, ""),
    (None, "v1", True, ""),
]


@pytest.mark.parametrize(("url", "version", "given", "advice"), ADDRESSES)
def test_advice(url: str | None, version: str, given: bool, advice: str) -> None:
    assert version_advice(url, version, given=given) == advice


def error_of(model_id: str, status: int, path: str, **fields: Any) -> ProviderError:
    provider = model_id.partition(":")[0]

    async def ask(url: str) -> None:
        info = ModelInfo.model_validate(
            {"model_id": model_id, "provider": {"name": provider, "base_url": url}, **fields}
        )
        made = provider_class(provider)(info)
        request = Request(info, (Message("user", "Hi"),))
        try:
            await made.complete(Call.place(request, Strand(TrialContext()), "0", ""))
        finally:
            await made.close()

    with OpenAIServer([Fault(status, "nothing here")]) as server:
        url = server.base_url.removesuffix("/v1") + path
        with pytest.raises(ProviderError) as caught:
            asyncio.run(ask(url))
    return caught.value


@pytest.mark.parametrize("transport", ["direct", "sdk"])
@pytest.mark.parametrize(
    ("model_id", "path", "said"),
    [
        ("openai:m", "", "base_url has no /v1: is it http://127.0.0.1:"),
        ("anthropic:m", "/v1", "base_url ends in /v1, which is added to it"),
    ],
)
def test_a_404_advises(model_id: str, path: str, said: str, transport: str) -> None:
    error = error_of(model_id, 404, path, transport=transport)
    assert str(error).startswith(f"{model_id}: HTTP 404: nothing here; {said}")


@pytest.mark.parametrize(("status", "path"), [(404, "/v1"), (400, ""), (401, "")])
def test_what_the_address_does_not_explain_has_no_advice(status: int, path: str) -> None:
    assert "base_url" not in str(error_of("openai:m", status, path))
