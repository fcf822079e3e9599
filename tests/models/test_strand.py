from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ember_bench import bridge
from ember_bench.errors import EmberBenchError
from ember_bench.graph import NoNGraphData, execute, parallel
from ember_bench.models import ModelService
from ember_bench.models.call import Call
from ember_bench.models.strand import Draw, OutsideDraws, Strand, TrialContext
from ember_bench.operators import (
    EnsembleOperator,
    LMModule,
    LMModuleConfig,
    MostCommonOperator,
    Operator,
    VerifierOperator,
)
from tests.support.models import in_trial, keys, module, modules, scripted, serve, telling

REQUEST = b"request"


def strand() -> Strand:
    return Strand(TrialContext())


# A program as a tree: who is asked what, what follows what, what runs at the same time.
@dataclass(frozen=True)
class Ask:
    module: int
    prompt: str
    delay: int  # at most, in turns of the loop


@dataclass(frozen=True)
class Then:
    parts: tuple[Any, ...]


@dataclass(frozen=True)
class Together:
    parts: tuple[Any, ...]


@dataclass(frozen=True)
class Survive:
    """Parts that run together with one that fails, and an error that is caught."""

    parts: tuple[Any, ...]


asks = st.builds(Ask, st.integers(0, 1), st.sampled_from("pq"), st.integers(0, 3))


def programs(*kinds: type) -> st.SearchStrategy[Any]:
    return st.recursive(
        asks,
        lambda parts: st.one_of(
            *(st.builds(kind, st.lists(parts, max_size=3).map(tuple)) for kind in kinds)
        ),
        max_leaves=12,
    )


class BoomError(Exception):
    pass


timing = random.Random()


async def answer_some_time(call: Call) -> str:
    for _ in range(timing.randrange(6)):
        await asyncio.sleep(0)
    return call.key.hex()


MODEL = scripted(answer_some_time)


class Machine:
    """Runs a program and notes at which place of it each call was made."""

    def __init__(self, seed: int) -> None:
        timing.seed(seed)
        self.lms = modules(serve(MODEL), MODEL, 2)
        self.made: dict[tuple[int, ...], str] = {}

    def run(self, program: Any, at: tuple[int, ...] = ()) -> None:
        def part(index: int, inner: Any) -> Callable[[], None]:
            return lambda: self.run(inner, (*at, index))

        def broken() -> None:
            bridge.wait(asyncio.sleep(0))
            raise BoomError

        match program:
            case Ask(number, prompt, delay):
                for _ in range(timing.randrange(delay + 1)):
                    bridge.wait(asyncio.sleep(0))
                self.made[at] = self.lms[number](prompt)
            case Then(parts):
                for index, inner in enumerate(parts):
                    self.run(inner, (*at, index))
            case Together(parts):
                parallel([part(index, inner) for index, inner in enumerate(parts)])
            case Survive(parts):
                with suppress(BoomError):
                    parallel([*(part(i, p) for i, p in enumerate(parts)), broken])


class TestIdentity:
    @settings(max_examples=120, deadline=None)
    @given(programs(Then, Together))
    def test_is_fixed_by_structure_whatever_the_timing(self, program: Any) -> None:
        made = []
        for seed in range(3):
            machine = Machine(seed)
            in_trial(lambda m=machine: m.run(program))
            made.append(machine.made)
        assert made[0] == made[1] == made[2]

    @settings(max_examples=200, deadline=None)
    @given(programs(Then, Together, Survive))
    def test_is_different_for_every_call_of_a_trial(self, program: Any) -> None:
        machine = Machine(0)
        _, trial = in_trial(lambda: machine.run(program))
        assert len(set(keys(trial))) == len(keys(trial))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(asks.map(lambda ask: Then((ask,))), max_size=3), programs(Then, Together))
    def test_after_a_failure_does_not_depend_on_how_far_the_rest_had_got(
        self, doomed: list[Any], after: Any
    ) -> None:
        program = Then((Survive(tuple(doomed)), after))
        later = []
        for seed in range(3):
            machine = Machine(seed)
            in_trial(lambda m=machine: m.run(program))
            later.append({place: key for place, key in machine.made.items() if place[0] == 1})
        assert later[0] == later[1] == later[2]


