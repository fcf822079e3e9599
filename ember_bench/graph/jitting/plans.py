"""What is told of jitted functions: their plans, and why calls wait for others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ember_bench.errors import GraphError
from ember_bench.graph.jitting.parts import Part
from ember_bench.graph.jitting.runs import Run, Stop, running
from ember_bench.operators.plan import Task

logger = logging.getLogger(__name__)


class JitPlan:
    """The calls of a jitted function, in the parts in which they are made.

    Attributes:
        parts: What is made at the same time, as far as calls do not need each other.
        ends: Why what follows is not known; "" if it is, or if nothing follows.
    """

    def __init__(self, parts: Sequence[Part], ends: str = "") -> None:
        self.parts = tuple(part.plan for part in parts)
        self.ends = ends
        self._waits = [_because(part) for part in parts]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The calls of all parts."""
        return tuple(task for part in self.parts for task in part.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    def __repr__(self) -> str:
        if len(self.parts) == 1 and not self.ends:
            return repr(self.parts[0])
        lines = []
        for number, (part, waits) in enumerate(zip(self.parts, self._waits, strict=True), start=1):
            shown = repr(part).replace("ExecutionPlan", f"Part {number}", 1).splitlines()
            lines += shown if not waits else shown[:-1]  # it gives no result
            if waits and number < len(self.parts):
                lines.append(f"then, as {waits}:")
        if self.ends:
            lines.append(f"what follows is known when it runs, as {self.ends}")
        return "\n".join(lines)


def _because(part: Part) -> str:
    return f"{part.reason} at {part.place}" if part.place else part.reason


def planned(name: str, run: Run, function: Callable[[], Any], last: Sequence[Part]) -> JitPlan:
    """Return the plan of a run that makes no calls.

    Args:
        name: The name of the function.
        run: The run.
        function: The rewritten code.
        last: The parts of the last run, which show what follows if it began with the same calls.

    Raises:
        GraphError: if the function makes no calls before something is needed.
    """
    with running(run), suppress(Stop):
        run.finish(function())
    parts = run.parts
    if not any(part.plan.tasks for part in parts):
        why = _because(parts[-1]) if parts and parts[-1].reason else "it makes no calls"
        raise GraphError(f"{name} has no plan: {why}")
    if not parts[-1].reason:
        return JitPlan(parts)
    if len(last) > len(parts) and _shape(last[: len(parts)]) == _shape(parts):
        return JitPlan([*parts, *last[len(parts) :]])
    return JitPlan(parts, _because(parts[-1]))


def _shape(parts: Sequence[Part]) -> list[tuple[str, tuple[str, ...]]]:
    return [(part.place, tuple(task.name for task in part.plan.tasks)) for part in parts]


class Report:
    """What is told of one jitted function: one line, the first time that its calls wait."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.last: tuple[Part, ...] = ()
        self._has_told = False

    def of_run(self, run: Run) -> None:
        """Tell why the calls of a run were not all made at the same time, if they were not."""
        self.last = asked = tuple(part for part in run.parts if part.plan.tasks)
        if len(asked) < 2:
            return
        sizes = [part.calls for part in asked]
        waiting = sum(sizes[1:])
        listed = f"{', '.join(map(str, sizes[:-1]))} and {sizes[-1]}"
        places = list(dict.fromkeys(_because(part) for part in asked[:-1]))
        more = f" (and at {len(places) - 1} more)" if places[1:] else ""
        self._tell(
            f"{waiting} of its {sum(sizes)} calls {'wait' if waiting > 1 else 'waits'} for others"
            f" (parts of {listed}): {places[0]}{more}"
        )

    def of_eager(self, reason: str) -> None:
        """Tell why a function is run eagerly."""
        self._tell(f"runs eagerly, and each of its calls waits for the one before: {reason}")

    def _tell(self, text: str) -> None:
        if not self._has_told:
            self._has_told = True
            logger.warning("%s: %s", self.name, text)


def no_plan(name: str, reason: str) -> GraphError:
    """Return the error for a function that is run eagerly."""
    return GraphError(f"{name} has no plan: it runs eagerly, as {reason}")
