"""What an endpoint allows, kept: rates, a window of requests in flight, pauses, a circuit."""

from ember_bench.models.limits.circuit import Circuit, CircuitOpenError
from ember_bench.models.limits.gate import Gate
from ember_bench.models.limits.pace import Pace
from ember_bench.models.limits.shared import SharedBucket
from ember_bench.models.limits.window import AdaptiveWindow, Ticket, WindowChange, WindowHistory

__all__ = [
    "AdaptiveWindow",
    "Circuit",
    "CircuitOpenError",
    "Gate",
    "Pace",
    "SharedBucket",
    "Ticket",
    "WindowChange",
    "WindowHistory",
]
