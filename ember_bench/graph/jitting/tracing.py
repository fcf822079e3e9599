"""Takes note of what a function calls, and makes a plan of it."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from inspect import iscoroutinefunction
from types import FunctionType
from typing import Any, Literal, NoReturn, cast

from ember_bench.graph.data import NoNGraphData
from ember_bench.graph.jitting.discarded import is_discarded
from ember_bench.graph.jitting.sameness import same
from ember_bench.graph.jitting.stand_ins import NeedsInput, Tokens, TracedResponse, Untraceable
from ember_bench.graph.scheduler import prepare
from ember_bench.graph.task_flow import Flow
from ember_bench.graph.turns import Turns, fingerprints, may_clash
from ember_bench.models import interception
from ember_bench.models.call import Request
from ember_bench.models.types import Response
from ember_bench.operators.base import Operator
from ember_bench.operators.lm import LMModule
from ember_bench.operators.plan import Ask, Count, ExecutionPlan, Ref, Task

_MOST_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a function did.

    Attributes:
        kind: It called an operator that is run as a whole (`call`), asked an LM module (`ask`), or
            went into an operator and out of it again (`enter`, `exit`).
        subject: The operator or LM module.
        given: What it was given; for `exit`, what it gave.
        task: What computes it; "" for `enter` and `exit`.
        unused: What it gives is thrown away.
    """

    kind: Literal["call", "ask", "enter", "exit"]
    subject: Operator | LMModule
    given: Any = None
    task: str = ""
    unused: bool = False


class Trace:
    """The recorder that makes nothing happen.

    Args:
        inputs: Names of the function's inputs.
        bait: As for `Tokens`.
        units: Operators, by id, that are not gone into.
    """

    def __init__(self, inputs: frozenset[str], *, bait: bool, units: frozenset[int]) -> None:
        self.tokens = Tokens(inputs, bait=bait)
        self.events: list[Event] = []
        self.tasks: list[Task] = []
        self.output: Any = None
        self._units = units
        self._within_unused = False
        self._numbers: Counter[str] = Counter()
        self._last: dict[int, str] = {}  # operators by id -> the task that called them last

    def operator(self, operator: Operator, inputs: Any, fields: Mapping[str, Any]) -> Any:
        """Note a call, or what the operator itself calls."""
        if not self._is_unit(operator):
            before = (len(self.events), len(self.tasks), dict(self._numbers), dict(self._last))
            entered, output = self._enter(operator, inputs, fields)
            if entered:
                return output
            events, tasks, numbers, self._last = before
            del self.events[events:], self.tasks[tasks:]
            self._numbers = Counter(numbers)
        unused = operator.pure and not operator.lm_modules() and is_discarded()
        given = self.tokens.symbolic((inputs, dict(fields)))
        name = self._equal_call(operator, given) if operator.pure else None
        if name is None:
            name = self._name(type(operator).__name__)
            after = self._same_state(operator, name)
            self.tasks.append(Task(name, operator, (given[0],), given[1], after))
        self.events.append(Event("call", operator, given, name, unused))
        return self.tokens.value(Ref(name))

    def ask(self, calls: Sequence[tuple[LMModule, Request]]) -> list[Response]:
        """Note the calls."""
        answers = []
        unused = self._within_unused or is_discarded()
        for lm, request in calls:
            given = self.tokens.symbolic(request)
            name = self._name(request.role)
            self.tasks.append(Task(name, Ask(lm), (given,)))
            self.events.append(Event("ask", lm, given, name, unused))
            answers.append(self.tokens.value(Ref(name), TracedResponse))
        return cast("list[Response]", answers)

    def refuse(self, what: str) -> NoReturn:
        """Give up."""
        raise Untraceable(what)

    def _is_unit(self, operator: Operator) -> bool:
        cls = type(operator)
        return (
            operator.pure
            or operator.blocking
            or id(operator) in self._units
            or isinstance(operator, NoNGraphData)
            or cls.__call__ is not Operator.__call__
            or iscoroutinefunction(operator.forward)
            or not _asks(operator)
        )

    def _enter(
        self, operator: Operator, inputs: Any, fields: Mapping[str, Any]
    ) -> tuple[bool, Any]:
        """Run the operator's own code; (False, None) if that cannot be traced."""
        state, outer = _State(operator), self._within_unused
        # What asks once asks nothing that depends on the answers.
        unused = outer or (operator.asks_once and is_discarded())
        self.events.append(Event("enter", operator, unused=unused))
        self._within_unused = unused
        try:
            output = operator.call_with(operator.forward, inputs, **fields)
            given = self.tokens.symbolic(output)
        except NeedsInput:
            state.restore()
            raise
        except (Untraceable, Exception):
            # It is run as a whole then, and says what is wrong, if anything is.
            state.restore()
            return False, None
        finally:
            self._within_unused = outer
        if state.restore():
            return False, None
        self.events.append(Event("exit", operator, given))
        return True, output

    def _equal_call(self, operator: Operator, given: Any) -> str | None:
        if operator.lm_modules():
            return None
        for event in self.events:
            if event.subject is operator and event.kind == "call" and same(event.given, given):
                return event.task
        return None

    def _same_state(self, operator: Operator, name: str) -> tuple[str, ...]:
        """Return the tasks that must be over because they may change what this one reads."""
        if operator.pure or operator.blocking or iscoroutinefunction(operator.forward):
            return ()
        within = [id(part) for _, part in operator.named_operators() if not part.pure]
        after = dict.fromkeys(self._last[key] for key in within if key in self._last)
        self._last.update(dict.fromkeys(within, name))
        return tuple(after)

    def _name(self, stem: str) -> str:
        self._numbers[stem] += 1
        return f"{stem}.{self._numbers[stem] - 1}"


