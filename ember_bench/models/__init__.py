"""Models: cards, calls, answers, prices."""

from ember_bench.models.budget import Budget
from ember_bench.models.call import Request
from ember_bench.models.cost import CostChange, LongPromptCost, ModelCost
from ember_bench.models.environment_keys import settings
from ember_bench.models.info import ModelInfo, ProviderInfo, RateLimit
from ember_bench.models.media import File, Image
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.providers.base import Provider, provider
from ember_bench.models.retry import RetryPolicy
from ember_bench.models.service import ModelService
from ember_bench.models.store.memory import MemoryStore
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.models.strand import CallRecord
from ember_bench.models.types import (
    Completion,
    Message,
    Response,
    ResponseFormat,
    SamplingParameters,
    TokenLogprob,
    ToolCall,
    ToolDefinition,
    Usage,
)
from ember_bench.models.usage import UsageService, UsageSummary, UsageTotals

__all__ = [
    "Budget",
    "CallRecord",
    "Completion",
    "CostChange",
    "File",
    "Image",
    "LongPromptCost",
    "MemoryStore",
    "Message",
    "ModelCost",
    "ModelInfo",
    "ModelRegistry",
    "ModelService",
    "Provider",
    "ProviderInfo",
    "RateLimit",
    "Request",
    "Response",
    "ResponseFormat",
    "ResponseStore",
    "RetryPolicy",
    "SamplingParameters",
    "TokenLogprob",
    "ToolCall",
    "ToolDefinition",
    "Usage",
    "UsageService",
    "UsageSummary",
    "UsageTotals",
    "provider",
    "settings",
]
