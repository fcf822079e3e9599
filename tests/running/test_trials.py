"""Trials and accounts of calls for programs that are no experiment."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

import ember_bench
from ember_bench import EnsembleOperator, JudgeBasedOperator, NoNGraphData, bridge, jit
from ember_bench.errors import EmberBenchError
from ember_bench.graph import parallel
from ember_bench.models import Completion, MemoryStore, ModelCost, ModelInfo, RetryPolicy, Usage
from ember_bench.models.call import Call
from ember_bench.models.strand import CallLog, CallRecord
from ember_bench.models.types import UnusableAnswerError
from ember_bench.running.trials import CallUsage
from tests.support.models import in_trial, keys, module, modules, scripted, serve, telling

PRICE = ModelCost(input_cost_per_thousand=1.0, output_cost_per_thousand=2.0)
PRICE_OF_A_CALL = (3 * 1.0 + 2 * 2.0) / 1000  # of three tokens sent and two received


def timed(seconds: float, **fields: Any) -> ModelInfo:
    """Return a model each of whose answers is said to have taken `seconds`."""

    async def answer(call: Call) -> Completion:
        return Completion("7", Usage(3, 2), latency_seconds=seconds)

    return scripted(answer, **fields)


def vote_of(service: Any, member: ModelInfo, judge: ModelInfo, size: int = 3) -> NoNGraphData:
    graph = NoNGraphData({"ensemble": EnsembleOperator(lm_modules=modules(service, member, size))})
    judging = JudgeBasedOperator(lm_modules=[module(service, judge)])
    graph.add_node(name="judge", operator=judging, inputs=["ensemble"])
    return graph


class TestTrial:
    def test_code_that_is_run_again_asks_nothing_again(self) -> None:
        model = telling()
        service = serve(model, store=MemoryStore())

        def cell() -> list[str]:
            lm = module(service, model)
            with ember_bench.trial():
                return [lm("q"), lm("q"), *vote_of(service, model, model)(query="q").values()]

        first = cell()
        assert len(set(first[:2])) == 2
        with ember_bench.usage() as used:
            assert cell() == first
        assert used.total.stored_calls == used.total.calls == 6

    def test_a_sweep_over_the_number_of_members_shares_its_calls(self) -> None:
        model = telling()
        service = serve(model, store=MemoryStore())
        made = []
        for size in (1, 3, 5):
            with ember_bench.usage() as used, ember_bench.trial():
                EnsembleOperator(lm_modules=modules(service, model, size))(query="q")
            made.append(used.total.calls - used.total.stored_calls)
        assert made == [1, 2, 2]

    def test_its_calls_are_those_of_a_trial_of_an_experiment(self) -> None:
        model = telling()
        graph = vote_of(serve(model), model, model)
        _, strand = in_trial(lambda: graph(query="q"), epoch=2)
        with ember_bench.usage() as used, ember_bench.trial(epoch=2):
            graph(query="q")
        assert sorted(call.key for call in used.calls) == sorted(keys(strand))

    def test_there_is_none_in_another(self) -> None:
        def begin() -> None:
            with ember_bench.trial():
                pass

        with ember_bench.trial(), pytest.raises(EmberBenchError, match="going on already"):
            begin()
        with pytest.raises(EmberBenchError, match="going on already"):
            in_trial(begin)

    def test_after_it_calls_are_counted_by_the_service_again(self) -> None:
        model = telling()
        lm = module(serve(model, store=MemoryStore()), model)
        before = lm("q")
        with ember_bench.trial():
            assert lm("q") == before
        assert lm("q") != before

    def test_tasks_of_a_coroutine_are_branches(self) -> None:
        model = telling()
        lm = module(serve(model), model)

        async def both() -> list[str]:
            with ember_bench.trial():
                return await asyncio.gather(lm.acall("q"), lm.acall("q"))

        def one_after_the_other() -> list[str]:
            return [lm("q"), lm("q")]

        assert asyncio.run(both()) == in_trial(one_after_the_other)[0]

    def test_plain_code_under_a_running_loop_as_in_a_notebook_is_one_strand(self) -> None:
        model = telling()
        lm = module(serve(model), model)

        def cell() -> list[str]:
            ensemble = EnsembleOperator(lm_modules=[lm, lm])
            return [lm("a"), lm("b"), lm("a"), *ensemble(query="b")["responses"]]

        async def notebook() -> list[str]:
            with ember_bench.trial():
                return cell()

        assert asyncio.run(notebook()) == in_trial(cell)[0]


class TestUsage:
    def test_counts_calls_tokens_and_money_by_model_and_by_node(self) -> None:
        member, judge = timed(1.0, cost=PRICE), timed(2.0, cost=PRICE)
        with ember_bench.usage() as used:
            vote_of(serve(member, judge), member, judge)(query="q")
        assert (used.total.calls, used.total.input_tokens, used.total.output_tokens) == (4, 12, 8)
        assert used.total.spend_usd == pytest.approx(4 * PRICE_OF_A_CALL)
        assert {node: sums.calls for node, sums in used.by_node.items()} == {
            "ensemble": 3,
            "judge": 1,
        }
        assert used.by_model[member.model_id].cost_usd == pytest.approx(3 * PRICE_OF_A_CALL)

    def test_latency_is_that_of_the_critical_path(self) -> None:
        member, judge = timed(1.0), timed(2.0)
        service = serve(member, judge)
        lm = module(service, judge)
        with ember_bench.usage() as used:
            vote_of(service, member, judge)(query="q")  # 1 + 2
            parallel([lambda: lm("a"), lambda: (lm("b"), lm("c"))])  # 4
            lm("d")  # 2
        assert used.latency_seconds == 9.0
        assert used.frame("model")["latency_seconds"].sum() == 3 * 1.0 + 5 * 2.0

    @pytest.mark.parametrize("inside", [False, True])
    def test_calls_of_asyncio_tasks_are_made_at_the_same_time(self, inside: bool) -> None:
        model = timed(1.0)
        lm = module(serve(model), model)

        async def ask() -> None:
            await asyncio.gather(*(lm.acall(f"{n}") for n in range(3)))
            await lm.acall("after")

        async def measured() -> float | None:
            with ember_bench.usage() as used:
                if inside:
                    with ember_bench.trial():
                        await ask()
                else:
                    await ask()
            return used.latency_seconds

        assert asyncio.run(measured()) == 2.0

    def test_what_is_not_known_is_not_zero(self) -> None:
        call = CallRecord(b"", "m", "", "generate", Usage(None, None), None, 0.0, None, False)
        used = CallUsage(CallLog(calls=[call]), clock_seconds=0.0)
        assert used.latency_seconds is None
        for by in ("model", "node"):
            row = used.frame(by).iloc[0]
            unknown = ("input_tokens", "output_tokens", "cost_usd", "spend_usd", "latency_seconds")
            assert all(math.isnan(row[name]) for name in unknown)
        assert "cost unknown; an unknown time" in str(used)

    def test_stored_answers_are_used_and_not_paid(self) -> None:
        model = timed(1.0, cost=PRICE)
        store = MemoryStore()
        module(serve(model, store=store), model)("q")
        with ember_bench.usage() as used:
            module(serve(model, store=store), model)("q")
        assert (used.total.calls, used.total.stored_calls, used.total.spend_usd) == (1, 1, 0.0)
        assert used.total.cost_usd == pytest.approx(PRICE_OF_A_CALL)

    def test_answers_that_could_not_be_used_are_told(self) -> None:
        async def cut(call: Call) -> str:
            raise UnusableAnswerError("no text", usage=Usage(3, 2))

        model = scripted(cut, cost=PRICE)
        lm = module(serve(model, retry=RetryPolicy(attempts=1)), model)
        with ember_bench.usage() as used, pytest.raises(UnusableAnswerError):
            lm("q")
        assert (used.log.wasted_calls, used.log.wasted_usd) == (1, pytest.approx(PRICE_OF_A_CALL))
        assert "without a usable answer" in str(used)

    def test_of_one_branch_has_its_own_calls_alone(self) -> None:
        model = timed(1.0)
        lm = module(serve(model), model)

        def asking(count: int) -> int:
            with ember_bench.usage() as used:
                for n in range(count):
                    lm(f"{count} {n}")
            return len(used.calls)

        with ember_bench.usage() as used:
            assert parallel([lambda: asking(1), lambda: asking(3)]) == [1, 3]
        assert len(used.calls) == 4
        assert in_trial(lambda: asking(2))[0] == 2

    def test_a_jitted_function_that_measures_itself_runs_eagerly(self) -> None:
        model = timed(1.0)
        lm = module(serve(model), model)

        @jit
        def measured(query: str) -> int:
            with ember_bench.usage() as used:
                lm(query)
                lm(f"{query} again")
            return len(used.calls)

        assert [measured("a"), measured("b")] == [2, 2]

    def test_prints_as_a_tree_of_nodes(self) -> None:
        member, judge = timed(1.0, cost=PRICE), timed(2.0, cost=PRICE)
        service = serve(member, judge)
        outer = NoNGraphData({"panel[0]": vote_of(service, member, judge, size=2)})
        with ember_bench.usage() as used:
            outer(query="q")
        tokens = "tokens 6 in, 4 out, cost $0.0140"
        assert str(used).splitlines() == [
            "all: 3 calls, tokens 9 in, 6 out, cost $0.0210; 3.0 s on the critical path",
            "└── panel[0]: 3 calls, tokens 9 in, 6 out, cost $0.0210",
            f"    ├── ensemble: 2 calls, {tokens}",
            f"    │   └── {member.model_id}: 2 calls, {tokens}",
            "    └── judge: 1 call, tokens 3 in, 2 out, cost $0.00700",
            f"        └── {judge.model_id}: 1 call, tokens 3 in, 2 out, cost $0.00700",
        ]

    def test_frames_have_a_row_for_each_model_node_or_call(self) -> None:
        member, judge = timed(1.0, cost=PRICE), timed(2.0, cost=PRICE)
        with ember_bench.usage() as used:
            vote_of(serve(member, judge), member, judge)(query="q")
        assert used.frame()["model"].to_list() == [member.model_id, judge.model_id]
        assert used.frame("node")["calls"].to_list() == [3, 1]
        assert used.frame("call")["started"].to_list() == [0.0, 0.0, 0.0, 1.0]
        with pytest.raises(ValueError, match="expected 'model', 'node' or 'call'"):
            used.frame("provider")  # type: ignore[arg-type]
        with ember_bench.usage() as nothing:
            pass
        assert nothing.frame("call").empty
        assert nothing.latency_seconds == 0.0

    def test_operators_under_way_in_a_greenlet_are_measured(self) -> None:
        model = timed(1.0)
        lm = module(serve(model), model)

        def body() -> int:
            with ember_bench.usage() as used:
                lm("q")
            return len(used.calls)

        assert bridge.wait(bridge.run(body)) == 1
