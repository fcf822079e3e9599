"""ToolUser: the model asks for tools, they are run, and it is told what they gave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from ember_bench import jit
from ember_bench.models import Completion, Message
from ember_bench.models.call import Call
from ember_bench.models.types import ToolCall
from ember_bench.operators import Tool, ToolUser
from tests.support.models import in_trial, module, scripted, serve


def multiply(a: int, b: int = 2) -> int:
    """Multiply two numbers."""
    return a * b


def look_up(word: str) -> dict[str, Any]:
    """Look a word up."""
    if word == "broken":
        raise LookupError("the dictionary is on fire")
    return {"word": word, "meanings": ["ä"]}


TOOLS = [Tool(multiply), Tool(look_up)]


def call(name: str, number: int = 1, /, **arguments: Any) -> ToolCall:
    return ToolCall(f"call_{number}", name, json.dumps(arguments))


class Script:
    """A model that gives these answers one after another, and keeps what it was asked."""

    def __init__(self, *answers: str | Sequence[ToolCall]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Message, ...]] = []
        self.told_of: list[str] = []
        self.model = scripted(self.answer, options={"answers": repr(answers)})

    async def answer(self, asked: Call) -> Completion:
        self.asked.append(asked.request.messages)
        self.told_of = [tool.name for tool in asked.request.tools]
        said = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(said, str):
            return Completion(said)
        return Completion("let me see", tool_calls=tuple(said), finish_reason="tool_calls")

    def user(self, **options: Any) -> ToolUser:
        lm = module(serve(self.model), self.model)
        return ToolUser(lm_modules=[lm], tools=TOOLS, **options)


def test_the_model_is_told_what_its_tools_gave_and_answers() -> None:
    script = Script([call("multiply", a=6, b=7)], "Answer: 42")
    output, strand = in_trial(lambda: script.user()(query="6 * 7?", answer_format="number"))
    assert output == {
        "responses": ["Answer: 42"],
        "final_answer": "42",
        "tool_calls": [{"name": "multiply", "arguments": '{"a": 6, "b": 7}', "result": "42"}],
    }
    assert script.told_of == ["multiply", "look_up"]
    question, asked, told = script.asked[1]
    assert question == script.asked[0][0]
    assert (asked.role, asked.content, asked.tool_calls) == (
        "assistant", "let me see", (call("multiply", a=6, b=7),)
    )  # fmt: skip
    assert told == Message("tool", "42", tool_call_id="call_1")
    assert len(strand.trial.calls) == 2


def test_tools_of_one_answer_are_told_in_the_order_in_which_they_were_asked_for() -> None:
    script = Script([call("look_up", 1, word="owl"), call("multiply", 2, a=2)], "done")
    output, _ = in_trial(lambda: script.user()(query="?"))
    told = [(m.tool_call_id, m.content) for m in script.asked[1][2:]]
    assert told == [("call_1", '{"word": "owl", "meanings": ["ä"]}'), ("call_2", "4")]
    assert [c["name"] for c in output["tool_calls"]] == ["look_up", "multiply"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (call("divide", a=1), "error: there is no tool 'divide'"),
        (call("multiply", b=1), "error: tool 'multiply': a: Field required"),
        (call("multiply", a="six"), "error: tool 'multiply': a: Input should be a valid integer"),
        (call("multiply", a=1, c=1), "error: unknown argument 'c'"),
        (ToolCall("1", "multiply", "{a: 1}"), "error: the arguments are no JSON"),
        (ToolCall("1", "multiply", "[1]"), "error: expected a JSON object"),
        (ToolCall("1", "multiply", "[" * 100_000), "error: the arguments are no JSON"),
        (ToolCall("1", "multiply", ""), "error: tool 'multiply': a: Field required"),
    ],
    ids=["name", "missing", "type", "unknown", "no JSON", "a list", "too deep", "nothing"],
)
def test_what_the_model_gets_wrong_it_is_told(wrong: ToolCall, said: str) -> None:
    script = Script([wrong], [call("multiply", a=1)], "2")
    output, _ = in_trial(lambda: script.user()(query="?"))
    assert script.asked[1][-1].content.startswith(said)
    assert output["final_answer"] == "2"


def test_an_exception_of_a_function_is_raised() -> None:
    script = Script([call("look_up", word="broken")], "done")
    with pytest.raises(LookupError, match="on fire"):
        in_trial(lambda: script.user()(query="?"))


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_after_its_rounds_nothing_is_called_any_more(rounds: int) -> None:
    script = Script([call("multiply", a=1)])  # for ever
    output, strand = in_trial(lambda: script.user(rounds=rounds)(query="?"))
    assert len(output["tool_calls"]) == rounds
    assert len(strand.trial.calls) == rounds + 1
    assert output["responses"] == ["let me see"]


def test_jitted_it_gives_the_same() -> None:
    outputs = []
    for made in (ToolUser, jit):
        script = Script([call("multiply", a=6)], "12")
        user = script.user() if made is ToolUser else jit(script.user())
        outputs.append(in_trial(lambda user=user: user(query="?"))[0])
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ([Tool(lambda a: a)], "tool '<lambda>': a name is up to 64 letters"),
        ([Tool(multiply), Tool(multiply)], "two tools are called 'multiply'"),
    ],
)
def test_tools_have_names_that_models_can_call(tools: list[Tool], message: str) -> None:
    script = Script("")
    lm = module(serve(script.model), script.model)
    with pytest.raises(ValueError, match=message):
        ToolUser(lm_modules=[lm], tools=tools)
