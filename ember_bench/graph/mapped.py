"""`vmap`: one input in, one output out becomes a list in, a list out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ember_bench import bridge
from ember_bench.graph.task_flow import Flow, Outcome, Run
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.operators.base import Operator


def vmap(function: Callable[[Any], Any], *, max_concurrency: int | None = None) -> Mapped:
    """Return what maps `function` over a batch; the outputs are in the order of the inputs.

    If one fails, the others are cancelled, and its exception is raised with a note.

    Args:
        function: An operator, or a function of one argument.
        max_concurrency: Most entries under way at once; by default all.
    """
    if not callable(function):
        raise TypeError(f"vmap takes an operator or a function, not {function!r}")
    return Mapped(function, max_concurrency)


class Mapped(Operator):
    """An operator of a list; see `vmap`."""

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
                # Which models it asks, and so what may run beside it, is not known.
                recorder.refuse("a function is mapped, and not an operator")
            else:
                return recorder.operator(self, batch, {})  # type: ignore[no-any-return]
        return self._map(list(batch))

    def _map(self, batch: list[Any]) -> list[Any]:
        if not bridge.is_bridged():
            return bridge.wait(bridge.run(self._map, batch))
        outer = strands.current.get()
        branches = outer.fork(range(len(batch))) if outer is not None else None

        def compute(index: int, clock: float) -> Outcome:
            if branches is not None:
                branches[index].clock = clock
            token = strands.current.set(branches[index] if branches is not None else None)
            try:
                output = self.function(batch[index])
            except Exception as error:
                error.add_note(f"in entry {index} of the batch")
                raise
            finally:
                strands.current.reset(token)
            return output, branches[index].clock if branches is not None else 0.0

        clock = outer.clock if outer is not None else 0.0
        run = Run(Flow([()] * len(batch)), compute, clock=clock, limit=self.max_concurrency)
        try:
            outcomes = run.all()
        except BaseException:
            if outer is not None and branches is not None:
                outer.give_up(branches)
            raise
        if outer is not None and branches is not None:
            outer.join(branches)
        return [outcome[0] for outcome in outcomes if outcome is not None]
