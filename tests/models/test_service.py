from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from ember_bench import bridge
from ember_bench.errors import (
    CallGivenUpError,
    EmberBenchError,
    OfflineError,
    ProviderError,
    UnknownNameError,
)
from ember_bench.models import (
    Completion,
    MemoryStore,
    Message,
    ModelCost,
    ModelInfo,
    ModelService,
    Provider,
    Request,
    ResponseStore,
    RetryPolicy,
    UsageService,
    UsageTotals,
    provider,
)
from ember_bench.models import strand as strands
from ember_bench.models.call import Call
from ember_bench.models.strand import Purse, Strand, TrialContext
from ember_bench.models.types import Usage
from tests.support.models import in_trial, keys, module, modules, scripted, serve, simulated

PRICE = ModelCost(input_cost_per_thousand=1.0, output_cost_per_thousand=2.0)
PRICE_OF_A_CALL = (3 * 1.0 + 2 * 2.0) / 1000  # of three tokens sent and two received


class Script:
    """A model that counts its requests; each waits until the gate is open."""

    def __init__(self, *, shut: bool = False, **fields: Any) -> None:
        self.asked: list[str] = []
        self.begun = 0
        self.answered = 0
        self.cancelled = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.shut = shut
        self.fault: Callable[[Call], Exception | None] = lambda _: None
        self.model = scripted(self.answer, **fields)
        self._gate: asyncio.Event | None = None

    @property
    def gate(self) -> asyncio.Event:
        if self._gate is None:
            self._gate = asyncio.Event()
        return self._gate

    async def answer(self, call: Call) -> str | Completion:
        self.asked.append(call.request.messages[-1].content)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.shut:
                await self.gate.wait()
            else:
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
        if (fault := self.fault(call)) is not None:
            raise fault
        self.answered += 1
        return f"answer {len(self.asked)} from {random.random()}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "responses.db"


@pytest.fixture(params=["on disk", "in memory"])
def store(path: Path, request: pytest.FixtureRequest) -> Iterator[ResponseStore | MemoryStore]:
    store = ResponseStore(path) if request.param == "on disk" else MemoryStore()
    yield store
    store.close()


def trial(service: ModelService, model: ModelInfo, prompt: str = "q") -> Awaitable[Any]:
    """Begin a trial that makes one call."""
    lm = module(service, model)

    def body() -> Any:
        strands.current.set(Strand(TrialContext()))
        return lm.respond(prompt)

    return asyncio.ensure_future(bridge.run(body))


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something has happened."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


class TestWithoutAStore:
    def test_each_bare_call_is_a_new_request(self) -> None:
        script = Script()
        service = serve(script.model)
        answers = {service(script.model, "same").data for _ in range(3)}
        lm = module(service, script.model)
        answers |= {lm("same") for _ in range(3)}
        assert len(answers) == len(script.asked) == 6

    def test_calls_of_a_simulated_model_differ_too(self) -> None:
        service = serve(simulated())
        assert len({service("m", "same").data for _ in range(20)}) == 20

    def test_each_run_of_a_trial_makes_its_requests_anew(self) -> None:
        script = Script()
        lm = module(serve(script.model), script.model)
        assert in_trial(lambda: lm("q"))[0] != in_trial(lambda: lm("q"))[0]

    def test_a_cancelled_call_is_not_made_to_its_end(self) -> None:
        script = Script(shut=True)
        service = serve(script.model)

        async def main() -> None:
            waiting = trial(service, script.model)
            await until(lambda: script.in_flight == 1)
            await bridge.cancel_all([waiting])  # type: ignore[list-item]

        asyncio.run(main())
        assert script.cancelled == 1


