"""What of an answer may be stored: text that databases take, and no key."""

from __future__ import annotations

from typing import Any

import msgspec

from ember_bench.models.types import Completion
from ember_bench.secrets import without_given


def storable(completion: Completion) -> Completion:
    """Return an answer without lone surrogates and keys, itself if it has none."""
    return _without_keys(_in_unicode(completion))


def as_kept(completion: Completion, cost_usd: float | None) -> Completion:
    """Return an answer with its price as it is stored and shown."""
    kept = storable(completion)
    if (kept.cost_usd, kept.stated_usd, kept.service_tier) == (cost_usd, None, None):
        return kept
    return msgspec.structs.replace(kept, cost_usd=cost_usd, stated_usd=None, service_tier=None)


def _in_unicode(completion: Completion) -> Completion:
    """Return it without lone surrogates, which JSON may bring and no database takes."""
    try:
        completion.text.encode()
        completion.thoughts.encode()
        if completion.tool_calls or completion.logprobs:
            msgspec.json.encode(completion)
    except UnicodeEncodeError:
        return msgspec.convert(_mended(msgspec.to_builtins(completion)), Completion)
    return completion


def _without_keys(completion: Completion) -> Completion:
    """Return it without keys, which a server may echo; no store is to have one."""
    text, thoughts = without_given(completion.text), without_given(completion.thoughts)
    calls = tuple(
        msgspec.structs.replace(
            call, id=without_given(call.id), arguments=without_given(call.arguments)
        )
        for call in completion.tool_calls
    )
    unchanged = text is completion.text and thoughts is completion.thoughts
    if unchanged and calls == completion.tool_calls:
        return completion
    return msgspec.structs.replace(
        completion, text=text, tool_calls=calls, logprobs=(), thoughts=thoughts
    )


def _mended(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(data, dict):
        return {name: _mended(part) for name, part in data.items()}
    return [_mended(part) for part in data] if isinstance(data, list | tuple) else data
