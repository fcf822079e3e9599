"""Runs of rewritten functions: the calls that wait, and the parts in which they are made.

Each LM call is noted and gives a lazy value. When a value is needed, all calls that wait are made
at the same time, as the plan of one part of the run. So each call is made exactly once, with the
inputs that eager code gives it, and its draw is counted in the order of the code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from types import FunctionType
from typing import Any, NoReturn, TypeVar

from ember_bench import bridge
from ember_bench.errors import EmberBenchError
from ember_bench.graph.jitting.lazies import (
    LAZY,
    PLAIN,
    Kind,
    Lazy,
    LazyItems,
    LazyMethod,
    NotSimpleError,
    lazies_in,
    snapshot,
    symbolic,
    valued,
)
from ember_bench.graph.jitting.parts import (
    Attempt,
    Part,
    around,
    forgiving,
    only_each_other,
    place_in_user_code,
)
from ember_bench.graph.scheduler import PlanExecution
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.call import Request
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.operators.base import Operator
from ember_bench.operators.lm import LMModule
from ember_bench.operators.plan import Apply, Ask, ExecutionPlan, Otherwise, Ref, Task, references

T = TypeVar("T")


class Stop(BaseException):
    """The end of a run that makes no calls. Not an `Exception`, which user code may catch."""


@dataclass(eq=False, slots=True)
class Run:
    """One run of a rewritten function.

    Attributes:
        dry: Whether to make no calls, and to stop where one is needed or anything would change.
        parts: The calls made so far.
        own: Lists, dicts and sets that the code has made, by id.
        at_once: Number of `try` and `with` blocks around the running code in which no call waits.
        closures: Functions that the code has made.
        stopped: Whether a run without calls has ended.
        steps: What waits: calls, and what is computed from their answers.
        attempt: The `try` statement that is running, if its call may wait.
        within: The innermost such statement of a step, by the id of the step.
    """

    dry: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    own: dict[int, Any] = field(default_factory=dict)
    at_once: int = 0
    closures: list[FunctionType] = field(default_factory=list)
    stopped: bool = False
    entering: list[Any] = field(default_factory=list)
    steps: list[Task | Lazy] = field(default_factory=list)
    attempt: Attempt | None = None
    within: dict[int, Attempt] = field(default_factory=dict)
    _results: dict[str, Lazy] = field(default_factory=dict)
    _numbers: Counter[str] = field(default_factory=Counter)
    _last: dict[int, str] = field(default_factory=dict)  # id of an operator -> its last task
    _output: Any = None  # the result, for the plan of the last part
    _outside: Strand = field(default_factory=lambda: Strand(TrialContext(outside=True)))

    # ---- what waits

    @property
    def waits(self) -> bool:
        """Whether there are calls that wait."""
        return bool(self.steps)

    @property
    def is_attempting(self) -> bool:
        """Whether a call of the `try` statement that is running waits."""
        if self.attempt is None:
            return False
        return any(isinstance(step, Task) for step in self.steps[self.attempt.start :])

    def call(
        self,
        stem: str,
        function: Any,
        args: tuple[Any, ...],
        fields: Any,
        kind: Kind,
        after: tuple[str, ...] = (),
    ) -> Any:
        """Note a call of an LM module or operator, whose inputs may be lazy; return its result."""
        if self.attempt is not None and self.is_attempting and not isinstance(function, Otherwise):
            self.settle("calls in a `try` are made one by one")
        self._numbers[stem] += 1
        name = f"{stem}.{self._numbers[stem] - 1}"
        if isinstance(function, Operator):
            after = self._same_state(function, name)
        self.steps.append(Task(name, function, symbolic(args), symbolic(fields), after))
        result = self._results[name] = Lazy(self, Ref(name), kind)
        if self.at_once:
            self.settle("calls in `try` and `with` are made one by one")
        return result

    def ask(self, lm: LMModule, request: Request) -> Lazy:
        """Note a call; return its response."""
        result: Lazy = self.call(request.role, Ask(lm), (request,), {}, "response")
        return result

    def data(self, response: Lazy) -> Lazy:
        """Return the text of a response."""
        made = Lazy(self, Apply(getattr, (response.symbol, "data")), "text")
        if response.done:
            made.settle(response.value.data)
        else:
            made.compute = getattr, (response, "data")
            self.steps.append(made)
        return made

    def later(self, function: Callable[..., Any], given: tuple[Any, ...], kind: Kind) -> Any:
        """Return `function(*given)`, computed when what is given is there.

        Raises:
            NotSimpleError: if it must be computed now.
        """
        given = snapshot(given)
        if any(lazy.run is not self for lazy in lazies_in(given)):
            given = self.whole(given)
        made = Lazy(self, Apply(function, symbolic(given)), kind, (function, given))
        if all(lazy.done for lazy in lazies_in(given)):
            value = function(*valued(given))
            if type(value) not in PLAIN:
                return value
            made.settle(value)
            if not references(made.symbol):
                made.symbol = value
        else:
            self.steps.append(made)
        return made

    def _same_state(self, operator: Operator, name: str) -> tuple[str, ...]:
        """Return the tasks that must end before, as they may change the state that it reads."""
        if operator.pure or operator.blocking or iscoroutinefunction(operator.forward):
            return ()
        within = [id(part) for _, part in operator.named_operators() if not part.pure]
        after = dict.fromkeys(self._last[key] for key in within if key in self._last)
        self._last.update(dict.fromkeys(within, name))
        return tuple(after)

    # ---- values

    def value(self, lazy: Lazy, reason: str) -> Any:
        """Return the value of a lazy value."""
        if not lazy.done:
            lazy.run.settle(reason)
        if not lazy.done:
            raise EmberBenchError("the answer of a call that failed was used")
        return lazy.value

    def whole(self, value: Any, reason: str = "its value is needed") -> Any:
        """Return `value` for code that is not rewritten: there is nothing lazy in it any more.

        Lists and dicts stay the same objects, and no longer are the function's own.
        """
        kind, whole = type(value), value
        if kind in (list, dict, set):
            if self.own.pop(id(value), None) is not None:
                self._fill(value, reason)
        elif kind is tuple:
            parts = [self.whole(part, reason) for part in value]
            if any(a is not b for a, b in zip(parts, value, strict=True)):
                whole = tuple(parts)
        elif kind is Lazy:
            whole = self.value(value, reason)
        elif kind is LazyMethod:
            whole = getattr(self.value(value.source, reason), value.name)
        elif kind is LazyItems:
            whole = value.given_away()
        elif kind is slice:
            whole = slice(*(self.whole(p, reason) for p in (value.start, value.stop, value.step)))
        return whole

    def _fill(self, container: Any, reason: str) -> None:
        entries: Any = enumerate(container) if type(container) is list else ()
        if type(container) is dict:
            entries = list(container.items())
        for key, part in entries:
            if type(part) not in PLAIN and (made := self.whole(part, reason)) is not part:
                container[key] = made

    def fill(self, container: Any, reason: str) -> None:
        """Give a container of the function its values; it stays the function's own."""
        if self.is_own(container):
            self.whole(container, reason)
            self.own[id(container)] = container

    def is_own(self, value: Any) -> bool:
        """Return whether the function has made a container, and nobody else knows it."""
        return self.own.get(id(value)) is value and value is not None

    def given(self, name: str, value: Any) -> Any:
        """Return an input for a run that makes no calls; its texts have names in the plan."""
        kind = type(value)
        if kind is str:
            made = Lazy(self, Ref(name), "text")
            made.settle(value)
            self.values[name] = value
            return made
        if kind in (list, tuple):
            value = kind([self.given(f"{name}[{i}]", part) for i, part in enumerate(value)])
        elif kind is dict:
            value = {key: self.given(f"{name}.{key}", part) for key, part in value.items()}
        if kind in (list, dict):
            self.own[id(value)] = value
        return value

    # ---- calls

    def settle(self, reason: str) -> None:
        """Make all calls that wait, and give the lazy values their values.

        Raises:
            Exception: that of the first step, in the order of the code, that failed.
        """
        if self.stopped:
            raise Stop
        steps, self.steps = self.steps, []
        for held in around(self.attempt):
            held.inside = {id(step) for step in steps[held.start :]}
            held.start = 0
        tasks = [step for step in steps if isinstance(step, Task)]
        if tasks or (self.dry and steps):
            self._note_part(tasks, reason)
        if self.dry and steps:
            self.stopped = True
            raise Stop
        left: Sequence[Task | Lazy] = steps
        while left:
            left = self._settled(left)
        for step in steps:
            self.within.pop(id(step), None)

    def _settled(self, steps: Sequence[Task | Lazy]) -> Sequence[Task | Lazy]:
        """Make calls, and return the steps that have to be made again."""
        tasks = [step for step in steps if isinstance(step, Task)]
        execution = self._made(tasks) if tasks else None
        outer = strands.current.get() or self._outside
        places = {task.name: index for index, task in enumerate(tasks)}
        try:
            for number, step in enumerate(steps, start=1):
                if isinstance(step, Lazy):
                    self._compute(step)
                elif execution is not None and not self._take(
                    execution, places[step.name], step, outer
                ):
                    return steps[number:]
        finally:
            if execution is not None:
                for strand in execution.steps.values():
                    strand.give_back()  # does nothing for those that were taken
        return ()

    def _compute(self, step: Lazy) -> None:
        """Give a lazy value its value, if what it is computed from is there."""
        held = self.within.get(id(step))
        function, given = step.compute or (_same, (step.value,))
        try:
            failed = held is not None and held.error is not None
            step.settle(None if failed else function(*valued(given)))
        except Exception as error:
            if held is None or not held.forgives(error):
                self._raise(error, step)
            step.settle(None)  # only the statement sees it

    def _raise(self, error: Exception, step: Task | Lazy) -> NoReturn:
        for held in around(self.attempt):
            if id(step) not in held.inside:
                held.foreign = error
        raise error

    def stop(self, reason: str) -> None:
        """End a run that makes no calls, before anything is changed."""
        if self.dry:
            if not self.stopped:
                self._note_part([s for s in self.steps if isinstance(s, Task)], reason)
            self.stopped = True
            raise Stop

    def _made(self, tasks: Sequence[Task]) -> PlanExecution:
        """Make calls, and return what became of them."""
        outer = strands.current.get() or self._outside
        needed = {name for task in tasks for name in references(task.args, task.kwargs)}
        known = {name: self.values[name] for name in needed if name in self.values}
        plan = ExecutionPlan(only_each_other(tasks), None, list(known))
        # Draws are counted on a copy: those after a failed call do not count, as in eager code.
        forgives = forgiving(tasks, self.within)
        execution = PlanExecution(plan, known, outer.scratch(), settle=True, forgives=forgives)
        token = interception.current.set(None)
        try:
            if bridge.is_bridged():
                execution.run()
            else:
                bridge.wait(bridge.run(execution.run))
        except BaseException:
            for strand in execution.steps.values():
                strand.give_back()
            raise
        finally:
            interception.current.reset(token)
        return execution

    def _take(self, execution: PlanExecution, index: int, task: Task, outer: Strand) -> bool:
        """Take the result of a task; return whether those after it have their draws."""
        name = task.name
        strand = execution.steps.get(index)
        settled = strand is None or outer.absorb(strand)
        if (error := execution.errors.get(index)) is not None:
            self._raise(error, task)
        self.values[name] = value = execution.values.get(name)  # none if that is forgiven
        self._results.pop(name).settle(value)
        return settled

    def _note_part(self, tasks: Sequence[Task], reason: str) -> None:
        output = self._output if not reason else None
        named = {name for task in tasks for name in references(task.args, task.kwargs)}
        named |= set(references(output))
        own = {task.name for task in tasks}
        given = sorted(named - own)
        plan = ExecutionPlan(only_each_other(tasks), output, given)
        self.parts.append(Part(plan, reason, place_in_user_code() if reason else ""))

    def finish(self, result: Any) -> Any:
        """Return the result of the function, when all its calls are made."""
        with suppress(NotSimpleError):
            self._output = symbolic(snapshot(result, strict=False))
        result = self.whole(result, "")
        self.settle("")
        for owned in list(self.own.values()):
            self.whole(owned, "")
        for closure in self.closures:
            for cell in closure.__closure__ or ():
                self._clean(cell)
        return result

    def _clean(self, cell: Any) -> None:
        try:
            held = cell.cell_contents
        except ValueError:  # not assigned yet
            return
        if type(held) in LAZY or type(held) is tuple:
            cell.cell_contents = self.whole(held, "")


def _same(value: Any) -> Any:
    return value


@contextmanager
def running(run: Run) -> Iterator[None]:
    """Note calls in `run`, within."""
    if (outer := interception.current.get()) is not None:
        outer.settle("another jitted function is called by code that is not rewritten")
    token = interception.current.set(run)
    try:
        yield
    finally:
        interception.current.reset(token)


def run_whole(run: Run, function: Callable[[], T]) -> T:
    """Run rewritten code as a whole, and return its result with all its values."""
    with running(run):
        try:
            result = function()
        except Exception:
            # Eager code has made the calls before, and fails where the first of them fails.
            run.settle("")
            raise
        return run.finish(result)  # type: ignore[no-any-return]
