"""Limits of an endpoint: rates, requests in flight, pauses, a circuit breaker."""

from ember_bench.models.limits.circuit import Circuit, CircuitOpenError
from ember_bench.models.limits.gate import Gate
from ember_bench.models.limits.pace import Pace
from ember_bench.models.limits.progress import Ticket
from ember_bench.models.limits.refusals import RateLimitWait, Refusals
from ember_bench.models.limits.shared import SharedBucket
from ember_bench.models.limits.window import AdaptiveWindow, WindowChange, WindowHistory

__all__ = [
    "AdaptiveWindow",
    "Circuit",
    "CircuitOpenError",
    "Gate",
    "Pace",
    "RateLimitWait",
    "Refusals",
    "SharedBucket",
    "Ticket",
    "WindowChange",
    "WindowHistory",
]
