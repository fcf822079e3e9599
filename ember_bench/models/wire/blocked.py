"""Errors which say that a filter blocked a prompt or its answer: the same prompt is blocked again.

Providers and gateways state it as a client's error (400, 403) with a code of its own, or only in
the sentence beside a code that other mistakes have too. Codes are searched in the fields that have
codes, and sentences in those that have messages: an error may quote either from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

# OpenAI, Azure, OpenRouter, Bedrock, DashScope, litellm; as their documentation has them.
_CODE: Final = re.compile(
    r"content_filter(?:ed)?|(?:image_)?content_policy(?:_violation)?|moderation_blocked"
    r"|content_?policy_?violation(?:error)?|responsible_?ai_?policy_?violation|prompt_blocked"
    r"|data_?inspection_?failed|guardrail_intervened|prohibited_content|content_moderation",
    re.IGNORECASE,
)
_CODE_FIELDS: Final = ("code", "type", "status", "reason", "error_type", "__type")
_MESSAGE_FIELDS: Final = ("message", "error", "msg", "status_msg", "detail")
_SENTENCE: Final = re.compile(
    # OpenAI
    r"\bprompt was flagged as (?:potentially )?violating\b"
    r"|\brejected (?:as a result of|by) (?:our|the) safety system\b"
    # Azure
    r"|\bfiltered due to the prompt triggering\b|\bcontent management policy\b"
    # Anthropic
    r"|\bblocked by (?:our )?content[ -]filter(?:ing|s)?\b"
    # xAI; DeepSeek; Moonshot
    r"|\bcontent violates usage guidelines\b|\bcontent exists risk\b"
    r"|\brejected because it was considered high risk\b"
    # DashScope; MiniMax; Zhipu
    r"|\bdata may contain inappropriate content\b|\b(?:in|out)put new_sensitive\b"
    "|不安全或敏感内容"
    # OpenRouter
    r"|\byour input was flagged for\b",
    re.IGNORECASE,
)
# What a server cannot do, a key may not do or a client does too fast has other statuses.
_STATUSES: Final = frozenset({400, 403, 422, 451})
_DEPTH: Final = 6


def is_blocked(status: int | None, error: object) -> bool:
    """Whether an error says that a content filter blocked the prompt or the answer.

    Args:
        status: The HTTP status; None if there is none.
        error: Its body: JSON's types, or a text.
    """
    if status is not None and status not in _STATUSES:
        return False
    if isinstance(error, str):
        return _SENTENCE.search(error) is not None
    return any(_CODE.fullmatch(code) for code in _texts(error, _CODE_FIELDS)) or any(
        _SENTENCE.search(said) for said in _texts(error, _MESSAGE_FIELDS)
    )


def _texts(value: Any, names: tuple[str, ...], depth: int = _DEPTH) -> Iterator[str]:
    """Yield the texts in fields of these names, however deep they stand."""
    if not depth:
        return
    if isinstance(value, list):
        for part in value:
            yield from _texts(part, names, depth - 1)
    elif isinstance(value, dict):
        for name, part in value.items():
            if not isinstance(part, str):
                yield from _texts(part, names, depth - 1)
            elif name in names:
                yield part
