"""Errors which say that a content filter blocked a prompt or an answer, as servers send them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final


def error(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


FLAGGED: Final = (
    "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try "
    "again with a different prompt"
)
INVALID: Final = {"type": "invalid_request_error", "param": None}

# What each says: (HTTP status, body).
BLOCKED: Final[Mapping[str, tuple[int, Any]]] = {
    "azure": (
        400,
        error(
            "The response was filtered due to the prompt triggering Azure OpenAI's content "
            "management policy.",
            type=None,
            param="prompt",
            code="content_filter",
            status=400,
            innererror={
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
            },
        ),
    ),
    "azure in two words": (400, error("The response was filtered", code="content_filter")),
    "openai": (400, error(FLAGGED, **INVALID, code="invalid_prompt")),
    "openai's moderation": (400, error("Rejected.", **INVALID, code="moderation_blocked")),
    "anthropic": (
        400,
        {
            "type": "error",
            **error("Output blocked by content filtering policy", type="invalid_request_error"),
        },
    ),
    "openrouter": (
        403,
        error(
            'm requires moderation on OpenRouter. Your input was flagged for "violence".',
            code=403,
            metadata={"reasons": ["violence"], "flagged_input": "...", "provider_name": "OpenAI"},
        ),
    ),
    "openrouter's type": (
        400,
        error("Refused", code=400, metadata={"error_type": "content_policy_violation"}),
    ),
    "xai": (
        403,
        {
            "code": "The caller does not have permission to execute the specified operation",
            "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO",
        },
    ),
    "deepseek": (400, error("Content Exists Risk", **INVALID, code="invalid_request_error")),
    "moonshot": (
        400,
        error(
            "The request was rejected because it was considered high risk", type="content_filter"
        ),
    ),
    "qwen": (
        400,
        error(
            "Input data may contain inappropriate content.",
            code="data_inspection_failed",
            type="data_inspection_failed",
        ),
    ),
    "zhipu": (
        400,
        error("系统检测到输入或生成内容可能包含不安全或敏感内容", code="1301"),
    ),
    "bedrock": (400, {"message": "Your request has been blocked by our content filters."}),
    "a gateway's text": (400, "upstream: Output blocked by content filtering policy"),
    "google": (
        400,
        error(
            "Blocked",
            code=400,
            status="INVALID_ARGUMENT",
            details=[{"reason": "PROHIBITED_CONTENT"}],
        ),
    ),
}

# What only looks like it.
OTHERS: Final[Mapping[str, tuple[int, Any]]] = {
    "an unknown field": (
        400,
        error("Unknown parameter: 'content_filter'", code="unknown_parameter"),
    ),
    "a field's place": (422, {"detail": [{"loc": ["body", "content_filter"], "type": "missing"}]}),
    "the prompt's form": (400, error("input[3]: 'pending_safety_checks'", code="invalid_prompt")),
    "a filter that is down": (500, error("Internal", code="content_filter")),
    "too fast": (429, error("Your input was flagged for review", code="rate_limit_exceeded")),
    "a key": (401, error("prompt was flagged as violating", code="invalid_api_key")),
    "moderated, but not the input": (403, error("flagged", code=403)),
    "nothing": (400, None),
    "very deep": (400, {"a": {"a": {"a": {"a": {"a": {"a": {"code": "content_filter"}}}}}}}),
}
