"""The workspace of tests of experiments."""

from tests.experiment.conftest import workspace

__all__ = ["workspace"]
