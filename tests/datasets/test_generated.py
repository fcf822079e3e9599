from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from ember_bench.datasets import Dataset, Item, SplitMix, generator
from ember_bench.datasets.builtin_generators import _is_prime
from ember_bench.datasets.generated import check_parameters, generate, get_generator
from ember_bench.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable


def items(name: str, **parameters: Any) -> tuple[Item, ...]:
    source = get_generator(name)
    return tuple(generate(source, check_parameters(source, parameters)))


def digest(name: str, **parameters: Any) -> str:
    return Dataset(name, items(name, **parameters), "exact_match", name).digest


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("prime_factorisation", {"count": 50, "seed": 7}, "c17dcad3c9fe649d609a7f29345af8e3"),
        ("arithmetic", {"count": 50, "terms": 5, "digits": 3}, "db06e59c7a0d35e5b35cfee03d852c1d"),
        ("multiple_choice", {"count": 50, "choices": 6}, "4e0b97638b0b0e57fc973004abfc9dfd"),
    ],
)
def test_items_never_change(name: str, parameters: dict[str, Any], expected: str) -> None:
    # If this fails, results with generated datasets cannot be compared with earlier ones.
    assert digest(name, **parameters) == expected


@pytest.mark.parametrize("name", ["prime_factorisation", "arithmetic", "multiple_choice"])
def test_an_item_does_not_depend_on_the_count(name: str) -> None:
    assert items(name, count=300)[:40] == items(name, count=40)


@pytest.mark.parametrize("name", ["prime_factorisation", "arithmetic", "multiple_choice"])
def test_no_question_comes_twice_and_the_seed_matters(name: str) -> None:
    made = items(name, count=1000)
    assert len({item.question for item in made}) == 1000
    assert len({item.id for item in made}) == 1000
    assert digest(name, seed=1) != digest(name, seed=2)


@given(st.integers(1, 9), st.integers())
def test_a_target_is_the_two_primes_in_order(digits: int, seed: int) -> None:
    (item,) = items("prime_factorisation", count=1, digits=digits, seed=seed)
    low, high = map(int, item.target.split(","))
    assert low < high
    assert len(str(low)) == len(str(high)) == digits
    assert str(low * high) in item.question
    assert all(n % d for n in (low, high) for d in range(2, min(n, 1000)))
    assert item.difficulty == pytest.approx(min(1, math.log10(low * high) / 12), abs=1e-4)
    assert item.answer_format == "integers"


def test_primality_agrees_with_a_sieve() -> None:
    sieve = [False, False] + [True] * 9998
    for n in range(2, 100):
        if sieve[n]:
            sieve[n * n :: n] = [False] * len(sieve[n * n :: n])
    assert [_is_prime(n) for n in range(10_000)] == sieve
    assert not _is_prime(25_326_001)  # the first strong pseudoprime to 2, 3 and 5


@given(st.integers(2, 20), st.integers(1, 9), st.integers())
def test_the_value_of_a_chain_is_what_python_says(terms: int, digits: int, seed: int) -> None:
    (item,) = items("arithmetic", count=1, terms=terms, digits=digits, seed=seed)
    expression = item.metadata["expression"]
    assert eval(expression) == int(item.target)
    assert expression in item.question
    assert item.difficulty is not None
    assert 0 <= item.difficulty < 1


def test_longer_chains_of_longer_numbers_are_harder() -> None:
    def mean(**parameters: int) -> float:
        made = items("arithmetic", count=200, **parameters)
        return sum(item.difficulty or 0 for item in made) / len(made)

    assert mean(terms=2, digits=1) < mean(terms=3, digits=2) < mean(terms=6, digits=4)


@given(st.integers(2, 10), st.integers(1, 3), st.integers())
def test_one_of_the_choices_is_right(choices: int, digits: int, seed: int) -> None:
    (item,) = items("multiple_choice", count=1, choices=choices, digits=digits, seed=seed)
    value = str(eval(item.metadata["expression"]))
    assert len(set(item.choices)) == choices
    assert item.choices["ABCDEFGHIJ".index(item.target)] == value
    assert f"{item.target}) {value}" in item.question


def test_the_right_choice_stands_everywhere_as_often() -> None:
    made = items("multiple_choice", count=4000)
    shares = [sum(item.target == letter for item in made) / len(made) for letter in "ABCD"]
    # Four standard errors.
    assert all(abs(share - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 4000) for share in shares)


def test_more_items_than_there_are_is_an_error() -> None:
    # Of 2, 3, 5 and 7 there are six products.
    assert len(items("prime_factorisation", digits=1, count=6)) == 6
    with pytest.raises(ConfigError, match="only about 6 different items with digits=1"):
        items("prime_factorisation", digits=1, count=7)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"digts": 3}, "'prime_factorisation' has no parameter 'digts'; did you mean 'digits'?"),
        ({"digits": 0}, "digits: must be at least 1 (found 0)"),
        ({"digits": "3"}, "digits: expected a whole number (found '3')"),
        ({"count": True}, "count: expected a whole number (found True)"),
        ({"count": 0}, "count: must be at least 1 (found 0)"),
        ({"seed": 1.5}, "seed: expected a whole number (found 1.5)"),
    ],
)
def test_parameters_are_checked(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        items("prime_factorisation", **parameters)
    assert message in str(caught.value)


def test_an_unknown_generator_lists_near_matches() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'prime_factorisation'"):
        get_generator("prime_factorization")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    from ember_bench.datasets import generated

    monkeypatch.setattr(generated, "_generators", dict(generated.generators()))


@pytest.mark.usefixtures("registered")
def test_anybody_can_register_a_generator() -> None:
    @generator("doubling")
    def doubling(random: SplitMix, item_id: str, *, most: Annotated[int, Field(ge=1)] = 99) -> Item:
        number = random.between(1, most)
        return Item(item_id, f"Twice {number}?", str(2 * number))

    assert [item.id for item in items("doubling", count=2)] == ["doubling-0", "doubling-1"]
    with pytest.raises(ConfigError, match="most: must be at least 1"):
        items("doubling", most=0)


def positional(random: SplitMix, item_id: str, most: int = 1) -> Item:
    raise NotImplementedError


def no_default(random: SplitMix, item_id: str, *, most: int) -> Item:
    raise NotImplementedError


def reserved(random: SplitMix, item_id: str, *, seed: int = 1) -> Item:
    raise NotImplementedError


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("make", [positional, no_default, reserved])
def test_a_generator_that_cannot_be_configured_is_refused(make: Callable[..., Item]) -> None:
    with pytest.raises(ConfigError, match="must be keyword-only, typed, with a default"):
        generator("wrong")(make)


@pytest.mark.usefixtures("registered")
def test_two_generators_cannot_have_one_name() -> None:
    with pytest.raises(ConfigError, match="already registered by ember_bench"):
        generator("arithmetic")(positional)


def test_the_random_stream_is_splitmix64() -> None:
    # The first outputs for seed 1234567, as published with the reference implementation.
    random = SplitMix()
    random._state = 1234567
    assert [random.next64() for _ in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


@given(st.integers(-(2**40), 2**40), st.integers(0, 1000), st.integers())
def test_a_number_lies_between_its_bounds(low: int, span: int, seed: int) -> None:
    assert low <= SplitMix(seed).between(low, low + span) <= low + span


@given(st.lists(st.integers()), st.integers())
def test_shuffling_keeps_every_value(values: list[int], seed: int) -> None:
    assert sorted(SplitMix(seed).shuffled(values)) == sorted(values)
