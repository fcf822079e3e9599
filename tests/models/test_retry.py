from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.errors import ProviderError
from ember_bench.models import ModelInfo, RetryPolicy
from ember_bench.models.retry import Deadline

AGAIN = ProviderError("broken", retryable=True, status=500)
LATER = ProviderError("busy", retryable=True, status=429)


class Faulty:
    """Raises each of its errors in turn, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.attempts = 0
        self.waited: list[float] = []
        self.now = 0.0

    async def attempt(self, deadline: Deadline) -> str:
        deadline.begin()
        self.attempts += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds

    def run(self, **options: Any) -> str:
        policy = RetryPolicy(
            sleep=self.sleep, uniform=lambda low, high: high, clock=lambda: self.now, **options
        )
        return asyncio.run(policy.run(self.attempt))


def test_a_fault_that_may_pass_is_asked_again() -> None:
    faulty = Faulty(AGAIN, AGAIN)
    assert faulty.run() == "answer"
    assert faulty.attempts == 3


def test_a_fault_that_cannot_pass_is_not() -> None:
    faulty = Faulty(ProviderError("no such model", status=404))
    with pytest.raises(ProviderError, match="no such model"):
        faulty.run()
    assert (faulty.attempts, faulty.waited) == (1, [])


def test_an_error_that_is_no_providers_is_not() -> None:
    faulty = Faulty(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        faulty.run()
    assert faulty.attempts == 1


@pytest.mark.parametrize("attempts", [1, 3, 6])
def test_it_gives_up_after_so_many_attempts_with_the_last_error(attempts: int) -> None:
    errors = [ProviderError(f"fault {n}", retryable=True) for n in range(10)]
    faulty = Faulty(*errors)
    with pytest.raises(ProviderError, match=f"fault {attempts - 1}"):
        faulty.run(attempts=attempts)
    assert (faulty.attempts, len(faulty.waited)) == (attempts, attempts - 1)


def test_the_longest_wait_doubles_up_to_the_cap() -> None:
    faulty = Faulty(*[AGAIN] * 5)
    faulty.run(base_seconds=1.0, cap_seconds=5.0)
    assert faulty.waited == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_what_the_provider_asks_for_is_waited_for_beyond_the_cap() -> None:
    faulty = Faulty(ProviderError("busy", retryable=True, retry_after=90.0))
    faulty.run(base_seconds=1.0, cap_seconds=5.0)
    assert faulty.waited == [91.0]


@given(st.integers(1, 30), st.none() | st.floats(0, 1000))
def test_waits_are_jittered_within_their_bounds(failures: int, retry_after: float | None) -> None:
    policy = RetryPolicy(base_seconds=0.5, cap_seconds=60.0)
    least = retry_after or 0.0
    ceiling = min(60.0, 0.5 * 2 ** (failures - 1))
    assert least <= policy.delay(failures, retry_after) <= least + ceiling


def test_waits_of_different_callers_differ() -> None:
    assert len({RetryPolicy().delay(5, 1.0) for _ in range(50)}) > 40


def test_after_very_many_failures_the_wait_is_the_cap() -> None:
    policy = RetryPolicy(base_seconds=0.5, cap_seconds=60.0, uniform=lambda low, high: high)
    assert policy.delay(100_000, None) == 60.0


class TestBeingToldToComeLater:
    def test_is_no_failed_attempt(self) -> None:
        faulty = Faulty(*[LATER] * 20)
        assert faulty.run(attempts=2, cap_seconds=5.0) == "answer"
        assert faulty.attempts == 21

    def test_ends_with_the_deadline(self) -> None:
        faulty = Faulty(*[LATER] * 1000)
        with pytest.raises(
            ProviderError, match="busy; too late to ask again within 60 s"
        ) as raised:
            faulty.run(cap_seconds=5.0, deadline_seconds=60.0)
        assert faulty.now < 60
        assert raised.value.status == 429
        assert not raised.value.retryable


class TestDeadline:
    def test_a_wait_that_would_end_after_it_is_not_begun(self) -> None:
        faulty = Faulty(ProviderError("busy", retryable=True, status=503, retry_after=3600.0))
        with pytest.raises(ProviderError, match=r"busy; too late .*deadline_seconds"):
            faulty.run()
        assert (faulty.attempts, faulty.waited) == (1, [])

    def test_counts_from_the_first_request(self) -> None:
        now = 0.0
        deadline = Deadline(10.0, lambda: now)
        now = 100.0
        assert deadline.left == 10.0
        deadline.begin()
        now = 104.0
        deadline.begin()
        assert deadline.left == 6.0

    def test_is_the_cards_where_it_has_one(self) -> None:
        policy = RetryPolicy(attempt_timeout_seconds=1.0, deadline_seconds=2.0)
        own = policy.of(ModelInfo(model_id="a:b", deadline_seconds=7.0))
        assert (own.attempt_timeout_seconds, own.deadline_seconds) == (1.0, 7.0)
        assert policy.of(ModelInfo(model_id="a:b")) is policy