class TestDraws:
    def test_five_draws_are_five_draws(self) -> None:
        one = strand()
        assert [one.take_draw(REQUEST) for _ in range(5)] == [(), (1,), (2,), (3,), (4,)]

    def test_different_requests_are_counted_apart(self) -> None:
        one = strand()
        assert [one.take_draw(r) for r in (b"a", b"b", b"a")] == [(), (), (1,)]

    def test_branch_n_begins_where_a_loop_has_its_nth(self) -> None:
        assert [b.take_draw(REQUEST) for b in strand().fork(range(4))] == [(), (1,), (2,), (3,)]

    def test_the_second_in_a_branch_is_numbered_inwards(self) -> None:
        branch = strand().fork(range(3))[2]
        assert [branch.take_draw(REQUEST) for _ in range(3)] == [(2,), (2, 1), (2, 2)]

    def test_go_on_after_a_join_behind_all_branches(self) -> None:
        one = strand()
        branches = one.fork(range(3))
        branches[0].take_draw(REQUEST)
        one.join(branches)
        assert one.take_draw(REQUEST) == (3,)

    def test_a_request_that_no_branch_made_is_not_counted(self) -> None:
        one = strand()
        branches = one.fork(range(3))
        branches[0].take_draw(b"other")
        one.join(branches)
        assert one.take_draw(REQUEST) == ()

    def test_go_on_after_a_failure_behind_all_branches(self) -> None:
        one = strand()
        branches = one.fork(range(3))
        one.give_up(branches)
        assert one.take_draw(REQUEST) == (3,)

    def test_go_on_behind_a_failure_that_a_branch_has_survived(self) -> None:
        one = strand()
        (branch,) = one.fork([0])
        inner = branch.fork(range(2))
        taken = inner[0].take_draw(REQUEST)
        branch.give_up(inner)
        one.join([branch])
        assert one.take_draw(REQUEST) != taken

    def test_outside_a_trial_with_a_store_are_counted(self) -> None:
        outside = OutsideDraws(counted=True)
        assert [outside.take(r) for r in (b"a", b"b", b"a")] == [(), (), (1,)]

    def test_outside_a_trial_without_a_store_are_all_different_in_constant_memory(self) -> None:
        outside = OutsideDraws(counted=False)
        draws = {outside.take(bytes([i % 256])) for i in range(1000)}
        assert len(draws) == 1000
        assert not outside._counts

    def test_outside_a_trial_are_one_count_wherever_in_a_program_they_are_made(self) -> None:
        one, draws = Strand(TrialContext(outside=True)), OutsideDraws(counted=True)
        node = one.at_node("node", {}, 0.0)
        branches = one.fork(range(2))
        places = (branches[1], node, branches[0], one, one.step(0.0))
        taken = [place.take_draw(REQUEST, draws) for place in places]
        assert taken == [(), (1,), (2,), (3,), (4,)]

    @given(st.lists(st.booleans(), max_size=30))
    def test_given_back_are_taken_again_before_new_ones(self, keeps: list[bool]) -> None:
        one, draws = Strand(TrialContext(outside=True)), OutsideDraws(counted=True)
        scratch, kept = one.scratch(), set[Draw]()
        for keep in keeps:
            step = scratch.step(0.0)
            (branch,) = step.fork([0])
            draw = branch.take_draw(REQUEST, draws)
            assert draw not in kept
            if keep:
                one.absorb(step)
                kept.add(draw)
            step.give_back()  # does nothing to what was kept
        assert kept == {(number,) if number else () for number in range(sum(keeps))}


class TestClock:
    def test_a_join_takes_the_latest_branch(self) -> None:
        one = Strand(TrialContext(), clock=5.0)
        branches = one.fork(range(3))
        assert [b.clock for b in branches] == [5.0] * 3
        branches[1].clock = 9.0
        one.join(branches)
        assert one.clock == 9.0

    def test_a_join_of_nothing_takes_no_time(self) -> None:
        one = Strand(TrialContext(), clock=5.0)
        one.join([])
        assert one.clock == 5.0


def members(service: ModelService, model: Any, count: int) -> list[bytes]:
    """Return the keys of an ensemble of `count` and a vote."""
    graph = NoNGraphData()
    ensemble = EnsembleOperator(lm_modules=modules(service, model, count, temperature=0.7))
    graph.add_node(name="ensemble", operator=ensemble)
    graph.add_node(name="vote", operator=MostCommonOperator(), inputs=["ensemble"])
    return keys(in_trial(lambda: execute(graph, {"query": "q"}))[1])