class TestWithAStore:
    def test_identical_bare_calls_are_draws_of_their_own(
        self, store: ResponseStore | MemoryStore
    ) -> None:
        script = Script()
        service = serve(script.model, store=store)
        assert len({service(script.model, "same").data for _ in range(5)}) == 5

    def test_another_process_replays_them_exactly(self, path: Path) -> None:
        script = Script()

        def program() -> list[Any]:
            """Stands for a process: a service and a store of its own."""
            store = ResponseStore(path)
            service = serve(script.model, store=store)
            lm = module(service, script.model)
            answers = [service(script.model, "a"), lm.respond("a"), lm.respond("b")]
            answers += [lm.respond("a", temperature=0.5)]
            store.close()
            return [(a.data, a.usage, a.cost, a.latency) for a in answers]

        cold = program()
        assert len(script.asked) == 4
        assert program() == cold
        assert len(script.asked) == 4

    def test_a_path_makes_a_store(self, path: Path) -> None:
        script = Script()
        service = serve(script.model, store=str(path))
        service(script.model, "q")
        assert service.store is not None
        assert len(service.store) == 1
        service.store.close()

    def test_a_stored_answer_says_so(self, store: ResponseStore | MemoryStore) -> None:
        script = Script()
        lm = module(serve(script.model, store=store), script.model)
        first, _ = in_trial(lambda: lm.respond("q"))
        second, _ = in_trial(lambda: lm.respond("q"))
        assert (first.stored, second.stored) == (False, True)
        assert first.data == second.data

    def test_the_model_is_part_of_the_question(self, store: ResponseStore | MemoryStore) -> None:
        one, two = Script(), Script()
        service = serve(one.model, two.model, store=store)
        for script in (one, two):
            lm = module(service, script.model)
            in_trial(lambda lm=lm: lm("same"))
        assert (len(one.asked), len(two.asked)) == (1, 1)

    def test_an_error_is_not_stored(self, store: ResponseStore | MemoryStore) -> None:
        script = Script()
        lm = module(serve(script.model, store=store), script.model)
        script.fault = lambda _: ProviderError("no")
        with pytest.raises(ProviderError):
            in_trial(lambda: lm("q"))
        script.fault = lambda _: None
        assert not in_trial(lambda: lm.respond("q"))[0].stored

    def test_what_no_database_takes_is_replaced_before_it_is_used(self, path: Path) -> None:
        async def odd(_: Call) -> str:
            return "half \ud83d, whole \ud83d\ude00"

        model = scripted(odd)
        answers = []
        for _ in range(2):
            store = ResponseStore(path)
            lm = module(serve(model, store=store), model)
            answers.append(in_trial(lambda lm=lm: lm("q"))[0])
            store.close()
        assert answers == ["half \ufffd, whole \U0001f600"] * 2


