from __future__ import annotations

import asyncio
import gc
import random
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ember_bench import bridge
from ember_bench.errors import SignatureError
from ember_bench.graph import GraphExecutorService, NoNGraphData, execute, parallel
from ember_bench.models import Completion, RetryPolicy
from ember_bench.models.call import Call
from ember_bench.operators import EnsembleOperator, MostCommonOperator, Operator, Signature
from tests.support import virtual
from tests.support.models import in_trial, keys, module, modules, scripted, serve, telling


class Do(Operator):
    """Runs a function of the inputs."""

    def __init__(self, body: Callable[[Any], Any]) -> None:
        self.body = body

    def forward(self, inputs: Any) -> Any:
        return self.body(inputs)


def graph_of(**nodes: tuple[Operator | Callable[[Any], Any], list[str]]) -> NoNGraphData:
    graph = NoNGraphData()
    for name, (body, inputs) in nodes.items():
        operator = body if isinstance(body, Operator) else Do(body)
        graph.add_node(name=name, operator=operator, inputs=inputs)
    return graph


def run(graph: NoNGraphData, **inputs: Any) -> dict[str, Any]:
    return GraphExecutorService().run(graph_data=graph, input_data=inputs)


def run_on_own_loop(graph: NoNGraphData, **inputs: Any) -> Any:
    """Run a graph in a greenlet and see that nothing of it is left."""

    async def main() -> Any:
        try:
            async with asyncio.timeout(20):
                return await bridge.run(execute, graph, inputs)
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(main())


class TestRunning:
    def test_gives_the_outputs_of_every_node_in_graph_order(self) -> None:
        graph = graph_of(
            one=(lambda i: {"x": i["query"] + "1"}, []),
            two=(lambda i: {"x": i["x"] + "2"}, ["one"]),
            three=(lambda i: [i["query"], i["x"]], ["two"]),
        )
        results = run(graph, query="q")
        assert results == {"one": {"x": "q1"}, "two": {"x": "q12"}, "three": ["q", "q12"]}
        assert list(results) == ["one", "two", "three"]

    def test_a_graph_is_an_operator_that_gives_its_last_outputs(self) -> None:
        inner = graph_of(a=(lambda i: {"x": 1}, []), b=(lambda i: {"y": i["x"] + 1}, ["a"]))
        outer = graph_of(inner=(inner, []), after=(lambda i: i["y"] + 1, ["inner"]))
        assert inner(query="q") == {"y": 2}
        assert run(outer)["after"] == 3

    def test_the_seeds_call_pattern_works(self) -> None:
        async def answer(call: Call) -> str:
            return "Answer: 4" if call.request.role == "generate" else "x"

        model = scripted(answer)
        graph_data = NoNGraphData()
        ensemble_op = EnsembleOperator(lm_modules=modules(serve(model), model, 3))
        graph_data.add_node(name="ensemble", operator=ensemble_op, inputs=[])
        graph_data.add_node(name="judge", operator=MostCommonOperator(), inputs=["ensemble"])
        results = GraphExecutorService().run(graph_data=graph_data, input_data={"query": "2 + 2?"})
        assert results["judge"]["final_answer"] == "4"

    def test_an_empty_graph_gives_nothing(self) -> None:
        assert run(NoNGraphData()) == {}

    def test_each_run_outside_a_trial_asks_anew(self) -> None:
        model = telling()
        graph = graph_of(one=(EnsembleOperator(lm_modules=[module(serve(model), model)]), []))
        answers = {run(graph, query="q")["one"]["responses"][0] for _ in range(3)}
        assert len(answers) == 3

    def test_a_node_may_be_async_or_blocking(self) -> None:
        class Async(Operator):
            async def forward(self, inputs: Any) -> Any:
                await asyncio.sleep(0)
                return {"x": 1}

        class Blocking(Operator):
            blocking = True

            def forward(self, inputs: Any) -> Any:
                return {"y": inputs["x"] + 1}

        assert run(graph_of(a=(Async(), []), b=(Blocking(), ["a"])))["b"] == {"y": 2}

    def test_thousands_of_graphs_are_in_flight_at_once(self) -> None:
        count, waiting = 1_000, 0
        everyone = asyncio.Event()

        async def meet(_: Call) -> str:
            nonlocal waiting
            waiting += 1
            if waiting == count:
                everyone.set()
            await everyone.wait()
            return "x"

        model = scripted(meet, max_concurrency=count)
        # The window of requests takes ten seconds to grow as wide as that.
        service = serve(model, retry=RetryPolicy(clock=virtual.virtual_time))
        graph = graph_of(one=(EnsembleOperator(lm_modules=[module(service, model)]), []))

        async def main() -> list[Any]:
            async with asyncio.timeout(60):
                return await bridge.gather(
                    [bridge.run(execute, graph, {"query": str(n)}) for n in range(count)]
                )

        assert len(virtual.run(main())) == count


