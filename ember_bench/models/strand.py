"""The place of a call in its trial, which does not depend on timing.

The code of a trial is a tree of strands. A strand is code that runs step by step. Concurrent code
forks a strand into branches, which join again. The *draw* of a call is its index among identical
requests. It is counted along the tree and so depends on the structure of the program alone: each
branch gets the same draws however fast it is. A strand also has the virtual clock of the trial: a
call adds its duration, and a join takes the maximum (the critical path).
"""

from __future__ import annotations

import contextvars
import heapq
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from ember_bench.models.budget import Funds
    from ember_bench.models.types import Subject, Usage

Draw = tuple[int, ...]

FIRST_REPLICA = "0"


class CallRecord(msgspec.Struct, frozen=True, gc=False):
    """The record of one call in its trial.

    Attributes:
        key: The call key, under which the response store has prompt and answer.
        model_id: Who was asked.
        node: The graph node that asked.
        role: What the model was asked to do (`generate`, `verify`, ...).
        usage: Tokens.
        cost_usd: What the call costs when made; None if the price is unknown.
        started: When it began, in seconds of the trial's virtual clock.
        latency_seconds: How long the model took; None if that is not known.
        stored: True if the answer was there already, or came with another trial's request.
        spend_usd: New money paid for it, as far as the price is known.
        uncached_usd: What it would cost if the provider kept no prompts; None if that is unknown.
    """

    key: bytes
    model_id: str
    node: str
    role: str
    usage: Usage
    cost_usd: float | None
    started: float
    latency_seconds: float | None
    stored: bool
    spend_usd: float = 0.0
    uncached_usd: float | None = None


@dataclass(slots=True)
class Purse:
    """The money for one trial's calls.

    Attributes:
        cell: Name of the trial's cell.
        account: Account of the response store that requests are paid on; "" for the service's.
        budget: Caps on spending beside the service's own; None for none.
        exhausted: Whether a call of the trial was turned away, or given up as the run is to stop:
            then it has no result, whatever its operators made of the error.
    """

    cell: str
    account: str = ""
    budget: Funds | None = None
    exhausted: bool = False


@dataclass(slots=True, kw_only=True)
class CallLog:
    """A record of calls.

    Attributes:
        calls: The calls made so far, in order of completion.
        wasted_calls: Requests whose answers could not be used.
        wasted_usd: Their cost, as far as it is known.
        wasted_unpriced: Those of them whose cost is unknown.
    """

    calls: list[CallRecord] = field(default_factory=list)
    wasted_calls: int = 0
    wasted_usd: float = 0.0
    wasted_unpriced: int = 0

    def add_wasted(self, usd: float | None) -> None:
        """Count a request whose answer could not be used; its cost may be unknown."""
        self.wasted_calls += 1
        self.wasted_usd += usd or 0.0
        self.wasted_unpriced += usd is None


@dataclass(slots=True)
class TrialContext(CallLog):
    """The state that the calls of one trial share.

    Attributes:
        subject: The item being answered, for simulated and recorded models.
        epoch: Index of the repetition of the item; part of the identity of each call.
        purse: Where the money for them comes from; None if there is no budget.
        epochs: Number of repetitions of the item in all; recorded models hand their samples out
            to draws and epochs by it.
        evaluation: Whether its calls judge the output of another trial.
        outside: Whether this is no trial: equal calls are then counted by the service that makes
            them (`OutsideDraws`), wherever in a program they are made.
    """

    subject: Subject | None = None
    epoch: int = 0
    purse: Purse | None = None
    epochs: int = 1
    evaluation: bool = False
    outside: bool = False


