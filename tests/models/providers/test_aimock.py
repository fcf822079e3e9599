"""Every adapter against a mock of the providers' protocols that nobody here wrote.

What one of our own servers answers (test_conformance) may be wrong in the same way as the adapter.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ember_bench.errors import ProviderError
from ember_bench.models.types import Completion, Message, SamplingParameters, Usage
from tests.models.providers.test_conformance import timeless
from tests.models.providers.wires import Adapter
from tests.models.providers.wires.asking import PASSING, QUESTION, REFUSED, WEATHER, ask
from tests.support.aimock import VERSION, AIMock

# aimock takes the names of the protocol that is asked.
USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 3,
    "input_tokens": 12,
    "output_tokens": 3,
    "promptTokenCount": 12,
    "candidatesTokenCount": 3,
}


class TestVersion:
    def test_ci_installs_the_version_that_the_tests_name(self) -> None:
        ci = Path(__file__).parents[3] / ".ci" / "run"
        assert f"@copilotkit/aimock@{VERSION}\n" in ci.read_text()


class TestConversation:
    def test_text_tokens_and_the_question_as_it_was_asked(
        self, adapter: Adapter, aimock: AIMock
    ) -> None:
        aimock.answer("capital", {"content": "Paris.", "usage": USAGE})
        messages = (Message("system", "Be brief."), *QUESTION)
        completion = timeless(ask(adapter, aimock.url, messages))
        assert completion == Completion("Paris.", Usage(12, 3))
        [entry] = aimock.journal()
        assert entry["body"]["model"] == adapter.wire_model
        heard = [(m["role"], m["content"]) for m in entry["body"]["messages"]]
        assert heard == [(m.role, m.content) for m in messages]

    def test_an_answer_cut_off_by_max_tokens(self, adapter: Adapter, aimock: AIMock) -> None:
        aimock.answer("capital", {"content": "Par", "finishReason": "length"})
        completion = ask(adapter, aimock.url, parameters=SamplingParameters(max_tokens=1))
        assert (completion.text, completion.finish_reason) == ("Par", "length")
        assert aimock.journal()[0]["body"]["max_tokens"] == 1

    def test_a_tool_is_called_and_its_result_given_back(
        self, adapter: Adapter, aimock: AIMock
    ) -> None:
        call = {"id": "call_1", "name": "get_weather", "arguments": '{"city":"Paris"}'}
        aimock.answer("warm", {"toolCalls": [call]}, hasToolResult=False)
        aimock.answer("warm", {"content": "It is."}, hasToolResult=True)
        question = Message("user", "Is it warm in Paris?")
        first = ask(adapter, aimock.url, (question,), tools=(WEATHER,))
        [wish] = first.tool_calls
        assert (wish.name, json.loads(wish.arguments)) == ("get_weather", {"city": "Paris"})
        assert first.finish_reason == "tool_calls"
        turns = (
            question,
            Message("assistant", first.text, tool_calls=(wish,)),
            Message("tool", "21", tool_call_id=wish.id),
        )
        assert ask(adapter, aimock.url, turns, tools=(WEATHER,)).text == "It is."
        tools = aimock.journal()[-1]["body"]["tools"]
        assert tools[0]["function"]["name"] == WEATHER.name
        if adapter.aimock_reads_schemas:
            assert tools[0]["function"]["parameters"] == WEATHER.json_schema

    def test_unicode_comes_through(self, adapter: Adapter, aimock: AIMock) -> None:
        text = 'é 漢字 🜚 "\\'
        aimock.answer("capital", {"content": text})
        assert ask(adapter, aimock.url).text == text


class TestFaults:
    @pytest.mark.parametrize("status", [*REFUSED, *PASSING])
    def test_errors(self, adapter: Adapter, aimock: AIMock, status: int) -> None:
        aimock.fail(status, "not now")
        with pytest.raises(ProviderError, match=f"HTTP {status}: not now") as caught:
            ask(adapter, aimock.url)
        assert (caught.value.status, caught.value.retryable) == (status, status in PASSING)
        assert caught.value.retry_after == (1.0 if status == 429 else None)
        assert len(aimock.journal()) == 1

    @pytest.mark.parametrize(
        "fault", ["dropRate", "malformedRate", "disconnectRate", "rateLimitRate"]
    )
    def test_chaos_is_retryable(self, adapter: Adapter, aimock: AIMock, fault: str) -> None:
        aimock.answer("capital", {"content": "Paris."})
        aimock.chaos(**{fault: 1.0})
        with pytest.raises(ProviderError) as caught:
            ask(adapter, aimock.url)
        assert caught.value.retryable
        aimock.chaos()
        assert ask(adapter, aimock.url).text == "Paris."