class TestSingleFlight:
    def test_two_trials_that_want_the_same_call_share_one_request(
        self, store: ResponseStore | MemoryStore
    ) -> None:
        script = Script(shut=True)
        service = serve(script.model, store=store)

        async def main() -> list[Any]:
            trials = [trial(service, script.model) for _ in range(10)]
            await until(lambda: script.in_flight == 1)
            script.gate.set()
            return await asyncio.gather(*trials)

        answers = asyncio.run(main())
        assert len(script.asked) == 1
        assert len({answer.data for answer in answers}) == 1
        assert sorted(answer.stored for answer in answers) == [False, *[True] * 9]

    def test_the_leader_may_be_cancelled_and_the_followers_still_get_the_answer(
        self, store: ResponseStore | MemoryStore
    ) -> None:
        script = Script(shut=True)
        service = serve(script.model, store=store)

        async def main() -> Any:
            leader, follower = trial(service, script.model), trial(service, script.model)
            await until(lambda: script.in_flight == 1)
            await bridge.cancel_all([leader])  # type: ignore[list-item]
            script.gate.set()
            return await follower

        assert asyncio.run(main()).data.startswith("answer 1")
        assert (len(script.asked), script.cancelled) == (1, 0)

    def test_a_request_that_is_being_paid_for_is_stored_though_nobody_waits_for_it(
        self, store: ResponseStore | MemoryStore
    ) -> None:
        script = Script(shut=True)
        service = serve(script.model, store=store)

        async def main() -> Any:
            alone = trial(service, script.model)
            await until(lambda: script.in_flight == 1)
            await bridge.cancel_all([alone])  # type: ignore[list-item]
            script.gate.set()
            await until(lambda: len(store) == 1)
            return await trial(service, script.model)

        assert asyncio.run(main()).stored
        assert len(script.asked) == 1

    def test_a_follower_that_is_cancelled_disturbs_nobody(
        self, store: ResponseStore | MemoryStore
    ) -> None:
        script = Script(shut=True)
        service = serve(script.model, store=store)

        async def main() -> list[Any]:
            leader, doomed, other = (trial(service, script.model) for _ in range(3))
            await until(lambda: script.in_flight == 1)
            await bridge.cancel_all([doomed])  # type: ignore[list-item]
            script.gate.set()
            return await asyncio.gather(leader, other)

        assert len({answer.data for answer in asyncio.run(main())}) == 1

    def test_an_instant_leader_that_is_cancelled_leaves_the_call_to_the_next(
        self, store: ResponseStore | MemoryStore
    ) -> None:
        service = serve(simulated(), store=store)

        async def main() -> Any:
            leader, follower = trial(service, simulated()), trial(service, simulated())
            await asyncio.sleep(0)
            leader.cancel()  # type: ignore[attr-defined]
            return await follower

        assert asyncio.run(main()).data
        assert len(store) == 1

    def test_an_error_is_shared_and_the_next_trial_asks_again(
        self, store: ResponseStore | MemoryStore
    ) -> None:
        script = Script(shut=True)
        script.fault = lambda _: ProviderError("down", status=500)
        service = serve(script.model, store=store)

        async def main() -> list[Any]:
            trials = [trial(service, script.model) for _ in range(4)]
            await until(lambda: script.in_flight == 1)
            script.gate.set()
            return await asyncio.gather(*trials, return_exceptions=True)

        errors = asyncio.run(main())
        assert [(type(e), str(e), e.status) for e in errors] == [(ProviderError, "down", 500)] * 4
        assert len(script.asked) == 1
        script._gate, script.shut = None, False
        script.fault = lambda _: None
        assert in_trial(lambda: module(service, script.model)("q"))[0]

    def test_what_a_trial_notes_on_a_shared_error_stays_in_that_trial(
        self, store: ResponseStore | MemoryStore
    ) -> None:
        script = Script(shut=True)
        script.fault = lambda _: ProviderError("down")
        service = serve(script.model, store=store)

        async def noting(name: str) -> list[str]:
            try:
                await trial(service, script.model)
            except ProviderError as error:
                error.add_note(name)
                return error.__notes__
            return []

        async def main() -> list[list[str]]:
            notes = [asyncio.ensure_future(noting(name)) for name in "abc"]
            await until(lambda: script.in_flight == 1)
            script.gate.set()
            return await asyncio.gather(*notes)

        assert asyncio.run(main()) == [["a"], ["b"], ["c"]]


class TestOffline:
    def test_a_call_that_is_not_stored_is_an_error_and_no_request(
        self, store: ResponseStore | MemoryStore
    ) -> None:
        script = Script()
        for service in (
            serve(script.model, store=store, offline=True),
            serve(script.model, offline=True),
        ):
            with pytest.raises(OfflineError, match=f"{script.model.model_id}.*--offline"):
                service(script.model, "q")
        assert script.asked == []

    def test_a_stored_call_is_answered(self, path: Path) -> None:
        script = Script()
        with_key = serve(script.model, store=path)
        answer = with_key(script.model, "q").data
        assert with_key.store is not None
        with_key.store.close()
        without = serve(script.model, store=path, offline=True)
        assert without(script.model, "q").data == answer
        assert without.store is not None
        without.store.close()


