"""What is jitted gives what it gives eagerly, sooner."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ember_bench import (
    EnsembleOperator,
    JudgeBasedOperator,
    MostCommonOperator,
    NoNGraphData,
    Operator,
    jit,
    parallel,
)
from ember_bench.errors import GraphError, ProviderError, SignatureError
from ember_bench.models.call import Call
from ember_bench.operators import LMModule
from tests.graph.programs import (
    Choosy,
    Counting,
    Glance,
    Models,
    Rephrase,
    Shout,
    Step,
    delays,
    function_of,
    programs,
)
from tests.support.models import in_trial, keys, module, on_the_loop, scripted, serve, telling


@settings(max_examples=300, deadline=None)
@given(program=programs, times=delays)
@on_the_loop
def test_random_programs_give_the_same_and_make_the_same_calls(
    program: list[Step], times: list[int]
) -> None:
    models = Models(times)
    eager, jitted = function_of(program, models.lms), jit(function_of(program, models.lms))
    for question in ("a", "b"):
        expected, strand = in_trial(lambda q=question: (eager(q), models.lms[0]("a")))
        found, other = in_trial(lambda q=question: (jitted(q), models.lms[0]("a")))
        assert found == expected
        assert sorted(keys(other)) == sorted(keys(strand))


@settings(max_examples=200, deadline=None)
@given(
    program=programs, times=delays, returned=st.lists(st.integers(0, 20), min_size=1, max_size=2)
)
@on_the_loop
def test_what_is_dropped_changes_nothing_else(
    program: list[Step], times: list[int], returned: list[int]
) -> None:
    models = Models(times)
    eager = function_of(program, models.lms, returned)
    jitted = jit(function_of(program, models.lms, returned))
    for question in ("a", "b"):
        expected, strand = in_trial(lambda q=question: (eager(q), models.lms[0]("a")))
        found, other = in_trial(lambda q=question: (jitted(q), models.lms[0]("a")))
        assert found == expected
        assert set(keys(other)) <= set(keys(strand))


@settings(max_examples=200, deadline=None)
@given(program=programs, times=delays)
@on_the_loop
def test_failures_are_those_of_eager_code(program: list[Step], times: list[int]) -> None:
    # Of several questions asked in one step, the first to fail in time is raised, eagerly too; and
    # an operator with a state may have run though something before it fails.
    program = [step for step in program if step.kind not in ("ensemble", "counting")]
    models = Models(times, failing=True)
    eager, jitted = function_of(program, models.lms), jit(function_of(program, models.lms))
    for question in ("a", "b"):
        expected, _ = in_trial(lambda q=question: outcome(lambda: eager(q)))
        found, _ = in_trial(lambda q=question: outcome(lambda: jitted(q)))
        assert found == expected


def outcome(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except ProviderError as error:
        return repr(error)


class Gate:
    """A model that answers only when as many calls are in flight as are waited for."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._waiting = 0
        self._open: asyncio.Event | None = None
        self.asked: list[str] = []
        info = scripted(self._answer)
        self.service = serve(info)
        self.lm = module(self.service, info)

    async def _answer(self, call: Call) -> str:
        self._open = self._open or asyncio.Event()
        self.asked.append(call.request.messages[-1].content)
        self._waiting += 1
        if self._waiting % self._width == 0:
            self._open.set()
            self._open = None
        else:
            async with asyncio.timeout(20):
                await self._open.wait()
        return f"answer to {call.request.messages[-1].content}"


@pytest.fixture
def lm() -> LMModule:
    info = telling()
    return module(serve(info), info)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="ember_bench")
    return caplog


