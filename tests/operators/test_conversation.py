"""Conversations: each question is asked with the turns before it."""

from __future__ import annotations

import copy

import pytest

from ember_bench.errors import ProviderError, SignatureError
from ember_bench.models import Message
from ember_bench.models.call import Call
from ember_bench.operators import (
    Conversation,
    EnsembleOperator,
    Function,
    LMModule,
    MostCommonOperator,
    Operator,
)
from tests.support.models import module, scripted, serve


class Talker:
    """A model that says how many messages it sees, and fails if asked to."""

    def __init__(self) -> None:
        self.seen: list[list[tuple[str, str]]] = []
        self.model = scripted(self.say)
        self.service = serve(self.model)

    async def say(self, call: Call) -> str:
        messages = [(m.role, m.content) for m in call.request.messages]
        self.seen.append(messages)
        if "fail" in messages[-1][1]:
            raise ProviderError("no")
        return str(len(messages))

    def lm(self) -> LMModule:
        return module(self.service, self.model)


def test_a_model_sees_all_turns_before_a_question() -> None:
    talker = Talker()
    chat = Conversation(talker.lm(), system="Be brief.")
    assert [chat("one"), chat("two")] == ["2", "4"]
    expected = [("system", "Be brief."), ("user", "one"), ("assistant", "2"), ("user", "two")]
    assert talker.seen[-1] == expected
    assert chat.turns[-1] == Message("assistant", "4")


def test_an_operator_sees_them_where_it_answers() -> None:
    talker = Talker()
    panel = EnsembleOperator(lm_modules=[talker.lm(), talker.lm()]) >> MostCommonOperator()
    chat = Conversation(panel, turns=[Message("user", "Hi"), Message("assistant", "Hello")])
    assert chat("one", answer_format="number") == "3"
    assert chat("two") == "5"
    assert chat.output["votes"] == {"5": 2}


def test_a_turn_that_fails_is_no_part_of_it_and_a_copy_branches() -> None:
    chat = Conversation(Talker().lm())
    chat("one")
    branch = copy.copy(chat)
    with pytest.raises(ProviderError):
        chat("fail")
    assert chat.turns == branch.turns
    branch("two")
    assert len(branch.turns) == len(chat.turns) + 2


@pytest.mark.parametrize(
    "network",
    [
        Function(lambda query: {"responses": ["a", "b"]}),
        Function(lambda query: {"final_answer": None}),
        Function(lambda query: 3),
    ],
    ids=["several", "none", "a number"],
)
def test_a_network_has_one_answer(network: Operator) -> None:
    with pytest.raises(SignatureError, match="a conversation needs one answer"):
        Conversation(network)("?")


def test_it_needs_a_network() -> None:
    with pytest.raises(TypeError, match="needs an operator or an LM module, found str"):
        Conversation("openai:gpt-4o")  # type: ignore[arg-type]
