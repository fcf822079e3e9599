"""A server on loopback that speaks OpenAI's chat completions on the wire.

It answers as it is told, with faults where it is told, and remembers what it was asked:

    with OpenAIServer([Fault(429, headers={"retry-after": "1"}), Answer("Paris")]) as server:
        ...  # ask at server.base_url
    assert server.count == 2
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.loopback import Asked, Fault, LoopbackServer, Script, json_reply

__all__ = ["Answer", "Asked", "Fault", "OpenAIServer"]


@dataclass(frozen=True)
class Answer:
    """A completion.

    Attributes:
        text: The message's content; None is null.
        usage: Fields of `usage`, over what is counted by words; None leaves `usage` out.
        message: More fields of the message, such as `refusal`.
        delay: Seconds to wait before answering.
    """

    text: str | None = "ok"
    finish_reason: str | None = "stop"
    usage: Mapping[str, Any] | None = field(default_factory=dict)
    message: Mapping[str, Any] = field(default_factory=dict)
    delay: float = 0.0

    def sent(self, asked: Asked) -> Fault:
        return json_reply(self.body(asked))

    def body(self, asked: Asked) -> dict[str, Any]:
        sent = sum(len(m["content"].split()) for m in asked.body["messages"])
        received = len((self.text or "").split())
        body: dict[str, Any] = {
            "id": f"chatcmpl-{asked.number}",
            "object": "chat.completion",
            "created": 1_750_000_000,
            "model": asked.body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": self.text, **self.message},
                    "logprobs": None,
                    "finish_reason": self.finish_reason,
                }
            ],
        }
        if self.usage is not None:
            body["usage"] = {
                "prompt_tokens": sent,
                "completion_tokens": received,
                "total_tokens": sent + received,
                **self.usage,
            }
        return body


class OpenAIServer(LoopbackServer):
    """See the module's docstring.

    Args:
        script: The replies in order, the last one for ever; or a function of what was asked,
            called on the server's thread.
    """

    def __init__(self, script: Script = (Answer(),)) -> None:
        super().__init__(script)

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"
