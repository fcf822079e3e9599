"""What a model thinks is told from what it answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.models.thoughts import Thoughts, as_answer, split_thoughts
from ember_bench.models.types import CutOff, Message

# Text -> (thought, answer).
CLOSED = {
    "<think>12?</think>18": ("12?", "18"),
    "<think>\n12?\n</think>\n\n18": ("12?", "\n\n18"),
    "<THINKING>12?</THINKING>18": ("12?", "18"),
    "<thought>12?</thought>18": ("12?", "18"),
    "<reasoning>12?</reasoning>18": ("12?", "18"),
    "<seed:think>12?</seed:think>18": ("12?", "18"),
    "<antThinking>12?</antThinking>18": ("12?", "18"),
    '<think time="3">12?</think>18': ("12?", "18"),
    "<think>\n\n</think>\n\n18": ("", "\n\n18"),
    "[THINK]12?[/THINK]18": ("12?", "18"),
    "\u25c1think\u25b712?\u25c1/think\u25b718": ("12?", "18"),
    "<|begin_of_thought|>12?<|end_of_thought|>18": ("12?", "18"),
    "<|START_THINKING|>12?<|END_THINKING|><|START_RESPONSE|>18<|END_RESPONSE|>": ("12?", "18"),
    "<|channel>thought\n12?<channel|>18": ("12?", "18"),
    "<|inner_prefix|>12?<|inner_suffix|>18": ("12?", "18"),
    "<|channel|>analysis<|message|>12?<|end|><|start|>assistant<|channel|>"
    "final<|message|>18<|return|>": (
        "<|channel|>analysis<|message|>12?<|end|><|start|>assistant",
        "18",
    ),
    "analysisIs it 12?assistantfinal18": ("analysisIs it 12?assistantfinal", "18"),
    "Here is my thought process: 12? Here is my response: 18": ("12?", " 18"),
    # What stands around the answer goes with the thought.
    "<think>12?</think><response>18</response>": ("12?", "18"),
    "<analysis>12?</analysis>\n18": ("12?", "\n18"),
    "<thinking>a<reflection>b</reflection>c</thinking><output>18</output>": (
        "a<reflection>b</reflection>c",
        "18",
    ),
    # The prompt ended in the opening mark.
    "12?</think>18": ("12?", "18"),
    "12?</think>13?</think>18": ("12?13?", "18"),
    # Several thoughts, and marks within them.
    "<think>a</think>1<think>b</think>8": ("a\nb", "18"),
    "<think>\n<think>\n12?</think>18": ("<think>\n12?", "18"),
    "<think>the mark <think> begins it</think>18": ("the mark <think> begins it", "18"),
    "18\n<think>Is it?</think>": ("Is it?", "18\n"),
    "<think>```python\n12\n```</think>18": ("```python\n12\n```", "18"),
}

CUT_OFF = {
    "<think>is it 18": ("is it 18", ""),
    "\n <think>is it 18": ("is it 18", "\n "),
    "[THINK]is it 18": ("is it 18", ""),
    "<|channel|>analysis<|message|>18": ("<|channel|>analysis<|message|>18", ""),
    "analysisWe try 18": ("We try 18", ""),
    "Here is my thought process: 18": ("18", ""),
    "The answer is 18.\n<reflection>is it": ("is it", "The answer is 18.\n"),
}

NOT_MARKS = [
    "",
    "18",
    "I <think> so",
    "x < think > y",
    "The mark `<think>` begins a thought and `</think>` ends it.",
    'Search for "</think>".',
    "re.sub(r'<think>.*?</think>', '', text)",
    "analysis of the data: 18",
    "Here is my answer: 18",
    "Analysis: assistantfinal",
]


@pytest.mark.parametrize(("text", "parts"), CLOSED.items())
def test_a_thought_is_told_from_the_answer(text: str, parts: tuple[str, str]) -> None:
    assert split_thoughts(text) == Thoughts(*parts)


@pytest.mark.parametrize(("text", "parts"), CUT_OFF.items())
def test_after_a_thought_that_was_cut_off_there_is_no_answer(
    text: str, parts: tuple[str, str]
) -> None:
    assert split_thoughts(text) == Thoughts(*parts, cut_off=True)


@pytest.mark.parametrize("text", NOT_MARKS)
def test_a_text_about_marks_has_no_thoughts(text: str) -> None:
    assert split_thoughts(text) == Thoughts("", text)


MARKS = st.sampled_from(["<think>", "</think>", "[THINK]", "[/THINK]", "x", "\n", "`", '"', " 18"])


@given(st.lists(MARKS).map("".join))
def test_the_answer_has_nothing_that_is_not_in_the_text_in_this_order(text: str) -> None:
    rest = iter(text)
    assert all(character in rest for character in split_thoughts(text).answer)


def test_an_answer_knows_that_its_limit_of_tokens_ended_it() -> None:
    assert as_answer("<think>12?</think>\n\n18 is", "length") == ("12?", "18 is")
    assert isinstance(as_answer("18 is", "length")[1], CutOff)
    assert isinstance(as_answer("18\n<think>is", "stop")[1], CutOff)
    assert not isinstance(as_answer("18 is", "stop")[1], CutOff)


def test_a_message_of_a_text_that_was_cut_off_is_one_of_plain_text() -> None:
    assert type(Message("user", CutOff("x")).content) is str
