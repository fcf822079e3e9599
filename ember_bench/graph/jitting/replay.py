"""Runs a traced function with the results that its plan has computed.

The plan says what will be asked; the function itself decides what its result is. It is run again,
now with real values: each call it makes is answered by the task that computed it, if it is the
call that the trace foresaw, on the inputs that the task was given. From the first call on that is
another one, the rest is run eagerly. So the result is always what eager code gives, with the
identities of its calls, and exceptions are raised where they are in eager code.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel

from ember_bench import bridge
from ember_bench.graph.jitting.sameness import same
from ember_bench.graph.jitting.tracing import Event, Program
from ember_bench.graph.scheduler import PlanExecution
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.call import Request
from ember_bench.models.strand import Strand
from ember_bench.models.types import Response, Usage
from ember_bench.operators.base import Operator
from ember_bench.operators.lm import LMModule, ask_requests
from ember_bench.operators.plan import resolve


def run_program(
    program: Program, values: Mapping[str, str], function: Callable[[], Any]
) -> tuple[Any, str | None]:
    """Run the plan, then `function` with what it has computed.

    Args:
        program: What `function` was seen to do.
        values: Its inputs by name.
        function: What was traced, with its arguments.

    Returns:
        What `function` gives, and where it did something else than foreseen, if it did.
    """
    outer = strands.current.get()
    # The plan counts draws on a copy: what counts is what the function turns out to have asked.
    scratch = outer.scratch() if outer is not None else None
    execution = PlanExecution(program.plan, values, scratch, settle=True, prepared=program.prepared)
    if bridge.is_bridged():
        execution.run()
    else:
        bridge.wait(bridge.run(execution.run))
    replay = Replay(program, execution, outer)
    token = interception.current.set(replay)
    try:
        result = function()
    finally:
        interception.current.reset(token)
    return result, replay.ended()


class Replay:
    """The recorder that answers calls with what a plan has computed.

    Args:
        program: What is expected.
        execution: The run of its plan.
        strand: Where the calls are made that the function makes; None outside a trial.
    """

    def __init__(self, program: Program, execution: PlanExecution, strand: Strand | None) -> None:
        self._program = program
        self._execution = execution
        self._strand = strand
        self._departure: str | None = None
        self._next = 0
        self._served: set[str] = set()

    def operator(self, operator: Operator, inputs: Any, fields: Mapping[str, Any]) -> Any:
        """Give what the plan has computed, or go into the operator, as the trace did."""
        event = self._expect(operator, "call", "enter")
        if event is None:
            return _eagerly(lambda: operator(inputs, **fields))
        if event.unused:
            return self._pass_over(event)
        if event.kind == "enter":
            output = operator.call_with(operator.forward, inputs, **fields)
            self._expect(operator, "exit")
            return output
        if self._is_foreseen(event, (inputs, dict(fields))):
            return self._serve(event)
        return _eagerly(lambda: operator(inputs, **fields))

    def ask(self, calls: Sequence[tuple[LMModule, Request]]) -> list[Response]:
        """Give what the plan has been told."""
        answers: list[Response] = []
        for index, (lm, request) in enumerate(calls):
            event = self._expect(lm, "ask")
            if event is not None and event.unused:
                self._count(lm, request)
                answers.append(Response("", lm.model.model_id, Usage(), None, None))
            elif event is not None and self._is_foreseen(event, request):
                answers.append(self._serve(event))
            else:
                return [*answers, *_eagerly(partial(ask_requests, calls[index:]))]
        return answers

    def refuse(self, what: str) -> None:
        """Go on eagerly: there was none of this in the trace."""
        self._depart(what)

    def ended(self) -> str | None:
        """Return where the function did something else than foreseen."""
        if self._next < len(self._program.events):
            self._depart("it ended earlier than its trace")
        return self._departure

    def _expect(self, subject: Operator | LMModule, *kinds: str) -> Event | None:
        """Return what the trace has next, if that is a call of `subject`."""
        if self._departure is not None:
            return None
        if self._next < len(self._program.events):
            event = self._program.events[self._next]
            if event.subject is subject and event.kind in kinds:
                self._next += 1
                return event
        self._depart(f"{_name(subject)} is called where it was not")
        return None

    def _depart(self, what: str) -> None:
        self._departure = self._departure or what

    def _is_foreseen(self, event: Event, given: Any) -> bool:
        """Whether a task was given what the function gives now, and has ended."""
        index = self._program.places[event.task]
        if event.task not in self._execution.values and index not in self._execution.errors:
            self._depart(f"{event.task} was not run, as another task had failed")
            return False
        try:
            planned = resolve(event.given, self._execution.values)
        except Exception:  # it could not be made, and so is not what is given now
            planned = None
        if event.kind == "call" and planned is not None:
            planned, given = _fields(*planned), _fields(*given)
        if not same(planned, given):
            self._depart(f"{_name(event.subject)} is given something else")
            return False
        return True

    def _serve(self, event: Event) -> Any:
        """Give what a task gave; where it failed, fail."""
        index = self._program.places[event.task]
        first, settled = event.task not in self._served, True
        self._served.add(event.task)
        step = self._execution.steps.get(index)
        if first and step is not None and self._strand is not None:
            settled = self._strand.absorb(step)
        if not settled:
            self._depart(f"something in {event.task} had failed")
        if (error := self._execution.errors.get(index)) is not None:
            raise error
        value = self._execution.values[event.task]
        # A call that was merged with an equal one gives, like that, something of its own.
        return value if first else copy.deepcopy(value)

    def _pass_over(self, event: Event) -> None:
        """Only count what an operator asks whose outputs are thrown away."""
        depth = int(event.kind == "enter")
        while depth:
            event = self._program.events[self._next]
            self._next += 1
            depth += (event.kind == "enter") - (event.kind == "exit")
            if isinstance(event.subject, LMModule):
                self._count(event.subject, resolve(event.given, self._execution.values))

    def _count(self, lm: LMModule, request: Request) -> None:
        if self._strand is not None:
            bridge.wait(lm.service.count(request, lm))


def _eagerly(call: Callable[[], Any]) -> Any:
    token = interception.current.set(None)
    try:
        return call()
    finally:
        interception.current.reset(token)


def _fields(inputs: Any, fields: Mapping[str, Any]) -> Any:
    """Return what an operator is given by place and by name."""
    if isinstance(inputs, BaseModel):
        inputs = inputs.model_dump()
    return (dict(inputs) if isinstance(inputs, Mapping) else inputs, dict(fields))


def _name(subject: Operator | LMModule) -> str:
    return repr(subject) if isinstance(subject, LMModule) else type(subject).__name__
