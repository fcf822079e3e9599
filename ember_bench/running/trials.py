"""Trials and accounts of calls for programs that are no experiment."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ember_bench.errors import EmberBenchError
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.strand import CallLog, CallRecord, Strand, TrialContext
from ember_bench.models.tasks import along
from ember_bench.models.usage import UsageTotals

if TYPE_CHECKING:
    import pandas as pd
    from rich.tree import Tree

    from ember_bench.models.types import Subject

By = Literal["model", "node", "call"]


@contextmanager
def trial(*, epoch: int = 0, subject: Subject | None = None) -> Iterator[None]:
    """Make the calls within as one trial of an experiment makes them.

    Equal calls are counted from the beginning of the trial, and by their place in the program, not
    by their time. So with a response store the same code, run again, asks nothing again; and
    programs that begin alike share the calls that they begin with.

    Args:
        epoch: Index of the repetition; every epoch has calls of its own.
        subject: The item that is answered, for simulated and recorded models.

    Raises:
        EmberBenchError: in a trial, as its calls would stand in the account of another.
    """
    interception.settle("a trial was begun")
    outer = strands.current.get()
    if outer is not None and not outer.trial.outside:
        raise EmberBenchError(
            "trial(): a trial is going on already; an experiment runs each item in one"
        )
    clock = outer.clock if outer is not None else 0.0
    strand = Strand(TrialContext(subject, epoch), clock=clock)
    with _on(strand), along(strand):
        yield
    if outer is not None:
        outer.clock = max(outer.clock, strand.clock)


@contextmanager
def usage() -> Iterator[CallUsage]:
    """Account for the calls made within, in a trial or outside.

    Also calls that a store answers are counted; `spend_usd` is what was paid anew. Calls in threads
    that have no copy of the context, and requests that a time limit has given up, are not counted.
    """
    interception.settle("usage() was entered")
    outer = strands.current.get()
    strand = outer if outer is not None else Strand(TrialContext(outside=True))
    used, began = CallUsage(), strand.clock
    token = strands.measuring.set((*strands.measuring.get(), used.log))
    try:
        if strand is outer:
            yield used
        else:
            with _on(strand), along(strand):
                yield used
    finally:
        strands.measuring.reset(token)
        used.clock_seconds = strand.clock - began


@contextmanager
def _on(strand: Strand) -> Iterator[None]:
    token = strands.current.set(strand)
    try:
        yield
    finally:
        strands.current.reset(token)


@dataclass
class CallUsage:
    """The calls that were made in a `with usage()`, and what they took; prints as a tree of nodes.

    Attributes:
        log: The calls so far, in order of completion, and requests without a usable answer.
        clock_seconds: Time of the critical path as far as latencies are known, once it has ended.
    """

    log: CallLog = field(default_factory=CallLog, repr=False)
    clock_seconds: float = 0.0

    @property
    def calls(self) -> Sequence[CallRecord]:
        """The calls, in order of completion."""
        return self.log.calls

    @property
    def total(self) -> UsageTotals:
        """The sums over all calls."""
        return _totals(self.log.calls)

    @property
    def by_model(self) -> dict[str, UsageTotals]:
        """The sums for each model id."""
        return {model: _totals(calls) for model, calls in self._groups("model").items()}

    @property
    def by_node(self) -> dict[str, UsageTotals]:
        """The sums for each graph node, by its path (`outer/inner`); "" for calls of none."""
        return {node: _totals(calls) for node, calls in self._groups("node").items()}

    @property
    def latency_seconds(self) -> float | None:
        """Time of the models on the critical path, in seconds; None if a latency is unknown.

        Of calls that were made at the same time, the longest counts.
        """
        known = all(call.latency_seconds is not None for call in self.log.calls)
        return self.clock_seconds if known else None

    def frame(self, by: By = "model") -> pd.DataFrame:
        """Return a row for each model, node or call; amounts that are not known are NaN.

        Costs are in US dollars. `latency_seconds` of models and nodes is the sum over their calls.

        Raises:
            ValueError: if `by` is something else.
        """
        import pandas as pd  # noqa: PLC0415 - heavy

        if by == "call":
            return pd.DataFrame([_row(call) for call in self.log.calls], columns=_CALL_COLUMNS)
        rows = [{by: name, **_known(calls)} for name, calls in self._groups(by).items()]
        return pd.DataFrame(rows, columns=[by, *_SUMS])

    def __str__(self) -> str:
        from rich.console import Console  # noqa: PLC0415 - heavy

        shown = io.StringIO()
        Console(file=shown, width=1_000, color_system=None, soft_wrap=True).print(self._tree())
        return "\n".join(line.rstrip() for line in shown.getvalue().splitlines())

    def _tree(self) -> Tree:
        from rich.text import Text  # noqa: PLC0415 - heavy
        from rich.tree import Tree  # noqa: PLC0415 - heavy

        from ember_bench.drawing.number_format import (  # noqa: PLC0415 - heavy
            count,
            dollars,
            duration,
        )

        path = self.latency_seconds
        took = "an unknown time" if path is None else duration(path)
        root = Tree(Text(f"{_label('all', self.log.calls)}; {took} on the critical path"))
        if wasted := self.log.wasted_calls:
            cost = "unknown cost" if self.log.wasted_unpriced else dollars(self.log.wasted_usd)
            root.add(Text(f"{count(wasted, 'request')} without a usable answer: {cost}"))
        self._grow(root, "")
        return root

    def _grow(self, tree: Tree, path: str) -> None:
        """Add the nodes right below `path`, and the models that are asked there itself."""
        from rich.text import Text  # noqa: PLC0415 - heavy

        start = f"{path}/" if path else ""
        below = [c.node.removeprefix(start) for c in self.log.calls if c.node.startswith(start)]
        for name in dict.fromkeys(n.partition("/")[0] for n in below if n):
            node = start + name
            calls = [c for c in self.log.calls if f"{c.node}/".startswith(f"{node}/")]
            self._grow(tree.add(Text(_label(name, calls))), node)
        own = [call for call in self.log.calls if call.node == path]
        for model in dict.fromkeys(call.model_id for call in own):
            tree.add(Text(_label(model, [call for call in own if call.model_id == model])))

    def _groups(self, by: Literal["model", "node"]) -> dict[str, list[CallRecord]]:
        """Return the calls of each model or node.

        Raises:
            ValueError: if `by` is neither.
        """
        if by not in ("model", "node"):
            raise ValueError(f"by: expected 'model', 'node' or 'call', found {by!r}")
        groups: dict[str, list[CallRecord]] = {}
        for call in self.log.calls:
            groups.setdefault(call.model_id if by == "model" else call.node, []).append(call)
        return groups


_SUMS = (
    "calls", "stored_calls", "input_tokens", "output_tokens", "cost_usd", "spend_usd",
    "latency_seconds",
)  # fmt: skip
_CALL_COLUMNS = (
    "node", "model", "role", "started", "latency_seconds", "stored", "input_tokens",
    "output_tokens", "cost_usd", "spend_usd",
)  # fmt: skip


def _totals(calls: Sequence[CallRecord]) -> UsageTotals:
    totals = UsageTotals()
    for call in calls:
        free = not call.spend_usd  # stored, replayed, or of a model that costs nothing
        totals.add(call.usage, call.cost_usd, call.latency_seconds, stored=call.stored, free=free)
    return totals


def _known(calls: Sequence[CallRecord]) -> Mapping[str, float]:
    """Return the sums over calls, NaN where a part of one is unknown."""
    totals = _totals(calls)
    known = {name: getattr(totals, name) for name in _SUMS}
    amounts: dict[str, Sequence[float | None]] = {
        "input_tokens": [call.usage.input_tokens for call in calls],
        "output_tokens": [call.usage.output_tokens for call in calls],
        "cost_usd": [call.cost_usd for call in calls],
        "spend_usd": [_spend(call) for call in calls],
        "latency_seconds": [call.latency_seconds for call in calls],
    }
    for name, values in amounts.items():
        if None in values:
            known[name] = math.nan
    return known


def _spend(call: CallRecord) -> float | None:
    """Return the new money paid for a call; None if it is unknown."""
    return None if not call.stored and call.cost_usd is None else call.spend_usd


def _row(call: CallRecord) -> dict[str, object]:
    usage = call.usage
    return {
        "node": call.node,
        "model": call.model_id,
        "role": call.role,
        "started": call.started,
        "latency_seconds": call.latency_seconds,
        "stored": call.stored,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": call.cost_usd,
        "spend_usd": _spend(call),
    }


def _label(name: str, calls: Sequence[CallRecord]) -> str:
    from ember_bench.drawing.number_format import count, dollars  # noqa: PLC0415 - heavy
    from ember_bench.drawing.text import one_line  # noqa: PLC0415 - heavy

    known = _known(calls)
    stored = f" ({known['stored_calls']:,} stored)" if known["stored_calls"] else ""
    sent, received = (
        "unknown" if math.isnan(known[f"{side}_tokens"]) else f"{known[f'{side}_tokens']:,}"
        for side in ("input", "output")
    )
    cost, paid = (
        "unknown" if math.isnan(known[side]) else dollars(known[side])
        for side in ("cost_usd", "spend_usd")
    )
    new = "" if cost == paid else f" (paid now: {paid})"
    made = count(len(calls), "call")
    return f"{one_line(name)}: {made}{stored}, tokens {sent} in, {received} out, cost {cost}{new}"
