"""The parts that keep an endpoint's limits, each by itself, by a clock of the test's."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.errors import ProviderError
from ember_bench.models.info import ModelInfo
from ember_bench.models.limits import (
    AdaptiveWindow,
    Circuit,
    CircuitOpenError,
    Gate,
    Pace,
    Ticket,
    WindowHistory,
)

DOWN = ProviderError("connection refused", retryable=True)


class TestWindow:
    def test_starts_slowly_but_not_beyond_what_the_card_allows(self) -> None:
        assert AdaptiveWindow(1000).size(0.0) == 20
        assert AdaptiveWindow(3).size(0.0) == 3

    def test_doubles_with_each_round_of_answers_at_first(self) -> None:
        window = AdaptiveWindow(1000)
        for _ in range(20):
            window.answered(window.size(0.0), 0.0)
        assert window.size(0.0) == 40

    def test_never_grows_beyond_what_the_card_allows(self) -> None:
        window = AdaptiveWindow(25)
        for _ in range(100):
            window.answered(window.size(0.0), 0.0)
        assert window.size(0.0) == 25

    def test_does_not_grow_while_it_is_not_filled(self) -> None:
        window = AdaptiveWindow(1000)
        for _ in range(100):
            window.answered(5, 0.0)
        assert window.size(0.0) == 20

    def test_grows_by_the_clock_where_answers_are_slow(self) -> None:
        window = AdaptiveWindow(1000)
        for hundredth in range(11):
            window.filled(hundredth / 100)
        assert window.size(0.1) == pytest.approx(80, abs=1)  # 0.1 s are two doublings

    def test_grows_more_slowly_by_the_clock_once_it_was_refused(self) -> None:
        window = AdaptiveWindow(1000)
        window.refused(Ticket(1, 0.0, 0), 20, 0.0)
        back = window.size(11.0)
        for tenth in range(110, 151):
            window.filled(tenth / 10)
        assert window.size(15.0) == pytest.approx(4 * back, abs=3)  # 4 s are two doublings

    def test_halves_when_a_request_is_refused(self) -> None:
        window = AdaptiveWindow(1000)
        assert window.refused(Ticket(1, 0.0, 0), 20, 5.0)
        assert window.size(5.0) == 10

    def test_halves_once_for_requests_that_were_under_way_together(self) -> None:
        window = AdaptiveWindow(1000)
        halved = [window.refused(Ticket(n, 0.0, 0), 20, 5.0) for n in range(20)]
        assert halved == [True] + [False] * 19
        assert window.size(5.0) == 10

    def test_comes_back_within_a_second_to_just_below_what_was_refused(self) -> None:
        window = AdaptiveWindow(1000)
        window.refused(Ticket(1, 0.0, 0), 20, 5.0)
        sizes = [window.size(5.0 + tenth / 10) for tenth in range(12)]
        assert sizes == sorted(sizes)
        assert (sizes[0], sizes[-1]) == (10, 18)

    def test_then_grows_by_one_for_each_window_of_answers(self) -> None:
        window = AdaptiveWindow(1000)
        window.refused(Ticket(1, 0.0, 0), 20, 0.0)
        assert window.size(2.0) == 18
        for _ in range(18):
            window.answered(window.size(2.0), 2.0)
        assert window.size(2.0) in (18, 19)
        window.answered(window.size(2.0), 2.0)
        assert window.size(2.0) == 19

    def test_is_never_less_than_one(self) -> None:
        window = AdaptiveWindow(1000)
        for generation in range(20):
            window.refused(Ticket(1, 0.0, generation), 20, 0.0)
        assert window.size(0.0) == 1

    def test_is_full_after_any_time_in_which_nothing_was_answered(self) -> None:
        window = AdaptiveWindow(1000)
        window.filled(0.0)
        window.filled(100_000.0)
        assert window.size(100_000.0) == 1000

    def test_halves_for_good_when_a_request_is_not_answered_in_time(self) -> None:
        window = AdaptiveWindow(1000)
        assert window.timed_out(Ticket(1, 0.0, 0), 5.0)
        assert not window.timed_out(Ticket(2, 0.0, 0), 5.0)  # it was under way together with that
        assert window.size(5.0) == window.size(500.0) == 10

    def test_then_grows_by_a_quarter_with_each_round_of_answers(self) -> None:
        window = AdaptiveWindow(1000)
        window.timed_out(Ticket(1, 0.0, 0), 5.0)
        window.filled(5.0)
        window.filled(50.0)  # not by the clock any more
        for _ in range(10):
            window.answered(window.size(50.0), 50.0, waiting=True)
        assert window.size(50.0) == 12

    def test_shrinks_to_its_bound_and_does_not_grow_beyond_it(self) -> None:
        window = AdaptiveWindow(1000)
        assert window.bound(8, 0.0)
        for _ in range(100):
            window.answered(window.size(0.0), 0.0)
        assert window.size(0.0) == 8
        assert not window.bound(None, 0.0)
        for _ in range(100):
            window.answered(window.size(0.0), 0.0)
        assert window.size(0.0) > 8


class TestPace:
    """A server that accepts 50 a second, without any burst, and is asked 100 times a second."""

    def learned(self) -> tuple[Pace, float]:
        pace = Pace()
        number = 0
        for number in range(1, 201):
            ticket = Ticket(number, number / 100, 0)
            pace.sent(ticket)
            if number % 2 == 0 and number < 200:
                pace.refused(ticket, None)
        pace.refused(Ticket(number, number / 100, 0), 10)
        return pace, number / 100

    def test_is_free_until_something_is_refused(self) -> None:
        pace = Pace()
        for number in range(100):
            pace.sent(Ticket(number, 0.0, 0))
        assert pace.rate(0.0) is None
        assert pace.free_at() < 0.0

    def test_is_a_little_less_than_what_was_accepted(self) -> None:
        pace, now = self.learned()
        assert pace.rate(now) == pytest.approx(0.97 * 50, rel=0.02)

    def test_spaces_requests_evenly(self) -> None:
        pace, now = self.learned()
        pace.sent(Ticket(201, now, 1))
        first = pace.free_at() - now
        pace.sent(Ticket(202, now + first, 1))
        assert first == pytest.approx(1 / 48.5, rel=0.02)
        assert pace.free_at() - now == pytest.approx(2 * first)

    def test_grows_after_a_while_until_it_limits_nothing(self) -> None:
        pace, now = self.learned()
        rates = [pace.rate(now + second) for second in (0, 19, 25, 30, 35)]
        assert rates[0] == rates[1]
        grown = [rate for rate in rates if rate is not None]
        assert grown == sorted(grown)
        assert pace.rate(now + 60) is None

    def test_a_pause_of_days_is_no_overflow(self) -> None:
        pace, now = self.learned()
        assert pace.rate(now + 10_000_000) is None


class TestCircuit:
    def circuit(self, **options: float) -> tuple[Circuit, list[float]]:
        now = [0.0]
        return Circuit("a:b", lambda: now[0], **options), now  # type: ignore[arg-type]

    def fail(self, circuit: Circuit, now: list[float], times: int, seconds: float) -> None:
        for n in range(times):
            circuit.failed(b"%d" % n, DOWN)
            now[0] += seconds / times

    def test_opens_after_failures_in_a_row_and_says_why(self) -> None:
        circuit, now = self.circuit()
        self.fail(circuit, now, 20, 10.0)
        with pytest.raises(CircuitOpenError, match=r"a:b: not asked.*connection refused") as raised:
            circuit.admit()
        assert not raised.value.retryable

    def test_stays_closed_while_some_requests_are_answered(self) -> None:
        circuit, now = self.circuit()
        for _ in range(20):
            self.fail(circuit, now, 7, 10.0)
            circuit.answered()
        circuit.admit()

    def test_stays_closed_for_failures_that_come_all_at_once(self) -> None:
        circuit, now = self.circuit()
        self.fail(circuit, now, 100, 1.0)
        circuit.admit()

    def test_stays_closed_for_a_single_call_that_cannot_be_answered(self) -> None:
        circuit, now = self.circuit()
        for _ in range(50):
            circuit.failed(b"the same", DOWN)
            now[0] += 1
        circuit.admit()

    def test_failures_with_long_gaps_between_are_no_row(self) -> None:
        circuit, now = self.circuit()
        self.fail(circuit, now, 1, 3600.0)
        self.fail(circuit, now, 10, 1.0)
        circuit.admit()

    def test_lets_one_probe_through_after_the_cooldown(self) -> None:
        circuit, now = self.circuit()
        self.fail(circuit, now, 20, 10.0)
        now[0] += 10.0
        circuit.admit()
        with pytest.raises(CircuitOpenError, match="just tried again"):
            circuit.admit()

    def test_a_probe_that_is_answered_closes_it(self) -> None:
        circuit, now = self.circuit()
        self.fail(circuit, now, 20, 10.0)
        now[0] += 10.0
        circuit.admit()
        circuit.answered()
        for _ in range(3):
            circuit.admit()

    def test_a_probe_that_fails_doubles_the_cooldown_up_to_the_longest(self) -> None:
        circuit, now = self.circuit(cooldown=10.0, longest=30.0)
        self.fail(circuit, now, 8, 8.0)
        now[0] = 7.0  # when the eighth of them opened it
        for cooldown in (10.0, 20.0, 30.0, 30.0):
            now[0] += cooldown - 0.1
            with pytest.raises(CircuitOpenError):
                circuit.admit()
            now[0] += 0.2
            circuit.admit()
            assert circuit.failed(b"probe", DOWN)

    def test_a_probe_that_is_cancelled_lets_another_one_through(self) -> None:
        circuit, now = self.circuit()
        self.fail(circuit, now, 20, 10.0)
        now[0] += 10.0
        circuit.admit()
        circuit.abandoned()
        circuit.admit()


class TestHistory:
    def test_keeps_the_changes_with_their_times_and_logs_them(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        now = 100.0
        history = WindowHistory("a:b", lambda: now)
        with caplog.at_level(logging.INFO, "ember_bench.limits"):
            history.add(20, None, "first request", level=logging.DEBUG)
            now = 101.5
            history.add(10, 48.5, "refused with 429")
        assert [(c.seconds, c.window, c.pace) for c in history] == [
            (0.0, 20, None),
            (1.5, 10, 48.5),
        ]
        assert caplog.messages == ["a:b: refused with 429; window 10, pace 48.5/s (at 1.500 s)"]


class TestGate:
    """First come, first served, also for those that find nothing to wait for."""

    def test_whoever_comes_later_does_not_overtake_those_that_wait(self) -> None:
        entered: list[str] = []

        async def main() -> None:
            gate = Gate(ModelInfo(model_id="scripted:m", max_concurrency=1))

            tickets: list[Ticket] = []

            async def ask(name: str) -> None:
                tickets.append(await gate.enter(0.0, 60.0))
                entered.append(name)

            def leave() -> None:
                gate.leave(tickets[-1])

            await ask("first")
            waiting = [asyncio.create_task(ask(name)) for name in ("second", "third")]
            await asyncio.sleep(0)
            leave()
            await asyncio.sleep(0)
            assert entered == ["first", "second"]
            leave()
            # There is room, and the third has been told that it is next, but has not come yet.
            asyncio.get_running_loop().call_later(0, leave)
            async with asyncio.timeout(10):
                await ask("late")
            await asyncio.gather(*waiting)

        asyncio.run(main())
        assert entered == ["first", "second", "third", "late"]

    def test_whoever_gave_up_waiting_holds_up_nobody(self) -> None:
        async def main() -> None:
            gate = Gate(ModelInfo(model_id="scripted:m", max_concurrency=1))
            first = await gate.enter(0.0, 60.0)
            waiting = asyncio.create_task(gate.enter(0.0, 60.0))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            gate.leave(first)
            await asyncio.wait_for(gate.enter(0.0, 60.0), 10)

        asyncio.run(main())

    def test_whoever_is_let_in_and_cancelled_in_the_same_moment_makes_room(self) -> None:
        async def main() -> None:
            gate = Gate(ModelInfo(model_id="scripted:m", max_concurrency=1))
            first = await gate.enter(0.0, 60.0)
            unlucky, next_one = (asyncio.create_task(gate.enter(0.0, 60.0)) for _ in range(2))
            await asyncio.sleep(0)
            gate.leave(first)
            unlucky.cancel()
            await asyncio.gather(unlucky, return_exceptions=True)
            assert unlucky.cancelled()
            await asyncio.wait_for(next_one, 10)
            assert gate.in_flight == 1

        asyncio.run(main())

    def test_all_that_wait_are_turned_away_when_the_circuit_opens(self) -> None:
        async def main() -> None:
            gate = Gate(ModelInfo(model_id="scripted:m", max_concurrency=1), clock=lambda: now)
            now = 0.0
            ticket = await gate.enter(0.0, 60.0)
            waiting = [asyncio.create_task(gate.enter(0.0, 60.0)) for _ in range(3)]
            await asyncio.sleep(0)
            for number in range(40):
                now = number / 2
                gate.failed(ticket, b"%d" % number, DOWN)
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [CircuitOpenError] * 3
            assert gate.in_flight == 1

        asyncio.run(main())

    @given(
        st.lists(st.one_of(st.just("ask"), st.just("leave"), st.integers(0, 9)), max_size=60),
        st.integers(1, 3),
    )
    def test_lets_in_all_who_stay_in_order_and_never_too_many(
        self, steps: list[str | int], most: int
    ) -> None:
        asked: list[int] = []
        entered: list[int] = []

        async def main() -> None:
            gate = Gate(ModelInfo(model_id="scripted:m", max_concurrency=most))
            tasks: list[asyncio.Task[None]] = []
            tickets: list[Ticket] = []
            left = 0

            async def ask(number: int) -> None:
                asked.append(number)
                tickets.append(await gate.enter(0.0, 60.0))
                entered.append(number)

            for step in steps:
                if step == "ask":
                    tasks.append(asyncio.create_task(ask(len(tasks))))
                elif step == "leave" and left < len(entered):
                    gate.leave(tickets[left])
                    left += 1
                elif isinstance(step, int) and step < len(tasks):
                    tasks[step].cancel()
                    continue  # what comes next may happen before it hears of it
                await asyncio.sleep(0)
                assert gate.in_flight <= most
            while not all(task.done() for task in tasks):
                if left < len(entered):
                    gate.leave(tickets[left])
                    left += 1
                await asyncio.sleep(0)
            assert gate.in_flight == len(entered) - left <= most
            stayed = [n for n, task in enumerate(tasks) if not task.cancelled()]
            assert entered == [n for n in asked if n in stayed]

        asyncio.run(asyncio.wait_for(main(), 60))