class TestAtTheSameTime:
    def test_the_calls_of_a_plain_loop_are_all_in_flight_at_once(self) -> None:
        gate = Gate(16)

        @jit
        def ask_all(question: str) -> list[str]:
            answers = []
            for number in range(16):
                answers.append(gate.lm(f"{question} {number}"))  # noqa: PERF401 - a plain loop
            return answers

        for question in ("a", "b"):
            assert ask_all(question) == [f"answer to {question} {n}" for n in range(16)]

    def test_the_same_question_is_asked_as_often_as_it_is_written(self) -> None:
        gate = Gate(5)
        assert jit(lambda q: [gate.lm(q) for _ in range(5)])("x") == ["answer to x"] * 5

    def test_chains_side_by_side_wait_for_nothing_but_themselves(self) -> None:
        gate = Gate(3)

        @jit
        def refine(questions: list[str]) -> list[str]:
            answers = []
            for question in questions:
                draft = gate.lm(question)
                answers.append(gate.lm(f"improve {draft}"))
            return answers

        assert refine(["a", "b", "c"])[2] == "answer to improve answer to c"

    def test_calls_within_operators_are_at_the_same_time_too(self) -> None:
        gate = Gate(6)
        ensemble = EnsembleOperator(lm_modules=[gate.lm] * 3)
        jitted = jit(lambda q: [ensemble(query=q)["responses"], ensemble(query=q + "?")])
        assert jitted("x")[0] == ["answer to " + gate.asked[0]] * 3

    def test_operators_that_ask_once_share_a_module_at_the_same_time(self) -> None:
        gate = Gate(4)
        glance = Glance(lm_modules=[gate.lm])
        assert len(jit(lambda q: [glance(text=q)["text"] for _ in range(4)])("x")) == 4

    def test_the_latency_of_a_trial_is_the_critical_path(self) -> None:
        models = Models()
        with_latency = scripted(timed)
        lm = module(serve(with_latency), with_latency)
        _, eager = in_trial(lambda: [lm(f"{n}") for n in range(4)])
        _, jitted = in_trial(jit(lambda: [lm(f"{n}") for n in range(4)]))
        assert (eager.clock, jitted.clock) == (8.0, 2.0)
        assert models.asked == []


async def timed(call: Call) -> Any:
    from ember_bench.models import Completion

    return Completion("x", latency_seconds=2.0)


class TestFresh:
    def test_a_plan_holds_no_answer(self, lm: LMModule) -> None:
        @jit
        def judged(question: str) -> str:
            return lm(f"judge {lm(question)}")

        assert len({judged("q") for _ in range(4)}) == 4

    def test_a_plan_is_for_the_inputs_that_are_given(self, lm: LMModule) -> None:
        @jit
        def ask(question: str, context: dict[str, list[str]]) -> list[str]:
            return [lm(f"{question} {entry}") for entry in context["a"]]

        assert repr(ask.plan("x", {"a": ["y"]})) == repr(ask.plan("other", {"a": ["z"]}))
        assert len(ask.plan("other", {"a": ["z", "z"]})) == 2

    def test_each_run_follows_its_inputs(self, lm: LMModule) -> None:
        @jit
        def several(question: str, times: int) -> list[str]:
            return [lm(question) for _ in range(times)]

        assert [len(several("x", n)) for n in (1, 3, 2)] == [1, 3, 2]
        assert len(several.plan("x", 7)) == 7

    def test_what_changes_outside_is_noticed(self, lm: LMModule) -> None:
        class Repeat(Operator):
            times = 2

            def forward(self, inputs: Any) -> Any:
                return [self.lms[0](inputs["q"]) for _ in range(self.times)]

        repeat = jit(Repeat)(lm_modules=[lm])
        assert len(repeat(q="x")) == 2
        repeat.times = 3
        assert len(repeat(q="x")) == 3
        assert len(repeat.forward.plan({"q": "x"})) == 3


