"""Separates what a model thinks from what it answers, where both come as one text.

Servers without a reasoning parser leave a model's thoughts in the text of its answer, between
marks: `<think>...</think>`, `[THINK]...[/THINK]`, the channels of gpt-oss. What stands between
them is tried out and taken back, so neither an answer format nor a judge may see it.

* Every closed thought is taken out. A closing mark without an opening one, as where the prompt
  ended in the opening mark, ends a thought that began with the text.
* An opening mark at the beginning of a line that nothing closes begins a thought that was cut off.
* A mark in quotes, backticks or brackets, as in a program about such marks, is none.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ember_bench.models.types import Completion, CutOff, Response

# What the tags of thoughts are called, with and without a model's own prefix.
_NAME: Final = (
    r"(?:[a-z]{1,12}[:_])?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|reflect|ponder"
    r"|scratch_?pad|inner_(?:monologue|thoughts?)|analysis|chain_of_thought|cot|antthinking)"
)
_OPENING: Final = rf"""
    <(?P<tag>{_NAME})(?:\s[^<>\n]{{0,80}})?>
  | \[(?P<square>THINK(?:ING)?|REASONING|THOUGHTS?)\]
  | (?P<kimi>\u25c1think\u25b7)
  | <\|begin_of_(?P<begin>thoughts?|reasoning)\|>
  | <\|START_(?P<start>THINKING|REFLECTION)\|>
  | (?P<inner><\|inner_prefix\|>)
  | (?P<gemma><\|channel>(?:thought|analysis)\b)
  | (?P<unused><unused94>)
  | (?P<bar><\|think\|>)
"""
_CLOSING: Final = rf"""
    </(?P<end_tag>{_NAME})\s*>
  | \[/(?P<end_square>THINK(?:ING)?|REASONING|THOUGHTS?)\]
  | (?P<end_kimi>\u25c1/think\u25b7)
  | <\|end_of_(?P<end_begin>thoughts?|reasoning)\|>
  | <\|END_(?P<end_start>THINKING|REFLECTION)\|>
  | (?P<end_inner><\|inner_suffix\|>)
  | (?P<end_gemma><channel\|>)
  | (?P<end_unused><unused95>)
  | (?P<end_bar><\|/think\|>|<\|content\|>)