class TestSharing:
    def test_the_third_member_of_a_3_ensemble_and_of_a_9_ensemble_is_the_same_call(self) -> None:
        model = telling()
        service = serve(model)
        assert members(service, model, 3) == members(service, model, 9)[:3]

    def test_a_single_call_is_the_first_member_of_a_vote(self) -> None:
        model = telling()
        service = serve(model)
        graph = NoNGraphData()
        ensemble = EnsembleOperator(lm_modules=[module(service, model, temperature=0.7)])
        graph.add_node(name="answer", operator=ensemble)
        single = keys(in_trial(lambda: execute(graph, {"query": "q"}))[1])
        assert single == members(service, model, 5)[:1]

    def test_a_verifiers_calls_do_not_depend_on_k(self) -> None:
        async def answer(call: Call) -> str:
            return "Verdict: no" if call.request.role == "verify" else "the same"

        model = scripted(answer)
        service = serve(model)

        def verifications(k: int) -> list[bytes]:
            graph = NoNGraphData()
            graph.add_node(
                name="ensemble",
                operator=EnsembleOperator(lm_modules=modules(service, model, k)),
            )
            graph.add_node(
                name="verify",
                operator=VerifierOperator(lm_modules=[module(service, model)]),
                inputs=["ensemble"],
            )
            trial = in_trial(lambda: execute(graph, {"query": "q"}))[1].trial
            return [call.key for call in trial.calls if call.role == "verify"]

        assert len(verifications(7)) == 7
        assert verifications(3) == verifications(7)[:3]

    def test_one_module_listed_three_times_gives_three_draws(self) -> None:
        model = telling()
        service = serve(model)
        ensemble = EnsembleOperator(lm_modules=[module(service, model)] * 3)
        assert len(set(keys(in_trial(lambda: ensemble(query="q"))[1]))) == 3

    def test_a_loop_a_fan_out_and_parallel_code_share_their_calls(self) -> None:
        model = telling()
        service = serve(model)
        lm = module(service, model)
        ensemble = EnsembleOperator(lm_modules=[lm] * 3)
        looped, _ = in_trial(lambda: [lm("q") for _ in range(3)])
        fanned, _ = in_trial(lambda: ensemble(query="q")["responses"])
        parted, _ = in_trial(lambda: parallel([lambda: lm("q")] * 3))
        assert looped == fanned == parted

    def test_a_module_in_a_graph_and_the_same_one_outside_share_their_calls(self) -> None:
        model = telling()
        service = serve(model)
        lm = module(service, model)
        graph = NoNGraphData()
        graph.add_node(name="only", operator=EnsembleOperator(lm_modules=[lm]))
        inside = keys(in_trial(lambda: execute(graph, {"query": "q"}))[1])
        assert inside == keys(in_trial(lambda: lm("q"))[1])

    def test_an_epoch_shares_nothing_with_another(self) -> None:
        model = telling()
        lm = module(serve(model), model)
        assert in_trial(lambda: lm("q"), epoch=0)[0] != in_trial(lambda: lm("q"), epoch=1)[0]

    def test_modules_that_ask_differently_are_counted_apart(self) -> None:
        """A hotter member before it does not make the second one another call."""
        model = telling()
        service = serve(model)
        hot, cold = module(service, model, temperature=1.0), module(service, model, temperature=0.0)
        both = EnsembleOperator(lm_modules=[hot, cold])
        alone = EnsembleOperator(lm_modules=[cold])
        answers = []
        for operator in (both, alone):
            graph = NoNGraphData()
            graph.add_node(name="ensemble", operator=operator)
            answers.append(in_trial(lambda g=graph: execute(g, {"query": "q"}))[0]["ensemble"])
        assert answers[0]["responses"][1] == answers[1]["responses"][0]


class Wrap(Operator):
    """Runs a function of the operators and modules that it is given."""

    def __init__(self, body: Callable[..., Any], *parts: Any) -> None:
        self.body, self.parts = body, parts

    def forward(self, inputs: Any) -> Any:
        return self.body(*self.parts)


def graph_of(*operators: Operator) -> NoNGraphData:
    """Return a graph of operators that run at the same time."""
    graph = NoNGraphData()
    for number, operator in enumerate(operators):
        graph.add_node(name=f"n{number}", operator=operator)
    return graph


def ensemble(lms: list[LMModule]) -> EnsembleOperator:
    return EnsembleOperator(lm_modules=lms)