class TestPlans:
    def test_a_plan_shows_what_is_asked_of_whom(self, lm: LMModule) -> None:
        @jit
        def judged(question: str) -> str:
            drafts = [lm(f"draft {n}: {question}") for n in range(2)]
            return lm("\n".join(drafts), role="judge")

        assert repr(judged.plan("x")).splitlines() == [
            "ExecutionPlan: 3 tasks, given question",
            f"  generate.0 = {lm!r} <- 'draft 0: {{question}}'",
            f"  generate.1 = {lm!r} <- 'draft 1: {{question}}'",
            f"  judge.0    = {lm!r} <- '{{generate.0.data}}\\n{{generate.1.data}}'",
            "  gives judge.0.data",
        ]

    def test_asking_for_a_plan_asks_no_model(self) -> None:
        models = Models()
        assert len(jit(lambda q: models.lms[0](f"{q}")).plan("x")) == 1
        assert models.asked == []

    def test_a_pure_operator_waits_for_what_it_is_given(self, lm: LMModule) -> None:
        shout = Shout()

        @jit
        def twice(question: str) -> tuple[Any, Any]:
            answer = lm(question)
            return shout(text=answer), shout({"text": f"so: {question}"})

        assert [task.name for task in twice.plan("x").tasks] == ["generate.0", "Shout.0"]
        assert twice("x")[1] == shout(text="so: x")

    def test_equal_calls_of_a_model_are_two(self, lm: LMModule) -> None:
        one, other = jit(lambda q: (lm(q), lm(q)))("x")
        assert one != other

    def test_a_call_whose_result_is_not_used_is_made_as_eagerly(self) -> None:
        models = Models()
        ensemble, shout = EnsembleOperator(lm_modules=models.lms), Shout()

        @jit
        def ask(question: str) -> str:
            models.lms[0](f"discarded {question}")
            unused = models.lms[0](f"unused {question}")  # noqa: F841
            ensemble(query="discarded")
            shout(text="discarded")
            return models.lms[0](f"used {question}")

        for question in ("x", "y"):
            expected, strand = in_trial(lambda q=question: ask.function(q))
            models.asked.clear()
            found, other = in_trial(lambda q=question: ask(q))
            assert found == expected
            assert keys(other) == keys(strand)
            asked = [f"{which} {question}" for which in ("discarded", "unused", "used")]
            assert sorted(models.asked) == sorted([*["discarded"] * len(models.lms), *asked])
        assert len(ask.plan("x").tasks) == 3 + len(models.lms)

    def test_an_equal_call_before_it_counts_for_its_draw(self) -> None:
        models = Models()

        def program(question: str) -> str:
            models.lms[0](question)
            return models.lms[0](question)

        expected, strand = in_trial(lambda: (program("x"), models.lms[0]("x")))
        found, other = in_trial(lambda: (jit(program)("x"), models.lms[0]("x")))
        assert found == expected
        assert keys(other) == keys(strand)

    def test_what_might_be_looked_into_is_asked(self) -> None:
        models = Models()

        def program(question: str) -> str:
            verdict = models.lms[0](f"verify {question}")
            return "good" if re.search("e", f"{verdict}.") else "bad"

        for question in map(str, range(8)):
            expected, _ = in_trial(lambda q=question: program(q))
            assert in_trial(lambda q=question: jit(program)(q))[0] == expected

    def test_an_operator_that_may_do_more_than_compute_is_called_though_unused(self) -> None:
        counting = Counting()
        jitted = jit(lambda q: [counting(text=q), 1][1])
        assert [jitted("x"), jitted("y")] == [1, 1]
        assert counting.seen == ["x", "y"]


def match(answer: str) -> str:
    match answer:
        case "red":
            return "r"
        case _:
            return "other"


