"""The reasons for which answers end, and which of them explain an answer without text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ember_bench.models.types import Completion, TokenLogprob, ToolCall
from ember_bench.models.wire.failures import FailedError, MalformedError

# Words of generations that failed, whoever's server says them. The text, if any, is a part of one.
_FAILED: Final = frozenset(
    {
        "abort",
        "aborted",
        "canceled",
        "cancelled",
        "expired",
        "failed",
        "failure",
        "insufficient_system_resource",
        "interrupted",
        "missing_thought_signature",
        "overloaded",
        "timeout",
        "too_many_tool_calls",
        "unexpected_tool_call",
    }
)
# An answer with tool calls that was cut off does not end with them.
_CUT: Final = frozenset({"length", "content_filter"})


@dataclass(frozen=True)
class Endings:
    """The reasons that one wire format gives for the end of an answer.

    Attributes:
        ours: Our words for the provider's, which are in lower case.
        explain_nothing: Our words after which an answer may be empty.
        failed: Words of failed generations, in lower case, beside those that all formats share.
    """

    ours: Mapping[str, str]
    explain_nothing: frozenset[str]
    failed: frozenset[str] = frozenset()

    def reason(self, said: object) -> str:
        """Return our word for the provider's, or the provider's own in lower case.

        Raises:
            FailedError: if it says that the generation failed.
        """
        word = said.lower() if isinstance(said, str) else "unknown"
        if (known := self.ours.get(word)) is not None:
            return known
        failed = word in self.failed or word in _FAILED
        if failed or "error" in word or word.startswith("malformed"):
            raise FailedError(f"the generation failed, finish reason {said!r}", may_be_charged=True)
        return word

    def completion(
        self,
        said: object,
        text: str,
        *,
        refusal: str = "",
        calls: tuple[ToolCall, ...] = (),
        thoughts: str = "",
        logprobs: tuple[TokenLogprob, ...] = (),
        stopped: bool = False,
    ) -> Completion:
        """Return the answer that ended for the reason `said`.

        Args:
            said: The provider's word.
            text: The answer.
            refusal: Its refusal to answer, if that is apart from the text.
            calls: The tools that it asks for.
            thoughts: Its thoughts.
            logprobs: The answer by token.
            stopped: Whether a stop sequence may have ended the answer before its first word.

        Raises:
            FailedError: if the generation failed.
            MalformedError: if it is empty, and the reason does not explain that.
        """
        reason = self.reason(said)
        if refusal:
            text, reason = text + refusal, "refusal"
        if calls and reason not in _CUT:
            # Servers also say `stop`, `STOP`, `function_call`.
            reason = "tool_calls"
        explained = reason in self.explain_nothing or (stopped and reason == "stop")
        if not (text or calls or explained):
            raise MalformedError(f"no text in it, finish reason {said!r}")
        return Completion(
            text, finish_reason=reason, tool_calls=calls, logprobs=logprobs, thoughts=thoughts
        )
