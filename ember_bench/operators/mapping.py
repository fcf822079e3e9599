"""Concurrency: functions, or one operator on many inputs, run at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, TypeVar, get_args, overload

from pydantic import BaseModel

from ember_bench import bridge
from ember_bench.errors import SignatureError
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.strand import Strand
from ember_bench.operators.base import Inputs, Operator, OperatorKind
from ember_bench.operators.base import operator as register
from ember_bench.operators.fields import is_open, joined, names, outputs_of
from ember_bench.operators.tree import check_operator

T = TypeVar("T")
OnError = Literal["raise", "return"]


@overload
def parallel(
    calls: Sequence[Callable[[], T]],
    *,
    limit: int | None = None,
    on_error: Literal["raise"] = "raise",
    progress: bool = False,
) -> list[T]: ...
@overload
def parallel(
    calls: Sequence[Callable[[], T]],
    *,
    limit: int | None = None,
    on_error: OnError,
    progress: bool = False,
) -> list[T | Exception]: ...
def parallel(
    calls: Sequence[Callable[[], T]],
    *,
    limit: int | None = None,
    on_error: OnError = "raise",
    progress: bool = False,
) -> list[T] | list[T | Exception]:
    """Run plain functions at the same time and return their results in order.

    If one fails, the others are cancelled at their next wait, and its exception is raised.

    Args:
        calls: The functions, which are started in this order.
        limit: Maximum number of functions under way at once; by default unlimited.
        on_error: With `return`, all are run to their end, and the exception of one that fails
            stands in the place of its result.
        progress: Show on the error output how many have ended.

    Raises:
        ValueError: if `on_error` is something else.
    """
    interception.settle("parallel() was called")
    if callable(calls):
        raise TypeError("parallel takes a list of functions, found a function")
    for place, call in enumerate(calls := list(calls)):
        if not callable(call):
            raise TypeError(
                f"calls[{place}]: expected a function, such as partial(lm, prompt), found "
                f"{type(call).__name__}"
            )
    if _check_on_error(on_error) == "return":
        return parallel([partial(_kept, call) for call in calls], limit=limit, progress=progress)
    if not bridge.is_bridged():
        return bridge.wait(bridge.run(partial(parallel, limit=limit, progress=progress), calls))
    if not calls:
        return []
    if progress:
        with _shown(calls) as counted:
            return parallel(counted, limit=limit)
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


def _kept(call: Callable[[], T]) -> T | Exception:
    """Return the result of `call`, or its exception."""
    try:
        return call()
    except Exception as error:
        return error


def _check_on_error(on_error: str) -> str:
    if on_error not in get_args(OnError):
        raise ValueError(f"on_error: expected 'raise' or 'return', found {on_error!r}")
    return on_error


@contextmanager
def _shown(calls: Sequence[Callable[[], T]]) -> Iterator[list[Callable[[], T]]]:
    """Yield calls that move a progress bar on the error output."""
    from rich.console import Console  # noqa: PLC0415 - heavy
    from rich.progress import (  # noqa: PLC0415 - heavy
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TimeRemainingColumn,
    )

    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=len(calls))

        def counted(call: Callable[[], T]) -> T:
            try:
                return call()
            finally:
                bar.advance(task)

        yield [partial(counted, call) for call in calls]


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
        on_error: With `return`, all entries are run to their end; the exception of one that fails
            stands in the place of its output, and it has no response.
    """

    kind = OperatorKind.FAN_OUT
    gives = ("outputs", "responses")
    # An attribute of instances only where it is given: it is then part of their description.
    on_error: OnError = "raise"

    def __init__(
        self,
        *,
        operator: Operator,
        field: str = "queries",
        entry: str = "query",
        on_error: OnError = "raise",
    ) -> None:
        check_operator(operator, "operator")
        super().__init__()
        self.operator = operator
        self.field = field
        self.entry = entry
        if _check_on_error(on_error) != "raise":
            self.on_error = on_error

    def check_fields(self, given: Inputs) -> Inputs:
        """Check that there is the list, and that the operator has its inputs."""
        self._check_list(given)
        if self.on_error == "raise":
            rest = {n: v for n, v in given.items() if n != self.field}
            inner = joined(given if is_open(given) else rest, names(self.entry))
            outputs_of(self.operator, inner)
        return super().check_fields(given)

    def _check_list(self, inputs: Inputs) -> None:
        if self.field not in inputs:
            raise SignatureError(f"missing input {self.field!r}, the list to map over")

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Run the operator on all entries."""
        self._check_list(inputs)
        entries = inputs[self.field]
        if isinstance(entries, str) or not isinstance(entries, Sequence):
            raise SignatureError(f"{self.field}: expected a list, found {type(entries).__name__}")
        beside = {name: value for name, value in inputs.items() if name != self.field}
        outputs = parallel(
            [partial(self.operator, {**beside, self.entry: entry}) for entry in entries],
            on_error=self.on_error,
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


def vmap(
    function: Callable[[Any], Any],
    *,
    max_concurrency: int | None = None,
    on_error: OnError = "raise",
    progress: bool = False,
) -> Mapped:
    """Return an operator that maps `function` over a batch; outputs keep the order of inputs.

    If one fails, the others are cancelled, and its exception is raised with a note.

    Args:
        function: An operator, or a function of one argument.
        max_concurrency: Maximum number of entries under way at once; by default unlimited.
        on_error: With `return`, all entries are run to their end, and the exception of one that
            fails stands in the place of its output.
        progress: Show on the error output how many have ended.
    """
    if not callable(function):
        raise TypeError(f"vmap takes an operator or a function, not {function!r}")
    return Mapped(function, max_concurrency, on_error, progress=progress)


@register
class Mapped(Operator):
    """An operator of a list; see `vmap`."""

    described_as = "ember_bench.graph.mapped.Mapped"
    on_error: OnError = "raise"  # as in `Map`

    def __init__(
        self,
        function: Callable[[Any], Any],
        max_concurrency: int | None = None,
        on_error: OnError = "raise",
        *,
        progress: bool = False,
    ) -> None:
        super().__init__()
        if max_concurrency is not None and max_concurrency < 1:
            raise ValueError(f"max_concurrency must be at least 1, found {max_concurrency}")
        self.function = function
        self.max_concurrency = max_concurrency
        self.progress = progress
        if _check_on_error(on_error) != "raise":
            self.on_error = on_error

    def describe(self) -> dict[str, Any]:
        """Return the description, without what is shown meanwhile."""
        described = super().describe()
        del described["attributes"]["progress"]
        return described

    def __call__(self, batch: Iterable[Any], /) -> list[Any]:  # type: ignore[override]
        """Map over `batch`."""
        if isinstance(batch, str | Mapping | BaseModel):
            raise TypeError(f"vmap takes a list of inputs, found {type(batch).__name__}")
        calls = [partial(self._entry, index, entry) for index, entry in enumerate(batch)]
        return parallel(
            calls, limit=self.max_concurrency, on_error=self.on_error, progress=self.progress
        )

    async def acall(self, batch: Iterable[Any], /) -> list[Any]:  # type: ignore[override]
        """Map over `batch`, as a coroutine."""
        return await bridge.run(self, batch)

    def _entry(self, index: int, entry: Any) -> Any:
        try:
            return self.function(entry)
        except Exception as error:
            error.add_note(f"in entry {index} of the batch")
            raise