class TestRetries:
    def policy(self, waited: list[float]) -> RetryPolicy:
        async def sleep(seconds: float) -> None:
            waited.append(seconds)

        # The clock goes on by what is slept, so that pauses of the endpoint are over then.
        return RetryPolicy(
            attempts=4, sleep=sleep, uniform=lambda low, high: high, clock=lambda: sum(waited)
        )

    def test_a_passing_fault_is_not_seen_by_the_caller(
        self, store: ResponseStore | MemoryStore
    ) -> None:
        script, waited = Script(), list[float]()
        busy = ProviderError("busy", retryable=True, status=429, retry_after=7.0)
        script.fault = lambda _: busy if len(script.asked) < 3 else None
        service = serve(script.model, retry=self.policy(waited), store=store)
        assert service(script.model, "q").data.startswith("answer 3")
        assert waited == [7.5, 8.0]  # what was asked for, and the jitter

    def test_a_lasting_one_is(self) -> None:
        script, waited = Script(), list[float]()
        script.fault = lambda _: ProviderError("bad request", status=400)
        with pytest.raises(ProviderError, match="bad request"):
            serve(script.model, retry=self.policy(waited))(script.model, "q")
        assert (len(script.asked), waited) == (1, [])

    def test_the_latency_is_that_of_the_attempt_that_answered(self) -> None:
        script, waited = Script(), list[float]()
        script.fault = lambda _: (
            ProviderError("busy", retryable=True, retry_after=1000.0)
            if len(script.asked) == 1
            else None
        )
        response = serve(script.model, retry=self.policy(waited))(script.model, "q")
        assert response.latency is not None
        assert 0 < response.latency < 60


class TestAccounts:
    def test_a_stored_call_costs_and_takes_what_it_did(self, path: Path) -> None:
        script = Script(cost=PRICE)
        accounts = []
        for _ in range(2):
            store = ResponseStore(path)
            usage = UsageService()
            service = serve(script.model, store=store, usage_service=usage)
            response = service(script.model, "q")
            assert response.cost == pytest.approx(PRICE_OF_A_CALL)
            accounts.append((response.latency, usage.summary().total))
            store.close()
        (cold_latency, cold), (warm_latency, warm) = accounts
        assert cold_latency == warm_latency is not None
        assert (warm.cost_usd, warm.latency_seconds) == (cold.cost_usd, cold.latency_seconds)
        assert (warm.input_tokens, warm.output_tokens) == (3, 2)
        assert (cold.spend_usd, warm.spend_usd) == (pytest.approx(PRICE_OF_A_CALL), 0.0)
        assert (cold.stored_calls, warm.stored_calls) == (0, 1)

    def test_an_unknown_price_keeps_the_answer(self, store: ResponseStore | MemoryStore) -> None:
        script = Script()
        service = serve(script.model, store=store)
        response = service(script.model, "q")
        assert response.data
        assert response.cost is None
        assert service.usage_service.summary().total.unpriced_calls == 1
        assert len(store) == 1

    def test_what_the_provider_says_comes_before_the_price_list_and_the_clock(self) -> None:
        async def exact(_: Call) -> Completion:
            return Completion("x", Usage(1000, 1000), cost_usd=0.5, latency_seconds=123.0)

        model = scripted(exact, cost=PRICE)
        response = serve(model)(model, "q")
        assert (response.cost, response.latency) == (0.5, 123.0)

    def test_totals_are_by_model_and_provider_and_services_can_share_them(self) -> None:
        usage = UsageService()
        one, two = Script(cost=PRICE), Script()
        fake = simulated()
        first = serve(one.model, two.model, usage_service=usage)
        second = serve(fake, usage_service=usage)
        for model in (one.model, one.model, two.model):
            first(model, "q")
        second(fake, "q")
        summary = usage.summary()
        assert {m: t.calls for m, t in summary.by_model.items()} == {
            one.model.model_id: 2,
            two.model.model_id: 1,
            "simulated:m": 1,
        }
        assert {p: t.calls for p, t in summary.by_provider.items()} == {
            "scripted": 3,
            "simulated": 1,
        }

    def test_a_trial_remembers_its_calls(self) -> None:
        async def timed(call: Call) -> Completion:
            return Completion(call.request.messages[0].content, Usage(3, 2), latency_seconds=2.0)

        model = scripted(timed, cost=PRICE)
        lm = module(serve(model), model)
        _, strand = in_trial(lambda: [lm("a"), lm("b", role="judge")])
        first, second = strand.trial.calls
        assert (first.role, first.started, second.role, second.started) == (
            "generate", 0.0, "judge", 2.0,
        )  # fmt: skip
        assert second.cost_usd == pytest.approx(PRICE_OF_A_CALL)
        assert (second.usage, second.latency_seconds, second.stored) == (Usage(3, 2), 2.0, False)
        assert strand.clock == 4.0

    def test_calls_made_at_the_same_time_take_as_long_as_the_longest(self) -> None:
        async def timed(call: Call) -> Completion:
            return Completion("", latency_seconds=float(call.request.messages[0].content))

        model = scripted(timed)
        lm = module(serve(model), model)

        def body() -> None:
            from ember_bench.operators.asking import ask_all

            ask_all([(lm, "3"), (lm, "5"), (lm, "4")])
            ask_all([(lm, "1")])

        assert in_trial(body)[1].clock == 6.0

    def test_answers_that_came_before_another_failed_are_accounted_for(self) -> None:
        async def slowly(_: Call) -> str:
            for _ in range(5):
                await asyncio.sleep(0)
            raise ProviderError("no")

        good, bad = Script(cost=PRICE), scripted(slowly)
        service = serve(good.model, bad)
        lm, slow = module(service, good.model), module(service, bad)

        def body() -> None:
            from ember_bench.operators.asking import ask_all

            with pytest.raises(ProviderError):
                ask_all([(lm, "q"), (slow, "q")])

        assert len(keys(in_trial(body)[1])) == 1
        assert service.usage_service.summary().total.spend_usd == pytest.approx(PRICE_OF_A_CALL)

    def test_of_two_failures_the_first_in_order_is_raised_whatever_the_timing(self) -> None:
        async def after(call: Call) -> str:
            name, turns = call.request.messages[0].content.split()
            for _ in range(int(turns)):
                await asyncio.sleep(0)
            raise ProviderError(name)

        model = scripted(after)
        lm = module(serve(model), model)

        def body(prompts: list[str]) -> None:
            from ember_bench.operators.asking import ask_all

            ask_all([(lm, prompt) for prompt in prompts])

        for prompts in (["one 1", "two 9"], ["one 9", "two 1"], ["one 5", "two 5"]):
            with pytest.raises(ProviderError, match="one"):
                in_trial(lambda prompts=prompts: body(prompts))