"""
_MARK = re.compile(
    # A backtick, and not the last one of a fence, stands around a word in a sentence.
    rf"""(?=[<\[\u25c1])(?<![\\"'(|\[])(?<!(?<!`)`)(?:{_OPENING}|{_CLOSING})(?![\\"')|]|`(?!`))""",
    re.IGNORECASE | re.VERBOSE,
)
_FIRST: Final = "ahH \t\n"
_CHANNEL: Final = "<|channel|>"
_FINAL: Final = "<|channel|>final"
_MESSAGE: Final = "<|message|>"
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start)\|>")
# A server that drops special tokens leaves the channels' names.
_BARE_CHANNELS = re.compile(r"\s*analysis.*?assistant\s*final(?!\w*ly)", re.DOTALL)
_BARE_ANALYSIS = re.compile(r"\s*analysis(?=[A-Z][a-z' ])")
_GRANITE = re.compile(
    r"\s*here(?: is|'s) my thought process:(?P<thought>.*?)(?:here(?: is|'s) my response:|\Z)",
    re.IGNORECASE | re.DOTALL,
)
# What stands around the answer where the thought has marks.
_ENVELOPE = re.compile(
    r"\s*(?:<(response|output|solution|final|final_response)>|<\|begin_of_solution\|>"
    r"|<\|START_RESPONSE\|>|\[RESPONSE\]|<\|content\|>)",
    re.IGNORECASE,
)
_ENVELOPE_END = re.compile(
    r"\s*(?:</(?:response|output|solution|final|final_response)>|<\|end_of_solution\|>"
    r"|<\|END_RESPONSE\|>|\[/RESPONSE\])\s*\Z",
    re.IGNORECASE,
)


class Thoughts(NamedTuple):
    """A model's text, taken apart.

    Attributes:
        thought: What the model thought; empty if it did not, or did not show it.
        answer: The rest, which is the text itself if there is no thought in it.
        cut_off: The text ends within a thought.
    """

    thought: str
    answer: str
    cut_off: bool = False


def split_thoughts(text: str) -> Thoughts:
    """Return the thoughts in a model's text, and its answer; see the module's docstring."""
    if not may_have_thoughts(text):
        return Thoughts("", text)
    if _CHANNEL in text:
        return _channels(text)
    if (named := _named_parts(text)) is not None:
        return named
    return _marked(text)


def may_have_thoughts(text: str) -> bool:
    """Whether it is worth while to look for thoughts in `text`; costs next to nothing."""
    # The rest is how a thought begins that has words for marks.
    return "<" in text or "[" in text or "\u25c1" in text or text[:1] in _FIRST


def as_answer(text: str, finish_reason: str) -> tuple[str, str]:
    """Return (the thought, the answer) of a completion; the answer knows if it was cut off."""
    thought, answer, cut_off = split_thoughts(text)
    if answer != text:
        answer = answer.lstrip()
    # Also after "stop": the end that a server meets within a thought is not that of an answer.
    return thought, CutOff(answer) if cut_off or finish_reason == "length" else answer


def response_of(model_id: str, completion: Completion, *, stored: bool) -> Response:
    """Return what a model answered, its thoughts apart from its answer.

    Args:
        model_id: The model's.
        completion: As it was asked for or stored.
        stored: Whether it was there, or under way, already.
    """
    thought, data = as_answer(completion.text, completion.finish_reason)
    return Response(
        data,
        model_id,
        completion.usage,
        completion.cost_usd,
        completion.latency_seconds,
        completion.finish_reason,
        stored,
        completion.tool_calls,
        completion.logprobs,
        "\n\n".join(filter(None, (completion.thoughts, thought))),
        completion.first_token_seconds,
    )


def _marked(text: str) -> Thoughts:
    thoughts: list[str] = []
    answer: list[str] = []
    opened: re.Match[str] | None = None
    family, at = "", 0
    for mark in _MARK.finditer(text):
        kind, closes = _kind(mark)
        if not closes:
            if opened is None:
                opened, family = mark, kind
        elif opened is not None and (kind == family or not _begins_line(text, opened, at)):
            answer.append(text[at : opened.start()])
            thoughts.append(text[opened.end() : mark.start()])
            opened, at = None, mark.end()
        elif opened is None:
            thoughts = ["".join([*answer, *thoughts, text[at : mark.start()]])]
            answer, at = [], mark.end()
    cut_off = opened is not None and _begins_line(text, opened, at)
    if opened is not None and cut_off:
        answer.append(text[at : opened.start()])
        thoughts.append(text[opened.end() :])
    else:
        answer.append(text[at:])
    if not thoughts:
        return Thoughts("", text)
    said = "".join(answer)
    return Thoughts("\n".join(t.strip() for t in thoughts), _without_envelope(said), cut_off)


def _kind(mark: re.Match[str]) -> tuple[str, bool]:
    """Return which family of marks one belongs to, and whether it closes a thought."""
    group = mark.lastgroup or ""
    closes = group.startswith("end_")
    family = group.removeprefix("end_")
    return (f"tag {mark[group].lower()}" if family == "tag" else family), closes


def _begins_line(text: str, mark: re.Match[str], at: int) -> bool:
    """Whether nothing stands before a mark on its line, or since the last thought, at `at`."""
    before = max(at, text.rfind("\n", 0, mark.start()) + 1)
    return not text[before : mark.start()].strip()


def _channels(text: str) -> Thoughts:
    """Take apart the channels of gpt-oss: only `final` is for the reader."""
    start = text.rfind(_FINAL)
    body = text.find(_MESSAGE, start) if start >= 0 else -1
    if body < 0:
        return Thoughts(text, "", cut_off=True)
    rest = text[body + len(_MESSAGE) :]
    end = _CHANNEL_END.search(rest)
    return Thoughts(text[:start].strip(), rest[: end.start()] if end else rest)


def _named_parts(text: str) -> Thoughts | None:
    """Take apart a text whose thought begins with words and not with a mark; None if none does."""
    begin = text[:40].lstrip()[:8].lower()
    if begin == "analysis":
        if (bare := _BARE_CHANNELS.match(text)) is not None:
            return Thoughts(bare[0], text[bare.end() :])
        if (bare := _BARE_ANALYSIS.match(text)) is not None:
            return Thoughts(text[bare.end() :], "", cut_off=True)
    elif begin.startswith("here") and (granite := _GRANITE.match(text)) is not None:
        answer = text[granite.end() :]
        return Thoughts(granite["thought"].strip(), answer, cut_off=not answer)
    return None


def _without_envelope(answer: str) -> str:
    if (opened := _ENVELOPE.match(answer)) is None:
        return answer
    answer = answer[opened.end() :]
    closed = _ENVELOPE_END.search(answer)
    return answer[: closed.start()] if closed else answer
