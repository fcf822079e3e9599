"""The last run of an experiment, as data."""

from __future__ import annotations

from typing import Literal

import msgspec


class RunSummary(msgspec.Struct, frozen=True):
    """The last run of the command; the rest of the summary does not depend on it.

    Attributes:
        status: `complete` if every scheduled trial was done, else `partial`.
        started: ISO 8601, UTC.
        wall_seconds: The run's own time.
        trials_run: Trials done in this run.
        trials_kept: Trials kept from earlier runs.
        calls_made: Requests made.
        calls_shared: Calls answered by the response store or by a request already under way.
        spend_usd: New money paid; None if the cost of a request is unknown.
        changes: Differences from the last run, for which trials were run anew.
        known_usd: New money paid, as far as it is known.
        unpriced: Requests that were answered, and whose cost is unknown.
        unanswered: Requests without an answer, which may have been charged.
        unanswered_usd: The most that these can have cost; None if nothing limits it.
    """

    status: Literal["complete", "partial"]
    started: str
    wall_seconds: float
    trials_run: int
    trials_kept: int
    calls_made: int
    calls_shared: int
    spend_usd: float | None
    changes: list[str]
    known_usd: float = 0.0
    unpriced: int = 0
    unanswered: int = 0
    unanswered_usd: float | None = 0.0

    @classmethod
    def partial(cls, *, started: str = "", kept: int = 0) -> RunSummary:
        """Return the summary of a run that has done nothing yet."""
        return cls("partial", started, 0.0, 0, kept, 0, 0, 0.0, [])