class TestParallelism:
    def test_nodes_that_do_not_depend_on_each_other_overlap(self) -> None:
        both = asyncio.Event()
        begun = []

        def meet(inputs: Any) -> str:
            begun.append(1)
            if len(begun) == 3:
                both.set()
            bridge.wait(both.wait())  # for ever, if they ran one after another
            return "met"

        graph = graph_of(a=(meet, []), b=(meet, []), c=(meet, []), d=(lambda i: 1, ["a", "b"]))
        assert run_on_own_loop(graph) == {"a": "met", "b": "met", "c": "met", "d": 1}

    def test_a_node_starts_when_its_own_inputs_are_there(self) -> None:
        """It does not wait for the rest of its layer."""
        done = asyncio.Event()

        def after_fast(inputs: Any) -> None:
            done.set()

        graph = graph_of(
            slow=(lambda i: bridge.wait(done.wait()), []),
            fast=(lambda i: None, []),
            after_fast=(after_fast, ["fast"]),
        )
        assert set(run_on_own_loop(graph)) == {"slow", "fast", "after_fast"}

    def test_parallel_functions_overlap_and_keep_their_order(self) -> None:
        async def main() -> list[int]:
            everyone = asyncio.Barrier(5)

            def meet(number: int) -> int:
                bridge.wait(everyone.wait())
                return number

            async with asyncio.timeout(20):
                return await bridge.run(
                    parallel,
                    [lambda n=n: meet(n) for n in range(5)],  # type: ignore[misc]
                )

        assert asyncio.run(main()) == [0, 1, 2, 3, 4]
        assert parallel([lambda: 1, lambda: 2]) == [1, 2]  # in a script
        assert parallel([]) == []


def explode(inputs: Any) -> None:
    raise ZeroDivisionError("mine")


class TestFailure:
    def test_cancels_the_others_where_they_wait_and_leaves_nothing_running(self) -> None:
        seen = []

        def patient(inputs: Any) -> None:
            try:
                bridge.wait(asyncio.sleep(3600))
            except asyncio.CancelledError:
                bridge.wait(asyncio.sleep(0))
                seen.append("cancelled")
                raise

        def hasty(inputs: Any) -> None:
            bridge.wait(asyncio.sleep(0))
            explode(inputs)

        never = seen.append
        graph = graph_of(a=(patient, []), b=(hasty, []), c=(never, ["b"]), d=(never, ["a"]))
        with pytest.raises(ZeroDivisionError):
            run_on_own_loop(graph)
        assert seen == ["cancelled"]

    @pytest.mark.parametrize("engine", [run, run_on_own_loop])
    def test_keeps_the_users_traceback_and_names_the_node(self, engine: Callable[..., Any]) -> None:
        graph = graph_of(first=(lambda i: None, []), second=(explode, ["first"]))
        with pytest.raises(ZeroDivisionError, match="mine") as caught:
            engine(graph)
        assert caught.value.__notes__ == ["in node 'second'"]
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert (frames[-1].name, frames[-1].filename) == ("explode", __file__)

    def test_in_a_nested_graph_names_the_whole_path(self) -> None:
        inner = graph_of(deep=(explode, []))
        with pytest.raises(ZeroDivisionError) as caught:
            run(graph_of(outer=(inner, []), beside=(lambda i: None, [])))
        assert caught.value.__notes__[0] == "in node 'outer/deep'"

    def test_of_several_at_once_is_the_first_in_graph_order_and_none_is_lost_noisily(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(name: str) -> Callable[[Any], None]:
            def body(inputs: Any) -> None:
                raise ValueError(name)

            return body

        graph = graph_of(a=(fail("a"), []), b=(fail("b"), []), c=(fail("c"), []))
        with pytest.raises(ValueError, match="a"):
            run_on_own_loop(graph)
        gc.collect()
        assert "never retrieved" not in caplog.text

    def test_of_a_signature_names_field_operator_and_node(self) -> None:
        strict = Do(lambda i: None)
        strict.signature = Signature(required_inputs=["context"])
        with pytest.raises(SignatureError, match="missing input 'context'") as caught:
            run(graph_of(strict=(strict, [])))
        assert caught.value.__notes__ == ["in Do", "in node 'strict'"]

    def test_a_cancelled_graph_leaves_nothing_running(self) -> None:
        graph = graph_of(
            a=(lambda i: bridge.wait(asyncio.sleep(3600)), []),
            b=(lambda i: bridge.wait(asyncio.sleep(3600)), []),
        )

        async def main() -> None:
            task = asyncio.ensure_future(bridge.run(execute, graph, {}))
            for _ in range(5):
                await asyncio.sleep(0)
            await bridge.cancel_all([task])
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())

    def test_may_be_caught_by_the_operator_around_the_graph(self) -> None:
        inner = graph_of(a=(explode, []))

        def careful(inputs: Any) -> str:
            try:
                inner(inputs)
            except ZeroDivisionError:
                return "caught"
            return "not"

        assert run(graph_of(careful=(careful, [])))["careful"] == "caught"

    def test_of_parallel_functions_cancels_the_others(self) -> None:
        ended = []

        def patient() -> None:
            try:
                bridge.wait(asyncio.sleep(3600))
            finally:
                ended.append("patient")

        with pytest.raises(ZeroDivisionError):
            parallel([patient, lambda: explode(None)])
        assert ended == ["patient"]


