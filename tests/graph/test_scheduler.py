"""The scheduler: what can run at the same time does, and timing changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ember_bench import (
    EnsembleOperator,
    ExecutionPlan,
    GraphExecutorService,
    NoNGraphData,
    Operator,
    Scheduler,
    bridge,
)
from ember_bench.graph import Ref, Task
from ember_bench.graph.dispatch import Dependencies, Run
from tests.graph.programs import Models, Rephrase, delays
from tests.support.models import in_trial, keys


def pause(times: int) -> None:
    async def later() -> None:
        for _ in range(times):
            await asyncio.sleep(0)

    bridge.wait(later())


edges = st.lists(st.sets(st.integers(0, 30), max_size=3), min_size=1, max_size=10)


def needs_of(edges: Sequence[set[int]]) -> list[list[int]]:
    return [[i % index for i in sources] if index else [] for index, sources in enumerate(edges)]


limits = st.none() | st.integers(1, 4)


class TestRandomPlans:
    @settings(max_examples=150, deadline=None)
    @given(edges=edges, times=delays, limit=limits)
    def test_functions_give_the_same_whatever_the_timing(
        self, edges: list[set[int]], times: list[int], limit: int | None
    ) -> None:
        under_way: list[int] = []
        most = 0

        def work(index: int, *given: Any) -> Any:
            nonlocal most
            under_way.append(index)
            most = max(most, len(under_way))
            pause(times[index % len(times)])
            under_way.remove(index)
            return (index, *given)

        needs = needs_of(edges)
        tasks = [
            Task(f"t{index}", work, (index, *(Ref(f"t{i}") for i in sources)))
            for index, sources in enumerate(needs)
        ]
        expected: list[Any] = []
        for index, sources in enumerate(needs):
            expected.append((index, *(expected[i] for i in sources)))
        output = [Ref(task.name) for task in tasks]
        assert Scheduler(limit).run(ExecutionPlan(tasks, output)) == expected
        assert most <= (limit or len(tasks))

    @settings(max_examples=150, deadline=None)
    @given(edges=edges, times=delays, limit=limits)
    def test_models_are_asked_the_same_whatever_the_timing(
        self, edges: list[set[int]], times: list[int], limit: int | None
    ) -> None:
        models = Models(times)
        tasks: list[Task] = []
        for index, sources in enumerate(needs_of(edges)):
            prompt = Task(f"p{index}", lambda *given: given[-1] if given else "a", tuple(
                Ref(f"m{i}") for i in sources
            ))  # fmt: skip
            ask = Task(f"m{index}", models.lms[index % 3], (Ref(f"p{index}"),))
            tasks += [prompt, ask]
        plan = ExecutionPlan(tasks, [Ref(f"m{index}") for index in range(len(edges))])
        one_by_one, strand = in_trial(lambda: Scheduler(1).run(plan))
        found, other = in_trial(lambda: Scheduler(limit).run(plan))
        assert found == one_by_one
        assert sorted(keys(other)) == sorted(keys(strand))

    @settings(max_examples=100, deadline=None)
    @given(edges=edges, times=delays)
    def test_graphs_give_the_same_whatever_the_timing(
        self, edges: list[set[int]], times: list[int]
    ) -> None:
        results = []
        models, run = Models(), GraphExecutorService().run
        for chosen in ([0], times):
            models._delays = chosen
            graph = NoNGraphData()
            for index, sources in enumerate(needs_of(edges)):
                node = Rephrase(lm_modules=[models.lms[index % 3]])
                graph.add_node(
                    name=f"n{index}",
                    operator=node,
                    inputs=[f"n{i}" for i in dict.fromkeys(sources)],
                )
            results.append(in_trial(partial(run, graph_data=graph, input_data={"text": "a"}))[0])
        assert results[0] == results[1]

    @settings(max_examples=100, deadline=None)
    @given(edges=edges, times=delays, fails=st.sets(st.integers(0, 9), min_size=1), limit=limits)
    def test_a_failure_reaches_all_that_need_it_and_nothing_runs_on(
        self, edges: list[set[int]], times: list[int], fails: set[int], limit: int | None
    ) -> None:
        ran, under_way = set(), set()

        def work(index: int, *given: Any) -> int:
            ran.add(index)
            under_way.add(index)
            try:
                pause(times[index % len(times)])
                if index in fails:
                    raise ValueError(index)
            finally:
                under_way.discard(index)
            return index

        needs = needs_of(edges)
        tasks = [
            Task(f"t{index}", work, (index, *(Ref(f"t{i}") for i in sources)))
            for index, sources in enumerate(needs)
        ]
        plan = ExecutionPlan(tasks)
        if min(fails) >= len(needs):
            assert Scheduler(limit).run(plan) == len(needs) - 1
            return
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - its argument is looked at
            Scheduler(limit).run(plan)
        assert caught.value.args[0] in fails
        assert f"in task 't{caught.value.args[0]}'" in caught.value.__notes__[0]
        assert under_way == set()
        below: set[int] = set()
        for index, sources in enumerate(needs):
            if any(i in fails or i in below for i in sources):
                below.add(index)
        assert not ran & below


class TestScheduler:
    def test_a_plan_is_given_its_inputs(self) -> None:
        plan = ExecutionPlan([Task("upper", str.upper, (Ref("text"),))], inputs=["text"])
        assert Scheduler().run(plan, {"text": "a"}) == "A"
        with pytest.raises(ValueError, match="the plan needs the inputs 'text'"):
            Scheduler().run(plan)

    def test_the_path_from_a_failure_to_what_needed_it_is_named(self) -> None:
        plan = ExecutionPlan(
            [
                Task("gen", lambda: 1 / 0),
                Task("judge", str, (Ref("gen"),)),
                Task("report", str, (Ref("judge"),)),
            ]
        )
        with pytest.raises(ZeroDivisionError) as caught:
            Scheduler().run(plan)
        assert caught.value.__notes__ == ["in task 'gen' (so not run: judge -> report)"]

    def test_less_than_one_at_a_time_is_refused(self) -> None:
        with pytest.raises(ValueError, match="max_concurrency must be at least 1"):
            Scheduler(0)

    def test_a_task_after_another_starts_when_that_has_ended(self) -> None:
        order: list[str] = []
        plan = ExecutionPlan(
            [
                Task("slow", lambda: (pause(5), order.append("slow"))),
                Task("next", lambda: order.append("next"), after=("slow",)),
            ]
        )
        Scheduler().run(plan)
        assert order == ["slow", "next"]

    def test_of_failures_that_may_be_settled_the_first_in_order_is_known(self) -> None:
        def work(index: int, clock: float) -> tuple[Any, float]:
            pause([9, 4, 1, 0][index])
            if index in (1, 3):
                raise ValueError(index)
            return index, clock

        run = Run(Dependencies([(), (), (), ()]), work, clock=0.0, settle=True)
        bridge.wait(bridge.run(run.all))
        assert min(run.errors) == 1
        assert run.outcomes[0] == (0, 0.0)


class Planned(Operator):
    """Says what is to be done, and lets it be done."""

    def to_plan(self, inputs: Any) -> ExecutionPlan:
        asks = [Task(f"a{i}", lm, (f"{inputs['text']} {i}",)) for i, lm in enumerate(self.lms)]
        last = Task("last", self.lms[0], (Ref("a0"),))
        return ExecutionPlan([*asks, last], {"all": [Ref("a0"), Ref("a1")], "text": Ref("last")})

    def forward(self, inputs: Any) -> Any:
        answers = [lm(f"{inputs['text']} {i}") for i, lm in enumerate(self.lms)]
        return {"all": answers, "text": self.lms[0](answers[0])}


class TestToPlan:
    def test_a_node_hands_its_tasks_to_the_scheduler(self) -> None:
        models = Models([3, 1])
        operator = Planned(lm_modules=models.lms[:2])
        graph = NoNGraphData()
        graph.add_node(name="planned", operator=operator)
        expected, _ = in_trial(lambda: graph({"text": "x"}))
        assert models.most_in_flight == 2
        models.most_in_flight = 0
        in_trial(lambda: operator(text="x"))
        assert models.most_in_flight == 1
        assert len(expected["all"]) == 2

    def test_it_makes_the_calls_that_forward_makes(self) -> None:
        models = Models([3, 1])
        given = {"text": "x", "query": "x"}
        for operator in (
            Planned(lm_modules=models.lms[:2]),
            EnsembleOperator(lm_modules=models.lms),
        ):
            plan = operator.to_plan(given)
            expected, strand = in_trial(partial(operator, given))
            found, other = in_trial(partial(Scheduler().run, plan))
            assert found == expected
            assert sorted(keys(other)) == sorted(keys(strand))

    def test_a_signature_is_checked_as_in_a_call(self) -> None:
        models = Models()
        graph = NoNGraphData()
        graph.add_node(name="e", operator=EnsembleOperator(lm_modules=models.lms))
        with pytest.raises(ValueError, match="missing input 'query'"):
            graph({})


def test_dependencies_in_line_are_known() -> None:
    needs: Callable[..., list[tuple[int, ...]]] = lambda *n: list(n)  # noqa: E731
    assert Dependencies(needs((), (0,), (1, 0))).in_line
    assert not Dependencies(needs((), (), (0, 1))).in_line
