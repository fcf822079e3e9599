from __future__ import annotations

from tests.experiment.conftest import workspace

__all__ = ["workspace"]
