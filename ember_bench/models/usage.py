"""Totals of tokens, cost and time, by model and by provider."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from ember_bench.models.types import Usage


@dataclass(slots=True)
class UsageTotals:
    """Sums over calls.

    Attributes:
        calls: How many answers were used.
        stored_calls: How many of them needed no new request.
        input_tokens: Tokens sent, as far as they were reported.
        output_tokens: Tokens received, as far as they were reported.
        cost_usd: What all the calls cost when made, as far as prices are known.
        spend_usd: What the new requests among them cost.
        unpriced_calls: Calls whose price is unknown, missing from both sums.
        latency_seconds: The models' time, added up as far as it is known.
        uncounted_calls: Calls whose tokens, or one half of them, the server did not report.
    """

    calls: int = 0
    stored_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    spend_usd: float = 0.0
    unpriced_calls: int = 0
    latency_seconds: float = 0.0
    uncounted_calls: int = 0

    def add(
        self,
        usage: Usage,
        cost: float | None,
        latency: float | None,
        *,
        stored: bool,
        free: bool = False,
    ) -> None:
        """Count one call; a `free` one is paid by nobody now, whatever it once cost."""
        self.calls += 1
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        self.uncounted_calls += usage.total_tokens is None
        self.latency_seconds += latency or 0.0
        if stored:
            self.stored_calls += 1
        if cost is None:
            self.unpriced_calls += 1
        else:
            self.cost_usd += cost
            if not stored and not free:
                self.spend_usd += cost


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """Totals over all calls, and the same by model id and by provider name."""

    total: UsageTotals
    by_model: dict[str, UsageTotals]
    by_provider: dict[str, UsageTotals]


@dataclass
class UsageService:
    """Counts every call of the services that share it; safe to use from several threads."""

    _by_model: dict[tuple[str, str], UsageTotals] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def add(
        self,
        provider: str,
        model_id: str,
        usage: Usage,
        cost: float | None,
        latency: float | None,
        *,
        stored: bool,
        free: bool = False,
    ) -> None:
        """Count one call; a `free` one is paid by nobody now, whatever it once cost."""
        with self._lock:
            totals = self._by_model.get((provider, model_id))
            if totals is None:
                totals = self._by_model[(provider, model_id)] = UsageTotals()
            totals.add(usage, cost, latency, stored=stored, free=free)

    def summary(self) -> UsageSummary:
        """Return the totals so far."""
        total, by_provider = UsageTotals(), dict[str, UsageTotals]()
        with self._lock:
            by_model = {key: replace(totals) for key, totals in self._by_model.items()}
        for (provider, _), totals in by_model.items():
            _merge(total, totals)
            _merge(by_provider.setdefault(provider, UsageTotals()), totals)
        return UsageSummary(total, {m: t for (_, m), t in by_model.items()}, by_provider)


def _merge(into: UsageTotals, other: UsageTotals) -> None:
    for name in UsageTotals.__slots__:
        setattr(into, name, getattr(into, name) + getattr(other, name))
