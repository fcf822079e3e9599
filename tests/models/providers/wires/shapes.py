"""Bodies of status 200 that servers really send, by wire format: what ends an answer, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.models.providers.wires import Wire
from tests.models.providers.wires.anthropic import MessagesWire
from tests.models.providers.wires.google import GeminiWire
from tests.models.providers.wires.openai_responses import ResponsesWire

CHAT_USAGE: Final = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
OWN_USAGE: Final = {"input_tokens": 10, "output_tokens": 5}
GEMINI_USAGE: Final = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}

CALL: Final = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def format_of(wire: Wire) -> str:
    """Return the name of the wire format in the tables below."""
    if isinstance(wire, ResponsesWire):
        return "responses"
    if isinstance(wire, MessagesWire):
        return "messages"
    return "gemini" if isinstance(wire, GeminiWire) else "chat"


def chat(content: Any = "4", finish: Any = "stop", **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish, **fields.pop("choice", {})}
    message = {"role": "assistant", "content": content, **fields.pop("message", {})}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{**choice, "message": message}],
        "usage": CHAT_USAGE,
        **fields,
    }


def responses(text: str | None = "4", status: str = "completed", **fields: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "content": [part]}
    return {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": status,
        "error": None,
        "incomplete_details": None,
        "output": [] if text is None else [{**message, "status": "completed"}],
        "usage": OWN_USAGE,
        **fields,
    }


def messages(content: Any = "4", stop: Any = "end_turn", **fields: Any) -> dict[str, Any]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": blocks,
        "stop_reason": stop,
        "usage": OWN_USAGE,
        **fields,
    }


def gemini(parts: Any = "4", finish: Any = "STOP", **fields: Any) -> dict[str, Any]:
    parts = [{"text": parts}] if isinstance(parts, str) else parts
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": finish}
    return {"candidates": [candidate], "usageMetadata": GEMINI_USAGE, **fields}


def reasoned(*thoughts: str) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": thought} for thought in thoughts]
    return {"type": "reasoning", "id": "rs", "summary": summary}


# Generations that failed: billed, no answer, asked for again.
FAILED: Final[Mapping[str, Mapping[str, Any]]] = {
    "chat": {
        **{
            f"{reason} with a part of the text": chat("The answer is 1", reason)
            for reason in (
                "error",
                "abort",
                "insufficient_system_resource",
                "network_error",
                "MALFORMED_FUNCTION_CALL",
                "timeout",
            )
        },
        "null": chat(None),
        "empty": chat(""),
        "no parts": chat([]),
        "no reason": chat("", None),
        "a reason of tomorrow": chat("", "load"),
        "tool calls that are not there": chat("", "tool_calls"),
        "thoughts alone": chat(None, message={"reasoning_content": "Hm."}),
        "thoughts alone in parts": chat([{"type": "thinking", "thinking": "Hm."}]),
        "an error in the choice": chat(
            "The answer is 1", choice={"error": {"code": 502, "message": "Upstream gone"}}
        ),
        "an error beside choices": chat("4", error={"code": 503, "message": "busy"}),
        "an error in a text": chat("4", error="upstream gone"),
    },
    "responses": {
        "failed": responses(None, "failed", error={"code": "server_error", "message": "gone"}),
        "failed with a part": responses("The", "failed", error={"code": "x", "message": "gone"}),
        "cancelled": responses(None, "cancelled"),
        "cancelled with a part": responses("The answer", "cancelled"),
        "still going on": responses(None, "in_progress"),
        "incomplete without a reason": responses(None, "incomplete"),
        "incomplete for a reason of tomorrow": responses(
            None, "incomplete", incomplete_details={"reason": "steering"}
        ),
        "nothing": responses(None),
        "empty": responses(""),
        "thoughts alone": responses(None, output=[reasoned("Hm.")]),
    },
    "messages": {
        "nothing": messages([]),
        "empty": messages(""),
        "thoughts alone": messages([{"type": "thinking", "thinking": "x", "signature": "s"}]),
        "no reason": messages([], None),
        "a reason of tomorrow": messages([], "pause_turn"),
        "tools that are not there": messages([], "tool_use"),
        "error with a part": messages("The answer is 1", "error"),
        "an error beside": messages(error={"type": "overloaded_error", "message": "Overloaded"}),
    },
    "gemini": {
        **{
            reason: gemini([], reason)
            for reason in (
                "STOP",
                "OTHER",
                "MALFORMED_FUNCTION_CALL",
                "UNEXPECTED_TOOL_CALL",
                "TOO_MANY_TOOL_CALLS",
                "MISSING_THOUGHT_SIGNATURE",
                "MALFORMED_RESPONSE",
                "FINISH_REASON_UNSPECIFIED",
            )
        },
        "malformed with a part": gemini("The answer is", "MALFORMED_FUNCTION_CALL"),
        "other with a part": gemini("The answer is", "OTHER"),
        "empty": gemini(""),
        "thoughts alone": gemini([{"text": "Hm.", "thought": True}]),
    },
}

# Answers although they have no text, or not where it usually is: (text, reason, thoughts).
ANSWERS: Final[Mapping[str, Mapping[str, tuple[Any, tuple[str, str, str]]]]] = {
    "chat": {
        "cut off": (chat("", "length"), ("", "length", "")),
        "cut off while thinking": (
            chat(None, "length", message={"reasoning_content": "Hm"}),
            ("", "length", "Hm"),
        ),
        "cut off in Mistral's word": (chat("", "model_length"), ("", "length", "")),
        "filtered": (chat(None, "content_filter"), ("", "content_filter", "")),
        "filtered in Zhipu's word": (chat("", "sensitive"), ("", "content_filter", "")),
        "refused": (chat(None, message={"refusal": "I cannot."}), ("I cannot.", "refusal", "")),
        "refused with an empty text": (
            chat("", message={"refusal": "I cannot."}),
            ("I cannot.", "refusal", ""),
        ),
        "refused in a part": (
            chat([{"type": "refusal", "refusal": "I cannot."}]),
            ("I cannot.", "refusal", ""),
        ),
        "a stop sequence at once": (chat("", choice={"stop_reason": "END"}), ("", "stop", "")),
        "parts": (
            chat(
                [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "Hmm 5?"}]},
                    {"type": "text", "text": "The answer is "},
                    {"type": "text", "text": "18"},
                    {"type": "reference", "reference_ids": [1]},
                ]
            ),
            ("The answer is 18", "stop", "Hmm 5?"),
        ),
        "strings": (chat(["The answer is ", "18"]), ("The answer is 18", "stop", "")),
        "one part": (chat({"type": "text", "text": "18"}), ("18", "stop", "")),
        "thoughts beside": (chat("18", message={"reasoning": "Hm."}), ("18", "stop", "Hm.")),
        "thoughts in details": (
            chat(
                "18",
                message={
                    "reasoning_details": [
                        {"type": "reasoning.summary", "summary": "Hm."},
                        {"type": "reasoning.encrypted", "data": "c2VjcmV0"},
                        {"type": "reasoning.text", "text": "So."},
                    ]
                },
            ),
            ("18", "stop", "Hm.\n\nSo."),
        ),
        "an error that is none": (chat("18", error=None), ("18", "stop", "")),
    },
    "responses": {
        "cut off": (
            responses(None, "incomplete", incomplete_details={"reason": "max_output_tokens"}),
            ("", "length", ""),
        ),
        "filtered": (
            responses(None, "incomplete", incomplete_details={"reason": "content_filter"}),
            ("", "content_filter", ""),
        ),
        "thoughts": (
            responses(output=[reasoned("Hm.", "So."), *responses("18")["output"]]),
            ("18", "stop", "Hm.\n\nSo."),
        ),
        "refused": (
            responses(
                output=[
                    {
                        **responses()["output"][0],
                        "content": [{"type": "refusal", "refusal": "I cannot."}],
                    }
                ]
            ),
            ("I cannot.", "refusal", ""),
        ),
    },
    "messages": {
        "cut off": (messages([], "max_tokens"), ("", "length", "")),
        "the context is full": (
            messages([], "model_context_window_exceeded"),
            ("", "length", ""),
        ),
        "a stop sequence at once": (messages([], "stop_sequence"), ("", "stop", "")),
        "refused": (
            messages([], "refusal", stop_details={"explanation": "No."}),
            ("No.", "refusal", ""),
        ),
        "refused without words": (messages([], "refusal"), ("", "refusal", "")),
        "thoughts": (
            messages(
                [
                    {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                    {"type": "redacted_thinking", "data": "c2VjcmV0"},
                    {"type": "text", "text": "18", "citations": None},
                ]
            ),
            ("18", "stop", "Hm."),
        ),
        "a text": (messages() | {"content": "18"}, ("18", "stop", "")),
        "filtered by Bedrock": (
            messages([], "guardrail_intervened"),
            ("", "content_filter", ""),
        ),
        "filtered": (messages("The", "content_filtered"), ("The", "content_filter", "")),
    },
    "gemini": {
        "cut off": (gemini([], "MAX_TOKENS"), ("", "length", "")),
        "filtered": (gemini([], "SAFETY"), ("", "content_filter", "")),
        "blocked": (
            {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": GEMINI_USAGE},
            ("", "content_filter", ""),
        ),
        "thoughts": (
            gemini([{"text": "Hm.", "thought": True}, {"text": "18"}]),
            ("18", "stop", "Hm."),
        ),
    },
}

# Errors that a body of status 200 states: (body, the status it states, whether it may pass).
STATED: Final[Mapping[str, Mapping[str, tuple[Any, int | None, bool]]]] = {
    "chat": {
        "openrouter, no credit": (
            {"error": {"code": 402, "message": "Insufficient credits"}},
            402,
            False,
        ),
        "openrouter, moderated": ({"error": {"code": 403, "message": "flagged"}}, 403, False),
        "openrouter, upstream": ({"error": {"code": 502, "message": "bad"}}, 502, True),
        "a key": ({"error": {"type": "authentication_error", "message": "no"}}, 401, False),
        "too long": ({"error": {"code": "context_length_exceeded", "message": "no"}}, 400, False),
        "a quota": ({"error": {"code": "insufficient_quota", "message": "no"}}, 429, False),
        "too fast": ({"error": {"type": "rate_limit_error", "message": "slow"}}, 429, True),
        "a status in a text": ({"error": {"code": "404", "message": "no model"}}, 404, False),
        "vLLM": ({"object": "error", "message": "too long", "code": 400}, 400, False),
        "MiniMax": (
            {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "no balance"}},
            None,
            False,
        ),
        "none": ({"error": {"message": "upstream failed"}}, None, True),
    },
    "responses": {
        "an image": (
            responses(None, "failed", error={"code": "invalid_image_url", "message": "no"}),
            400,
            False,
        ),
        "a prompt": (
            responses(None, "failed", error={"code": "invalid_prompt", "message": "no"}),
            400,
            False,
        ),
        "too fast": (
            responses(None, "failed", error={"code": "rate_limit_exceeded", "message": "slow"}),
            429,
            True,
        ),
        "a key": ({"error": {"type": "authentication_error", "message": "no"}}, 401, False),
    },
    "messages": {
        "a key": (
            {"type": "error", "error": {"type": "authentication_error", "message": "no"}},
            401,
            False,
        ),
        "no money": (
            {"type": "error", "error": {"type": "billing_error", "message": "no"}},
            402,
            False,
        ),
        "overloaded": (
            {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
            529,
            True,
        ),
    },
    "gemini": {
        "a key": (
            {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no"}},
            403,
            False,
        ),
        "an argument": ({"error": {"status": "INVALID_ARGUMENT", "message": "no"}}, 400, False),
        "busy": ({"error": {"status": "UNAVAILABLE", "message": "busy"}}, 503, True),
    },
}
