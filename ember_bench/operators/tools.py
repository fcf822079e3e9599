"""Operators whose model calls tools."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from ember_bench.models.types import Message, ToolCall
from ember_bench.operators.base import Inputs, Operator, OperatorKind
from ember_bench.operators.concurrency import parallel
from ember_bench.operators.fan_in import as_responses, one_lm
from ember_bench.operators.functions import Tool
from ember_bench.operators.lm import LMModule
from ember_bench.operators.signature import Signature, builtin_signature

# What all providers take for a tool's name.
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ToolUser(Operator):
    """Lets a model call tools, a number of rounds, before it answers.

    The loop of ReAct (Yao et al. 2023), by the providers' tool calls in place of a prompt. The
    tools that one answer asks for are run at the same time. What the model gets wrong (a tool that
    there is not, arguments that do not fit) it is told, so that it can try again; an exception of a
    tool's function is raised. Inputs: `query`. Outputs: `responses`, the last answer; its
    `final_answer`; and `tool_calls`, for each call its `name`, `arguments` and `result`, as texts.

    Args:
        lm_modules: Who answers, one LM module.
        tools: What it may call.
        rounds: Most answers whose tool calls are run; what it asks for after that is not.
        answer_format: How the final answer is read; by default as the inputs' `answer_format` says.
        signature: The prompt; names `query`.
    """

    kind = OperatorKind.RECURRENT

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        tools: Sequence[Tool],
        rounds: int = 8,
        answer_format: str | None = None,
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        if rounds < 0:
            raise ValueError(f"rounds must be at least 0, found {rounds}")
        names = [tool.name for tool in tools]
        for name in names:
            if not _NAME.fullmatch(name):
                raise ValueError(f"tool {name!r}: a name is up to 64 letters, digits, `_` and `-`")
            if names.count(name) > 1:
                raise ValueError(f"two tools are called {name!r}")
        super().__init__(
            lm_modules=one_lm(lm_modules, self),
            signature=signature or builtin_signature("generate"),
        )
        self.tools = list(tools)
        self.rounds = rounds
        self.answer_format = answer_format

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Ask, run what is asked for, and ask again."""
        assert self.signature is not None  # noqa: S101 - set by __init__
        messages = [Message("user", self.signature.render(inputs))]
        tools = [tool.definition for tool in self.tools]
        called: list[dict[str, str]] = []
        for done in range(self.rounds + 1):
            said = self.lms[0].respond(messages, role=self.role, tools=tools)
            if done == self.rounds or not said.tool_calls:
                break
            results = parallel([partial(self._result, call) for call in said.tool_calls])
            messages.append(Message("assistant", said.data, tool_calls=said.tool_calls))
            for call, result in zip(said.tool_calls, results, strict=True):
                messages.append(Message("tool", result, tool_call_id=call.id))
                called.append({"name": call.name, "arguments": call.arguments, "result": result})
        return {**as_responses([said.data], inputs, self.answer_format), "tool_calls": called}

    def _result(self, call: ToolCall) -> str:
        tool = next((tool for tool in self.tools if tool.name == call.name), None)
        if tool is None:
            return f"error: there is no tool {call.name!r}"
        return tool.answer(call.arguments)
