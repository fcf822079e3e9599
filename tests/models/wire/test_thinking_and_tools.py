"""Thoughts before a tool's call go back with its result, on each wire that has a field for them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ember_bench.errors import ProviderError
from ember_bench.models.call import Request
from ember_bench.models.types import Completion, Message
from tests.models.providers.wires import Adapter
from tests.models.providers.wires.adapters import ADAPTERS
from tests.models.providers.wires.asking import QUESTION, WEATHER, ask, ask_all
from tests.models.providers.wires.openai import ChatWire
from tests.models.providers.wires.shapes import chat, responses
from tests.support.loopback import Fault, LoopbackServer, json_reply

CHATS = [a for a in ADAPTERS if isinstance(a.wire, ChatWire) and not a.extra]
RESPONSES = [a for a in ADAPTERS if a.name.startswith("openai-responses")]
CALLS = [
    {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}},
    {"id": "b", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}},
]
DETAILS = [
    {"type": "reasoning.text", "text": "Where?", "signature": "c2lnbmVk", "index": 0},
    {"type": "reasoning.encrypted", "data": "c2VjcmV0", "id": "r", "index": 1},
]
SIGNED = {"google": {"thought_signature": "c2lnbmVk"}}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2VjcmV0"}
FUNCTION = {"type": "function_call", "call_id": "a", "name": "get_weather", "arguments": "{}"}


def given_back(completion: Completion) -> tuple[Message, ...]:
    """Return the conversation in which the tools' results are given back."""
    results = (Message("tool", "11", tool_call_id=call.id) for call in completion.tool_calls)
    said = Message("assistant", completion.text, tool_calls=completion.tool_calls)
    return (*QUESTION, said, *results)


def loop(adapter: Adapter, answer: Any) -> tuple[Completion, list[dict[str, Any]]]:
    """Return an answer that calls tools, and the messages that are sent with their results."""
    with LoopbackServer([adapter.body_reply(answer)]) as server:
        called = ask(adapter, server.url, tools=(WEATHER,))
        ask(adapter, server.url, given_back(called), tools=(WEATHER,))
        body = server.asked[1].body
    return called, body["input" if "input" in body else "messages"]


@pytest.mark.parametrize("adapter", CHATS, ids=str)
class TestChatCompletions:
    @pytest.mark.parametrize(
        ("thoughts", "sent"),
        [
            ({"reasoning_content": "Where?"}, {"reasoning_content": "Where?"}),
            ({"reasoning": "Where?"}, {"reasoning": "Where?"}),
            (
                {"reasoning": "Where?", "reasoning_content": "Where?"},
                {"reasoning": "Where?", "reasoning_content": "Where?"},
            ),
            ({"reasoning": "Where?", "reasoning_details": DETAILS}, {"reasoning_details": DETAILS}),
            ({}, {}),
        ],
        ids=["DeepSeek, Moonshot", "vLLM, Ollama", "both", "OpenRouter", "none"],
    )
    def test_they_go_back_as_they_came(
        self, adapter: Adapter, thoughts: dict[str, Any], sent: dict[str, Any]
    ) -> None:
        message = {"tool_calls": CALLS, **thoughts}
        called, messages = loop(adapter, chat("Let me look.", "tool_calls", message=message))
        assert called.text == "Let me look."
        assert messages[1:] == [
            {"role": "assistant", "content": "Let me look.", "tool_calls": CALLS, **sent},
            {"role": "tool", "content": "11", "tool_call_id": "a"},
            {"role": "tool", "content": "11", "tool_call_id": "b"},
        ]

    def test_a_call_may_have_a_signature_of_its_own(self, adapter: Adapter) -> None:
        calls = [{**CALLS[0], "extra_content": SIGNED}, CALLS[1]]
        _, messages = loop(adapter, chat(None, "tool_calls", message={"tool_calls": calls}))
        assert messages[1]["tool_calls"] == calls

    def test_thoughts_among_the_parts_of_a_content_stay_there(self, adapter: Adapter) -> None:
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Where?"}]}
        said = {"type": "text", "text": "Let me look."}
        message = {"tool_calls": CALLS}
        called, messages = loop(adapter, chat([thought, said], "tool_calls", message=message))
        assert (called.text, called.thoughts) == ("Let me look.", "Where?")
        assert messages[1]["content"] == [thought, said]

    @pytest.mark.parametrize(
        "said",
        [
            "'messages.1': ('messages.1' : property 'reasoning' is unsupported, 'role'?)",
            '{"loc": ["messages", 1, "reasoning"], "msg": "Extra inputs are not permitted"}',
            "Unrecognized field: `reasoning`",
        ],
        ids=["Groq", "pydantic", "another"],
    )
    def test_a_server_that_wants_none_back_is_asked_without(
        self, adapter: Adapter, said: str
    ) -> None:
        answer = chat(None, "tool_calls", message={"tool_calls": CALLS, "reasoning": "Where?"})
        refusal = Fault(400, said)
        fine = adapter.body_reply(chat("11"))
        with LoopbackServer([adapter.body_reply(answer), refusal, fine, fine]) as server:
            info = adapter.info(server.url)
            [called] = ask_all(info, [Request(info, QUESTION, tools=(WEATHER,))])
            again = Request(info, given_back(called), tools=(WEATHER,))
            assert ask_all(info, [again])[0].text == "11"
            sent = [asked.body["messages"][1] for asked in server.asked[1:]]
        assert [message.get("reasoning") for message in sent] == ["Where?", None]

    @pytest.mark.parametrize(
        "said",
        [
            "The `reasoning_content` in the thinking mode must be passed back to the API.",
            "thinking is enabled but reasoning_content is missing in assistant tool call message",
            "reasoning_effort is not supported",
        ],
    )
    def test_other_errors_stay_errors(self, adapter: Adapter, said: str) -> None:
        answer = chat(None, "tool_calls", message={"tool_calls": CALLS, "reasoning": "Where?"})
        with LoopbackServer([adapter.body_reply(answer), Fault(400, said)]) as server:
            called = ask(adapter, server.url, tools=(WEATHER,))
            with pytest.raises(ProviderError, match=said):
                ask(adapter, server.url, given_back(called), tools=(WEATHER,))
            assert server.count == 2


