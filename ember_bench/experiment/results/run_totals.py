"""The requests of runs and their cost, in a trial store."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from ember_bench.models.store.payments import Paid


@dataclass(frozen=True, slots=True)
class RunTotals:
    """The requests of one run, or of all runs, of an experiment, and their cost.

    Attributes:
        known_usd: Their cost, as far as it is known.
        calls_made: Requests that were answered.
        calls_shared: Calls that needed no request of their own.
        unpriced: Requests that were answered, and whose cost is unknown.
        unanswered: Requests without an answer, which may have been charged.
        unanswered_usd: The most that these can have cost; None if nothing limits it.
    """

    known_usd: float
    calls_made: int
    calls_shared: int
    unpriced: int = 0
    unanswered: int = 0
    unanswered_usd: float | None = 0.0

    @property
    def spend_usd(self) -> float | None:
        """Money paid; None if the cost of a request is unknown."""
        return None if self.unpriced else self.known_usd


def keep_paid(base: sqlite3.Connection, run: int, paid: Paid) -> None:
    """Keep the payments of a run; they stay if the response store is deleted."""
    base.execute(
        "UPDATE runs SET spend_usd = max(spend_usd, ?), calls_made = max(calls_made, ?)"
        " WHERE id = ?",
        (paid.spend_usd, paid.requests, run),
    )
    if not (paid.unpriced or paid.unanswered):
        return
    # Stores that were made before this table do without it until there is something to keep.
    base.execute(
        "CREATE TABLE IF NOT EXISTS doubts (id INTEGER PRIMARY KEY, unpriced INTEGER NOT NULL,"
        " unanswered INTEGER NOT NULL, unanswered_usd REAL)"
    )
    base.execute(
        "INSERT OR REPLACE INTO doubts VALUES (?, ?, ?, ?)",
        (run, paid.unpriced, paid.unanswered, paid.unanswered_usd),
    )


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run of an experiment.

    Attributes:
        spend_usd: What it paid, as far as it is known.
        budget_usd: The most that it may spend; None without a cap.
    """

    spend_usd: float
    budget_usd: float | None
