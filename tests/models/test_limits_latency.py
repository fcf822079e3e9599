"""Latency by requests in flight, and the order of requests and answers."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.models.limits.latency import LatencyCurve
from ember_bench.models.limits.progress import Progress, Ticket
from tests.support.slots import LATENCIES


def measured(latencies: dict[int, float], sent: int = 100) -> LatencyCurve:
    curve = LatencyCurve()
    for in_flight, seconds in latencies.items():
        curve.add(in_flight, seconds, sent)
    return curve


class TestUsefulRequestsInFlight:
    def test_are_unknown_where_latency_does_not_depend_on_them(self) -> None:
        assert measured(dict.fromkeys(range(1, 101), 5.0)).useful(100) is None

    @pytest.mark.parametrize("slots", range(1, 41))
    def test_are_as_many_as_the_server_works_on_or_a_few_times_that(self, slots: int) -> None:
        queued = {n: 5.0 * math.ceil(n / slots) for n in range(1, 101)}
        useful = measured(queued).useful(100)
        assert useful is not None
        assert slots <= useful <= max(16, 8 * slots)

    @pytest.mark.parametrize("latency", ["random", "heavy-tailed"])
    def test_are_hardly_ever_known_where_latency_is_random(self, latency: str) -> None:
        rng, draw = random.Random(1), LATENCIES[latency]
        curves = (measured({n: draw(rng, 20.0) for n in range(1, 101)}) for _ in range(1000))
        assert sum(curve.useful(100) is not None for curve in curves) < 5

    def test_are_unknown_where_answers_take_less_than_a_second(self) -> None:
        assert measured({n: n / 100 for n in range(1, 101)}).useful(100) is None

    def test_are_unknown_from_three_answers(self) -> None:
        assert measured({n: 5.0 * n for n in range(1, 8)}).useful(100) is None

    def test_are_measured_again_from_below_before_they_are_forgotten(self) -> None:
        curve = measured({n: 5.0 * math.ceil(n / 8) for n in range(1, 101)})
        forgotten = 100 + 20 * 8
        assert curve.useful(100) == 16
        assert curve.useful(100 + 20 * 8 // 2 + 1) == 8
        assert curve.useful(10 * forgotten) is None


class TestProgress:
    def sent(self, progress: Progress, number: int, at: float = 0.0) -> Ticket:
        return Ticket(number, at, 0, number - 1, progress.moves, expected=at)

    def test_it_is_a_requests_turn_when_as_many_are_answered_as_were_ahead(self) -> None:
        progress = Progress(100)
        tickets = [self.sent(progress, n) for n in range(1, 6)]
        for second in (5, 10, 15):
            progress.answered(tickets[second // 5 - 1], float(second))
        assert [progress.turn(t) for t in tickets] == [0.0, 5.0, 10.0, 15.0, 15.0]

    def test_an_overtaken_request_is_in_nobodys_way(self) -> None:
        progress = Progress(100)
        first, second = (self.sent(progress, n) for n in (1, 2))
        progress.answered(second, 5.0)
        progress.gave_up(first, 300.0)
        assert progress.was_overtaken(first)
        assert progress.given_up == []

    def test_what_was_given_up_is_in_the_way_until_a_later_request_is_answered(self) -> None:
        progress = Progress(100)
        tickets = [self.sent(progress, n) for n in range(1, 8)]
        for second in (5, 10, 15):
            progress.answered(tickets[second // 5 - 1], float(second))
        for ticket in tickets[3:6]:
            progress.gave_up(ticket, 300.0)
            progress.gave_up(ticket, 300.0)
        assert progress.given_up == [4, 5, 6]
        progress.answered(tickets[6], 320.0)
        assert progress.given_up == []
        assert progress.seconds_given_up() == 0.0

    def test_the_first_that_is_given_up_makes_room_for_the_others_once(self) -> None:
        progress = Progress(100)
        tickets = [self.sent(progress, n) for n in range(1, 4)]
        progress.gave_up(tickets[0], 300.0)
        assert progress.turn(tickets[1]) == progress.turn(tickets[2]) == 300.0
        progress.gave_up(tickets[1], 600.0)
        assert progress.turn(tickets[2]) == 300.0

    @given(st.permutations(range(1, 30)), st.integers(1, 40))
    def test_no_turn_is_before_the_request_or_after_the_last_answer(
        self, order: list[int], most: int
    ) -> None:
        progress = Progress(most)
        tickets = {n: self.sent(progress, n) for n in range(1, 30)}
        for at, number in enumerate(order, 1):
            progress.answered(tickets[number], float(at))
            assert all(0.0 <= progress.turn(t) <= at for t in tickets.values())
        assert progress.turn(tickets[1]) == 0.0
