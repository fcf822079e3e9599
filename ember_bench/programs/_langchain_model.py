"""A chat model of LangChain over an LM module; imported only where langchain-core is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict

from ember_bench.models.types import Response
from ember_bench.operators.lm import LMModule
from ember_bench.programs.asking import ask


class ServiceChatModel(BaseChatModel):  # type: ignore[misc]  # not installed where types are checked
    """A chat model whose calls an LM module makes.

    Attributes:
        module: The LM module.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    module: LMModule

    @property
    def _llm_type(self) -> str:
        return "ember-bench"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {"model": self.module.model.model_id, **self.module.config.describe()}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,  # noqa: ARG002 - LangChain's signature
        **kwargs: Any,
    ) -> ChatResult:
        body = {**kwargs, "messages": convert_to_openai_messages(messages)}
        if stop:
            body["stop"] = stop
        responses = ask(self.module, body)
        return ChatResult(
            generations=[ChatGeneration(message=_message(response)) for response in responses]
        )

    def bind_tools(
        self,
        tools: Sequence[Mapping[str, Any] | type | Callable[..., Any]],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[Any, BaseMessage]:
        """Return the model with tools that it may call."""
        written = [convert_to_openai_tool(tool) for tool in tools]
        if isinstance(tool_choice, str) and tool_choice not in ("auto", "none", "any", "required"):
            tool_choice = {"function": {"name": tool_choice}}
        elif isinstance(tool_choice, bool):
            tool_choice = "required" if tool_choice else None
        return self.bind(tools=written, tool_choice=tool_choice, **kwargs)


def _message(response: Response) -> AIMessage:
    calls, broken = list[Any](), list[Any]()
    for call in response.tool_calls:
        try:
            arguments = orjson.loads(call.arguments or "{}")
        except orjson.JSONDecodeError as error:
            broken.append(
                {"name": call.name, "args": call.arguments, "id": call.id, "error": str(error)}
            )
        else:
            calls.append({"name": call.name, "args": arguments, "id": call.id})
    sent, received = response.usage.input_tokens, response.usage.output_tokens
    usage = None
    if sent is not None and received is not None:
        usage = {"input_tokens": sent, "output_tokens": received, "total_tokens": sent + received}
    return AIMessage(
        content=str(response.data),
        tool_calls=calls,
        invalid_tool_calls=broken,
        usage_metadata=usage,
        response_metadata={
            "model_name": response.model_id,
            "finish_reason": response.finish_reason,
            "cost_usd": response.cost,
        },
    )