class Strand:
    """One piece of sequential code in a trial; see the module's docstring.

    Args:
        trial: What the strand is part of.
        node: Name of the graph node it runs, "" outside a graph.
        replicas: Replica of each LM module found in the node, by `id(module)`.
        clock: Virtual time at which it starts, in seconds.
    """

    __slots__ = (
        "_counts",
        "_index",
        "_parent",
        "_skipped",
        "_taken",
        "clock",
        "node",
        "replicas",
        "trial",
    )

    def __init__(
        self,
        trial: TrialContext,
        node: str = "",
        replicas: Mapping[int, str] | None = None,
        clock: float = 0.0,
    ) -> None:
        self.trial = trial
        self.node = node
        self.replicas: Mapping[int, str] = replicas if replicas is not None else {}
        self.clock = clock
        self._parent: Strand | None = None
        self._index = 0
        self._counts: dict[bytes, int] = {}
        self._skipped = 0
        # Outside a trial, the draws of a step that may have to be given back.
        self._taken: list[_Taken] | None = None

    def replica(self, module: object) -> str:
        """Return the replica of an LM module: its index among those of its kind in the graph.

        A module that was not found in the graph (made on the fly) belongs to its node. Outside a
        trial all have one replica: there, a call has no place but the order of asking.
        """
        if self.trial.outside:
            return FIRST_REPLICA
        found = self.replicas.get(id(module))
        if found is not None:
            return found
        return f"{self.node}/made" if self.node else FIRST_REPLICA

    def take_draw(self, request: bytes, outside: OutsideDraws | None = None) -> Draw:
        """Count one more identical `request` and return which one it is.

        The n-th (from 0) along one strand is (n,), and so is the first one in branch n of a fork:
        a loop and a fan-out over the same module share their calls. The second one in a branch
        is (n, 1), and so on inwards. Trailing zeros are dropped: the first of all is ().

        Args:
            request: What is asked, and by which replica.
            outside: Counts it if the strand is outside a trial.
        """
        if outside is not None and self.trial.outside:
            taken = outside.take(request)
            if self._taken is not None:
                self._taken.append((outside, request, taken))
            return taken
        draw = self.take_turn(request)
        end = len(draw)
        while end and draw[end - 1] == 0:
            end -= 1
        return draw[:end]

    def take_turn(self, kind: bytes) -> Draw:
        """Count one more call of a `kind`, and return which one it is along the program.

        As a draw, with its zeros: the last number counts along the strand, those before it are
        branches. So turn (b, n) is the n-th call of its kind in branch b.
        """
        turn = (*self._prefix(kind), self._count(kind))
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return turn

    def spent(self, began: float, seconds: float) -> None:
        """Go on after a call that began at `began` and took `seconds`.

        Outside a trial, tasks that have no strand of their own may ask at the same time.
        """
        if self.trial.outside:
            self.clock = max(self.clock, began + seconds)
        else:
            self.clock += seconds

    def fork(self, indices: Sequence[int]) -> list[Strand]:
        """Return a branch for each of `indices`, to run at the same time.

        Branches with different indices may make the same requests. Two may have the same index
        only if no request is common to both.
        """
        branches = []
        for index in indices:
            branch = Strand(self.trial, self.node, self.replicas, self.clock)
            branch._parent, branch._index = self, index
            branch._taken = self._taken
            branches.append(branch)
        return branches

    def at_node(self, node: str, replicas: Mapping[int, str], clock: float) -> Strand:
        """Return the strand of a graph node that runs as a part of this one.

        It counts draws together with this strand: a graph that is run again makes new calls. So
        nodes that run at the same time must have no request in common, which replicas see to.
        """
        strand = Strand(self.trial, node, replicas, clock)
        strand._parent, strand._index = self._parent, self._index
        strand._counts, strand._skipped = self._counts, self._skipped
        strand._taken = self._taken
        return strand

    def after_nodes(self, strands: Sequence[Strand]) -> None:
        """Go on after a graph, whether it failed or not, whose nodes ran on `strands`."""
        self._skipped = max([self._skipped, *[strand._skipped for strand in strands]])
        for strand in strands:
            self._keep(strand)

    def join(self, branches: Sequence[Strand]) -> None:
        """Go on after all `branches` are done: at the time of the last, and with their counts."""
        self.clock = max([self.clock, *(branch.clock for branch in branches)])
        width = _width(branches)
        if any(branch._skipped for branch in branches):
            self._skipped += width
        for request in {r for branch in branches for r in branch._counts}:
            self._counts[request] = self._counts.get(request, 0) + width

    def give_up(self, branches: Sequence[Strand]) -> None:
        """Go on after one of `branches` has failed and the rest were cancelled.

        How far those got depends on timing, so what follows counts as if all had asked all.
        """
        self._skipped += _width(branches)

    def scratch(self) -> Strand:
        """Return a strand that counts on from here, of which nothing counts here."""
        strand = self.at_node(self.node, self.replicas, self.clock)
        counts = self._counts
        while isinstance(counts, _Counted):
            counts = counts.shared
        strand._counts = dict(counts)
        strand._taken = None
        return strand

    def step(self, clock: float) -> Strand:
        """Return the strand of a step that starts at `clock`, for `absorb`.

        Steps may run at the same time and count draws together, so those that may make the same
        request must make it in the order that the program has them in.
        """
        strand = self.at_node(self.node, self.replicas, clock)
        strand._counts = _Counted(self._counts)
        strand._taken = [] if self.trial.outside else None
        return strand

    def absorb(self, step: Strand) -> bool:
        """Count here what a step of a `scratch` strand has counted, and wait for its end.

        Returns:
            Whether later steps had the draws that they have after this one; not so if something
            in it failed and was given up, see `give_up`.
        """
        counted = step._counts
        if isinstance(counted, _Counted):
            for request, number in counted.here.items():
                self._counts[request] = self._counts.get(request, 0) + number
        self._keep(step)
        step._taken = None
        self.clock = max(self.clock, step.clock)
        settled = self.trial.outside or step._skipped == self._skipped
        self._skipped = max(self._skipped, step._skipped)
        return settled

    def give_back(self) -> None:
        """Let the draws of a step outside a trial, which nothing absorbs, be taken again."""
        for outside, request, draw in self._taken or ():
            outside.give_back(request, draw)
        self._taken = None

    def _keep(self, step: Strand) -> None:
        """Hold the draws of a step as one's own, if they may have to be given back."""
        if self._taken is not None and step._taken is not self._taken:
            self._taken += step._taken or ()

    def _count(self, request: bytes) -> int:
        return self._counts.get(request, 0) + self._skipped

    def _prefix(self, request: bytes) -> Draw:
        if self._parent is None:
            return ()
        return (*self._parent._prefix(request), self._parent._count(request) + self._index)


