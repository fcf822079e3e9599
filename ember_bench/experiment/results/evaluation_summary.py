"""What judging the outputs of a cell took, as data."""

from __future__ import annotations

import msgspec

from ember_bench.experiment.results.quantity import Quantity


class EvaluationSummary(msgspec.Struct, frozen=True):
    """What judging a cell's outputs took; no part of its own cost, latency or calls.

    Attributes:
        models: Ids of the models that judge.
        calls: Calls of the judges, those whose answers could not be used included.
        calls_made: Those of them for which a request was made by this cell.
        calls_shared: Those that another cell with the same output, or an earlier run, had made.
        cost_per_item: US dollars of judging a trial when all calls are made; None if a price is
            unknown.
        latency_seconds: Mean critical path over the calls of a trial's judges.
        input_tokens: Tokens sent in `calls`.
        output_tokens: Tokens received in `calls`.
        spend_usd: Cost of `calls_made`; None if the price of one of them is unknown.
        verdicts: Number of the judges' answers by what they were.
    """

    models: list[str]
    calls: int
    calls_made: int
    calls_shared: int
    cost_per_item: Quantity | None
    latency_seconds: Quantity | None
    input_tokens: int
    output_tokens: int
    spend_usd: float | None
    verdicts: dict[str, int] = {}
