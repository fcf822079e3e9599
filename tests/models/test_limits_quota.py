"""Limits that the headers of responses state, and requests that keep to them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import pytest

from ember_bench.errors import ProviderError
from ember_bench.models.call import Call
from ember_bench.models.limits.progress import Ticket
from ember_bench.models.limits.quota import Quota, Quotas, quotas
from ember_bench.models.providers.base import provider_class
from ember_bench.models.transport.headers import LISTENER, tell
from ember_bench.models.types import Completion, Usage
from tests.models.providers.wires import Adapter
from tests.models.providers.wires.adapters import DIRECT
from tests.models.providers.wires.asking import QUESTION
from tests.support import virtual
from tests.support.limited import a_call, ask_for, endpoint
from tests.support.loopback import Fault, LoopbackServer, json_reply
from tests.support.models import scripted

NOW = 1_796_040_000.0  # 2026-11-30T12:00:00Z


def openai(unit: str, limit: int, remaining: int, reset: str) -> dict[str, str]:
    values = {"limit": str(limit), "remaining": str(remaining), "reset": reset}
    return {f"x-ratelimit-{name}-{unit}": value for name, value in values.items()}


class TestFormats:
    @pytest.mark.parametrize(
        ("reset", "seconds"),
        [
            ("6m0s", 360.0),
            ("1s", 1.0),
            ("8.64s", 8.64),
            ("120ms", 0.12),
            ("2m59.56s", 179.56),
            ("1h30m", 5400.0),
            ("1d2h", 93_600.0),
            ("17", 17.0),
            ("0.5", 0.5),
            ("1796040030", 30.0),
            ("1796040030000", 30.0),
            ("2026-11-30T12:00:30Z", 30.0),
            ("2026-11-30T13:00:30+01:00", 30.0),
            ("2026-11-30T11:00:00Z", 0.0),
        ],
    )
    def test_a_reset_may_be_a_duration_or_a_date(self, reset: str, seconds: float) -> None:
        [quota] = quotas(openai("requests", 60, 0, reset), NOW)
        assert quota.reset_seconds == pytest.approx(seconds)

    def test_a_date_is_by_the_servers_clock(self) -> None:
        headers = openai("requests", 60, 0, "2026-11-30T12:00:30Z")
        headers["date"] = formatdate(NOW - 100, usegmt=True)
        assert quotas(headers, NOW)[0].reset_seconds == 130.0

    @pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "1x", "s", "-", "9" * 400])
    def test_what_cannot_be_read_says_nothing(self, text: str) -> None:
        assert quotas(openai("requests", 60, 0, text), NOW) == []
        assert quotas({"x-ratelimit-remaining": text, "x-ratelimit-reset": "1s"}, NOW) == []

    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            pytest.param(
                openai("requests", 60, 59, "1s"),
                Quota("x-ratelimit-remaining-requests", False, 59, 1.0, 1.0, 60),
                id="OpenAI and Groq: a bucket that is full again after the reset",
            ),
            pytest.param(
                openai("tokens", 150_000, 149_000, "400ms"),
                Quota("x-ratelimit-remaining-tokens", True, 149_000, 0.4, 2500.0, 150_000),
                id="OpenAI's tokens",
            ),
            pytest.param(
                {
                    "anthropic-ratelimit-input-tokens-limit": "40000",
                    "anthropic-ratelimit-input-tokens-remaining": "10000",
                    "anthropic-ratelimit-input-tokens-reset": "2026-11-30T12:00:45Z",
                },
                Quota(
                    "anthropic-ratelimit-input-tokens-remaining",
                    True, 10_000, 45.0, 30_000 / 45, 40_000,
                ),
                id="Anthropic",
            ),
            pytest.param(
                {"x-ratelimit-remaining-tokens-day": "0", "x-ratelimit-reset-tokens-day": "33.5"},
                Quota("x-ratelimit-remaining-tokens-day", True, 0, 33.5, None, math.inf),
                id="Cerebras",
            ),
            pytest.param(
                {"x-ratelimit-limit-req-minute": "6", "x-ratelimit-remaining-req-minute": "2"},
                Quota("x-ratelimit-remaining-req-minute", False, 2, 60.0, None, 6),
                id="Mistral, which does not state the reset",
            ),
            pytest.param(
                {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1796040060000"},
                Quota("x-ratelimit-remaining", False, 0, 60.0, None, math.inf),
                id="OpenRouter",
            ),
            pytest.param(
                {"ratelimit-limit": "10", "ratelimit-remaining": "1", "ratelimit-reset": "5"},
                Quota("ratelimit-remaining", False, 1, 5.0, None, 10),
                id="the IETF's draft",
            ),
        ],
    )  # fmt: skip
    def test_of_the_providers(self, headers: Mapping[str, str], expected: Quota) -> None:
        assert quotas(headers, NOW) == [expected]

    @pytest.mark.parametrize("unit", ["images", "audio-minutes", "x"])
    def test_other_units_say_nothing_of_requests_and_tokens(self, unit: str) -> None:
        assert quotas(openai(unit, 60, 0, "1s"), NOW) == []


class TestQuotas:
    def told(self, headers: Mapping[str, str], number: int = 1, tokens: float = 0.0) -> Quotas:
        known = Quotas()
        known.told(Ticket(number, 0.0, 0, tokens=tokens), headers, 100.0)
        return known

    def test_leave_as_many_requests_as_they_state_less_those_sent_since(self) -> None:
        known = self.told(openai("requests", 60, 3, "57s"), number=10)
        assert known.free_at(12, 0.0, 0.0) < 100.0
        assert known.free_at(13, 0.0, 0.0) == 101.0

    def test_of_a_window_come_back_at_its_end(self) -> None:
        known = self.told({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"})
        assert known.free_at(1, 0.0, 0.0) == 130.0

    def test_of_tokens_count_those_of_the_next_request(self) -> None:
        known = self.told(openai("tokens", 1000, 400, "60s"), tokens=50.0)
        assert known.free_at(1, 50.0, 400.0) < 100.0
        assert known.free_at(1, 50.0, 410.0) == 101.0
        assert known.free_at(1, 150.0, 310.0) == 101.0

    def test_let_a_request_through_that_is_larger_than_all_there_is(self) -> None:
        known = self.told(openai("tokens", 1000, 400, "60s"))
        assert known.free_at(1, 0.0, 50_000.0) == 160.0

    def test_are_not_taken_from_the_late_response_to_an_older_request(self) -> None:
        known = self.told({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}, number=7)
        older = {"x-ratelimit-remaining": "50", "x-ratelimit-reset": "1"}
        known.told(Ticket(3, 0.0, 0), older, 101.0)
        assert known.free_at(7, 0.0, 0.0) == 130.0


class Stating:
    """A bucket that states what is left in it, and answers with 429 when nothing is.

    Attributes:
        style: Whose headers it has: `openai` or `anthropic`.
        limit: Requests in a minute.
    """

    def __init__(self, style: str, limit: int) -> None:
        self.style, self.limit = style, limit
        self.left, self.at = float(limit), 0.0
        self.answered = self.refused = 0

    def headers(self) -> dict[str, str]:
        seconds = (self.limit - int(self.left)) * 60 / self.limit
        if self.style == "openai":
            return openai("requests", self.limit, int(self.left), f"{seconds:.3f}s")
        values = {
            "limit": str(self.limit),
            "remaining": str(int(self.left)),
            "reset": datetime.fromtimestamp(NOW + seconds, UTC).isoformat(),
        }
        stated = {f"anthropic-ratelimit-requests-{name}": v for name, v in values.items()}
        return stated | {"date": formatdate(NOW, usegmt=True)}

    async def __call__(self, call: Call) -> Completion:
        now = virtual.virtual_time()
        self.left = min(float(self.limit), self.left + (now - self.at) * self.limit / 60)
        self.at = now
        if self.left < 1:
            self.refused += 1
            raise ProviderError("too many", retryable=True, status=429)
        self.left -= 1
        self.answered += 1
        stated = self.headers()
        await asyncio.sleep(0.4)
        tell(stated.items())
        return Completion("answer", Usage(3, 2))


class TestAnEndpointThatIsTold:
    @pytest.mark.parametrize("style", ["openai", "anthropic"])
    @pytest.mark.parametrize("limit", [60, 600])
    def test_keeps_to_the_limit_without_a_refusal_and_uses_it(self, style: str, limit: int) -> None:
        server = Stating(style, limit)
        server.left = min(server.left, 15.0)
        ask_for(server, 300, callers=10)
        assert server.refused == 0
        assert server.answered >= 0.9 * limit * 5

    def test_fails_at_once_where_nothing_is_left_for_longer_than_the_deadline(self) -> None:
        async def server(call: Call) -> str:
            tell({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "86400"}.items())
            return "answer"

        async def main() -> tuple[str, float]:
            asked = endpoint(model := scripted(server))
            assert (await asked.complete(a_call(model, 1))).text == "answer"
            with pytest.raises(ProviderError, match="asked to wait 86,400 s"):
                await asked.complete(a_call(model, 2))
            return [change.reason for change in asked.window_history][-1], virtual.virtual_time()

        reason, seconds = virtual.run(main())
        assert reason == "told that nothing is left for 8.64e+04 s"
        assert seconds < 1


@pytest.fixture(params=DIRECT, ids=str)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


class TestTransports:
    """With an SDK and without, of answers and of errors."""

    @pytest.mark.parametrize("transport", ["sdk", "direct"])
    @pytest.mark.parametrize("succeeds", [True, False], ids=["an answer", "an error"])
    def test_pass_on_the_limits(self, adapter: Adapter, transport: Any, succeeds: bool) -> None:
        headers = {"X-RateLimit-Remaining-Requests": "7", "X-RateLimit-Reset-Requests": "6m0s"}
        answer = json_reply(adapter.wire.answer(Completion("ok")), headers=headers)
        heard = self.heard(adapter, transport, answer if succeeds else Fault(500, headers=headers))
        assert {name: heard[name] for name in heard if name != "date"} == {
            "x-ratelimit-remaining-requests": "7",
            "x-ratelimit-reset-requests": "6m0s",
        }

    @pytest.mark.parametrize("transport", ["sdk", "direct"])
    def test_are_silent_where_none_is_stated(self, adapter: Adapter, transport: Any) -> None:
        answer = json_reply(adapter.wire.answer(Completion("ok")))
        assert self.heard(adapter, transport, answer) == {}

    def heard(self, adapter: Adapter, transport: Any, reply: Fault) -> dict[str, str]:
        heard: dict[str, str] = {}

        async def main(url: str) -> None:
            info = replace(adapter, transport=transport).info(url)
            provider = provider_class(info.provider_name)(info)
            LISTENER.set(heard.update)
            call = a_call(info, QUESTION[0].content)
            await asyncio.gather(provider.complete(call), return_exceptions=True)
            await provider.close()

        with LoopbackServer([reply]) as server:
            asyncio.run(main(server.url))
        assert server.count == 1
        return heard
