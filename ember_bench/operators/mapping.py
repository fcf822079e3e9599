"""Concurrency: functions, or one operator on many entries, run at the same time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from ember_bench import bridge
from ember_bench.errors import SignatureError
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.strand import Strand
from ember_bench.operators.base import Inputs, Operator, OperatorKind
from ember_bench.operators.base import operator as register

T = TypeVar("T")


def parallel(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run plain functions at the same time and return their results in order.

    If one fails, the others are cancelled at their next wait, and its exception is raised.
    """
    interception.refuse("parallel() was called")
    if not bridge.is_bridged():
        return bridge.wait(bridge.run(parallel, calls))
    if not calls:
        return []
    outer = strands.current.get()
    if outer is None:
        return bridge.wait(bridge.gather([bridge.run(call) for call in calls]))
    branches = outer.fork(range(len(calls)))
    placed = zip(branches, calls, strict=True)
    try:
        results = bridge.wait(bridge.gather([bridge.run(_on_strand, b, c) for b, c in placed]))
    except BaseException:
        outer.give_up(branches)
        raise
    outer.join(branches)
    return results


def _on_strand(strand: Strand, call: Callable[[], T]) -> T:
    strands.current.set(strand)  # in the task's own context
    return call()


@register
class Map(Operator):
    """Runs an operator on each entry of a list, all at the same time.

    Inputs: the list, and the other inputs of the operator. Outputs: `outputs`, one per entry, in
    their order; and `responses`, the texts among them: the `responses` of each output, or its
    `final_answer`, or the output itself if it is a text.

    Args:
        operator: The operator for each entry.
        field: The input that is the list.
        entry: The name under which the operator receives an entry.
    """

    kind = OperatorKind.FAN_OUT

    def __init__(self, *, operator: Operator, field: str = "queries", entry: str = "query") -> None:
        super().__init__()
        self.operator = operator
        self.field = field
        self.entry = entry

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Run the operator on all entries."""
        if self.field not in inputs:
            raise SignatureError(f"missing input {self.field!r}, the list to map over")
        entries = inputs[self.field]
        if isinstance(entries, str) or not isinstance(entries, Sequence):
            raise SignatureError(f"{self.field}: expected a list, found {type(entries).__name__}")
        beside = {name: value for name, value in inputs.items() if name != self.field}
        outputs = parallel(
            [partial(self.operator, {**beside, self.entry: entry}) for entry in entries]
        )
        return {"outputs": outputs, "responses": [t for output in outputs for t in _texts(output)]}


def _texts(output: Any) -> list[str]:
    if isinstance(output, str):
        return [output]
    if not isinstance(output, Mapping):
        return []
    if "responses" in output:
        return list(output["responses"])
    if "final_answer" not in output:
        return []
    # A response without an answer still counts as a response.
    return ["" if output["final_answer"] is None else output["final_answer"]]
