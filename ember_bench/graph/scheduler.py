"""The scheduler, which runs execution plans."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

from ember_bench import bridge
from ember_bench.graph.dispatch import Dependencies, Outcome, Run
from ember_bench.graph.turns import Turns
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.strand import Strand
from ember_bench.operators.base import Operator
from ember_bench.operators.lm import LMModule, check_prompt
from ember_bench.operators.plan import Ask, ExecutionPlan, Otherwise, Task, resolve

_NO_INPUTS: Final[Mapping[str, Any]] = {}


class Scheduler:
    """Runs execution plans.

    Args:
        max_concurrency: Maximum number of tasks under way at once; by default unlimited.
    """

    def __init__(self, max_concurrency: int | None = None) -> None:
        if max_concurrency is not None and max_concurrency < 1:
            raise ValueError(f"max_concurrency must be at least 1, found {max_concurrency}")
        self.max_concurrency = max_concurrency

    def run(self, plan: ExecutionPlan, inputs: Mapping[str, Any] = _NO_INPUTS) -> Any:
        """Return the plan's output.

        Args:
            plan: The plan.
            inputs: A value for each of the plan's inputs.

        Raises:
            Exception: that of a task, with a note naming the task and those that depend on it;
                the tasks under way are cancelled.
        """
        interception.settle("a Scheduler was called")
        if not bridge.is_bridged():
            return bridge.wait(bridge.run(self.run, plan, inputs))
        if missing := [name for name in plan.inputs if name not in inputs]:
            raise ValueError(f"the plan needs the inputs {', '.join(map(repr, missing))}")
        execution = PlanExecution(plan, inputs, strands.current.get(), self.max_concurrency)
        execution.run()
        return resolve(plan.output, execution.values)


class PlanExecution:
    """One run of a plan on a strand.

    Args:
        plan: The plan.
        inputs: A value for each of its inputs.
        outer: The strand that contains the run; None outside a trial.
        limit: Maximum number of tasks under way at once.
        settle: As for `Run`.
        prepared: The result of `prepare`, if it is known already.
        forgives: Tells of a task's failure, by its name, whether the other tasks run all the same.

    Attributes:
        values: The inputs and the results of tasks, by name.
        steps: The strand of each task, by index.
    """

    def __init__(
        self,
        plan: ExecutionPlan,
        inputs: Mapping[str, Any],
        outer: Strand | None,
        limit: int | None = None,
        *,
        settle: bool = False,
        prepared: tuple[Turns, Dependencies] | None = None,
        forgives: Callable[[str, Exception], bool] | None = None,
    ) -> None:
        self.plan = plan
        self._forgives = forgives
        self.values = dict(inputs)
        self.outer = outer
        self.steps: dict[int, Strand] = {}
        self._turns, dependencies = prepared or prepare(plan)
        clock = outer.clock if outer is not None else 0.0
        self._run = Run(
            dependencies,
            self._compute,
            clock=clock,
            limit=limit,
            begin=self._begin,
            hold=self._hold if any(self._turns.started_first) else None,
            settle=settle,
            instead=None if forgives is None else self._instead,
        )

    @property
    def errors(self) -> Mapping[int, Exception]:
        """The exceptions of tasks, by index, if they are not raised."""
        return self._run.errors

    def run(self) -> None:
        """Run the plan, in a greenlet of the bridge."""
        try:
            self._run.all()
        finally:
            if self.outer is not None:
                self.outer.after_nodes(list(self.steps.values()))
        if self.outer is not None:
            ends = [outcome[1] for outcome in self._run.outcomes if outcome is not None]
            self.outer.clock = max([self.outer.clock, *ends])

    def _hold(self, index: int) -> bool:
        return self._turns.must_wait(index, self._run.started, self.values)

    def _instead(self, index: int, error: Exception) -> Outcome | None:
        """Return the outcome of a task whose failure is forgiven; None if it is not."""
        if self._forgives is None or not self._forgives(self.plan.tasks[index].name, error):
            return None
        strand = self.steps.get(index)
        return None, strand.clock if strand is not None else 0.0

    def _begin(self, index: int, start: float) -> Coroutine[Any, Any, Outcome] | None:
        function = self.plan.tasks[index].function
        if isinstance(function, Ask | LMModule):
            return self._ask(index, function, start)
        return None

    async def _ask(self, index: int, function: Ask | LMModule, start: float) -> Outcome:
        strand, token = self._enter(index, start)
        task = self.plan.tasks[index]
        try:
            args = resolve(task.args, self.values)
            value: Any
            if isinstance(function, Ask):
                value = await function.module.service.ask(args[0], function.module)
            else:
                kwargs = resolve(task.kwargs, self.values)
                check_prompt(args[0] if args else kwargs.get("prompt"))
                request = function.request(*args, **kwargs)
                value = (await function.service.ask(request, function)).data
        except Exception as error:
            self._note(error, task)
            raise
        finally:
            strands.current.reset(token)
        self.values[task.name] = value
        return value, strand.clock if strand is not None else 0.0

    def _compute(self, index: int, start: float) -> Outcome:
        strand, token = self._enter(index, start)
        task = self.plan.tasks[index]
        try:
            if isinstance(task.function, Otherwise):
                given = partial(resolve, task.args[0], self.values)
                value = self.values[task.name] = task.function.attempt.value(given)
                return value, strand.clock if strand is not None else 0.0
            args = resolve(task.args, self.values)
            kwargs = resolve(task.kwargs, self.values)
            if isinstance(task.function, Operator):
                value = run_operator(task.function, *args, **kwargs)
            else:
                value = task.function(*args, **kwargs)
        except Exception as error:
            self._note(error, task)
            raise
        finally:
            strands.current.reset(token)
        self.values[task.name] = value
        return value, strand.clock if strand is not None else 0.0

    def _enter(self, index: int, start: float) -> tuple[Strand | None, Any]:
        strand = self.outer.step(start) if self.outer is not None else None
        if strand is not None:
            self.steps[index] = strand
        return strand, strands.current.set(strand)

    def _note(self, error: Exception, task: Task) -> None:
        error.add_note(f"in task {task.name!r}{_cancelled_with(self.plan, task.name)}")


def prepare(plan: ExecutionPlan) -> tuple[Turns, Dependencies]:
    """Return the turns and dependencies of a plan, for its runs."""
    turns = Turns(plan)
    places = {task.name: index for index, task in enumerate(plan.tasks)}
    needs = [[places[name] for name in needed] for needed in plan.needs.values()]
    return turns, Dependencies([(*a, *b) for a, b in zip(needs, turns.ended_first, strict=True)])


def run_operator(operator: Operator, /, *args: Any, **fields: Any) -> Any:
    """Call an operator, or run its plan if it has one.

    An operator with `asks_once` is called: it makes all its calls at the same time anyway.
    """
    if operator.asks_once or type(operator).to_plan is Operator.to_plan:
        return operator(*args, **fields)
    scheduler = Scheduler()
    return operator.call_with(
        lambda inputs: scheduler.run(operator.to_plan(inputs)), *args, **fields
    )


def _cancelled_with(plan: ExecutionPlan, name: str) -> str:
    """Return a note with a path of tasks that were not run because the task `name` failed."""
    path = [name]
    while later := next((n for n, needed in plan.needs.items() if path[-1] in needed), None):
        path.append(later)
    return f" (so not run: {' -> '.join(path[1:])})" if path[1:] else ""