class TestSeeds:
    """A model that is sent one seed twice answers twice the same."""

    def sent(self, ask: Callable[[Any], None], **options: Any) -> list[int | None]:
        seeds: list[int | None] = []

        async def answer(call: Call) -> str:
            seeds.append(call.seed)
            return "answer"

        model = scripted(answer)
        ask(module(serve(model, **options), model, seed=7, temperature=0.7))
        return seeds

    def test_five_draws_have_five_seeds_and_the_next_run_has_them_again(self) -> None:
        def draw(lm: Any) -> None:
            in_trial(lambda: [lm("q") for _ in range(5)])

        first = self.sent(draw)
        assert first[0] == 7
        assert len(set(first)) == 5
        assert self.sent(draw) == first

    def test_outside_a_trial_they_are_counted_by_request(self) -> None:
        def ask(lm: Any) -> None:
            for prompt in "aabab":
                lm(prompt)

        one, two, three, four, five = self.sent(ask)
        assert one == three == 7
        assert two == five != 7
        assert four not in (one, two)


class TestOneClientForEachConnection:
    def test_models_of_one_id_with_other_keys_are_asked_with_their_own(self) -> None:
        used: list[str] = []

        @provider("keyed")
        class Keyed(Provider):
            async def complete(self, call: Call) -> Completion:
                assert self.model.key is not None
                used.append(self.model.key.get_secret_value())
                return Completion("answer")

        service = serve()
        for key in ("one", "two", "one"):
            model = ModelInfo(model_id="keyed:m", api_key=key)
            asyncio.run(service.ask(Request(model, (Message("user", "q"),))))
        assert used == ["one", "two", "one"]

    def test_limits_are_those_of_the_model_that_is_asked(self) -> None:
        script = Script()
        service = serve(script.model)
        wider = script.model.model_copy(update={"max_concurrency": 7})

        async def clients() -> tuple[Any, ...]:
            same = script.model.model_copy()
            return tuple(service._clients.of(model) for model in (script.model, same, wider))

        one, same, other = asyncio.run(clients())
        assert one is same
        assert one is not other


