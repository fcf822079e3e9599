"""The ends of answers on every wire and transport: answered, failed, refused, out of money."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import ProviderError
from ember_bench.models import ModelRegistry, ModelService
from ember_bench.models.types import Completion, UnusableAnswerError, Usage
from tests.models.providers.wires import Adapter
from tests.models.providers.wires.adapters import ADAPTERS, as_parameters, marks
from tests.models.providers.wires.asking import ask
from tests.models.providers.wires.blocks import BLOCKED, OTHERS
from tests.models.providers.wires.shapes import ANSWERS, FAILED, STATED, format_of
from tests.support.loopback import Fault, LoopbackServer, json_reply

# litellm and google-generativeai read bodies themselves, before we do.
OURS = [a for a in ADAPTERS if not a.extra]
BY_SDK = [a for a in ADAPTERS if a.extra]


def each(table: Any, adapters: list[Adapter] = OURS) -> list[Any]:
    return [
        pytest.param(adapter, entry, id=f"{adapter}-{name}", marks=marks(adapter))
        for adapter in adapters
        for name, entry in table[format_of(adapter.wire)].items()
    ]


def failure(adapter: Adapter, fault: Fault) -> ProviderError:
    with LoopbackServer([fault]) as server, pytest.raises(ProviderError) as caught:
        ask(adapter, server.url)
    assert server.count == 1
    return caught.value


@pytest.mark.parametrize(("adapter", "body"), each(FAILED))
def test_a_failed_generation_is_asked_for_again_and_its_usage_is_kept(
    adapter: Adapter, body: Any
) -> None:
    error = failure(adapter, json_reply(body))
    assert error.retryable
    assert isinstance(error, UnusableAnswerError)
    assert error.usage == Usage(10, 5)


@pytest.mark.extra
@pytest.mark.parametrize(
    ("adapter", "body"),
    each(
        {
            "chat": {name: FAILED["chat"][name] for name in ("null", "empty", "no reason")},
            "gemini": {name: FAILED["gemini"][name] for name in ("STOP", "OTHER", "empty")},
        },
        BY_SDK,
    ),
)
def test_so_it_is_if_the_sdk_reads_the_body(adapter: Adapter, body: Any) -> None:
    if importlib.util.find_spec(adapter.package) is None:
        pytest.skip(f"needs the package {adapter.package}")
    assert failure(adapter, json_reply(body)).retryable


@pytest.mark.parametrize(("adapter", "entry"), each(ANSWERS))
def test_a_reason_explains_an_answer_without_text_and_thoughts_stand_apart(
    adapter: Adapter, entry: Any
) -> None:
    body, expected = entry
    with LoopbackServer([json_reply(body)]) as server:
        answer = ask(adapter, server.url)
    assert (answer.text, answer.finish_reason, answer.thoughts) == expected
    assert answer.usage == Usage(10, 5)


@pytest.mark.parametrize(("adapter", "entry"), each(STATED))
def test_an_error_in_a_success_has_the_status_that_it_states(adapter: Adapter, entry: Any) -> None:
    body, status, passes = entry
    error = failure(adapter, json_reply(body))
    assert (error.status, error.retryable) == (status, passes)


def blocked(adapter: Adapter, fault: Fault) -> Completion:
    """Return the answer to a prompt that a content filter blocks."""
    with LoopbackServer([fault]) as server:
        answer = ask(adapter, server.url)
    assert server.count == 1
    return answer


class TestBlockedPrompts:
    @pytest.mark.parametrize("name", ["azure", "openai", "anthropic", "xai"])
    def test_are_answers_whichever_server_says_so(self, adapter: Adapter, name: str) -> None:
        status, body = BLOCKED[name]
        answer = blocked(adapter, Fault(status, body, raw=True))
        assert answer == Completion("", Usage(), "content_filter")

    @pytest.mark.parametrize("adapter", as_parameters(OURS))
    def test_may_state_their_tokens(self, adapter: Adapter) -> None:
        whole = next(iter(ANSWERS[format_of(adapter.wire)].values()))[0]
        counted = {name: whole[name] for name in ("usage", "usageMetadata") if name in whole}
        status, body = BLOCKED["azure"]
        answer = blocked(adapter, Fault(status, {**body, **counted}, raw=True))
        assert answer == Completion("", Usage(10, 5), "content_filter")

    @pytest.mark.parametrize("adapter", as_parameters(OURS))
    def test_may_be_stated_in_a_success(self, adapter: Adapter) -> None:
        _, body = BLOCKED["azure"]
        answer = blocked(adapter, json_reply(body))
        assert answer == Completion("", Usage(), "content_filter")

    @pytest.mark.parametrize("adapter", as_parameters(OURS))
    def test_other_mistakes_stay_errors(self, adapter: Adapter) -> None:
        for name in ("an unknown field", "the prompt's form"):
            status, body = OTHERS[name]
            error = failure(adapter, Fault(status, body, raw=True))
            assert (error.status, error.retryable) == (400, False)

    def test_are_stored_and_not_asked_again(self, tmp_path: Path) -> None:
        with LoopbackServer([Fault(*BLOCKED["azure"], raw=True)]) as server:
            info = OURS[0].info(server.url)
            registry = ModelRegistry()
            registry.register_model(info)
            for _ in range(2):
                service = ModelService(registry, store=tmp_path / "responses.db")
                response = service(info.model_id, "How?")
                asyncio.run(service.close())
                assert (response.data, response.finish_reason) == ("", "content_filter")
                assert response.cost is None
            assert server.count == 1


@pytest.mark.parametrize("adapter", as_parameters(OURS))
@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached"])
def test_a_spent_quota_ends_at_once(adapter: Adapter, code: str) -> None:
    for error in ({"code": code}, {"type": code}, {"reason": code}, {"message": code}):
        body = {"error": {"message": "no", **error}}
        assert not failure(adapter, Fault(429, body, raw=True)).retryable
    assert failure(adapter, Fault(429, {"error": {"message": "slow down"}}, raw=True)).retryable


@pytest.mark.parametrize("adapter", as_parameters(OURS))
class TestChargedOrNot:
    def test_an_answer_that_broke_off_may_be_charged(self, adapter: Adapter) -> None:
        for fault in (Fault(0), Fault(200, "{" + "x" * 80, raw=True, cut=40)):
            assert failure(adapter, fault).may_be_charged

    def test_a_connection_that_was_not_made_is_not(self, adapter: Adapter) -> None:
        with LoopbackServer([Fault()]) as server:
            pass
        with pytest.raises(ProviderError) as caught:
            ask(adapter, server.url)
        assert not caught.value.may_be_charged

    @pytest.mark.parametrize("status", [400, 429, 503])
    def test_a_refused_request_is_not(self, adapter: Adapter, status: int) -> None:
        body = adapter.wire.error(status, "no")
        assert not failure(adapter, Fault(status, body, raw=True)).may_be_charged


@pytest.mark.parametrize("adapter", as_parameters(OURS))
class TestHeaders:
    @pytest.mark.parametrize("value", ["x" * 400_000, "x" * 4_000], ids=["long", "many"])
    def test_without_end_fill_no_memory(self, adapter: Adapter, value: str) -> None:
        headers = {f"x-{number}": value for number in range(400_000 // len(value))}
        error = failure(adapter, json_reply({}, headers=headers))
        assert error.retryable
        assert adapter.transport == "sdk" or "headers of more than 262,144 bytes" in str(error)

    def test_may_state_the_price(self, adapter: Adapter) -> None:
        body, _ = next(iter(ANSWERS[format_of(adapter.wire)].values()))
        headers = {"x-litellm-response-cost": "0.0125"}
        with LoopbackServer([json_reply(body, headers=headers)]) as server:
            assert ask(adapter, server.url).stated_usd == 0.0125
