"""The three batch APIs, through their real SDKs against a server that speaks them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models import ModelInfo, ProviderInfo, SamplingParameters
from ember_bench.models.batch.api import (
    BatchApi,
    BatchFailedError,
    OpenBatch,
    Outcome,
    UndecidedError,
)
from ember_bench.models.call import Call, Request
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.providers.base import provider_class
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import Message, UnusableAnswerError, Usage
from ember_bench.registry import Cards
from tests.support.batches import BatchServer
from tests.support.loopback import Fault

T = TypeVar("T")

TOKEN = "0123456789abcdef"
KINDS = ("openai", "openai-responses", "anthropic", "google")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


def model(kind: str, server: BatchServer) -> ModelInfo:
    name, _, api = kind.partition("-")
    return ModelInfo(
        model_id=f"{name}:m",
        provider=ProviderInfo(
            name=name,
            default_api_key="a-key-for-tests",
            base_url=server.openai_url if name == "openai" else server.url,
        ),
        mode="batch",
        options={"api": api} if api else {},
    )


def calls(info: ModelInfo, *prompts: str) -> list[Call]:
    strand = Strand(TrialContext())
    asked = SamplingParameters(max_tokens=20)
    return [
        Call.place(Request(info, (Message("user", text),), asked), strand, "0", "")
        for text in prompts
    ]


def opened(count: int, batch_id: str | None = None) -> OpenBatch:
    return OpenBatch(TOKEN, batch_id, "m", count, time.time(), 0)


class Asking:
    """One adapter's batch API and two calls for it."""

    def __init__(self, kind: str, server: BatchServer) -> None:
        info = model(kind, server)
        self.provider = provider_class(info.provider_name)(info)
        self.api: BatchApi = self.provider.batch_api()
        self.calls = calls(info, "one", "two")
        self.keys = [call.key.hex() for call in self.calls]

    def run(self, work: Callable[[Asking], Awaitable[T]]) -> T:
        async def main() -> T:
            try:
                return await work(self)
            finally:
                await self.provider.close()

        return asyncio.run(main())

    async def submit(self) -> str:
        requests = [self.api.request(call) for call in self.calls]
        return await self.api.submit(requests, TOKEN)

    async def results(self, batch_id: str) -> Mapping[str, Outcome] | None:
        return await self.api.results(opened(2, batch_id), batch_id, dict(enumerate(self.keys)))


def ended(kind: str, server: BatchServer, state: str = "done") -> list[Any]:
    """Return what became of two calls in one batch."""

    async def work(asking: Asking) -> list[Any]:
        batch_id = await asking.submit()
        assert await asking.results(batch_id) is None
        server.end(state)
        results = await asking.results(batch_id)
        assert results is not None
        return [results.get(key) for key in asking.keys]

    return Asking(kind, server).run(work)


class TestAnswers:
    def test_come_when_the_batch_has_ended_each_to_its_call(self, kind: str) -> None:
        with BatchServer() as server:
            first, second = ended(kind, server)
        assert (first.text, second.text) == ("re: one", "re: two")
        assert first.usage == Usage(30, 20)
        assert first.finish_reason == "stop"
        assert first.latency_seconds is None
        assert len(server.batches) == 1

    def test_that_are_empty_may_be_asked_again_and_were_paid(self, kind: str) -> None:
        with BatchServer(lambda prompt: "") as server:
            for outcome in ended(kind, server):
                assert isinstance(outcome, UnusableAnswerError)
                assert (outcome.retryable, outcome.usage) == (True, Usage(30, 20))

    @pytest.mark.parametrize("in_file", [False, True])
    @pytest.mark.parametrize("keyless", [False, True])
    def test_of_google_may_come_without_their_keys_in_their_places_and_in_a_file(
        self, keyless: bool, in_file: bool
    ) -> None:
        with BatchServer(keyless=keyless, in_file=in_file) as server:
            first, second = ended("google", server)
        assert (first.text, second.text) == ("re: one", "re: two")

    def test_that_are_refused_for_good_are_errors_that_cannot_pass(self, kind: str) -> None:
        with BatchServer(lambda prompt: 400 if prompt == "one" else "yes") as server:
            first, second = ended(kind, server)
        assert isinstance(first, ProviderError)
        assert (first.status, first.retryable) == (400, False)
        assert "refused" in str(first)
        assert second.text == "yes"

    @pytest.mark.parametrize("state", ["expired", "cancelled"])
    def test_that_were_not_done_in_time_may_be_asked_again(self, kind: str, state: str) -> None:
        with BatchServer(lambda prompt: None if prompt == "one" else "yes") as server:
            first, second = ended(kind, server, state)
        assert first is None or (isinstance(first, ProviderError) and first.retryable)
        assert second.text == "yes"

    def test_that_failed_with_the_server_may_be_asked_again(self, kind: str) -> None:
        with BatchServer(lambda prompt: 529) as server:
            first, _ = ended(kind, server)
        assert isinstance(first, ProviderError)
        assert first.retryable