class TestParts:
    """Where a value is needed, what waits is made at the same time, and the code goes on."""

    def test_a_branch_on_an_answer(self, log: pytest.LogCaptureFixture) -> None:
        models = Models()

        @jit
        def branch(question: str) -> Any:
            drafts = [models.lms[0](f"{question} {n}") for n in range(3)]
            if drafts[0] == "red":
                return "it is red"
            return models.lms[0]("again"), drafts

        for question in ("a", "b", "c", "d"):
            expected, strand = in_trial(lambda q=question: branch.function(q))
            found, other = in_trial(lambda q=question: branch(q))
            assert (found, sorted(keys(other))) == (expected, sorted(keys(strand)))
        (line,) = log.messages
        assert "branch: 1 of its 4 calls waits for others (parts of 3 and 1)" in line
        assert line.endswith('if drafts[0] == "red":')
        assert re.search(r"its answer is needed at .*test_api\.py:\d+: if", line)

    def test_drafts_a_judge_and_a_branch_ask_sixteen_at_once(
        self, log: pytest.LogCaptureFixture
    ) -> None:
        gate = Gate(16)
        judge = Gate(1)

        @jit
        def judged(question: str) -> str:
            drafts = [gate.lm(f"{question} {n}") for n in range(16)]
            verdict = judge.lm("\n".join(drafts), role="judge")
            if verdict.startswith("answer"):
                return judge.lm(f"polish {verdict}")
            return verdict

        assert judged("x").startswith("answer to polish answer to")
        assert len(gate.asked) == 16
        assert len(judge.asked) == 2
        assert "1 of its 18 calls waits for others (parts of 17 and 1)" in log.messages[0]

    def test_the_calls_behind_a_branch_are_at_the_same_time_too(self) -> None:
        gate = Gate(4)

        @jit
        def twice(question: str) -> list[str]:
            first = [gate.lm(f"{question} {n}") for n in range(4)]
            if "answer" not in first[0]:
                return first
            return [gate.lm(f"again {answer}") for answer in first]

        assert twice("x")[3] == "answer to again answer to x 3"

    @pytest.mark.parametrize(
        "look",
        [
            lambda answers: int(answers[0], 36) > 3,
            lambda answers: Counter(answers).most_common(1)[0][0] == "red",
            lambda answers: bool(re.search("e", answers[0])),
            lambda answers: len(answers[0]) > 3,
            lambda answers: "".join(sorted(answers[0])) > "d",
        ],
    )
    def test_one_look_at_an_answer_does_not_make_the_others_wait(
        self, look: Callable[[list[str]], bool]
    ) -> None:
        gate = Gate(16)

        @jit
        def looks(question: str) -> Any:
            answers = [gate.lm(f"{question} {n}"[:2]) for n in range(16)]
            return "yes" if look([a.replace(" ", "") for a in answers]) else "no"

        assert looks("x") in ("yes", "no")

    def test_a_plan_shows_the_parts_that_are_known(self, lm: LMModule) -> None:
        @jit
        def asked(question: str) -> str:
            drafts = [lm(f"{n} {question}") for n in range(2)]
            if len(drafts[0]) > 3:
                return lm(f"polish {drafts[1]}")
            return drafts[0]

        lines = repr(asked.plan("x")).splitlines()
        assert lines[0] == "Part 1: 2 tasks, given question"
        assert lines[-1].startswith(
            f"what follows is known when it runs, as its answer is needed at {__file__}:"
        )
        asked("x")
        lines = repr(asked.plan("y")).splitlines()
        assert lines[3].startswith(f"then, as its answer is needed at {__file__}:")
        assert lines[4:] == [
            "Part 2: 1 task, given generate.1",
            f"  generate.2 = {lm!r} <- 'polish {{generate.1.data}}'",
            "  gives generate.2.data",
        ]

    def test_what_keeps_an_answer_is_named(self, log: pytest.LogCaptureFixture) -> None:
        models = Models()
        history: list[str] = []

        class Holder:
            best = ""

        @jit
        def keeps(question: str) -> None:
            history.append(models.lms[0](question))
            Holder.best = models.lms[0](f"{question}!")
            models.lms[0]("last")

        keeps("x")
        assert type(history[0]) is type(Holder.best) is str
        assert "list.append() is given an answer at" in log.messages[0]
        assert log.messages[0].endswith("history.append(models.lms[0](question)) (and at 1 more)")
        (_, kept) = keeps._report.last[:2]
        assert kept.reason == "an answer is kept in Holder.best"

    @pytest.mark.parametrize(
        "look",
        [
            bool,
            len,
            lambda answer: "e" in answer,
            lambda answer: sum(1 for letter in answer),
            lambda answer: {answer: 1},
            {"red": 1}.get,
            lambda answer: answer in ("red", "green"),
            lambda answer: answer < "h",
            lambda answer: int(answer, 36) if answer.isalpha() else 0,
            lambda answer: sorted([answer, "a"]),
            lambda answer: answer.split()[0] or "nothing",
            lambda answer: [f"{word}" for word in answer.split()],
            lambda answer: re.findall(r"[a-f]", answer),
            lambda answer: re.sub(r"r|g", "x", f"<{answer}>"),
            lambda answer: json.loads(json.dumps({"a": answer}))["a"],
            lambda answer: json.dumps({"a": answer}),
            lambda answer: f"<{answer}>".upper(),
            lambda answer: f" {answer} ".strip(),
            lambda answer: f"<{answer}>"[:4],
            lambda answer: len(f"<{answer}>"),
            lambda answer: "Answer" in f"<{answer}>",
            lambda answer: f"{answer} {answer}".split(),
            lambda answer: f"{answer!r:>20}" + f"{len(answer)}",
            lambda answer: answer.encode().hex(),
            lambda answer: isinstance(answer, str),
            lambda answer: answer is None,
            match,
        ],
    )
    def test_whatever_looks_into_an_answer_gives_what_it_gives_eagerly(
        self, look: Callable[[str], Any]
    ) -> None:
        models = Models()

        def program(question: str) -> Any:
            seen = look(models.lms[0](question))
            return seen, models.lms[1](f"{seen}"), models.lms[1]("last")

        jitted = jit(program)
        for question in ("a", "b", "c"):
            expected, strand = in_trial(lambda q=question: program(q))
            found, other = in_trial(lambda q=question: jitted(q))
            assert found == expected
            assert type(found[0]) is type(expected[0])
            assert keys(other) == keys(strand)

    def test_a_branch_on_an_input_is_none_on_an_answer(self, log: pytest.LogCaptureFixture) -> None:
        gate = Gate(2)

        @jit
        def twice(question: str, mode: str) -> list[str]:
            if mode == "short":
                return [gate.lm(f"briefly {question}") for _ in range(2)]
            return [gate.lm(question) for _ in range(4)]

        assert [len(twice(q, m)) for q in "ab" for m in ("short", "long")] == [2, 4, 2, 4]
        assert len(twice.plan("c", "short")) == 2
        assert log.messages == []

    def test_an_input_is_read_with_re(self, log: pytest.LogCaptureFixture) -> None:
        gate = Gate(2)
        jitted = jit(lambda q: [gate.lm(word) for word in re.findall(r"\w+", q)])
        assert jitted("one two") == ["answer to one", "answer to two"]
        assert jitted("three four")[1] == "answer to four"
        assert log.messages == []

    def test_an_operator_that_looks_into_answers_is_run_as_a_whole(
        self, log: pytest.LogCaptureFixture
    ) -> None:
        gate = Gate(2)
        choosy = [Choosy(lm_modules=[gate.lm]), Choosy(lm_modules=[Gate(1).lm])]
        jitted = jit(lambda q: [gate.lm(q), choosy[0](text=q), choosy[1](text=q)])
        names = [task.name for task in jitted.plan("x").tasks]
        assert names == ["generate.0", "Choosy.0", "Choosy.1"]
        assert log.messages == []

    def test_what_is_different_every_time(self, log: pytest.LogCaptureFixture) -> None:
        models = Models()
        jitted = jit(lambda q: models.lms[0](f"{q} {random.random()}"))
        assert jitted("x") in ("red", "green", "blue")
        assert len(models.asked) == 1
        assert log.messages == []

    def test_parallel_and_threads_and_services(self, lm: LMModule) -> None:
        def threads(question: str) -> list[str]:
            with ThreadPoolExecutor(2) as pool:
                return list(pool.map(lambda n: lm(f"{question} {n}")[:0], range(2)))

        def service(question: str) -> str:
            return lm.service(lm.model, question).data[:0] + question

        assert jit(threads)("x") == threads("x")
        assert jit(service)("x") == service("x")
        program = lambda q: parallel([lambda: lm(q), lambda: lm(q)])  # noqa: E731
        assert in_trial(lambda: jit(program)("x"))[0] == in_trial(lambda: program("x"))[0]

    def test_coroutine_functions(self, lm: LMModule) -> None:
        async def ask(question: str) -> str:
            return await lm.acall(question)

        assert len(asyncio.run(jit(ask)("x"))) > 0

    def test_there_is_no_plan_to_show(self, lm: LMModule) -> None:
        def some(question: str) -> Iterator[str]:
            yield lm(question)

        with pytest.raises(GraphError, match="has no plan: it runs eagerly, as it is a generator"):
            jit(some).plan("x")
        with pytest.raises(GraphError, match="has no plan: it makes no calls"):
            jit(lambda q: q).plan("x")

    def test_what_cannot_be_rewritten_runs_eagerly(self, log: pytest.LogCaptureFixture) -> None:
        models = Models()
        names = {"lm": models.lms[0]}
        exec("def made(question):\n    return [lm(question), lm(question)]", names)
        assert len(jit(names["made"])("x")) == 2  # type: ignore[call-overload]
        (line,) = log.messages
        assert line.startswith("made: runs eagerly, and each of its calls waits for the one before")
        assert line.endswith(": its source is not available")

    def test_wrong_arguments_are_refused_as_by_the_function(self, lm: LMModule) -> None:
        jitted = jit(lambda question: lm(f"{question}"))
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            jitted()  # type: ignore[call-arg]

    def test_a_mistake_is_raised_and_not_logged(
        self, lm: LMModule, log: pytest.LogCaptureFixture
    ) -> None:
        jitted = jit(EnsembleOperator(lm_modules=[lm]))
        with pytest.raises(SignatureError, match="missing input 'query'"):
            jitted({"text": "x"})
        assert log.messages == []


