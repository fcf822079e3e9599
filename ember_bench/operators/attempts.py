"""An operator that may fail: it is run again, or another one in its place."""

from __future__ import annotations

from typing import Any

from ember_bench.errors import OfflineError, OutputError, ProviderError, SignatureError
from ember_bench.operators.base import Inputs, Operator, operator


@operator
class Attempts(Operator):
    """Runs an operator, again if it fails, and at last another one in its place.

    It fails if a model does not answer, or if an answer does not fit its signature. What a service
    tries again by itself (`RetryPolicy`) is tried before. A further run makes new calls; those of
    the runs that failed count as well. Errors of a configuration, a budget or a program are raised
    at once, and so is a call that `--offline` forbids.

    Inputs and outputs: those of the operators.

    Args:
        operator: The operator that is run.
        retries: Number of further runs.
        fallback: Runs after the last one, if it failed, too; without it the error is raised.
    """

    def __init__(
        self, *, operator: Operator, retries: int = 0, fallback: Operator | None = None
    ) -> None:
        if retries < 0:
            raise ValueError(f"retries must be at least 0, found {retries}")
        if not retries and fallback is None:
            raise ValueError("Attempts needs `retries` or a `fallback`")
        super().__init__()
        self.operator = operator
        self.retries = retries
        self.fallback = fallback

    def forward(self, inputs: Inputs) -> Any:
        """Run the operator, and what follows while it fails."""
        for left in range(self.retries, -1, -1):
            try:
                return self.operator(inputs)
            except OfflineError:
                raise
            except (ProviderError, SignatureError, OutputError):
                if not left and self.fallback is None:
                    raise
        assert self.fallback is not None  # noqa: S101 - else it has raised
        return self.fallback(inputs)