class TestNestedGraphs:
    """All calls of a trial are different, wherever graphs and modules come from."""

    @pytest.fixture
    def model(self) -> Any:
        return telling()

    @pytest.fixture
    def service(self, model: Any) -> ModelService:
        return serve(model)

    def distinct(self, operator: Operator, count: int) -> None:
        found = keys(in_trial(lambda: operator(query="q"))[1])
        assert len(found) == count
        assert len(set(found)) == count

    def test_a_graph_run_in_a_loop_draws_anew_each_time(self, service: Any, model: Any) -> None:
        inner = graph_of(ensemble(modules(service, model, 2)))
        self.distinct(graph_of(Wrap(lambda g: [g(query="q") for _ in range(3)], inner)), 6)

    def test_a_graph_run_several_times_at_once_draws_anew_each_time(
        self, service: Any, model: Any
    ) -> None:
        inner = graph_of(ensemble(modules(service, model, 2)))
        body = Wrap(lambda g: parallel([lambda: g(query="q")] * 3), inner)
        self.distinct(graph_of(body), 6)

    def test_a_graph_run_in_a_loop_of_the_trial_itself(self, service: Any, model: Any) -> None:
        inner = graph_of(ensemble(modules(service, model, 2)))
        self.distinct(Wrap(lambda: [inner(query="q") for _ in range(3)]), 6)

    def test_two_graphs_beside_each_other(self, service: Any, model: Any) -> None:
        inner = [graph_of(ensemble(modules(service, model, 2))) for _ in range(2)]
        self.distinct(graph_of(*inner), 4)

    def test_one_graph_that_stands_in_two_nodes(self, service: Any, model: Any) -> None:
        inner = graph_of(ensemble(modules(service, model, 2)))
        self.distinct(graph_of(inner, inner), 4)

    def test_one_module_in_two_nodes_of_a_nested_graph(self, service: Any, model: Any) -> None:
        lm = module(service, model)
        self.distinct(graph_of(graph_of(ensemble([lm]), ensemble([lm])), ensemble([lm])), 3)

    def test_modules_made_on_the_fly(self, service: Any, model: Any) -> None:
        def body() -> Any:
            return [module(service, model)("q") for _ in range(3)]

        self.distinct(graph_of(Wrap(body), Wrap(body), ensemble(modules(service, model, 2))), 8)

    def test_graphs_made_on_the_fly(self, service: Any, model: Any) -> None:
        def body() -> Any:
            return graph_of(ensemble(modules(service, model, 2)))(query="q")

        self.distinct(graph_of(ensemble(modules(service, model, 2)), Wrap(body), Wrap(body)), 6)

    def test_a_graph_made_on_the_fly_beside_a_known_module(self, service: Any, model: Any) -> None:
        lm = module(service, model)

        def body(known: LMModule) -> Any:
            return graph_of(ensemble([known]), ensemble([module(service, model)]))(query="q")

        self.distinct(graph_of(Wrap(body, lm), ensemble([module(service, model)])), 3)

    def test_a_graph_that_fails_and_is_run_again(self, service: Any, model: Any) -> None:
        def broken() -> None:
            raise EmberBenchError("no")

        inner = graph_of(ensemble(modules(service, model, 2)), Wrap(broken))

        def body(graph: Operator) -> None:
            for _ in range(3):
                with pytest.raises(EmberBenchError):
                    graph(query="q")

        found = keys(in_trial(lambda: graph_of(Wrap(body, inner))(query="q"))[1])
        assert len(set(found)) == len(found)

    def test_a_model_known_by_two_names_is_one_model(self, service: Any, model: Any) -> None:
        names = (model.model_id, model.model_name)
        lms = [
            ensemble([LMModule(LMModuleConfig(model_name=name), service=service)]) for name in names
        ]
        self.distinct(graph_of(*lms), 2)

    def same_whatever_the_timing(self, make: Callable[[ModelService], list[Operator]]) -> None:
        outcomes = []
        for seed in range(6):
            timing.seed(seed)
            graph = graph_of(*make(serve(MODEL)))
            outcomes.append(in_trial(lambda g=graph: execute(g, {"query": "q"}))[0])
        assert all(outcome == outcomes[0] for outcome in outcomes)

    def test_graphs_made_on_the_fly_at_the_same_time_do_not_depend_on_timing(self) -> None:
        def make(service: ModelService) -> list[Operator]:
            def body() -> Any:
                for _ in range(timing.randrange(5)):
                    bridge.wait(asyncio.sleep(0))
                return graph_of(ensemble(modules(service, MODEL, 2)))(query="q")

            return [Wrap(body), Wrap(body), Wrap(body)]

        self.same_whatever_the_timing(make)

    def test_a_model_known_by_two_names_does_not_depend_on_timing(self) -> None:
        def make(service: ModelService) -> list[Operator]:
            def body(lm: LMModule) -> str:
                for _ in range(timing.randrange(5)):
                    bridge.wait(asyncio.sleep(0))
                return lm("q")

            configs = [
                LMModuleConfig(model_name=name, persona=persona)
                for name in (MODEL.model_id, MODEL.model_name)
                for persona in (None, "")
            ]
            return [Wrap(body, LMModule(config, service=service)) for config in configs]

        self.same_whatever_the_timing(make)

    def test_nesting_a_graph_does_not_change_its_calls(self, service: Any, model: Any) -> None:
        inner = graph_of(ensemble(modules(service, model, 3)))
        plain = keys(in_trial(lambda: execute(inner, {"query": "q"}))[1])
        nested = keys(in_trial(lambda: execute(graph_of(inner), {"query": "q"}))[1])
        assert plain == nested