class TestBatchesThatFail:
    def test_as_too_much_waits_may_fit_later(self) -> None:
        with BatchServer() as server, pytest.raises(BatchFailedError, match="too much") as caught:
            ended("openai", server, "failed")
        assert (caught.value.status, caught.value.retryable) == (429, True)

    def test_say_so(self) -> None:
        with BatchServer() as server, pytest.raises(BatchFailedError) as caught:
            ended("google", server, "failed")
        assert not caught.value.retryable


class TestLostBatches:
    def test_are_found_by_their_token(self, kind: str) -> None:
        async def work(asking: Asking) -> tuple[str | None, str | None]:
            assert await asking.api.find(opened(2), ()) is None
            server.lost = True
            with pytest.raises(ProviderError) as caught:
                await asking.submit()
            assert caught.value.status is None
            server.end()
            other = OpenBatch("f" * 16, None, "m", 2, time.time(), 0)
            return await asking.api.find(opened(2), ()), await asking.api.find(other, ())

        with BatchServer() as server:
            found, other = Asking(kind, server).run(work)
            assert found == server.batches[0].id
            assert other is None

    def test_of_anthropic_cannot_be_told_from_others_of_their_size_while_they_go_on(self) -> None:
        async def work(asking: Asking) -> None:
            batch_id = await asking.submit()
            with pytest.raises(UndecidedError):
                await asking.api.find(opened(2), ())
            assert await asking.api.find(opened(3), ()) is None
            assert await asking.api.find(opened(2), {batch_id}) is None

        with BatchServer() as server:
            Asking("anthropic", server).run(work)


class TestFaults:
    def test_of_the_server_are_explained_without_the_key(self, kind: str) -> None:
        async def work(asking: Asking) -> None:
            await asking.submit()

        fault = Fault(401, "no such key: a-key-for-tests")
        with (
            BatchServer(fault=lambda asked: fault) as server,
            pytest.raises(ProviderError, match="no such key") as caught,
        ):
            Asking(kind, server).run(work)
        assert (caught.value.status, caught.value.retryable) == (401, False)
        assert "a-key-for-tests" not in str(caught.value)

    def test_of_reading_results_may_pass(self, kind: str) -> None:
        async def work(asking: Asking) -> None:
            batch_id = await asking.submit()
            server.fault = lambda asked: Fault(503)
            with pytest.raises(ProviderError) as caught:
                await asking.results(batch_id)
            assert caught.value.retryable

        with BatchServer() as server:
            Asking(kind, server).run(work)


class TestModelsWithoutBatches:
    def card(self, folder: Path, text: str) -> str:
        (folder / "models").mkdir()
        (folder / "models" / "card.yaml").write_text(text)
        with pytest.raises(ConfigError) as caught:
            ModelRegistry.from_cards(Cards([folder])).get("x")
        return str(caught.value)

    def test_are_refused_at_the_place_in_their_card(self, tmp_path: Path) -> None:
        said = self.card(tmp_path, "name: simulated:x\nmode: batch\n")
        assert "card.yaml:2:1" in said
        assert "simulated has no batch API here" in said

    def test_are_those_that_azure_serves(self, tmp_path: Path) -> None:
        options = "options: {azure: {api_version: '2024-10-21'}}\n"
        said = self.card(tmp_path, f"name: openai:x\n{options}mode: batch\n")
        assert "card.yaml:3:1" in said
        assert "Azure" in said
