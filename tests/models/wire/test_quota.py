"""Errors about spent quotas, as providers and gateways word them."""

from __future__ import annotations

from typing import Any

import pytest

from ember_bench.models.wire.quota import is_spent

GOOGLE = "type.googleapis.com/google.rpc"

SPENT: dict[str, Any] = {
    "openai code": {"error": {"message": "q", "type": "x", "code": "insufficient_quota"}},
    "openai type": {"error": {"message": "q", "type": "insufficient_quota", "code": None}},
    "openai message": {
        "error": {
            "message": "You exceeded your current quota, please check your plan and billing details"
        }
    },
    "openai billing": {"error": {"code": "billing_hard_limit_reached", "message": "Hard limit"}},
    "azure": {"error": {"code": "insufficient_quota", "message": "Quota. Retry after 60 seconds"}},
    "moonshot": {
        "error": {
            "message": "Your account is suspended due to insufficient balance",
            "type": "exceeded_current_quota_error",
        }
    },
    "moonshot message": {"error": {"message": "account suspended, please check your balance"}},
    "qwen's free tier": {
        "error": {"code": "AllocationQuota.FreeTierOnly", "message": "The free tier is used."}
    },
    "flat": {"code": "insufficient_quota", "message": "quota exhausted"},
    "flat message": {"message": "quota exhausted"},
    "anthropic credit": {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "Your credit balance is too low to access the Anthropic API.",
        },
    },
    "anthropic limit": {
        "error": {
            "type": "rate_limit_error",
            "message": "limit",
            "details": {"error_code": "enforced_spend_limit_reached"},
        }
    },
    "anthropic usage": {"error": {"message": "You have reached your specified API usage limits."}},
    "gemini day": {
        "error": {
            "code": 429,
            "message": "Quota exceeded",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {
                    "@type": f"{GOOGLE}.QuotaFailure",
                    "violations": [
                        {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}
                    ],
                },
                {"@type": f"{GOOGLE}.RetryInfo", "retryDelay": "33s"},
            ],
        }
    },
    "gemini day in its reason": {
        "error": {
            "code": 429,
            "message": "Quota exceeded, limit requests per day per user",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {
                    "@type": f"{GOOGLE}.ErrorInfo",
                    "reason": "RATE_LIMIT_EXCEEDED",
                    "metadata": {"quota_limit": "Gemini25ProRequestsPerDay"},
                }
            ],
        }
    },
    "gemini no quota": [
        {"error": {"status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded, limit: 0, model: x"}}
    ],
    "gemini prepaid": {
        "error": {
            "status": "RESOURCE_EXHAUSTED",
            "message": "Your prepayment credits are depleted.",
        }
    },
    "deepseek": {"error": {"message": "Insufficient Balance", "type": "unknown_error"}},
    "openrouter": {"error": {"code": 402, "message": "Insufficient credits. Add more."}},
    "openrouter day": {"error": {"message": "Rate limit exceeded: free-models-per-day."}},
    "openrouter wraps": {
        "error": {
            "message": "Provider returned error",
            "metadata": {"raw": '{"error":{"code":"insufficient_quota"}}'},
        }
    },
    "xai": {
        "error": "Your team has either used all available credits or reached its monthly "
        "spending limit."
    },
    "zhipu": {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}},
    "dashscope": {"code": "Arrearage", "message": "Access denied, account is in arrears."},
    "one-api": {"error": {"type": "new_api_error", "code": "insufficient_user_quota"}},
    "litellm": {"error": {"message": "Budget has been exceeded!", "type": "budget_exceeded"}},
    "bedrock": {"message": "Too many tokens per day, please wait before trying again."},
    "groq": {"error": {"message": "Limit on tokens per day (TPD). Please try again in 1h15m."}},
    "plain text": "You have run out of credits",
}
PASSES: dict[str, Any] = {
    "openai": {
        "error": {
            "message": "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used "
            "29000. Please try again in 1.5s. Visit https://platform.openai.com/account/rate-limits",
            "type": "tokens",
            "code": "rate_limit_exceeded",
        }
    },
    "openai day that rolls on": {
        "error": {
            "message": "Rate limit reached on requests per day (RPD). Please try again in 7m12s.",
            "code": "rate_limit_exceeded",
        }
    },
    "azure": {
        "error": {
            "code": "429",
            "message": "Requests have exceeded the token rate limit of your current AIServices S0 "
            "pricing tier. Please retry after 30 seconds.",
        }
    },
    "anthropic": {
        "error": {
            "type": "rate_limit_error",
            "message": "This request would exceed your organization's rate limit of 50,000 input "
            "tokens per minute.",
        }
    },
    "anthropic overloaded": {"error": {"type": "overloaded_error", "message": "Overloaded"}},
    "gemini minute": {
        "error": {
            "code": 429,
            "message": "You exceeded your current quota, please check your plan and billing "
            "details. Please retry in 33s.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {
                    "@type": f"{GOOGLE}.QuotaFailure",
                    "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}],
                }
            ],
        }
    },
    "gemini vertex": {
        "error": {
            "code": 429,
            "message": "Resource has been exhausted (e.g. check quota).",
            "status": "RESOURCE_EXHAUSTED",
        }
    },
    "moonshot": {
        "error": {
            "message": "The engine is currently overloaded, please try again later",
            "type": "engine_overloaded_error",
        }
    },
    "mistral": {"message": "Requests rate limit exceeded", "type": "rate_limited"},
    "mistral capacity": {"message": "Service tier capacity exceeded for this model."},
    "openrouter": {"error": {"code": 429, "message": "temporarily rate-limited upstream"}},
    "cerebras": {
        "message": "Tokens per minute limit exceeded - too many tokens processed.",
        "code": "token_quota_exceeded",
    },
    "bedrock": {"message": "Too many requests, please wait before trying again."},
    "deepseek": {"error": {"message": "Rate limit reached"}},
    "nothing": "",
    "html": "<html><body>429 Too Many Requests</body></html>",
}


@pytest.mark.parametrize("body", SPENT.values(), ids=SPENT)
def test_a_spent_quota_is_told(body: Any) -> None:
    assert is_spent(body)


@pytest.mark.parametrize("body", PASSES.values(), ids=PASSES)
def test_a_limit_that_passes_is_not_taken_for_one(body: Any) -> None:
    assert not is_spent(body)