def _asks(operator: Operator) -> bool:
    """Whether an operator asks models that it has, or that its code names.

    The code of one that asks none (a tool, say) is not run to trace it.
    """
    if operator.lm_modules():
        return True
    code = getattr(operator.forward, "__func__", None)
    if not isinstance(code, FunctionType):
        return True
    cells = [cell.cell_contents for cell in code.__closure__ or ()]
    named = [code.__globals__.get(name) for name in code.__code__.co_names]
    return any(isinstance(part, Operator | LMModule) for part in (*cells, *named))


class _State:
    """The attributes of an operator, to see whether its code changes them, and undo that."""

    def __init__(self, operator: Operator) -> None:
        self._attributes = vars(operator)
        self._before = {name: (value, _contents(value)) for name, value in self._attributes.items()}

    def restore(self) -> bool:
        """Undo all changes; return whether there were any."""
        changed = list(self._attributes) != list(self._before)
        for name, (value, contents) in self._before.items():
            if self._attributes.get(name) is not value:
                changed = True
            if contents is None or _is_alike(_contents(value), contents):
                continue
            changed = True
            value.clear()
            value.extend(contents) if isinstance(value, list) else value.update(contents)
        if changed:
            self._attributes.clear()
            self._attributes.update({name: value for name, (value, _) in self._before.items()})
        return changed


def _contents(value: Any) -> Any:
    return value.copy() if type(value) in (list, dict, set) else None


def _is_alike(one: Any, other: Any) -> bool:
    if len(one) != len(other):
        return False
    if isinstance(one, set):
        return one == other  # type: ignore[no-any-return]
    pairs = zip(one, other, strict=True)
    if isinstance(one, dict):
        pairs = zip((*one, *one.values()), (*other, *other.values()), strict=True)
    return all(a is b for a, b in pairs)


Arguments = Callable[[Tokens], tuple[tuple[Any, ...], dict[str, Any]]]


def trace(
    function: Callable[..., Any],
    arguments: Arguments,
    inputs: frozenset[str],
    *,
    bait: bool,
    units: frozenset[int],
) -> Trace:
    """Return what `function` does.

    Raises:
        Untraceable: if that depends on models' answers.
        NeedsInput: if it depends on the content of inputs.
        Exception: what the function raises.
    """
    found = Trace(inputs, bait=bait, units=units)
    token = interception.current.set(found)
    try:
        args, kwargs = arguments(found.tokens)
        output = function(*args, **kwargs)
        # It may be an object that no plan can make; the function itself makes it anyway.
        with suppress(Untraceable):
            found.output = found.tokens.symbolic(output)
    finally:
        interception.current.reset(token)
    del args, kwargs, output
    found.tokens.close()
    if found.tokens.any_left():
        gc.collect()
        if found.tokens.any_left():
            raise Untraceable("an answer is kept somewhere outside the function")
    return found


@dataclass(frozen=True, slots=True)
class Program:
    """A traced function: its plan, and what it did in the order in which it did it.

    Attributes:
        prepared: What a run of the plan has to know.
        places: The index of each task that gives something.
    """

    plan: ExecutionPlan
    events: tuple[Event, ...]
    prepared: tuple[Turns, Flow]
    places: Mapping[str, int]


def compiled(function: Callable[..., Any], arguments: Arguments, inputs: frozenset[str]) -> Program:
    """Trace `function` until two traces with different tokens agree; see `trace`."""
    units: frozenset[int] = frozenset()
    for _ in range(_MOST_ATTEMPTS):
        first, second = (
            trace(function, arguments, inputs, bait=bait, units=units) for bait in (False, True)
        )
        place = _first_difference(first.events, second.events)
        if place is None and same(first.output, second.output):
            break
        culprit = None if place is None else _surrounding(first.events, place)
        if culprit is None:
            raise Untraceable("it reads the text of a model's answer, or is different every time")
        units |= {id(culprit)}
    else:
        raise Untraceable("it is different every time")
    plan = ExecutionPlan(_used(first), first.output, sorted(inputs))
    places = {
        task.name: index
        for index, task in enumerate(plan.tasks)
        if not isinstance(task.function, Count)
    }
    return Program(plan, tuple(first.events), prepare(plan), places)


def _first_difference(one: Sequence[Event], other: Sequence[Event]) -> int | None:
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if (
            a.kind != b.kind
            or a.subject is not b.subject
            or a.unused is not b.unused
            or not same(a.given, b.given)
        ):
            return index
    return None if len(one) == len(other) else min(len(one), len(other), max(len(one) - 1, 0))


def _surrounding(events: Sequence[Event], place: int) -> Operator | None:
    """Return the innermost operator that was gone into around an event."""
    inside: list[Operator] = []
    for event in events[:place]:
        if event.kind == "enter":
            inside.append(cast("Operator", event.subject))
        elif event.kind == "exit":
            inside.pop()
    return inside[-1] if inside else None


def _used(found: Trace) -> list[Task]:
    """Return the tasks without those whose results are thrown away.

    Where a later one may ask the same question, such a one is still counted.
    """
    unused = {event.task for event in found.events if event.unused}
    unused -= {event.task for event in found.events if not event.unused}
    kept: list[Task] = []
    for task in reversed(found.tasks):
        if task.name not in unused:
            kept.append(task)
        elif any(_asks_the_same(task, later) for later in kept) and isinstance(task.function, Ask):
            kept.append(Task(task.name, Count(task.function.module), task.args))
    return kept[::-1]


def _asks_the_same(task: Task, later: Task) -> bool:
    """Whether the draw of a later task may depend on whether this one was made."""
    return bool(fingerprints(task) & fingerprints(later)) and may_clash(task, later, {})
