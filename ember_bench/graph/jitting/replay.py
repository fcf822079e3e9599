"""Replays: runs of a traced function with the results of its plan.

The plan makes the calls, and the function computes its result. It is run again with real values:
each of its calls returns the result of its task, if the call is the traced one, with the inputs of
the task. From the first other call on, the rest is run eagerly. So the result always equals that
of eager code, calls have the same identities, and exceptions are raised at the same places.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel

from ember_bench import bridge
from ember_bench.graph.jitting.tracing import Event, Program, same
from ember_bench.graph.scheduler import PlanExecution
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.call import Request
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import Response
from ember_bench.operators.asking import ask_requests
from ember_bench.operators.base import Operator
from ember_bench.operators.lm import LMModule
from ember_bench.operators.plan import resolve


def run_program(
    program: Program, values: Mapping[str, str], function: Callable[[], Any]
) -> tuple[Any, str | None]:
    """Run the plan, then `function` with the results.

    Args:
        program: The program of `function`.
        values: Its inputs by name.
        function: The traced function, with its arguments.

    Returns:
        The result of `function`, and the first departure from the trace; None if there was none.
    """
    outer = strands.current.get() or Strand(TrialContext(outside=True))
    # The plan counts draws on a copy; only calls that the function makes count in the trial.
    execution = PlanExecution(
        program.plan, values, outer.scratch(), settle=True, prepared=program.prepared
    )
    replay = Replay(program, execution, outer)
    try:
        if bridge.is_bridged():
            execution.run()
        else:
            bridge.wait(bridge.run(execution.run))
        token = interception.current.set(replay)
        try:
            result = function()
        finally:
            interception.current.reset(token)
    finally:
        replay.give_back()
    return result, replay.ended()


class Replay:
    """The recorder that answers calls with the results of a plan.

    Args:
        program: The expected calls.
        execution: The run of its plan.
        strand: The strand of the function's own calls.
    """

    def __init__(self, program: Program, execution: PlanExecution, strand: Strand) -> None:
        self._program = program
        self._execution = execution
        self._strand = strand
        self._departure: str | None = None
        self._next = 0
        self._served: set[str] = set()

    def operator(self, operator: Operator, inputs: Any, fields: Mapping[str, Any]) -> Any:
        """Return the result of the plan, or enter the operator, as the trace did."""
        event = self._expect(operator, "call", "enter")
        if event is None:
            return _eagerly(lambda: operator(inputs, **fields))
        if event.kind == "enter":
            output = operator.call_with(operator.forward, inputs, **fields)
            self._expect(operator, "exit")
            return output
        if self._is_expected(event, (inputs, dict(fields))):
            return self._serve(event)
        return _eagerly(lambda: operator(inputs, **fields))

    def ask(self, calls: Sequence[tuple[LMModule, Request]]) -> list[Response]:
        """Return the responses of the plan."""
        answers: list[Response] = []
        for index, (lm, request) in enumerate(calls):
            event = self._expect(lm, "ask")
            if event is not None and self._is_expected(event, request):
                answers.append(self._serve(event))
            else:
                return [*answers, *_eagerly(partial(ask_requests, calls[index:]))]
        return answers

    def refuse(self, what: str) -> None:
        """Continue eagerly: the trace contains no such call."""
        self._depart(what)

    def ended(self) -> str | None:
        """Return the first departure from the trace; None if there was none."""
        if self._next < len(self._program.events):
            self._depart("it ended earlier than its trace")
        return self._departure

    def _expect(self, subject: Operator | LMModule, *kinds: str) -> Event | None:
        """Return the next event of the trace, if it is a call of `subject`."""
        if self._departure is not None:
            return None
        if self._next < len(self._program.events):
            event = self._program.events[self._next]
            if event.subject is subject and event.kind in kinds:
                self._next += 1
                return event
        self._depart(f"an unexpected call of {_name(subject)}")
        return None

    def give_back(self) -> None:
        """Let calls that the plan made and the function did not be made, and counted, again."""
        for step in self._execution.steps.values():
            step.give_back()

    def _depart(self, what: str) -> None:
        self._departure = self._departure or what
        self.give_back()

    def _is_expected(self, event: Event, given: Any) -> bool:
        """Return whether the task of an event has ended, and had the inputs that are given now."""
        index = self._program.places[event.task]
        if event.task not in self._execution.values and index not in self._execution.errors:
            self._depart(f"{event.task} was not run, as another task had failed")
            return False
        try:
            planned = resolve(event.given, self._execution.values)
        except Exception:  # the task had no inputs, as they could not be computed
            planned = None
        if event.kind == "call" and planned is not None:
            planned, given = _fields(*planned), _fields(*given)
        if not same(planned, given):
            self._depart(f"{_name(event.subject)} has other inputs")
            return False
        return True

    def _serve(self, event: Event) -> Any:
        """Return the result of a task, or raise its error."""
        index = self._program.places[event.task]
        first, settled = event.task not in self._served, True
        self._served.add(event.task)
        step = self._execution.steps.get(index)
        if first and step is not None:
            settled = self._strand.absorb(step)
        if not settled:
            self._depart(f"something in {event.task} had failed")
        if (error := self._execution.errors.get(index)) is not None:
            raise error
        value = self._execution.values[event.task]
        # A call that was merged with an equal one returns an object of its own.
        return value if first else copy.deepcopy(value)


def _eagerly(call: Callable[[], Any]) -> Any:
    token = interception.current.set(None)
    try:
        return call()
    finally:
        interception.current.reset(token)


def _fields(inputs: Any, fields: Mapping[str, Any]) -> Any:
    """Return the inputs of an operator, positional and by name, as plain dicts."""
    if isinstance(inputs, BaseModel):
        inputs = inputs.model_dump()
    return (dict(inputs) if isinstance(inputs, Mapping) else inputs, dict(fields))


def _name(subject: Operator | LMModule) -> str:
    return repr(subject) if isinstance(subject, LMModule) else type(subject).__name__
