"""Who hears how a run goes on."""

from __future__ import annotations

from collections.abc import Sequence

from ember_bench.experiment.runner import Progress
from ember_bench.models.limits import RateLimitWait
from ember_bench.running.scores import Scores


class Listener:
    """Receives the events of a run and ignores them."""

    def started(self, progress: Progress) -> None:
        """The stores are open, and the trials begin."""

    def scoring(self, scores: Scores) -> None:
        """Before `started`: the scores, which change as trials are done."""

    def progressed(self, progress: Progress) -> None:
        """Some trials were done."""

    def stopping(self) -> None:
        """No further request is sent; those in flight are finished."""

    def waiting(self, waits: Sequence[RateLimitWait]) -> None:
        """Models are waited for because of their rate limits; none any more if `waits` is empty."""

    def finished(self) -> None:
        """No trial is under way any more."""

    def logging(self) -> None:
        """The results go to MLflow."""
