"""An operator that may fail: it is run again, or another one in its place."""

from __future__ import annotations

from typing import Any

from ember_bench.errors import (
    OfflineError,
    OutputError,
    ProviderError,
    SignatureError,
    TimeLimitError,
)
from ember_bench.models.time_limit import check_seconds
from ember_bench.operators.base import Inputs, Operator, operator
from ember_bench.operators.fields import outputs_of_any
from ember_bench.operators.tree import check_operator


@operator
class Attempts(Operator):
    """Runs an operator, again if it fails, and at last another one in its place.

    It fails if a model does not answer, if an answer does not fit its signature, or if it takes
    longer than `timeout`. What a service
    tries again by itself (`RetryPolicy`) is tried before. A further run makes new calls; those of
    the runs that failed count as well. Errors of a configuration, a budget or a program are raised
    at once, and so is a call that `--offline` forbids.

    Inputs and outputs: those of the operators.

    Args:
        operator: The operator that is run.
        retries: Number of further runs.
        fallback: Runs after the last one, if it failed, too; without it the error is raised.
        timeout: Most seconds of each run of `operator`. Whether a run is in time depends on more
            than the calls, so a trial may have another result when it is run again.
    """

    # An attribute of instances only where it is given: it is then part of their description.
    timeout: float | None = None

    def __init__(
        self,
        *,
        operator: Operator,
        retries: int = 0,
        fallback: Operator | None = None,
        timeout: float | None = None,
    ) -> None:
        if retries < 0:
            raise ValueError(f"retries must be at least 0, found {retries}")
        if not retries and fallback is None and timeout is None:
            raise ValueError("Attempts needs `retries`, a `fallback` or a `timeout`")
        check_operator(operator, "operator")
        if fallback is not None:
            check_operator(fallback, "fallback")
        super().__init__()
        self.operator = operator
        self.retries = retries
        self.fallback = fallback
        if timeout is not None:
            check_seconds(timeout)
            self.timeout = timeout

    def check_fields(self, given: Inputs) -> Inputs:
        """Check that the operator, or the one in its place, has its inputs."""
        ways = [self.operator] if self.fallback is None else [self.operator, self.fallback]
        return outputs_of_any(ways, given)

    def forward(self, inputs: Inputs) -> Any:
        """Run the operator, and what follows while it fails."""
        for left in range(self.retries, -1, -1):
            try:
                if self.timeout is None:
                    return self.operator(inputs)
                return self.operator(inputs, timeout=self.timeout)
            except OfflineError:
                raise
            except (ProviderError, SignatureError, OutputError, TimeLimitError):
                if not left and self.fallback is None:
                    raise
        assert self.fallback is not None  # noqa: S101 - else it has raised
        return self.fallback(inputs)