@pytest.mark.parametrize("adapter", RESPONSES, ids=str)
class TestResponses:
    @pytest.mark.parametrize(
        ("efforts", "wanted"), [(("low", "high"), ["reasoning.encrypted_content"]), ((), None)]
    )
    def test_a_model_that_reasons_is_asked_for_it_without_an_effort(
        self, adapter: Adapter, efforts: tuple[str, ...], wanted: Any
    ) -> None:
        with LoopbackServer([adapter.body_reply(responses("ok"))]) as server:
            info = adapter.info(server.url, reasoning_efforts=efforts)
            ask_all(info, [Request(info, QUESTION, tools=(WEATHER,))])
        assert server.asked[0].body.get("include") == wanted

    def test_commentary_before_a_call_is_no_answer_and_goes_back_as_commentary(
        self, adapter: Adapter
    ) -> None:
        output = [REASONING, message("Let me look.", "commentary"), FUNCTION]
        called, sent = loop(adapter, responses(None, output=output))
        assert (called.text, called.finish_reason) == ("", "tool_calls")
        assert called.thoughts == "Let me look."
        assert sent[1:] == [
            REASONING,
            {"role": "assistant", "content": "Let me look.", "phase": "commentary"},
            FUNCTION,
            {"type": "function_call_output", "call_id": "a", "output": "11"},
        ]

    @pytest.mark.parametrize(
        ("messages", "text", "thoughts"),
        [
            (
                [("I look.", "commentary"), ("11 degrees.", "final_answer")],
                "11 degrees.",
                "I look.",
            ),
            ([("I look.", "commentary"), ("11 degrees.", None)], "11 degrees.", "I look."),
            ([("11 ", "final_answer"), ("degrees.", "final_answer")], "11 degrees.", ""),
            ([("11 ", None), ("degrees.", None)], "11 degrees.", ""),
            ([("11 degrees.", "commentary")], "11 degrees.", ""),
        ],
    )
    def test_the_text_is_the_final_answer(
        self,
        adapter: Adapter,
        messages: list[tuple[str, str | None]],
        text: str,
        thoughts: str,
    ) -> None:
        output = [message(*each) for each in messages]
        with LoopbackServer([adapter.body_reply(responses(None, output=output))]) as server:
            answer = ask(adapter, server.url)
        assert (answer.text, answer.thoughts, answer.finish_reason) == (text, thoughts, "stop")


def message(text: str, phase: str | None) -> dict[str, Any]:
    [item] = responses(text)["output"]
    return item if phase is None else {**item, "phase": phase}


@pytest.mark.parametrize("adapter", [a for a in ADAPTERS if not a.extra], ids=str)
def test_thoughts_of_another_wire_are_left_out(adapter: Adapter) -> None:
    message = {"tool_calls": CALLS, "reasoning_content": "Where?"}
    with LoopbackServer([json_reply(chat(None, "tool_calls", message=message))]) as server:
        called = ask(CHATS[0], server.url, tools=(WEATHER,))
    signed = responses(None, output=[REASONING, FUNCTION])
    with LoopbackServer([json_reply(signed)]) as server:
        info = RESPONSES[0].info(server.url, reasoning_efforts=("low",))
        [other] = ask_all(info, [Request(info, QUESTION, tools=(WEATHER,))])
    both = msgspec.structs.replace(called, tool_calls=(*called.tool_calls, *other.tool_calls))
    with LoopbackServer([adapter.reply(Completion("ok"))]) as server:
        ask(adapter, server.url, given_back(both), tools=(WEATHER,))
        sent = msgspec.json.encode(server.asked[0].body).decode()
    assert ("Where?" in sent) == (adapter in CHATS)
    assert ("c2VjcmV0" in sent) == (adapter in RESPONSES)
    assert "~thoughts" not in sent
