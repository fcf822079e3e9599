"""Operators whose model calls tools."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from ember_bench.models.types import Message, ToolCall
from ember_bench.operators.base import Inputs, Operator, OperatorKind, operator
from ember_bench.operators.fan_in import as_responses, one_lm
from ember_bench.operators.functions import Tool
from ember_bench.operators.lm import LMModule, as_messages
from ember_bench.operators.mapping import parallel
from ember_bench.operators.signature import Signature

# The tool names that all providers accept.
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@operator
class ToolUser(Operator):
    """Lets a model call tools, in rounds, before it answers.

    The loop of ReAct (Yao et al. 2023), with the providers' tool calls in place of a prompt. The
    tool calls of one response are run at the same time. The model sees invalid calls (an unknown
    tool, arguments of a wrong type) as errors and may try again; exceptions of a tool's function
    propagate. Inputs: `query`. Outputs: `responses`, the last one; its `final_answer`; and
    `tool_calls`, the `name`, `arguments` and `result` of each call, as texts.

    Args:
        lm_modules: One LM module.
        tools: The tools that it may call, with different names; a Python function becomes a `Tool`.
        rounds: Maximum number of responses whose tool calls are run.
        answer_format: Format of the final answer; by default the `answer_format` of the inputs.
        signature: The prompt; names `query`.
    """

    kind = OperatorKind.RECURRENT
    fills = ()
    gives = ("responses", "final_answer", "tool_calls")
    default_signature = "generate"

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        tools: Sequence[Tool | Callable[..., Any]],
        rounds: int = 8,
        answer_format: str | None = None,
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        if rounds < 0:
            raise ValueError(f"rounds must be at least 0, found {rounds}")
        wrapped = [_as_tool(tool) for tool in tools]
        names = [tool.name for tool in wrapped]
        for name in names:
            if not _NAME.fullmatch(name):
                raise ValueError(f"tool {name!r}: a name is up to 64 letters, digits, `_` and `-`")
            if names.count(name) > 1:
                raise ValueError(f"two tools are called {name!r}")
        super().__init__(lm_modules=one_lm(lm_modules, self), signature=signature)
        self.tools = wrapped
        self.rounds = rounds
        self.answer_format = answer_format

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Call the model, run the tools that it calls, and repeat."""
        messages = as_messages(self._with_turns(inputs))
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


def _as_tool(given: Tool | Callable[..., Any]) -> Tool:
    if isinstance(given, Tool):
        return given
    if isinstance(given, Operator | LMModule) or not callable(given):
        raise TypeError(f"tools: expected a Tool or a function, found {type(given).__name__}")
    return Tool(given)
