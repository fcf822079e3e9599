"""Conversations of several turns with a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ember_bench.errors import SignatureError
from ember_bench.models.types import Message
from ember_bench.operators.base import Operator
from ember_bench.operators.lm import LMModule


class Conversation:
    """A conversation: `chat = Conversation(network)`, then `chat("Hello")`, `chat("And then?")`.

    Each question is asked with the turns before it, which the calls of `network` that answer see.
    A turn that fails is not part of the conversation. `copy.copy` branches a conversation.

    Args:
        network: An LM module, or an operator with the input `query`, whose output has one text in
            `responses`, or a `final_answer`.
        turns: The messages before the first question.
        system: A system message before all turns.

    Attributes:
        turns: The messages so far.
        output: What the network returned last; None before the first question.
    """

    def __init__(
        self,
        network: Operator | LMModule,
        *,
        turns: Sequence[Message] = (),
        system: str | None = None,
    ) -> None:
        if not isinstance(network, Operator | LMModule):
            raise TypeError(
                f"a conversation needs an operator or an LM module, found {type(network).__name__}"
            )
        self.network = network
        self.turns = [*([] if system is None else [Message("system", system)]), *turns]
        self.output: Any = None

    def __call__(self, query: str, /, **inputs: Any) -> str:
        """Ask the next question, and return the answer.

        Args:
            query: The question.
            inputs: More inputs of the network, for this question alone.

        Raises:
            SignatureError: if the network returns no text, or several.
        """
        question = Message("user", query)
        if isinstance(self.network, LMModule):
            output: Any = self.network([*self.turns, question], **inputs)
        else:
            output = self.network({**inputs, "query": query, "turns": list(self.turns)})
        answer = _text(output)
        self.output = output
        self.turns = [*self.turns, question, Message("assistant", answer)]
        return answer


def _text(output: Any) -> str:
    """Return the text that an output gives as the answer of a turn."""
    if isinstance(output, str):
        return output
    fields = output if isinstance(output, Mapping) else {}
    responses = fields.get("responses", ())
    answer = responses[0] if len(responses) == 1 else fields.get("final_answer")
    if not isinstance(answer, str):
        raise SignatureError(
            "a conversation needs one answer: the network returned neither one response nor a "
            "`final_answer`"
        )
    return answer
