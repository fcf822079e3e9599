"""Tracing: records the calls of a function, and turns them into a plan."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from inspect import iscoroutinefunction
from types import FunctionType
from typing import Any, Final, Literal, NoReturn, cast

from ember_bench.graph.data import NoNGraphData
from ember_bench.graph.dispatch import Dependencies
from ember_bench.graph.jitting.stand_ins import NeedsInput, Tokens, TracedResponse, Untraceable
from ember_bench.graph.scheduler import prepare
from ember_bench.graph.turns import Turns
from ember_bench.models import interception
from ember_bench.models.call import Request
from ember_bench.models.types import Message, Response
from ember_bench.operators.base import Operator
from ember_bench.operators.lm import LMModule
from ember_bench.operators.plan import Apply, Ask, ExecutionPlan, Ref, Task, Text

_MOST_ATTEMPTS: Final = 100
_MESSAGE: Final = Message.__struct_fields__


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a function.

    Attributes:
        kind: The call of an operator that is run as a whole (`call`), of an LM module (`ask`), or
            the begin and end of an operator whose own calls are traced (`enter`, `exit`).
        subject: The operator or LM module.
        given: Its inputs; for `exit`, its output.
        task: The name of its task; "" for `enter` and `exit`.
    """

    kind: Literal["call", "ask", "enter", "exit"]
    subject: Operator | LMModule
    given: Any = None
    task: str = ""


class Trace:
    """The recorder that makes no calls, and returns stand-ins.

    Args:
        inputs: Names of the function's inputs.
        bait: As for `Tokens`.
        units: Ids of operators that are run as a whole.
    """

    def __init__(self, inputs: frozenset[str], *, bait: bool, units: frozenset[int]) -> None:
        self.tokens = Tokens(inputs, bait=bait)
        self.events: list[Event] = []
        self.tasks: list[Task] = []
        self.output: Any = None
        self._units = units
        self._numbers: Counter[str] = Counter()
        self._last: dict[int, str] = {}  # id of an operator -> the last task that called it

    def operator(self, operator: Operator, inputs: Any, fields: Mapping[str, Any]) -> Any:
        """Record a call, or the calls of the operator itself."""
        if not self._is_unit(operator):
            before = (len(self.events), len(self.tasks), dict(self._numbers), dict(self._last))
            entered, output = self._enter(operator, inputs, fields)
            if entered:
                return output
            events, tasks, numbers, self._last = before
            del self.events[events:], self.tasks[tasks:]
            self._numbers = Counter(numbers)
        given = self.tokens.symbolic((inputs, dict(fields)))
        name = self._equal_call(operator, given) if operator.pure else None
        if name is None:
            name = self._name(type(operator).__name__)
            after = self._same_state(operator, name)
            self.tasks.append(Task(name, operator, (given[0],), given[1], after))
        self.events.append(Event("call", operator, given, name))
        return self.tokens.value(Ref(name))

    def ask(self, calls: Sequence[tuple[LMModule, Request]]) -> list[Response]:
        """Record the calls."""
        answers = []
        for lm, request in calls:
            given = self.tokens.symbolic(request)
            name = self._name(request.role)
            self.tasks.append(Task(name, Ask(lm), (given,)))
            self.events.append(Event("ask", lm, given, name))
            answers.append(self.tokens.value(Ref(name), TracedResponse))
        return cast("list[Response]", answers)

    def refuse(self, what: str) -> NoReturn:
        """End the trace."""
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
        state = _State(operator)
        self.events.append(Event("enter", operator))
        try:
            output = operator.call_with(operator.forward, inputs, **fields)
            given = self.tokens.symbolic(output)
        except NeedsInput:
            state.restore()
            raise
        except (Untraceable, Exception):
            # It is run as a whole instead, and then raises any errors.
            state.restore()
            return False, None
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
        """Return the tasks that must end before, as they may change the state that it reads."""
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
    """Return whether an operator contains LM modules, or its code names an operator or LM module.

    Other operators, such as tools, are not run during a trace.
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
    """The attributes of an operator, to detect and undo changes by its code."""

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
    """Return the trace of `function`.

    Raises:
        Untraceable: if it depends on the models' answers.
        NeedsInput: if it depends on the content of inputs.
        Exception: that of the function.
    """
    found = Trace(inputs, bait=bait, units=units)
    token = interception.current.set(found)
    try:
        args, kwargs = arguments(found.tokens)
        output = function(*args, **kwargs)
        # If no plan can express the output, the function itself still computes it.
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
    """A traced function: its plan, and its steps in order.

    Attributes:
        prepared: The turns and dependencies of the plan.
        places: The index of each task.
    """

    plan: ExecutionPlan
    events: tuple[Event, ...]
    prepared: tuple[Turns, Dependencies]
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
    plan = ExecutionPlan(first.tasks, first.output, sorted(inputs))
    places = {task.name: index for index, task in enumerate(plan.tasks)}
    return Program(plan, tuple(first.events), prepare(plan), places)


def _first_difference(one: Sequence[Event], other: Sequence[Event]) -> int | None:
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if a.kind != b.kind or a.subject is not b.subject or not same(a.given, b.given):
            return index
    return None if len(one) == len(other) else min(len(one), len(other), max(len(one) - 1, 0))


def _surrounding(events: Sequence[Event], place: int) -> Operator | None:
    """Return the innermost operator that was entered around an event."""
    inside: list[Operator] = []
    for event in events[:place]:
        if event.kind == "enter":
            inside.append(cast("Operator", event.subject))
        elif event.kind == "exit":
            inside.pop()
    return inside[-1] if inside else None


def same(one: Any, other: Any) -> bool:
    """Return whether two trees are equal; objects that cannot be compared are not."""
    if one is other:
        return True
    left, right = _opened(one), _opened(other)
    if left is None or right is None:
        return left is right and _equal(one, other)
    return (
        left[0] == right[0] and len(left[1]) == len(right[1]) and all(map(same, left[1], right[1]))
    )


def _opened(tree: Any) -> tuple[Any, Sequence[Any]] | None:
    """Return the kind of `tree` and its parts; None if it has none."""
    kind = type(tree)
    opened: tuple[Any, Sequence[Any]] | None = None
    if kind in (list, tuple):
        opened = kind, tree
    elif issubclass(kind, Mapping):
        opened = (Mapping, tuple(tree)), tuple(tree.values())
    elif kind is Apply:
        opened = (Apply, tree.function), tree.args
    elif kind is Text:
        opened = Text, tree.parts
    elif kind is Request:
        messages = [getattr(message, name) for message in tree.messages for name in _MESSAGE]
        rest = (tree.parameters, tree.response_format, tree.role, tree.tools)
        opened = (Request, tree.model.fingerprint), (*messages, *rest, *tree.about)
    return opened


def _equal(one: Any, other: Any) -> bool:
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # arrays, for example
        return False