class TestConcurrency:
    def test_no_more_requests_are_in_flight_than_the_model_takes(self) -> None:
        script = Script(shut=True, max_concurrency=3)
        service = serve(script.model)

        async def main() -> None:
            trials = [trial(service, script.model, f"q{n}") for n in range(20)]
            await until(lambda: script.in_flight == 3)
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(script.asked) == 3
            script.gate.set()
            await asyncio.gather(*trials)

        asyncio.run(main())
        assert script.most_in_flight == 3
        assert len(script.asked) == 20

    def test_requests_made_at_the_same_time_overlap(self) -> None:
        script = Script(shut=True)
        service = serve(script.model)
        lms = modules(service, script.model, 5)

        async def main() -> None:
            from ember_bench.operators.asking import ask_all

            asking = asyncio.ensure_future(bridge.run(ask_all, [(lm, "q") for lm in lms]))
            await until(lambda: script.in_flight == 5)
            script.gate.set()
            assert len(await asking) == 5

        asyncio.run(main())

    def test_a_service_serves_several_loops(self, store: ResponseStore | MemoryStore) -> None:
        script = Script(max_concurrency=2)
        service = serve(script.model, store=store)
        lms = modules(service, script.model, 4)

        async def main() -> list[str]:
            return await asyncio.gather(*(lm.acall(f"q{n}") for n, lm in enumerate(lms)))

        first, second = asyncio.run(main()), asyncio.run(main())
        third = [lm("again") for lm in lms]  # on the background loop
        assert len({*first, *second, *third}) == 12


class TestClosing:
    def test_waits_for_the_requests_in_flight(self, path: Path) -> None:
        script = Script(shut=True)
        service = serve(script.model, store=path)

        async def main() -> None:
            waiting = trial(service, script.model)
            await until(lambda: script.in_flight == 1)
            await bridge.cancel_all([waiting])  # type: ignore[list-item]
            closing = asyncio.ensure_future(service.close())
            await asyncio.sleep(0)
            script.gate.set()
            await closing

        asyncio.run(main())
        again = ResponseStore(path)
        assert len(again) == 1
        again.close()

    def test_that_abandons_them_ends_at_once(self, path: Path) -> None:
        script = Script(shut=True)
        service = serve(script.model, store=path)

        async def main() -> Any:
            waiting = trial(service, script.model)
            await until(lambda: script.in_flight == 1)
            await service.close(abandon=True)
            return await asyncio.gather(waiting, return_exceptions=True)

        (outcome,) = asyncio.run(main())
        assert isinstance(outcome, asyncio.CancelledError)
        assert script.cancelled == 1


