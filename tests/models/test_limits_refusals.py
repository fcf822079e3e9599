"""The wait for a provider that answers nothing but "too many requests"."""

from __future__ import annotations

from ember_bench.models.limits import RateLimitWait, Refusals


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_there_is_none_before_a_refusal() -> None:
    assert Refusals("openai:x", Clock()).wait is None


def test_it_begins_with_the_first_refusal_and_goes_on_with_others() -> None:
    clock = Clock()
    refusals = Refusals("openai:x", clock)
    refusals.refused(None)
    clock.now += 4
    refusals.refused(None)
    clock.now += 3
    assert refusals.wait == RateLimitWait("openai:x", seconds=7, left=0)


def test_an_answer_ends_it() -> None:
    clock = Clock()
    refusals = Refusals("openai:x", clock)
    refusals.refused(60)
    refusals.answered()
    assert refusals.wait is None
    clock.now += 1
    refusals.refused(None)
    assert refusals.wait == RateLimitWait("openai:x", seconds=0, left=0)


def test_the_longest_time_that_the_provider_named_is_left() -> None:
    clock = Clock()
    refusals = Refusals("openai:x", clock)
    refusals.refused(60)
    clock.now += 10
    refusals.refused(5)
    assert refusals.wait == RateLimitWait("openai:x", seconds=10, left=50)
    clock.now += 100
    assert refusals.wait == RateLimitWait("openai:x", seconds=110, left=0)