def _width(branches: Sequence[Strand]) -> int:
    return 1 + max((branch._index for branch in branches), default=-1)


class _Counted(dict[bytes, int]):
    """Counts that are those of another strand, and what of them was counted here."""

    def __init__(self, shared: dict[bytes, int]) -> None:
        super().__init__()
        self.shared = shared
        self.here: dict[bytes, int] = {}

    def get(self, request: bytes, default: int = 0) -> int:  # type: ignore[override]
        return self.shared.get(request, default)

    def __setitem__(self, request: bytes, number: int) -> None:
        more = number - self.shared.get(request, 0)
        self.here[request] = self.here.get(request, 0) + more
        self.shared[request] = number


class OutsideDraws:
    """The draws of one service's calls outside trials; each of them is a new call.

    Args:
        counted: Count identical requests apart, so that a program that is run again makes the
            same calls and a store can answer them; else only keep every call different, in
            constant memory.
    """

    __slots__ = ("_counts", "_free", "_lock", "_total", "counted")

    def __init__(self, *, counted: bool) -> None:
        self.counted = counted
        self._counts: dict[bytes, int] = {}
        self._free: dict[bytes, list[int]] = {}
        self._total = 0
        self._lock = threading.Lock()  # several loops may use one service

    def take(self, request: bytes) -> Draw:
        """Count one more request; the least draw that was given back comes first."""
        with self._lock:
            if not self.counted:
                self._total += 1
                return (self._total,)
            if free := self._free.get(request):
                number = heapq.heappop(free)
                if not free:
                    del self._free[request]
            else:
                number = self._counts.get(request, 0)
                self._counts[request] = number + 1
            return (number,) if number else ()

    def give_back(self, request: bytes, draw: Draw) -> None:
        """Count a request no more: its answer was not used."""
        if not self.counted:
            return
        with self._lock:
            heapq.heappush(self._free.setdefault(request, []), draw[0] if draw else 0)


_Taken = tuple[OutsideDraws, bytes, Draw]

current: contextvars.ContextVar[Strand | None] = contextvars.ContextVar(
    "ember_bench_strand", default=None
)


measuring: contextvars.ContextVar[tuple[CallLog, ...]] = contextvars.ContextVar(
    "ember_bench_measuring", default=()
)
"""The records in which the calls of the running code are to stand, beside that of its trial."""
