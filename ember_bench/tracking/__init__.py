"""The record for people: an experiment's runs in MLflow. Importing this does not import mlflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ember_bench._lazy import lazy

if TYPE_CHECKING:
    from ember_bench.tracking.contents import digest_of
    from ember_bench.tracking.curves import Curves, unfinished
    from ember_bench.tracking.messages import Logged, TrackingError
    from ember_bench.tracking.tracker import Tracker, TrialBatch, is_logged

__all__ = [
    "Curves",
    "Logged",
    "Tracker",
    "TrackingError",
    "TrialBatch",
    "digest_of",
    "is_logged",
    "unfinished",
]

__getattr__ = lazy(
    __name__,
    {
        "Curves": "curves",
        "Logged": "messages",
        "Tracker": "tracker",
        "TrackingError": "messages",
        "TrialBatch": "tracker",
        "digest_of": "contents",
        "is_logged": "tracker",
        "unfinished": "curves",
    },
)
