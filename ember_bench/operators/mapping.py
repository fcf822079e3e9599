"""Concurrency: functions, or one operator on many inputs, run at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
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


def parallel(calls: Sequence[Callable[[], T]], *, limit: int | None = None) -> list[T]:
    """Run plain functions at the same time and return their results in order.

    If one fails, the others are cancelled at their next wait, and its exception is raised.

    Args:
        calls: The functions, which are started in this order.
        limit: Maximum number of functions under way at once; by default unlimited.
    """
    interception.refuse("parallel() was called")
    if not bridge.is_bridged():
        return bridge.wait(bridge.run(partial(parallel, limit=limit), calls))
    if not calls:
        return []
    outer = strands.current.get()
    branches = outer.fork(range(len(calls))) if outer is not None else []
    places: Sequence[Strand | None] = branches or [None] * len(calls)
    placed = zip(places, calls, strict=True)
    if limit is None:
        runs = [bridge.run(_on_strand, strand, call) for strand, call in placed]
    else:
        slots = asyncio.Semaphore(limit)
        runs = [_in_slot(slots, strand, call) for strand, call in placed]
    try:
        results = bridge.wait(bridge.gather(runs))
    except BaseException:
        if outer is not None:
            outer.give_up(branches)
        raise
    if outer is not None:
        outer.join(branches)
    return results


async def _in_slot(slots: asyncio.Semaphore, strand: Strand | None, call: Callable[[], T]) -> T:
    await slots.acquire()
    result = await bridge.run(_on_strand, strand, call)
    # Not after a failure: no further call must start before the others are cancelled.
    slots.release()
    return result


def _on_strand(strand: Strand | None, call: Callable[[], T]) -> T:
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


def vmap(function: Callable[[Any], Any], *, max_concurrency: int | None = None) -> Mapped:
    """Return an operator that maps `function` over a batch; outputs keep the order of inputs.

    If one fails, the others are cancelled, and its exception is raised with a note.

    Args:
        function: An operator, or a function of one argument.
        max_concurrency: Maximum number of entries under way at once; by default unlimited.
    """
    if not callable(function):
        raise TypeError(f"vmap takes an operator or a function, not {function!r}")
    return Mapped(function, max_concurrency)


@register
class Mapped(Operator):
    """An operator of a list; see `vmap`."""

    described_as = "ember_bench.graph.mapped.Mapped"

    def __init__(self, function: Callable[[Any], Any], max_concurrency: int | None = None) -> None:
        super().__init__()
        if max_concurrency is not None and max_concurrency < 1:
            raise ValueError(f"max_concurrency must be at least 1, found {max_concurrency}")
        self.function = function
        self.max_concurrency = max_concurrency

    def __call__(self, batch: Iterable[Any], /) -> list[Any]:  # type: ignore[override]
        """Map over `batch`."""
        if (recorder := interception.current.get()) is not None:
            if not isinstance(self.function, Operator):
                # Its models are unknown, and so are the tasks that may run beside it.
                recorder.refuse("a function is mapped, and not an operator")
            else:
                return recorder.operator(self, batch, {})  # type: ignore[no-any-return]
        calls = [partial(self._entry, index, entry) for index, entry in enumerate(batch)]
        return parallel(calls, limit=self.max_concurrency)

    def _entry(self, index: int, entry: Any) -> Any:
        try:
            return self.function(entry)
        except Exception as error:
            error.add_note(f"in entry {index} of the batch")
            raise
