"""Plans: tasks, what they need, and in which order they ask."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench import ExecutionPlan
from ember_bench.errors import GraphError
from ember_bench.graph import Ref, Task
from ember_bench.graph.turns import Turns, may_clash
from ember_bench.models import (
    Message,
    ModelInfo,
    Request,
    ToolCall,
)
from ember_bench.operators import LMModule
from ember_bench.operators.plan import Apply, Ask, Text, references, resolve
from tests.graph.programs import Choosy, Glance
from tests.support.models import module, modules, serve, simulated


def task(name: str, *args: Any, **kwargs: Any) -> Task:
    return Task(name, print, args, kwargs)


class TestPlans:
    def test_what_a_task_needs_is_what_it_is_given(self) -> None:
        plan = ExecutionPlan(
            [
                task("a", Ref("query")),
                task("b", [Ref("a"), {"k": (Ref("a"), 1)}]),
                Task("c", print, (), {"x": Text(("so ", Ref("b")))}, after=("a",)),
            ],
            inputs=["query"],
        )
        assert dict(plan.needs) == {"a": (), "b": ("a",), "c": ("b", "a")}

    def test_it_gives_what_its_last_task_does_unless_it_is_said(self) -> None:
        assert ExecutionPlan([task("a"), task("b")]).output == Ref("b")
        assert ExecutionPlan([task("a"), task("b")], {"x": Ref("a")}).output == {"x": Ref("a")}
        assert ExecutionPlan([]).output is None

    @pytest.mark.parametrize(
        ("tasks", "output", "message"),
        [
            ([task("a"), task("a")], None, "task 'a' is already in the plan"),
            ([task("draft"), task("b", Ref("draf"))], None, "task 'b' needs 'draf', .*'draft'"),
            ([task("a", Ref("b")), task("b")], None, "task 'a' needs 'b', which is no earlier"),
            ([task("a", Ref("a"))], None, "task 'a' needs 'a', which is no earlier task"),
            ([Task("a", print, after=("z",))], None, "task 'a' needs 'z'"),
            ([task("a")], [Ref("b")], "the output needs 'b'"),
        ],
    )
    def test_what_cannot_run_is_refused(self, tasks: Any, output: Any, message: str) -> None:
        with pytest.raises(GraphError, match=message):
            ExecutionPlan(tasks, output)

    def test_an_input_and_a_task_of_one_name_are_refused(self) -> None:
        with pytest.raises(GraphError, match="'q' is already in the plan"):
            ExecutionPlan([task("q")], inputs=["q"])

    def test_it_cannot_be_changed(self) -> None:
        plan = ExecutionPlan([task("a")])
        with pytest.raises(AttributeError, match="cannot be changed"):
            plan.tasks = ()  # type: ignore[misc]
        with pytest.raises(AttributeError):
            plan.tasks[0].name = "b"  # type: ignore[misc]
        assert isinstance(plan.tasks, tuple)

    def test_it_is_shown_a_line_a_task(self) -> None:
        lm = module(serve(simulated()), simulated())
        plan = ExecutionPlan(
            [
                Task("draft", lm, (Text(("write about ", Ref("topic"))),), {"role": "generate"}),
                Task("count", len, (Ref("draft"),), after=("draft",)),
            ],
            {"text": Ref("draft"), "size": Apply(operator.add, (Ref("count"), 1))},
            ["topic"],
        )
        assert repr(plan).splitlines() == [
            "ExecutionPlan: 2 tasks, given topic",
            f"  draft = {lm!r} <- 'write about {{topic}}', role='generate'",
            "  count = len <- draft after draft",
            "  gives {text: draft, size: count + 1}",
        ]


symbols = st.recursive(
    st.sampled_from("abc").map(Ref) | st.integers() | st.text(max_size=3),
    lambda part: (
        st.lists(part, max_size=3)
        | st.lists(part, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), part, max_size=3)
        | part.map(lambda p: Apply(repr, (p,)))
        | st.lists(st.text(max_size=2) | part.map(lambda p: Apply(repr, (p,))), max_size=3).map(
            lambda parts: Text(tuple(parts))
        )
    ),
    max_leaves=12,
)


class TestSymbols:
    @given(tree=symbols)
    def test_what_is_resolved_has_no_names_in_it(self, tree: Any) -> None:
        assert references(resolve(tree, dict.fromkeys("abc", 1))) == []

    @given(tree=symbols)
    def test_without_names_in_them_containers_stay_what_they_are(self, tree: Any) -> None:
        known = resolve(tree, dict.fromkeys("abc", 1))
        assert resolve(known, {}) == known

    def test_an_earlier_answers_tool_calls_are_filled_in(self) -> None:
        calls = (ToolCall("1", "f", "{}"),)
        later = Request(
            ModelInfo(model_id="p:m"),
            (
                Message("assistant", "", tool_calls=Ref("a")),  # type: ignore[arg-type]
                Message("tool", "4", tool_call_id=Ref("b")),  # type: ignore[arg-type]
            ),
        )
        assert references(later) == ["a", "b"]
        resolved = resolve(later, {"a": calls, "b": "1"})
        assert resolved.messages[0].tool_calls == calls
        assert resolved.messages[1].tool_call_id == "1"


class TestTurns:
    """Of two tasks that may ask the same question, the earlier one is first."""

    lms: tuple[LMModule, LMModule]

    @pytest.fixture(autouse=True)
    def _models(self) -> None:
        a, b = simulated("a"), simulated("b")
        service = serve(a, b)
        self.lms = (module(service, a), module(service, b))

    def ask(self, name: str, *prompt: Any, lm: int = 0, role: str = "generate") -> Task:
        content = prompt[0] if len(prompt) == 1 else Text(prompt)
        return Task(name, self.lms[lm], (content,), {"role": role})

    @pytest.mark.parametrize(
        ("one", "other", "clash"),
        [
            (("a",), ("a",), True),
            (("a",), ("b",), False),
            (("refine ", Ref("x")), ("refine ", Ref("y")), True),
            (("refine ", Ref("x")), ("judge ", Ref("x")), False),
            ((Ref("x"), " thus"), (Ref("x"), " hence"), False),
            (("1: ", Ref("x")), ("1: of 2",), True),
            (("1: ", Ref("x"), " of "), ("1: y",), False),
            ((Ref("x"),), ("anything",), True),
            (("a", Ref("known")), ("ab",), False),
            (("a", Ref("known")), ("ac",), True),
        ],
    )
    def test_prompts_that_may_become_equal_clash(self, one: Any, other: Any, clash: bool) -> None:
        first, second = self.ask("a", *one), self.ask("b", *other)
        assert may_clash(first, second, {"known": "c"}) is clash
        assert may_clash(second, first, {"known": "c"}) is clash

    def test_other_roles_and_models_do_not(self) -> None:
        assert not may_clash(self.ask("a", "x"), self.ask("b", "x", role="judge"), {})
        plan = ExecutionPlan([self.ask("a", Ref("q")), self.ask("b", "x", lm=1)], inputs=["q"])
        assert Turns(plan).started_first == [(), ()]

    def test_a_task_waits_only_while_an_earlier_one_may_ask_the_same(self) -> None:
        plan = ExecutionPlan(
            [self.ask("a", "x"), self.ask("b", "see ", Ref("a")), self.ask("c", Ref("q"))],
            inputs=["q"],
        )
        turns = Turns(plan)
        assert not turns.must_wait(2, [True, False, False], {"q": "other"})
        assert turns.must_wait(2, [True, False, False], {"q": "see what"})
        assert not turns.must_wait(2, [True, False, False], {"q": "see what", "a": "that"})
        assert turns.must_wait(2, [True, False, False], {"q": "see that", "a": "that"})
        assert not turns.must_wait(2, [True, True, False], {"q": "see that", "a": "that"})

    def test_an_operator_that_asks_nobody_knows_what_must_end_first(self) -> None:
        choosy, glance = Choosy(lm_modules=[self.lms[0]]), Glance(lm_modules=[self.lms[0]])
        given = ({"text": "x"},)
        plan = ExecutionPlan(
            [Task("a", choosy, given), Task("b", glance, given), Task("c", choosy, given)]
        )
        turns = Turns(plan)
        assert turns.ended_first == [(), (0,), (0,)]
        assert turns.started_first == [(), (), (1,)]

    def test_a_whole_request_is_compared_by_its_content(self) -> None:
        (lm,) = modules(self.lms[0].service, simulated("a"), 1, persona="a judge")
        asked = [Task("a", Ask(lm), (lm.request("x"),)), Task("b", Ask(lm), (lm.request("y"),))]
        assert not may_clash(*asked, {})
        assert may_clash(asked[0], Task("b", lm, ("x",)), {})
