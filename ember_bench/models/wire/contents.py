"""Texts and thoughts of answers that come as parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from ember_bench.models.wire.counts import field
from ember_bench.models.wire.failures import MalformedError

_TEXTS: Final = frozenset({"text", "output_text"})
_REFUSAL: Final = "refusal"
_THOUGHTS: Final = frozenset(
    {"thinking", "reasoning", "reasoning_text", "reasoning_content", "summary_text", "thought"}
)
# The fields in which a part has its thoughts.
_THOUGHT_FIELDS: Final = ("thinking", "reasoning", "text", "summary", "content")
_DEPTH: Final = 4


class Said(NamedTuple):
    """The parts of an answer, sorted."""

    text: str
    thoughts: str
    refusal: str


def content(written: Any) -> Said:
    """Return the content of a message: a text, or a list of parts of several kinds.

    Parts of other kinds, such as pictures and references, are left out.

    Raises:
        MalformedError: if it cannot be read.
    """
    texts: list[str] = []
    thoughts: list[str] = []
    refusals: list[str] = []
    for part in _parts(written):
        kind = field(part, "type")
        if isinstance(part, str):
            texts.append(part)
        elif not isinstance(part, dict) or not isinstance(kind, str | None):
            raise MalformedError("a part of no type in it")
        elif part.get("thought") is True:  # Google's mark, which its gateways keep
            thoughts.append(written_thoughts(part))
        elif kind in _TEXTS or (kind is None and "text" in part):
            texts.append(_text(field(part, "text")))
        elif kind == _REFUSAL:
            refusals.append(_text(field(part, _REFUSAL)))
        elif _is_thought(kind):
            thoughts.append(written_thoughts(part))
        elif kind is None:
            raise MalformedError("a part of no type in it")
    return Said("".join(texts), joined(thoughts), "".join(refusals))


def parted_thoughts(written: Any) -> list[Any]:
    """Return the thoughts of a content that comes in parts, as they came."""
    parts = written if isinstance(written, list) else []
    return [
        part for part in parts if _is_thought(field(part, "type")) or field(part, "thought") is True
    ]


def _is_thought(kind: Any) -> bool:
    return isinstance(kind, str) and kind in _THOUGHTS


def joined(thoughts: Iterable[str]) -> str:
    """Return thoughts that came one after another as one text."""
    return "\n\n".join(filter(None, thoughts))


def written_thoughts(thoughts: Any, depth: int = _DEPTH) -> str:
    """Return thoughts as text: they come as a text, an object with one, or a list of such."""
    if isinstance(thoughts, str):
        return thoughts
    if not depth or not isinstance(thoughts, dict | list):
        return ""
    if isinstance(thoughts, list):
        return joined(written_thoughts(part, depth - 1) for part in thoughts)
    found = (written_thoughts(field(thoughts, name), depth - 1) for name in _THOUGHT_FIELDS)
    return next(filter(None, found), "")


def stated_error(answer: Any) -> Any:
    """Return the error that the body of a success states; None if it states none."""
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]  # Google's streams put an error into a list
    if error := field(answer, "error"):
        return error
    # MiniMax states each answer's status beside it.
    beside = field(answer, "base_resp")
    if field(beside, "status_code"):
        return {"message": field(beside, "status_msg"), "code": field(beside, "status_code")}
    return None


def _parts(written: Any) -> list[Any]:
    if written is None:
        return []
    if isinstance(written, list):
        return written
    if isinstance(written, str | dict):
        return [written]
    raise MalformedError("a content that is no text in it")


def _text(text: Any) -> str:
    if isinstance(value := field(text, "value"), str):  # as in OpenAI's assistants
        return value
    if text is None:  # a part that was begun and not filled
        return ""
    if not isinstance(text, str):
        raise MalformedError("a text part without text in it")
    return text