class TestWindingDown:
    def test_also_gives_up_calls_to_models_that_were_not_asked_before(self) -> None:
        first, second = Script(), Script()
        service = serve(first.model, second.model)

        async def main() -> None:
            await trial(service, first.model)
            service.wind_down()
            for model in (first.model, second.model):
                with pytest.raises(CallGivenUpError):
                    await trial(service, model)
            await service.close()

        asyncio.run(main())
        assert (len(first.asked), len(second.asked)) == (1, 0)

    def test_answers_what_is_stored(self, store: ResponseStore) -> None:
        script = Script()
        service = serve(script.model, store=store)

        async def main() -> tuple[Any, Any]:
            before = await trial(service, script.model)
            service.wind_down()
            return before, await trial(service, script.model)

        before, after = asyncio.run(main())
        assert before.data == after.data

    def test_tells_each_trial_that_waits_for_a_shared_call(self, store: ResponseStore) -> None:
        script = Script()
        script.fault = lambda _: ProviderError("later", retryable=True, status=503, retry_after=60)
        service = serve(script.model, store=store)
        purses = [Purse("one"), Purse("two")]

        async def ask(purse: Purse) -> Any:
            lm = module(service, script.model)

            def body() -> Any:
                strands.current.set(Strand(TrialContext(purse=purse)))
                return lm.respond("q")

            return await bridge.run(body)

        async def main() -> list[Any]:
            waiting = [asyncio.ensure_future(ask(purse)) for purse in purses]
            await until(lambda: bool(script.asked))
            service.wind_down()
            return await asyncio.gather(*waiting, return_exceptions=True)

        assert {type(end) for end in asyncio.run(main())} == {CallGivenUpError}
        assert all(purse.exhausted for purse in purses)
        assert len(script.asked) == 1

    def test_ends_with_the_loop_that_it_was_told_on(self) -> None:
        script = Script()
        service = serve(script.model)

        async def wind_down() -> None:
            service.wind_down()
            await service.close()

        async def ask() -> Any:
            return await trial(service, script.model)

        asyncio.run(wind_down())
        assert asyncio.run(ask()).data


class TestAttach:
    def test_a_store_is_used_from_the_first_call_on(self, store: ResponseStore) -> None:
        script = Script()
        service = serve(script.model)
        service.attach(store)

        async def main() -> None:
            await trial(service, script.model)

        asyncio.run(main())
        assert len(store) == 1

    def test_calls_are_not_spread_over_two_stores(self, store: ResponseStore) -> None:
        script = Script()
        service = serve(script.model)

        async def main() -> None:
            await trial(service, script.model)
            with pytest.raises(EmberBenchError, match="before its first call"):
                service.attach(store)
            await service.close()
            service.attach(store, offline=True)
            with pytest.raises(OfflineError):
                await trial(service, script.model)

        asyncio.run(main())


class Models(Enum):
    MINE = "simulated:m"


class TestNames:
    @pytest.mark.parametrize("name", ["simulated:m", "m", Models.MINE, simulated()])
    def test_a_model_is_named_by_id_bare_name_enum_or_itself(self, name: Any) -> None:
        assert serve(simulated())(name, "q").model_id == "simulated:m"

    def test_an_unknown_one_lists_near_matches_before_any_call(self) -> None:
        with pytest.raises(UnknownNameError, match="did you mean 'simulated:m'"):
            serve(simulated())("simulatd:m", "q")

    def test_parameters_reach_the_model(self) -> None:
        seen: list[Any] = []

        async def look(call: Call) -> str:
            seen.append((call.request.messages, call.request.parameters))
            return ""

        model = scripted(look)
        serve(model)(model, "q", system="be brief", temperature=0.5, max_tokens=7)
        (messages, parameters) = seen[0]
        assert [(m.role, m.content) for m in messages] == [("system", "be brief"), ("user", "q")]
        assert (parameters.temperature, parameters.max_tokens) == (0.5, 7)

    def test_an_unknown_parameter_is_refused(self) -> None:
        with pytest.raises(TypeError, match="temprature"):
            serve(simulated())("m", "q", temprature=0.5)

    def test_a_response_prints_as_its_text(self) -> None:
        response = serve(simulated())("m", "q")
        assert str(response) == response.data


def test_totals_of_calls_through_the_service_are_exact() -> None:
    """Outside any trial nothing is kept of a call but its share of the totals."""
    service = serve(simulated(output_tokens=1, spread=0.0, latency_seconds=0.5))

    async def main() -> None:
        from ember_bench.models import Message, Request

        model = service.registry.get("m")
        for _ in range(2_000):
            await service.ask(Request(model, (Message("user", "1234"),)))

    asyncio.run(main())
    assert service.usage_service.summary().total == UsageTotals(
        2_000, 0, 4_000, 2_000, 0.0, 0.0, 2_000, 1_000.0
    )
    assert service._outside.trial.calls == []