class TestTargets:
    def test_a_class(self, lm: LMModule) -> None:
        gate = Gate(3)

        @jit
        class Three(Operator):
            def forward(self, inputs: Any) -> Any:
                return {"responses": [self.lms[0](inputs["query"]) for _ in range(3)]}

        three = Three(lm_modules=[gate.lm])
        assert three(query="x") == {"responses": ["answer to x"] * 3}
        assert isinstance(three, Three)
        assert [path for path, _, _ in three.named_lm_modules()] == ["lms.0"]
        assert len(three.forward.plan({"query": "x"})) == 3

    def test_two_instances_have_plans_of_their_own(self, lm: LMModule) -> None:
        @jit
        class Some(Operator):
            def __init__(self, times: int) -> None:
                super().__init__(lm_modules=[lm])
                self.times = times

            def forward(self, inputs: Any) -> Any:
                return [self.lms[0](inputs["q"]) for _ in range(self.times)]

        assert [len(Some(n)(q="x")) for n in (1, 3)] == [1, 3]

    def test_an_instance(self, lm: LMModule) -> None:
        ensemble = EnsembleOperator(lm_modules=[lm] * 2)
        jitted = jit(ensemble)
        assert jitted.kind is ensemble.kind
        assert len(jitted.plan({"query": "x"})) == 2
        expected, strand = in_trial(lambda: ensemble(query="x"))
        found, other = in_trial(lambda: jitted(query="x"))
        assert (found, keys(other)) == (expected, keys(strand))

    def test_jitted_operators_nest(self, lm: LMModule) -> None:
        ensemble = jit(EnsembleOperator(lm_modules=[lm] * 2))

        judge = JudgeBasedOperator(lm_modules=[lm])

        @jit
        def judged(question: str) -> Any:
            return judge({"query": question, **ensemble(query=question)})

        names = [task.name for task in judged.plan("x").tasks]
        assert names == ["generate.0", "generate.1", "JudgeBasedOperator.0"]
        assert set(judged("x")) == {"final_answer", "judgement"}

    @settings(max_examples=30, deadline=None)
    @given(times=delays)
    def test_as_nodes_of_a_graph_they_have_the_replicas_of_the_graph(
        self, times: list[int]
    ) -> None:
        models = Models(times)
        ran = []
        for wrap in (lambda operator: operator, jit):
            graph = NoNGraphData()
            for name, lm in zip("abc", models.lms, strict=True):
                graph.add_node(name=name, operator=wrap(Rephrase(lm_modules=[lm])))
            graph.add_node(name="d", operator=wrap(Choosy(lm_modules=models.lms[:1])), inputs=["a"])
            ran.append(in_trial(lambda g=graph: [g({"text": "x"}), g({"text": "x"})]))
        (expected, strand), (found, other) = ran
        assert found == expected
        assert sorted(keys(other)) == sorted(keys(strand))

    def test_a_vote_over_an_ensemble(self) -> None:
        models = Models()
        ensemble, vote = EnsembleOperator(lm_modules=models.lms), MostCommonOperator()
        program = lambda q: vote(ensemble(query=q))["final_answer"]  # noqa: E731
        expected, strand = in_trial(lambda: program("x"))
        found, other = in_trial(lambda: jit(program)("x"))
        assert (found, sorted(keys(other))) == (expected, sorted(keys(strand)))

    def test_what_is_no_function_is_refused(self) -> None:
        for wrong in (3, "f", int):
            with pytest.raises(TypeError, match="jit takes an operator"):
                jit(wrong)  # type: ignore[call-overload]