# Node i may take any of the nodes before it.
dags = st.integers(1, 7).flatmap(
    lambda n: st.tuples(
        *(
            st.lists(st.integers(0, i - 1), unique=True, max_size=3) if i else st.just([])
            for i in range(n)
        )
    )
)

timing = random.Random()


async def some_time(call: Call) -> Completion:
    for _ in range(timing.randrange(5)):
        await asyncio.sleep(0)
    # The virtual time that a call takes is a function of the call.
    return Completion(call.key.hex(), latency_seconds=1.0 + call.key[0])


RANDOM = scripted(some_time)


def ask_of(edges: tuple[list[int], ...]) -> NoNGraphData:
    """Return a graph in which each node tells the model what it was given."""
    service = serve(RANDOM)
    graph = NoNGraphData()
    for number, inputs in enumerate(edges):
        asker = Asker(modules(service, RANDOM, 1 + number % 2))
        graph.add_node(name=f"n{number}", operator=asker, inputs=[f"n{i}" for i in inputs])
    return graph


class Asker(Operator):
    def __init__(self, lms: Any) -> None:
        self.members = lms

    def forward(self, inputs: Any) -> Any:
        prompt = repr(sorted(inputs.items()))
        asks = [lambda lm=lm: lm(prompt) + lm(prompt) for lm in self.members]  # type: ignore[misc]
        return {"responses": parallel(asks)}


class TestLaws:
    @settings(max_examples=50, deadline=None)
    @given(dags)
    def test_results_identities_and_the_clock_do_not_depend_on_timing(
        self, edges: tuple[list[int], ...]
    ) -> None:
        outcomes = []
        for seed in range(3):
            timing.seed(seed)
            graph = ask_of(edges)
            results, strand = in_trial(lambda g=graph: execute(g, {"query": "q"}))
            outcomes.append((results, sorted(keys(strand)), strand.clock))
        assert outcomes[0] == outcomes[1] == outcomes[2]

    @settings(max_examples=50, deadline=None)
    @given(dags)
    def test_no_two_calls_of_a_trial_are_the_same(self, edges: tuple[list[int], ...]) -> None:
        _, strand = in_trial(lambda: execute(ask_of(edges), {"query": "q"}))
        assert len(set(keys(strand))) == sum(2 * (1 + i % 2) for i in range(len(edges)))

    @settings(max_examples=50, deadline=None)
    @given(dags, st.lists(st.integers(0, 9), min_size=7, max_size=7))
    def test_the_virtual_clock_is_the_critical_path(
        self, edges: tuple[list[int], ...], seconds: list[int]
    ) -> None:
        async def timed(call: Call) -> Completion:
            text = call.request.messages[0].content
            return Completion("", latency_seconds=float(text))

        model = scripted(timed)
        lm = module(serve(model), model)
        graph = NoNGraphData()
        for number, inputs in enumerate(edges):
            ask = Do(lambda i, s=seconds[number]: {"said": lm(str(s))})
            graph.add_node(name=str(number), operator=ask, inputs=[str(i) for i in inputs])
        ends: list[int] = []
        for number, inputs in enumerate(edges):
            ends.append(seconds[number] + max((ends[i] for i in inputs), default=0))
        _, strand = in_trial(lambda: execute(graph, {}))
        assert strand.clock == max(ends)
        nodes = {
            call.node: call.started + (call.latency_seconds or 0) for call in strand.trial.calls
        }
        assert nodes == {str(number): end for number, end in enumerate(ends)}


class TestClock:
    def test_a_chain_adds_a_fan_out_takes_the_longest_and_a_loop_adds(self) -> None:
        async def timed(call: Call) -> Completion:
            return Completion("", latency_seconds=2.0)

        model = scripted(timed)
        service = serve(model)
        lm = module(service, model)
        graph = graph_of(
            loop=(lambda i: [lm("a"), lm("b"), lm("c")], []),
            fan=(EnsembleOperator(lm_modules=modules(service, model, 3)), ["loop"]),
            both=(lambda i: parallel([lambda: lm("d"), lambda: [lm("e"), lm("f")]]), ["fan"]),
        )
        _, strand = in_trial(lambda: execute(graph, {"query": "q"}))
        assert strand.clock == 6.0 + 2.0 + 4.0

    def test_a_nested_graph_starts_where_the_outer_one_is(self) -> None:
        async def timed(call: Call) -> Completion:
            return Completion("", latency_seconds=2.0)

        model = scripted(timed)
        lm = module(serve(model), model)
        inner = graph_of(a=(lambda i: {"said": lm("a")}, []))
        outer = graph_of(first=(lambda i: {"said": lm("b")}, []), inner=(inner, ["first"]))
        _, strand = in_trial(lambda: execute(outer, {}))
        started = {call.node: call.started for call in strand.trial.calls}
        assert started == {"first": 0.0, "inner/a": 2.0}
        assert strand.clock == 4.0