class TestResults:
    def test_a_result_may_be_any_object(self, lm: LMModule) -> None:
        @dataclass
        class Result:
            answer: str
            size: int

        result = jit(lambda q: Result(lm(q), 1))("x")
        assert type(result.answer) is str
        assert len(result.answer) == 32

    def test_no_stand_in_is_left_where_the_function_keeps_an_answer(self, lm: LMModule) -> None:
        kept: list[str] = []
        jitted = jit(lambda q: kept.append(lm(q)))
        jitted("x")
        assert len(kept[-1]) == 32
        kept.clear()
        jitted("y")
        assert [type(answer) for answer in kept] == [str]

    def test_exceptions_are_raised_where_they_are_in_eager_code(self) -> None:
        models = Models(failing=True)

        def program(question: str) -> list[str]:
            answers = []
            for number in range(12):
                try:
                    answers.append(models.lms[0](f"{question} {number}"))
                except ProviderError:
                    answers.append(models.lms[0](f"{question} once more"))
            return answers

        jitted = jit(program)
        for question in ("a", "b", "c", "d"):
            expected, strand = in_trial(lambda q=question: outcome(lambda: program(q)))
            found, other = in_trial(lambda q=question: outcome(lambda: jitted(q)))
            assert found == expected
            assert set(keys(strand)) <= set(keys(other))
